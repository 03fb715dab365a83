"""A page that isolates itself imports the module from the collector, which is another origin."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from playwright.sync_api import Browser

from footfall_collector.config.schema import HttpConfig
from footfall_collector.receivers import http
from footfall_collector.receivers.intake import Intake
from instrumentation.browser_client.server import Telemetry


@pytest.fixture
def collector() -> Iterator[str]:
    """The origin of the collector's public listener; in a thread, since Playwright holds this one's loop."""
    origin: Future[str] = Future()
    stop: Future[None] = Future()

    async def nowhere(batch: object) -> None:
        raise AssertionError

    async def serve() -> None:
        config = HttpConfig(endpoint="127.0.0.1:0")
        async with http.serve(config, Intake(nowhere), []) as endpoint:
            origin.set_result(f"http://{endpoint}")
            await asyncio.wrap_future(stop)

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    yield origin.result(10)
    stop.set_result(None)
    thread.join()


@pytest.mark.parametrize("name", ["footfall.js", "footfall.source.js"])
def test_an_isolated_page_imports_it_from_the_collector(
    browser: Browser, telemetry: Telemetry, collector: str, name: str
) -> None:
    telemetry.page_headers = {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Content-Security-Policy": f"default-src 'none'; script-src {collector}; connect-src 'self'",
    }
    telemetry.page = f'<!doctype html><script type="module" src="{collector}/{name}"></script>'
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{telemetry.origin}/page")
        assert page.evaluate("crossOriginIsolated") is True
        page.evaluate(
            """async url => {
                const { configure, track, flush } = await import(url);
                configure({consent: true, timeout: 8000});
                track("share.viewed");
                flush();
            }""",
            f"{collector}/{name}",
        )
        telemetry.wait(lambda t: len(t.events) == 1)


PINNED = """<!doctype html><script type="importmap">{map}</script>
<link rel="modulepreload" href="{origin}{path}" integrity="{integrity}" crossorigin>
<script type="module">
import {{ offer }} from "footfall/psr";
window.shown = offer({{promptId: "p1"}});
</script>"""


@pytest.mark.parametrize("whole", [True, False])
def test_a_page_pins_what_it_imports(
    browser: Browser, telemetry: Telemetry, collector: str, whole: bool
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        published = context.request.get(f"{collector}/browser.importmap.json").json()
        path = published["imports"]["footfall/psr"]
        integrity = published["integrity"][path if whole else published["imports"]["footfall"]]
        mapped = {"imports": {"footfall/psr": collector + path}}
        telemetry.page = PINNED.format(
            map=json.dumps(mapped), origin=collector, path=path, integrity=integrity
        )
        page.goto(f"{telemetry.origin}/page")
        assert page.evaluate("window.shown") is (True if whole else None)
