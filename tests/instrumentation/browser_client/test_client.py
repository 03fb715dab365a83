"""The browser client in Chromium, against a server that holds it to its contracts."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import as_file, files
from typing import Any

import pytest

from instrumentation.browser_client.conftest import PATIENCE, Shop
from instrumentation.browser_client.server import Telemetry

Open = Callable[..., Shop]
SESSION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TRACK = """([first, last]) => {
    for (let n = first; n < last; n++) footfall.track("prompt_copied", {latency_ms: n});
}"""


def numbers(telemetry: Telemetry) -> list[int]:
    return [event["latency_ms"] for event in telemetry.events]


# What is sent


def test_events_go_out_together_within_five_seconds(shop: Open, telemetry: Telemetry) -> None:
    page = shop()
    page.run("""() => {
        footfall.track("prompt_copied", {prompt_id: "p1", variant: "json", latency_ms: 12});
        footfall.track("share.viewed");
    }""")
    assert telemetry.requests == []
    telemetry.wait(lambda t: len(t.requests) == 1, 5)
    first, second = telemetry.events
    assert first.keys() == {"event", "ts", "session_id", "prompt_id", "variant", "latency_ms"}
    assert (first["event"], first["prompt_id"], first["latency_ms"]) == ("prompt_copied", "p1", 12)
    assert second.keys() == {"event", "ts", "session_id"}
    assert second["event"] == "share.viewed"
    assert first["session_id"] == second["session_id"]
    assert SESSION.fullmatch(first["session_id"])


def test_a_browser_without_idle_callbacks_sends_within_five_seconds(
    shop: Open, telemetry: Telemetry
) -> None:
    page = shop(clock=True, before="window.requestIdleCallback = undefined;")
    page.run(TRACK, [0, 1])
    advance(page, 3)
    assert telemetry.requests == []
    advance(page, 2)
    telemetry.wait(lambda t: len(t.events) == 1)


def test_counts_are_added_up_and_clamped(shop: Open, telemetry: Telemetry) -> None:
    page = shop()
    page.run("""() => {
        for (const n of [3, 2.9, 0, -4, NaN, 1e9, Infinity]) footfall.track("suggestion_shown", n);
        footfall.track("suggestion_accepted", 1);
        footfall.flush();
    }""")
    telemetry.wait(lambda t: len(t.requests) == 4)
    assert [r.json for r in telemetry.requests] == [
        {"event": "suggestion_shown", "count": 5},
        {"event": "suggestion_shown", "count": 50},
        {"event": "suggestion_shown", "count": 50},
        {"event": "suggestion_accepted", "count": 1},
    ]


def test_counts_can_go_to_a_proxy(shop: Open, telemetry: Telemetry) -> None:
    page = shop(endpoint="/nowhere", ingest="/telemetry/ingest")
    page.run("() => { footfall.track('suggestion_shown', 7); footfall.flush() }")
    telemetry.wait(lambda t: t.counts == {"suggestion_shown": 7})


def test_only_the_declared_is_sent(shop: Open, telemetry: Telemetry) -> None:
    declared = {"prompt_copied": ["variant", "body"], "suggestion_shown": []}
    page = shop(events=declared)
    page.run("""() => {
        footfall.track("prompt_copied", {variant: "json", body: "b", source: "card", event: "x"});
        footfall.track("share.viewed");
        footfall.track("share.viewed", 2);
        footfall.track("constructor", {variant: "json"});
        footfall.track("suggestion_shown", 2);
        footfall.flush();
    }""")
    telemetry.wait(lambda t: len(t.requests) == 2)
    batch = telemetry.requests[0].json
    assert batch.keys() == {"events", "dropped"}
    [event] = batch["events"]
    assert event.keys() == {"event", "ts", "session_id", "variant"}
    assert batch["dropped"] == 3
    assert telemetry.requests[1].json == {"event": "suggestion_shown", "count": 2}


def test_strings_are_cut_and_events_that_are_too_large_are_counted(
    shop: Open, telemetry: Telemetry
) -> None:
    page = shop(events={"prompt_copied": [f"f{n}" for n in range(15)]})
    page.run("""() => {
        const wide = Object.fromEntries([...Array(15).keys()].map(n => ["f" + n, "\\u4e2d".repeat(300)]));
        footfall.track("prompt_copied", wide);
        footfall.track("prompt_copied", {
            f0: "x".repeat(1e7), f1: "x".repeat(279) + "\\u{1f600}", f2: "\\ud83d!"});
        footfall.flush();
    }""")
    telemetry.wait(lambda t: len(t.requests) == 1)
    batch = telemetry.requests[0].json
    [event] = batch["events"]
    assert (event["f0"], event["f1"], event["f2"]) == ("x" * 280, "x" * 279, "!")
    assert batch["dropped"] == 1


# When the network or the server fails


@pytest.mark.parametrize("cut", ["offline", "server"])
def test_a_thousand_tracks_with_the_network_cut_and_restored(
    shop: Open, telemetry: Telemetry, cut: str
) -> None:
    page = shop()
    page.page.context.set_offline(cut == "offline")
    telemetry.failing = "reset" if cut == "server" else None
    page.run(TRACK, [0, 130])
    page.run("footfall.flush()")
    page.settled(130)
    page.run(TRACK, [130, 1000])
    page.run("footfall.flush()")
    page.settled(200)
    assert page.status() == {"allowed": True, "queued": 200, "dropped": 800}
    assert telemetry.events == []
    telemetry.failing = None
    if cut == "offline":
        page.page.context.set_offline(False)  # the browser says so, and the client sends at once
        telemetry.wait(lambda t: len(t.events) == 200, 2)
    else:
        page.page.goto("about:blank")  # the client sends while its page goes away
    telemetry.wait(lambda t: len(t.events) == 200)
    if cut == "offline":
        assert numbers(telemetry) == list(range(800, 1000)), "in order"
    taken = [r for r in telemetry.requests if r.headers["idempotency-key"] in telemetry.keys]
    sent = {tuple(event["latency_ms"] for event in r.json["events"]) for r in taken}
    assert sent == {tuple(range(n, n + 50)) for n in range(800, 1000, 50)}
    assert len(telemetry.keys) == 4
    assert list(telemetry.dropped.values()) == [800]
    assert page.page.is_closed() or cut == "server" or page.wrong() == []


FAILURES = ["hang", "late", "reset", "garbage", 500, 503, 429, 408]


@pytest.mark.parametrize("failing", FAILURES)
def test_what_failed_is_sent_again_under_its_key_and_stored_once(
    shop: Open, telemetry: Telemetry, failing: str | int
) -> None:
    page = shop(timeout=1000)
    telemetry.failing = failing
    page.run(TRACK, [0, 60])
    page.run("footfall.track('suggestion_shown', 4)")
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.requests) > 0)
    page.run(TRACK, [60, 70])
    page.settled(71)
    telemetry.failing = None
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.events) == 70 and t.counts == {"suggestion_shown": 4}, 25)
    assert numbers(telemetry) == list(range(70))
    tries = [r.headers["idempotency-key"] for r in telemetry.requests]
    assert len(set(tries)) == 3
    assert tries.count(tries[0]) > 1, "the same request"
    assert len({r.body for r in telemetry.requests}) == 3
    assert page.status()["dropped"] == 0
    assert page.wrong() == []


def test_a_request_is_given_up_after_200_ms(shop: Open, telemetry: Telemetry) -> None:
    page = shop(timeout=None)
    telemetry.failing = "hang"
    took = page.run("""async () => {
        footfall.track("share.viewed");
        const start = performance.now();
        footfall.flush();
        while (!footfall.status().queued) await new Promise(done => setTimeout(done, 5));
        return performance.now() - start;
    }""")
    assert 195 < took < 600


def test_what_the_server_refuses_for_good_is_counted_and_not_sent_again(
    shop: Open, telemetry: Telemetry
) -> None:
    page = shop()
    page.run("""() => {
        for (let n = 0; n < 50; n++) footfall.track("not_declared_there", {latency_ms: n});
        footfall.track("prompt_copied", {latency_ms: 50});
        footfall.track("not_declared_there", 9);
        footfall.flush();
    }""")
    telemetry.wait(lambda t: len(t.requests) == 3)
    page.page.wait_for_function("footfall.status().dropped == 59")
    assert telemetry.answers == [400, 200, 400]
    assert numbers(telemetry) == [50]
    assert list(telemetry.dropped.values()) == [50]


def advance(page: Shop, seconds: int) -> None:
    """Moves the page's clock on, with time for answers after every half second of it."""
    for _ in range(seconds * 2):
        page.page.clock.run_for(500)
        page.page.wait_for_timeout(0)


