"""A collector with two months in its store, in a thread of its own, and Chromium before it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError, sync_playwright

from collector.page import seeded
from conftest import new_database
from footfall_collector.config.schema import OperatorConfig, ServiceConfig
from footfall_collector.process.app import running
from instrumentation.browser_client.conftest import (  # noqa: F401  # fixtures
    FLAGS,
    chromium,
    workshop,
)
from support.collectors import configured

READY = "html[data-ready=yes]"
WATCH = """
addEventListener("securitypolicyviolation",
    (event) => console.error("refused by the policy: " + event.violatedDirective));
"""
SHOWN = Path(__file__).with_name("shown.js").read_text()
PATIENCE = 30_000
LOOKS = ("light", "dark", "phone", "dark phone")


def apart(work: Callable[[], Any]) -> Any:
    """What `work` makes, in a thread without Playwright's loop."""
    made: Future[Any] = Future()

    def run() -> None:
        try:
            made.set_result(work())
        except BaseException as error:
            made.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made.result()


class Addresses(NamedTuple):
    """Of a collector: its page, and where events are sent."""

    page: str
    otlp: str


@contextmanager
def collecting(dsn: str, catalog: Any, **operator: Any) -> Iterator[Addresses]:
    """A collector that runs; its operator's listener is as it is said."""
    address: Future[Addresses] = Future()
    ends: Future[Any] = Future()
    service = ServiceConfig(operator=OperatorConfig(endpoint="127.0.0.1:0", **operator))

    async def run() -> None:
        async with running(configured(catalog, dsn, service=service)) as on:
            ends.set_result((asyncio.get_running_loop(), done := asyncio.Event()))
            address.set_result(Addresses(f"http://{on.operator}", f"http://{on.http}"))
            await done.wait()

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            address.set_exception(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield address.result(60)
    loop, done = ends.result()
    loop.call_soon_threadsafe(done.set)
    thread.join()


@dataclass
class Opened:
    """A page that is open, and what went wrong in it."""

    page: Page
    origin: str
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(self.origin + path)
        self.page.wait_for_selector(READY, timeout=PATIENCE)
        return self.page

    def watch(self) -> "Opened":
        self.page.add_init_script(WATCH)
        self.page.on("console", lambda said: said.type == "error" and self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        return self

    def hurry(self, selector: str) -> None:
        """Moves the page's clock on, which was installed, until this is there."""
        for _ in range(PATIENCE // 500):
            self.page.clock.fast_forward(10_000)
            with suppress(TimeoutError):
                self.page.wait_for_selector(selector, timeout=500)
                return
        raise TimeoutError(selector)


Open = Callable[..., Opened]


@pytest.fixture(scope="package")
def store(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Any]]:
    """The connection string of a store that is filled, and its catalog."""
    folder = tmp_path_factory.mktemp("page")
    with new_database(postgres_server) as dsn:
        yield dsn, apart(lambda: asyncio.run(seeded.fill(dsn, folder)))


@pytest.fixture(scope="package")
def site(store: tuple[str, Any]) -> Iterator[str]:
    """The address of the page."""
    with collecting(*store) as addresses:
        yield addresses.page


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:  # noqa: F811
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


def looked(browser: Browser, look: str) -> BrowserContext:
    """A context in which pages are dark, light, or as on a phone."""
    wide = {"width": 1440, "height": 900}
    size = {"width": 390, "height": 844} if look.endswith("phone") else wide
    scheme = "dark" if look.startswith("dark") else "light"
    return browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]


@pytest.fixture
def opened(browser: Browser, site: str) -> Iterator[Open]:
    """Opens pages in a context of their own."""
    with ExitStack() as stack:
        yield lambda look="light", at=site: Opened(
            stack.enter_context(looked(browser, look)).new_page(), at
        ).watch()


@pytest.fixture(scope="package")
def tabs(browser: Browser, site: str) -> Iterator[Open]:
    """The page of each look, which tests use one after the other; errors are those of the last one."""
    known: dict[str, Opened] = {}

    def tab(look: str) -> Opened:
        if look not in known:
            known[look] = Opened(looked(browser, look).new_page(), site).watch()
        known[look].wrong.clear()
        known[look].asked.clear()
        return known[look]

    yield tab
    for each in known.values():
        each.page.context.close()


@pytest.fixture
def shown(tabs: Open) -> Callable[[str], dict[str, Any]]:
    """What a page says in figures, its charts as tables."""

    def read(path: str) -> dict[str, Any]:
        return tabs("light").go(path).evaluate(SHOWN)  # type: ignore[no-any-return]

    return read


@pytest.fixture(scope="package")
def report(site: str) -> Callable[..., list[dict[str, Any]]]:
    """Asks for a report as anybody can."""

    def get(name: str, **query: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{site}/api/reports/{name}", params=query, timeout=60, verify=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"]  # type: ignore[no-any-return]

    return get


@pytest.fixture(scope="package")
def axe(workshop: Path) -> str:  # noqa: F811
    return (workshop / "node_modules" / "axe-core" / "axe.min.js").read_text()
