"""The page of docs/guides/browser.md, as it stands there, in Chromium."""

import re
from pathlib import Path

from playwright.sync_api import Browser

from instrumentation.browser_client.server import Telemetry

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "browser.md"


def test_the_page_of_the_guide_counts_after_consent(browser: Browser, telemetry: Telemetry) -> None:
    [page_source] = re.findall(r"^```html\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(page_source.splitlines()) <= 20
    telemetry.page = page_source
    with browser.new_context() as context:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{telemetry.origin}/page")
        page.click("#copy")
        page.check("#agree")
        page.click("#copy")
        page.goto("about:blank")
        telemetry.wait(lambda t: len(t.events) == 1 and t.counts.total() == 3)
        assert errors == []
    [event] = telemetry.events
    assert event.keys() == {"event", "ts", "session_id", "variant", "latency_ms"}
    assert (event["event"], event["variant"]) == ("prompt_copied", "json")
    assert telemetry.counts == {"suggestion_shown": 3}