def test_retries_come_ever_more_slowly_and_stop_when_the_server_is_back(
    shop: Open, telemetry: Telemetry
) -> None:
    page = shop(clock=True)
    telemetry.failing = 503
    page.run(TRACK, [0, 3])
    advance(page, 3)
    assert len(telemetry.requests) == 1
    advance(page, 5)
    assert len(telemetry.requests) == 2
    page.page.clock.fast_forward(1_000_000)
    page.settled(3)
    tries = len(telemetry.requests)
    assert tries <= 5
    advance(page, 9)
    assert len(telemetry.requests) - tries <= 1, "it has slowed down"
    telemetry.failing = None
    page.page.clock.fast_forward(1_000_000)
    telemetry.wait(lambda t: len(t.events) == 3)


def test_retry_after_is_heeded(shop: Open, telemetry: Telemetry) -> None:
    page = shop(clock=True)
    telemetry.failing, telemetry.retry_after = 429, 60
    page.run(TRACK, [0, 1])
    advance(page, 3)
    page.settled(1)
    telemetry.failing = None
    page.page.clock.run_for(50_000)
    assert len(telemetry.requests) == 1
    advance(page, 20)
    telemetry.wait(lambda t: len(t.events) == 1)


# When the page goes away


@pytest.mark.parametrize("away", ["navigate", "close", "reload"])
@pytest.mark.parametrize("origin", ["same", "other"])
def test_what_waits_is_sent_when_the_page_goes_away(
    shop: Open, telemetry: Telemetry, elsewhere: Telemetry, away: str, origin: str
) -> None:
    server = telemetry if origin == "same" else elsewhere
    page = shop(endpoint=server.origin + "/telemetry")
    page.run(TRACK, [0, 200])
    page.run("footfall.track('suggestion_shown', 1)")
    match away:
        case "navigate":
            page.page.goto("about:blank")
        case "close":
            page.page.close()
        case "reload":
            page.page.reload()
    server.wait(lambda t: len(t.events) == 199 and t.counts.total() == 1)
    assert sorted(numbers(server)) == list(range(1, 200)), "the count took the oldest event's place"


