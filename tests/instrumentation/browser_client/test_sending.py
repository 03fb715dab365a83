"""What the browser client sends, and when: while the page is open, and when it goes away."""

import re

import pytest

from instrumentation.browser_client.conftest import SESSION, TRACK, Open, advance, numbers
from instrumentation.browser_client.server import Telemetry


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


def test_so_many_events_as_the_page_wants_are_sent_at_once(
    shop: Open, telemetry: Telemetry
) -> None:
    page = shop(clock=True, batchSize=3)  # the time stands still
    page.run(TRACK, [0, 2])
    assert telemetry.requests == []
    page.run(TRACK, [2, 3])
    telemetry.wait(lambda t: numbers(t) == [0, 1, 2])


def test_what_a_server_refuses_is_not_sent_at_once_again(shop: Open, telemetry: Telemetry) -> None:
    telemetry.failing = 503
    page = shop(clock=True, batchSize=1)
    page.run(TRACK, [0, 1])
    page.settled(1)
    page.run(TRACK, [1, 5])
    assert page.status()["queued"] == 5
    assert len(telemetry.requests) == 1


@pytest.mark.parametrize("before", ["", "window.requestIdleCallback = undefined;"])
def test_events_wait_for_as_long_as_the_page_says(
    shop: Open, telemetry: Telemetry, before: str
) -> None:
    page = shop(clock=True, flushInterval=20_000, before=before)
    page.run(TRACK, [0, 1])
    advance(page, 3)
    assert telemetry.requests == []
    advance(page, 17)
    telemetry.wait(lambda t: numbers(t) == [0])


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


PERSONAL = [
    "walker@example.org",
    "walker%40example.org",
    "root@host-1",
    "call +49 171 2345678 today",
    "(030) 123-456-78",
    "4111 1111 1111 1111",
    "192.0.2.1",
    "/search?q=walker",
]
HARMLESS = [
    "json",
    "2026-11-28 and 3.13.0",
    "issue #12",
    "0d6bbde3-9f1d-4b58-9f0e-123456789012",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "why? because",
    "12 345 678",
]


def test_what_looks_personal_does_not_leave_the_browser(shop: Open, telemetry: Telemetry) -> None:
    page = shop()
    for text in (*PERSONAL, *HARMLESS):
        page.run("text => footfall.track('prompt_copied', {variant: text})", text)
    page.run("footfall.flush()")
    page.settled(0)
    sent = [event["variant"] for event in telemetry.events]
    cleaned, kept = sent[: len(PERSONAL)], sent[len(PERSONAL) :]
    assert kept == HARMLESS
    assert all("[personal]" in text for text in cleaned)
    left = " ".join(cleaned)
    assert not {"walker", "root", "host", "171", "123", "4111", "192"} & set(
        re.findall(r"\w+", left)
    )


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
            setTimeout(() => location.assign("about:blank"));  // before anything is sent
        }""",
        fields,
    )
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
