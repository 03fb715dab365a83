"""Chromium, as Debian packages it, and pages in it."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from instrumentation.browser_client import tools
from instrumentation.browser_client.server import Telemetry, telemetry_server
from support.alone import alone_in

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
]


PACKAGES = ("chromium-headless-shell", "chromium")
"""Of Debian, each with a program of its name. The first has no window, and costs a third less."""


def installed_chromium() -> str | None:
    """The path of the first that is there."""
    return next(filter(None, map(shutil.which, PACKAGES)), None)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; root gets it from Debian's archive when it is not there."""
    with alone_in(Path(__file__).parent):
        if installed_chromium() is None:
            if os.geteuid() != 0 or shutil.which("apt-get") is None:
                pytest.skip(f"needs Chromium: apt-get install {PACKAGES[0]}")
            environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            install = ["install", "--yes", "--no-install-recommends", PACKAGES[0]]
            for arguments in (["update"], install):
                subprocess.run(["apt-get", "-qq", *arguments], env=environment, check=True)
    path = installed_chromium()
    assert path is not None
    return path


@pytest.fixture(scope="package")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tools from npm are installed."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm (Node.js)")
    return tools.install(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """For this package: while it runs, its thread counts as one with a running event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """The server that the page comes from; it must find no contract broken."""
    with telemetry_server() as server:
        yield server
    assert server.broken == []


@pytest.fixture
def elsewhere() -> Iterator[Telemetry]:
    """A server of another origin."""
    with telemetry_server() as server:
        yield server
    assert server.broken == []


@dataclass
class Shop:
    """A page with the module loaded as `footfall`."""

    page: Page
    telemetry: Telemetry

    def run(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript expression or function."""
        return self.page.evaluate(script, argument)

    def status(self) -> dict[str, Any]:
        return self.run("footfall.status()")  # type: ignore[no-any-return]

    def settled(self, queued: int) -> None:
        """Waits until so many wait to be sent: what is in flight is not among them."""
        self.page.wait_for_function("n => footfall.status().queued == n", arg=queued, timeout=8000)

    def wrong(self) -> list[str]:
        """The errors that the page has seen and nobody caught."""
        return self.run("window.wrong")  # type: ignore[no-any-return]


@pytest.fixture(scope="package")
def tab(browser: Browser) -> Callable[[], Page]:
    """The page that tests use one after the other; a new one when the last was closed."""
    context = browser.new_context()
    pages: list[Page] = []

    def current() -> Page:
        if not pages or pages[-1].is_closed():
            pages.append(context.new_page())
        return pages[-1]

    return current


@pytest.fixture
def shop(
    browser: Browser, tab: Callable[[], Page], telemetry: Telemetry
) -> Iterator[Callable[..., Shop]]:
    """Opens the page and configures the module; the options that it does not know are the module's.

    A page is alone in a context of its own, without the origins of other tests, or shares one.
    """

    def open_page(
        *,
        origin: str | None = None,
        before: str = "",
        alone: bool = False,
        clock: bool = False,
        **options: Any,
    ) -> Shop:
        page = stack.enter_context(browser.new_context()).new_page() if alone or clock else tab()
        if clock:
            page.clock.install()  # in its whole context, for good
        telemetry.page = f"<!doctype html><script>{ERRORS}</script><script>{before}</script>"
        page.goto((origin or telemetry.origin) + "/page")
        page.evaluate(LOAD, {"consent": True, "timeout": PATIENCE, **options})
        return Shop(page, telemetry)

    with ExitStack() as stack:
        yield open_page
    if not tab().is_closed():
        tab().context.set_offline(False)
        tab().goto("about:blank")


PATIENCE = 8000
"""Milliseconds instead of 200: a machine under load is no failure of the network."""
ERRORS = """
window.wrong = [];
for (const kind of ["error", "unhandledrejection"])
    addEventListener(kind, (event) => wrong.push(String(event.reason ?? event.message)));
"""
LOAD = """async (options) => {
    window.footfall = await import("/footfall.js");
    footfall.configure(options);
}"""


Open = Callable[..., Shop]
SESSION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TRACK = """([first, last]) => {
    for (let n = first; n < last; n++) footfall.track("prompt_copied", {latency_ms: n});
}"""


def numbers(telemetry: Telemetry) -> list[int]:
    return [event["latency_ms"] for event in telemetry.events]


def advance(page: Shop, seconds: int) -> None:
    """Moves the page's clock on, with time for answers after every half second of it."""
    for _ in range(seconds * 2):
        page.page.clock.run_for(500)
        page.page.wait_for_timeout(0)
