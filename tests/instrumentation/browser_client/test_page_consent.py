"""The browser client before, with and after consent, and what it never sends."""

from typing import Any

import pytest

from instrumentation.browser_client.conftest import PATIENCE, TRACK, Open, numbers
from instrumentation.browser_client.server import Telemetry

REFUSALS = {
    "no consent": ("", None),
    "consent refused": ("", False),
    "consent is not true": ("", "yes"),
    "DNT": ("Object.defineProperty(Navigator.prototype, 'doNotTrack', {value: '1'});", True),
    "old DNT": ("window.doNotTrack = '1';", True),
    "GPC": (
        "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true});",
        True,
    ),
}


WATCH = """
window.touched = [];
for (const [owner, name] of [[Crypto.prototype, "randomUUID"], [Crypto.prototype, "getRandomValues"],
        [Storage.prototype, "getItem"], [Storage.prototype, "setItem"], [window, "fetch"],
        [Navigator.prototype, "sendBeacon"], [window, "setTimeout"], [indexedDB, "open"]]) {
    const real = owner[name];
    owner[name] = function (...rest) { touched.push(name); return real.apply(this, rest); };
}
const cookie = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
Object.defineProperty(document, "cookie", {
    get() { touched.push("cookie"); return cookie.get.call(document); },
    set(value) { touched.push("cookie"); cookie.set.call(document, value); },
});
"""


@pytest.mark.parametrize("case", REFUSALS)
def test_without_consent_nothing_is_kept_made_or_sent(
    shop: Open, telemetry: Telemetry, case: str
) -> None:
    before, consent = REFUSALS[case]
    page = shop(before=before + WATCH, consent=consent)
    page.run("() => { touched.length = 0 }")
    page.run(TRACK, [0, 20])
    page.run("() => { footfall.track('suggestion_shown', 4); footfall.flush() }")
    assert page.run("touched") == []
    assert page.status() == {"allowed": False, "queued": 0, "dropped": 0}
    page.page.goto("about:blank")
    assert telemetry.requests == []


def test_with_consent_no_storage_is_touched_either(shop: Open, telemetry: Telemetry) -> None:
    page = shop(before=WATCH, consent=None, alone=True)
    page.run("() => { touched.length = 0; footfall.consent(true) }")
    page.run(TRACK, [0, 2])
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.events) == 2)
    assert set(page.run("touched")) <= {"getRandomValues", "fetch", "setTimeout"}
    assert page.run("indexedDB.databases()") == []
    assert page.page.context.storage_state() == {"cookies": [], "origins": []}


def test_revoking_empties_the_queue_and_forgets_the_session(
    shop: Open, telemetry: Telemetry
) -> None:
    page = shop(timeout=1000)
    page.run(TRACK, [0, 1])
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.events) == 1)
    telemetry.failing = "hang"
    page.run(TRACK, [1, 60])
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.requests) == 2)
    page.run("footfall.consent(false)")
    assert page.status() == {"allowed": False, "queued": 0, "dropped": 0}
    telemetry.failing = None
    page.run("footfall.consent(true)")
    page.page.wait_for_timeout(1200)  # the request in flight has failed: it must not come back
    page.run(TRACK, [60, 61])
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.events) == 2)
    assert numbers(telemetry) == [0, 60]
    assert len({event["session_id"] for event in telemetry.events}) == 2


def test_a_signal_that_comes_later_stops_what_waits(shop: Open, telemetry: Telemetry) -> None:
    page = shop()
    page.run(TRACK, [0, 3])
    page.run("() => { navigator.globalPrivacyControl = true; footfall.flush() }")
    assert page.status() == {"allowed": False, "queued": 0, "dropped": 0}
    page.page.goto("about:blank")
    assert telemetry.requests == []


def test_every_page_is_a_session_of_its_own(shop: Open, telemetry: Telemetry) -> None:
    for n in range(2):
        page = shop()
        page.run(TRACK, [n, n + 1])
        page.page.goto("about:blank")
    telemetry.wait(lambda t: len(t.events) == 2)
    assert len({event["session_id"] for event in telemetry.events}) == 2


# Privacy


SECRET = "walker"


@pytest.mark.parametrize("origin", ["same", "other"])
def test_nothing_personal_is_sent(
    browser: Any, telemetry: Telemetry, elsewhere: Telemetry, origin: str
) -> None:
    server = telemetry if origin == "same" else elsewhere
    telemetry.page = f"""<!doctype html><title>{SECRET}-title</title>
        <meta name="author" content="{SECRET}-meta"><body id="{SECRET}-id">{SECRET}-text</body>
        <script type="module">
            localStorage.setItem("{SECRET}", "{SECRET}-local");
            sessionStorage.setItem("{SECRET}", "{SECRET}-session");
            document.cookie = "user={SECRET}-cookie";
            window.name = "{SECRET}-window";
            history.replaceState(null, "", location + "&{SECRET}=2");
            const footfall = await import("/footfall.js");
            footfall.configure({{consent: true, timeout: {PATIENCE}, endpoint: "{server.origin}/telemetry"}});
            footfall.track("prompt_copied", {{variant: "json", email: "{SECRET}@example.org",
                body: "{SECRET}-body", title: "{SECRET}-title", note: {{text: "{SECRET}-note"}},
                source: {{nested: "{SECRET}-nested"}}, version: ["{SECRET}-list"]}});
            footfall.track("suggestion_shown", 3);
            footfall.track("{SECRET}@example.org");
            footfall.flush();
        </script>"""
    with browser.new_context(user_agent=f"{SECRET}-agent", locale="de-AT") as context:
        page = context.new_page()
        page.goto(f"{telemetry.origin}/page/{SECRET}-from?{SECRET}=1")
        server.wait(lambda t: len(t.events) == 1)
        with page.expect_navigation():  # so that the page has a referrer
            page.evaluate(
                "url => { location = url }", f"{telemetry.origin}/page/{SECRET}?{SECRET}#1"
            )
        assert SECRET in page.evaluate("document.referrer")
        server.wait(lambda t: len(t.events) == 2 and t.counts.total() == 6)
    assert server.events
    for request in server.requests:
        assert request.path in ("/telemetry/events", "/telemetry/ingest")
        assert SECRET.encode() not in request.body
        allowed = {"user-agent", "cookie"} if origin == "same" else {"user-agent"}
        assert {name for name, value in request.headers.items() if SECRET in value} <= allowed
        assert "referer" not in request.headers
        own = request.headers.keys() & {"idempotency-key", "content-type", "content-length"}
        browsers = {
            "host",
            "connection",
            "user-agent",
            "accept",
            "accept-encoding",
            "accept-language",
        }
        browsers |= {"origin", "cookie"}
        rest = request.headers.keys() - own - browsers
        assert all(name.startswith("sec-") for name in rest), rest
