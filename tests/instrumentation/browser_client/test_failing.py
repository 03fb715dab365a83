"""The browser client when the network or the server fails."""

import pytest

from instrumentation.browser_client.conftest import TRACK, Open, advance, numbers
from instrumentation.browser_client.server import Telemetry


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


def test_retries_come_ever_more_slowly_and_stop_when_the_server_is_back(
    shop: Open, telemetry: Telemetry
) -> None:
    page = shop(clock=True)
    telemetry.failing = 503
    page.run(TRACK, [0, 3])
    advance(page, 3)
    page.settled(3)  # the answer has come, however busy the machine is
    assert len(telemetry.requests) == 1
    advance(page, 5)
    page.settled(3)
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
