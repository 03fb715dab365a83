"""Pages in Chromium that send OTLP to a collector of another origin, as exporters do: with credentials."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import async_playwright

from footfall_collector.config.schema import CorsConfig, HttpConfig
from footfall_collector.process.app import running
from instrumentation.browser_client.conftest import FLAGS, chromium  # noqa: F401  # a fixture
from instrumentation.browser_client.server import telemetry_server
from support.collectors import configured

SEND = """async ([url, way]) => {
    const record = {eventName: "shop.ping", timeUnixNano: `${Date.now()}000000`};
    const body = JSON.stringify({resourceLogs: [{scopeLogs: [{logRecords: [record]}]}]});
    if (way == "fetch") {
        const traced = {traceparent: "00-0-0-00", tracestate: "a=b", baggage: "c=d", b3: "0"};
        const headers = {"Content-Type": "application/json", ...traced};
        const options = {method: "POST", body, headers, credentials: "include", keepalive: true};
        return await fetch(url, options).then((answer) => answer.status, (error) => String(error));
    }
    return navigator.sendBeacon(url, way == "text" ? body : new Blob([body], {type: way}));
}"""


@asynccontextmanager
async def opened(path, catalog, dsn, origin=None):
    """A page, and where its requests go: to a collector that takes them from `origin`, or from the page's."""
    with telemetry_server() as server:
        cors = CorsConfig(allowed_origins=(origin or server.origin,))
        http = HttpConfig(endpoint="127.0.0.1:0", cors=cors)
        config = configured(catalog, dsn, grpc=None, http=http)
        async with running(config) as collector, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
            page = await browser.new_page()
            await page.goto(f"{server.origin}/page")
            yield page, f"http://{collector.http}/v1/logs"
            await browser.close()


async def test_pages_of_an_allowed_origin_are_heard(chromium, catalog, store_database, query):  # noqa: F811
    ways = ("fetch", "application/json", "text/plain", "text")
    async with opened(chromium, catalog, store_database) as (page, url):
        answers = []
        for way in ways:
            answers.append(await page.evaluate(SEND, [url, way]))
            await page.wait_for_timeout(20)  # another time, so another request
        assert answers == [200, True, True, True]
        for _ in range(80):
            if query("SELECT count(*) FROM reporting.events") == [(len(ways),)]:
                return
            await asyncio.sleep(0.1)
    pytest.fail(f"stored: {query('SELECT count(*) FROM reporting.events')}")


async def test_pages_of_another_origin_are_not(chromium, catalog, store_database, query):  # noqa: F811
    other = "https://shop.example"
    async with opened(chromium, catalog, store_database, other) as (page, url):
        for way in ("fetch", "application/json", "text/plain"):
            await page.evaluate(SEND, [url, way])
        await page.wait_for_timeout(1000)
    assert query("SELECT count(*) FROM reporting.events") == [(0,)]
    found = query("SELECT reason, requests FROM reporting.refused")
    assert dict(found) == {"origin": 2, "media_type": 1}
