"""Blocks of code as uses of a feature: their start, their end, and what is added inside."""

import asyncio
import contextlib
import contextvars
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import footfall
from instrumentation.orders import SUCCESS, observed


def test_a_block_counts_its_start_and_sends_one_observation_at_its_end(client, received):
    with client.feature("shop.order", provider="smz3", items=3, gift=True, weight=1.5):
        assert observed(client, received) == []
        assert received.count("shop.order", feature_action="invoke", provider="smz3") == 1
    assert observed(client, received) == [
        SUCCESS | {"provider": "smz3", "items": 3, "gift": True, "weight": 1.5}
    ]
    assert received.count("shop.order") == 1, "what travels as a span is not counted as well"
    assert received.emitted() == {"shop.order": 2}
    assert received.dropped() == {}


@pytest.mark.parametrize("decorated", [False, True])
def test_a_use_with_an_action_of_its_own_is_called_so_when_it_goes_well(
    client, received, decorated
):
    def run(event, action, fail):
        if decorated:
            client.feature(event, action, provider="smz3")(lambda: 1 / fail)()
        else:
            with client.feature(event, action, provider="smz3"):
                1 / fail

    run("shop.order", "invoke", 1)
    with contextlib.suppress(ZeroDivisionError):
        run("shop.order", "invoke", 0)
    with contextlib.suppress(ZeroDivisionError):
        run("shop.lamp", "lit", 0)  # has no failure of its own
    run("shop.order", "sucess", 1)  # misspelt
    found = [
        (each["event"], each["feature.action"], each["feature.status"])
        for each in observed(client, received)
    ]
    assert found == [
        ("shop.order", "invoke", "ok"),
        ("shop.order", "failure", "error"),
        ("shop.lamp", "lit", "error"),
    ]
    assert received.dropped()["undeclared_event"] == 1
    assert received.emitted() == {"shop.order": 2, "shop.lamp": 1}, "no start is counted"


def test_the_inside_of_a_use_can_add_to_it_from_anywhere(client, received):
    def inside(provider):
        footfall.current().set(provider=provider)

    @client.feature("shop.order")
    def in_a_thread():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.copy_context().run, inside, "alttpr").result()

    @client.feature("shop.order")
    async def in_a_task():
        await asyncio.gather(asyncio.to_thread(inside, "smz3"), asyncio.sleep(0))

    inside("smz3")  # of nothing: has no effect
    in_a_thread()
    asyncio.run(in_a_task())
    with client.feature("shop.order"):
        with client.feature("shop.visit"):
            inside("alttpr")
        inside("smz3")
        footfall.current().deny()
    assert footfall.current()(inside) is inside
    found = [
        (each["event"], each["feature.status"], each.get("provider"))
        for each in observed(client, received)
    ]
    assert found == [
        ("shop.order", "ok", "alttpr"),
        ("shop.order", "ok", "smz3"),
        ("shop.visit", "ok", "alttpr"),
        ("shop.order", "denied", "smz3"),
    ]
    assert received.dropped() == {}


def test_uses_that_overlap_in_tasks_are_not_mixed_up(client, received):
    async def one(provider, seconds):
        with client.feature("shop.order"):
            await asyncio.sleep(seconds)
            footfall.current().set(provider=provider)

    async def both():
        await asyncio.gather(one("smz3", 0.02), one("alttpr", 0.01))

    asyncio.run(both())
    lengths = {
        each["provider"]: span.end_time_unix_nano - span.start_time_unix_nano
        for each, span in zip(observed(client, received), received.spans(), strict=True)
    }
    assert lengths["smz3"] > lengths["alttpr"]


def test_times_are_those_of_the_block_and_the_end_comes_after_the_start(client, received):
    before = time.time_ns()
    with client.feature("shop.order"):
        time.sleep(0.02)
    with client.feature("shop.order"):
        pass
    client.event("shop.order", "success")
    after = time.time_ns()
    observed(client, received)
    long, short, instant = received.spans()
    assert before <= long.start_time_unix_nano < short.start_time_unix_nano < after
    assert 20_000_000 <= long.end_time_unix_nano - long.start_time_unix_nano <= after - before
    assert 1 <= short.end_time_unix_nano - short.start_time_unix_nano < 20_000_000
    assert instant.start_time_unix_nano == instant.end_time_unix_nano > 0


def test_a_clock_that_is_set_back_does_not_make_time_run_backwards(client, received, monkeypatch):
    now = time.time_ns()
    clock = iter(range(now, 0, -3_600_000_000_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    with client.feature("shop.order"):
        time.sleep(0.01)
    monkeypatch.undo()
    observed(client, received)
    (span,) = received.spans()
    assert 10_000_000 <= span.end_time_unix_nano - span.start_time_unix_nano < 1_000_000_000


def test_the_time_of_a_block_is_that_of_its_end_when_the_clock_was_set(
    client, received, monkeypatch
):
    """A clock that was ahead while the block began would put it into a future that is refused."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_600_000_000_000)
    with client.feature("shop.order"):
        monkeypatch.undo()
    observed(client, received)
    (span,) = received.spans()
    assert 0 <= real() - span.end_time_unix_nano < 60_000_000_000
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 60_000_000_000


def test_a_clock_that_stands_still_does_not_make_an_instant_of_a_block(
    client, received, monkeypatch
):
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 7)
    with client.feature("shop.order"):
        pass
    monkeypatch.undo()
    observed(client, received)
    (span,) = received.spans()
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1


def test_the_hosts_random_numbers_are_not_touched(client):
    random.seed(7)
    expected = [random.random() for _ in range(3)]
    random.seed(7)
    found = []
    for _ in range(3):
        with client.feature("shop.half"):
            found.append(random.random())
    assert found == expected


def test_spans_are_roots_of_their_own_traces_with_distinct_ids(client, received):
    with client.feature("shop.order"), client.feature("shop.order"):
        pass
    observed(client, received)
    spans = received.spans()
    assert len({s.trace_id for s in spans}) == len({s.span_id for s in spans}) == 2
    assert all(len(s.trace_id) == 16 and len(s.span_id) == 8 for s in spans)
    assert not any(s.parent_span_id for s in spans)