def test_a_page_that_is_only_hidden_sends_and_goes_on(shop: Open, telemetry: Telemetry) -> None:
    page = shop()
    page.run(TRACK, [0, 3])
    page.run("""() => {
        Object.defineProperty(document, "visibilityState", {value: "hidden", configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    telemetry.wait(lambda t: numbers(t) == [0, 1, 2], 0.9)
    page.run(TRACK, [3, 5])
    page.run("footfall.flush()")
    telemetry.wait(lambda t: numbers(t) == [0, 1, 2, 3, 4])


def test_no_more_is_sent_at_once_than_may_outlive_a_page(shop: Open, telemetry: Telemetry) -> None:
    """The limit of 64 KiB is for all requests together; one beyond it would fail whole."""
    fields = [f"f{n}" for n in range(10)]
    page = shop(events={"prompt_copied": [*fields, "latency_ms"]})
    page.run(
        """fields => {
            const props = Object.fromEntries(fields.map(name => [name, "x".repeat(280)]));
            for (let n = 0; n < 100; n++) footfall.track("prompt_copied", {...props, latency_ms: n});
        }""",
        fields,
    )
    page.page.goto("about:blank")
    telemetry.wait(lambda t: len(t.events) >= 19)
    page.page.wait_for_timeout(200)
    assert sum(len(r.body) for r in telemetry.requests) <= 65_536
    assert numbers(telemetry) == list(range(len(telemetry.events))), "the oldest"


def test_large_events_are_split_over_requests(shop: Open, telemetry: Telemetry) -> None:
    fields = ["prompt_id", "version", "source", "variant", "filter_hash"]
    page = shop()
    page.run(
        """fields => {
            const props = Object.fromEntries(fields.map(name => [name, "\\u00e9".repeat(280)]));
            for (let n = 0; n < 100; n++) footfall.track("prompt_copied", {...props, latency_ms: n});
            footfall.flush();
        }""",
        fields,
    )
    telemetry.wait(lambda t: len(t.events) == 100)
    assert numbers(telemetry) == list(range(100))
    assert all(len(r.body) <= 65_536 for r in telemetry.requests)


# Consent


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
    page = shop(before=WATCH, consent=None)
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
    page.page.wait_for_timeout(1200)  # the request under way has failed: it must not come back
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


# The host


NASTY = """
const cyclic = {}; cyclic.self = cyclic;
const thrower = {get variant() { throw new Error("getter") }, source: "card"};
const deep = JSON.parse("[".repeat(5000) + "]".repeat(5000));
const hostile = new Proxy({}, {get() { throw new Error("get") }, has() { throw new Error("has") },
    ownKeys() { throw new Error("keys") }, getPrototypeOf() { throw new Error("prototype") }});
const revoked = Proxy.revocable({}, {}); revoked.revoke();
window.nasty = [undefined, null, true, 0, -0, 7n, NaN, Infinity, "", "a".repeat(1e6), "\\ud800", "\\0",
    Symbol("s"), Symbol.iterator, () => {}, class {}, cyclic, thrower, deep, hostile, revoked.proxy, [], [1],
    new Date(NaN), new Map(), new Uint8Array(9), /x/, new Error("e"), Promise.resolve(1), window, document,
    Object.create(null), {toString() { throw new Error("string") }}, {toJSON() { throw new Error("json") }},
    {valueOf() { throw new Error("value") }}, {__proto__: null, body: "b"}, new Number(3), new String("s")];
"""


def test_nothing_that_a_page_does_makes_it_throw(shop: Open, telemetry: Telemetry) -> None:
    page = shop(before=NASTY)
    fields = ["prompt_id", "version", "source", "variant", "latency_ms", "result_count"]
    thrown = page.run(
        """fields => {
            const thrown = [];
            const attempt = (...rest) => {
                try { footfall.track(...rest) } catch (error) { thrown.push(String(error)) }
            };
            for (const value of nasty) {
                attempt(value);
                attempt(value, {variant: "json"});
                attempt(value, 3);
                if (typeof value != "number") attempt("share.viewed", value);
                for (const field of fields.slice(0, 4)) attempt("prompt_copied", {[field]: value});
            }
            attempt();
            footfall.flush();
            return thrown;
        }""",
        fields,
    )
    assert thrown == []
    page.settled(0)
    page.run("footfall.flush()")
    assert page.wrong() == []
    assert {event["event"] for event in telemetry.events} == {"share.viewed", "prompt_copied"}
    received = {json.dumps(r.json) for r in telemetry.requests}
    assert not any("body" in text for text in received)


def test_no_configuration_makes_it_throw(shop: Open, telemetry: Telemetry) -> None:
    page = shop(before=NASTY)
    thrown = page.run("""async () => {
        const thrown = [];
        for (const value of nasty) {
            const all = ["endpoint", "ingest", "events", "consent", "dev", "timeout"];
            for (const name of [null, ...all]) {
                try {
                    footfall.configure(name ? {consent: true, [name]: value} : value);
                    footfall.consent(value);
                    footfall.consent(true);
                    footfall.track("share.viewed", {variant: "json"});
                    if (["endpoint", "ingest", "timeout"].includes(name)) footfall.flush();
                    footfall.status();
                } catch (error) { thrown.push(String(error)) }
                await null;
            }
        }
        return thrown;
    }""")
    assert thrown == []
    page.page.wait_for_timeout(300)
    assert page.wrong() == []


LACKS = {
    "no fetch": "delete window.fetch;",
    "fetch throws": "window.fetch = () => { throw new Error('no') };",
    "fetch rejects": "window.fetch = () => Promise.reject(undefined);",
    "fetch answers nothing": "window.fetch = () => undefined;",
    "fetch answers nonsense": "window.fetch = async () => ({status: 200});",
    "fetch never ends": "window.fetch = () => new Promise(() => {});",
    "no AbortController": "delete window.AbortController;",
}


@pytest.mark.parametrize("lack", LACKS)
def test_it_keeps_what_it_cannot_send(shop: Open, lack: str) -> None:
    page = shop(before=LACKS[lack], timeout=200)
    for _ in range(3):
        page.run(TRACK, [0, 100])
        page.run("footfall.flush()")
    page.page.wait_for_function("footfall.status().dropped == 100")
    page.settled(200)
    assert page.wrong() == []


WITHOUT = {
    "no crypto": "Object.defineProperty(window, 'crypto', {value: undefined});",
    "no randomUUID": "delete Crypto.prototype.randomUUID;",
    "no randomness": "Crypto.prototype.randomUUID = Crypto.prototype.getRandomValues"
    " = () => { throw new Error('no') };",
    "no storage": "for (const name of ['localStorage', 'sessionStorage', 'indexedDB'])"
    " Object.defineProperty(window, name, {get() { throw new DOMException('no') }});",
    "no idle callback": "window.requestIdleCallback = undefined;",
    "no console": "window.console = undefined;",
}


@pytest.mark.parametrize("lack", WITHOUT)
def test_it_sends_without(shop: Open, telemetry: Telemetry, lack: str) -> None:
    page = shop(before=WITHOUT[lack])
    page.run(TRACK, [0, 60])
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.events) == 60)
    assert len(telemetry.keys) == 2
    assert page.wrong() == []


def test_it_sends_from_an_insecure_page(shop: Open, telemetry: Telemetry) -> None:
    page = shop(origin=telemetry.origin.replace("127.0.0.1", "shop.test"))
    assert page.run("[isSecureContext, typeof crypto.randomUUID]") == [False, "undefined"]
    page.run(TRACK, [0, 1])
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.events) == 1)
    assert SESSION.fullmatch(telemetry.events[0]["session_id"])


def test_tracking_never_waits_for_a_server_that_hangs(shop: Open, telemetry: Telemetry) -> None:
    page = shop(timeout=None)
    telemetry.failing = "hang"
    worst = page.run("""async () => {
        let worst = 0;
        for (let n = 0; n < 20; n++) {
            const start = performance.now();
            for (let i = 0; i < 50; i++) footfall.track("prompt_copied", {latency_ms: i});
            footfall.flush();
            worst = Math.max(worst, performance.now() - start);
            await new Promise(done => setTimeout(done, 10));
        }
        return worst;
    }""")
    assert worst < 200


def test_on_a_server_that_renders_pages_it_does_nothing() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    script = """
        globalThis.fetch = () => { console.log("fetched") };
        const footfall = await import(process.argv[1]);
        footfall.configure({consent: true});
        footfall.consent(true);
        footfall.track("share.viewed");
        footfall.flush();
        console.log(JSON.stringify(footfall.status()));
    """
    with as_file(files("footfall") / "browser" / "footfall.js") as source:
        command = [node, "--input-type=module", "--eval", script, source.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert json.loads(done.stdout) == {"allowed": False, "queued": 0, "dropped": 0}


# Development


def printed(page: Shop) -> list[str]:
    lines: list[str] = []
    page.page.on(
        "console", lambda said: lines.append(said.text) if "footfall" in said.text else None
    )
    return lines


@pytest.mark.parametrize(
    ("dev", "host", "sends"),
    [
        (True, "127.0.0.1", False),
        ("localhost", "127.0.0.1", False),
        ("localhost", "localhost", False),
        ("localhost", "shop.localhost", False),
        ("localhost", "localhost.test", True),
        (False, "127.0.0.1", True),
    ],
)
def test_in_development_what_would_be_sent_is_printed(
    shop: Open, telemetry: Telemetry, dev: Any, host: str, sends: bool
) -> None:
    page = shop(dev=dev, origin=telemetry.origin.replace("127.0.0.1", host))
    lines = printed(page)
    page.run("""() => {
        footfall.track("prompt_copied", {latency_ms: 1});
        footfall.track("suggestion_shown", 2);
        footfall.track("Not A Name");
        footfall.flush();
    }""")
    if sends:
        telemetry.wait(lambda t: len(t.requests) == 2)
        assert lines == []
        return
    page.settled(0)
    page.page.wait_for_timeout(50)
    assert telemetry.requests == []
    assert lines[0] == "footfall: not declared: Not A Name"
    mark, url, body = lines[1].split(" ", 2)
    assert (mark, url) == ("footfall", "/telemetry/events")
    assert json.loads(body)["events"][0]["latency_ms"] == 1
    assert lines[2] == 'footfall /telemetry/ingest {"event":"suggestion_shown","count":2}'


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
