import asyncio
import contextlib
import contextvars
import inspect
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any

import pytest

import footfall
from footfall import Client

FIXED = {"event": "shop.order", "feature.surface": "web", "feature.name": "order"}
SUCCESS = FIXED | {"feature.action": "success", "feature.status": "ok"}


def failure(status: str, error: str) -> dict[str, str]:
    return FIXED | {"feature.action": "failure", "feature.status": status, "error.type": error}


def observed(client: Client, received: Any) -> list[dict[str, Any]]:
    assert client.flush()
    return list(received.observations())


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


class PresetError(ValueError):
    pass


class StockError(Exception):
    pass


class Forbidden(Exception):
    pass


def caused_by(error: Exception) -> Exception:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("x"), failure("error", "unexpected_error")),
        (TimeoutError(), failure("timeout", "provider_timeout")),
        (ConnectionRefusedError(), failure("error", "provider_unavailable")),
        (Forbidden(), failure("denied", "permission_denied")),
        (PresetError(), failure("error", "invalid_preset")),
        (StockError(), failure("error", "out_of_stock")),
        (caused_by(StockError()), failure("error", "out_of_stock")),
        (asyncio.CancelledError(), failure("timeout", "provider_timeout")),
        (KeyboardInterrupt(), failure("timeout", "provider_timeout")),
        (SystemExit(3), failure("error", "unexpected_error")),
        (SystemExit(0), SUCCESS),
        (SystemExit(), SUCCESS),
        (GeneratorExit(), SUCCESS),
    ],
    ids=repr,
)
def test_what_leaves_a_block_decides_its_outcome_and_passes_unchanged(
    connect, received, error, expected
):
    errors = {PresetError: "invalid_preset", StockError: "out_of_stock"}
    client = connect(received.endpoint, errors=errors)
    with pytest.raises(type(error)) as caught, client.feature("shop.order"):
        raise error
    assert caught.value is error
    assert observed(client, received) == [expected]
    (span,) = received.spans()
    assert span.status.code == (0 if expected is SUCCESS else 2)
    assert span.status.message == ""


def test_what_the_application_says_about_an_exception_wins(connect, received):
    errors = {asyncio.CancelledError: "unexpected_error", SystemExit: "invalid_preset"}
    client = connect(received.endpoint, errors=errors)
    for error in (asyncio.CancelledError(), SystemExit(0)):
        with pytest.raises(type(error)), client.feature("shop.order"):
            raise error
    found = [o["error.type"] for o in observed(client, received)]
    assert found == ["unexpected_error", "invalid_preset"]


def test_a_use_can_be_failed_denied_and_described_from_inside(client, received):
    with client.feature("shop.order", items=1, provider="smz3") as use:
        use.set(items=2, preset="open")
    with client.feature("shop.order") as use:
        use.fail("invalid_preset")
    with client.feature("shop.order") as use:
        use.fail()
    with client.feature("shop.order") as use:
        use.fail("no such word")
    with client.feature("shop.order") as use:
        use.deny()
    with client.feature("shop.order") as use:
        use.fail(TimeoutError())
    with contextlib.suppress(ValueError), client.feature("shop.order") as use:
        use.fail("out_of_stock")
        raise ValueError
    assert observed(client, received) == [
        SUCCESS | {"items": 2, "provider": "smz3", "preset": "open"},
        failure("error", "invalid_preset"),
        failure("error", "unexpected_error"),
        failure("error", "unexpected_error"),
        failure("denied", "permission_denied"),
        failure("timeout", "provider_timeout"),
        failure("error", "out_of_stock"),
    ]


def test_events_without_the_usual_actions_send_what_their_catalog_has(client, received):
    with client.feature("shop.visit", provider="smz3"):  # its only action: visit
        pass
    with pytest.raises(ValueError, match="x"), client.feature("shop.visit"):
        raise ValueError("x")
    with client.feature("shop.press"):  # its only action: invoke, which is not counted twice
        pass
    with client.feature("shop.lamp"):  # neither success nor anything else that fits
        pass
    found = [
        (o["event"], o["feature.action"], o["feature.status"]) for o in observed(client, received)
    ]
    assert found == [
        ("shop.visit", "visit", "ok"),
        ("shop.visit", "visit", "error"),
        ("shop.press", "invoke", "ok"),
    ]
    assert received.count("shop.press") == received.count("shop.visit") == 0
    assert received.emitted() == {"shop.visit": 2, "shop.press": 1}
    assert received.dropped() == {"undeclared_event": 1}


def test_instants_have_an_action(client, received):
    client.event("shop.order")
    client.event("shop.order", "failure", provider="alttpr")
    client.event("shop.order", action="invoke")
    client.event("shop.visit")
    client.event("shop.lamp", "lit")
    client.event("shop.lamp")  # which of two?
    client.event("shop.lamp", "blown")
    client.event("shop.unknown")
    assert observed(client, received) == [
        SUCCESS,
        failure("error", "unexpected_error") | {"provider": "alttpr"},
        FIXED | {"feature.action": "invoke", "feature.status": "ok"},
        {"event": "shop.visit", "feature.surface": "web", "feature.name": "visit"}
        | {"feature.action": "visit", "feature.status": "ok"},
        {"event": "shop.lamp", "feature.surface": "web", "feature.name": "lamp"}
        | {"feature.action": "lit", "feature.status": "ok"},
    ]
    assert received.dropped() == {"undeclared_event": 3}


class Provider(StrEnum):
    SMZ3 = "smz3"


def test_values_arrive_in_the_form_that_the_catalog_declares(client, received):
    order = uuid.uuid4()
    client.event(
        "shop.order", provider=Provider.SMZ3, items=1000, order_id=order, weight=2, note="ok"
    )
    client.event("shop.order", order_id=str(order).upper(), user_id=2**64 - 1, guild_id=2**63)
    client.event("shop.order", note="x" * 90, guild_id="ünïcode\ud800", user_id=7)
    client.event("shop.order", note="word " * 1000, provider=None, unknown=None)
    client.event("shop.order", note="write to someone@example.org please")
    first, second, third, fourth, fifth = observed(client, received)
    assert first == SUCCESS | {
        "provider": "smz3", "items": 100, "order_id": str(order), "weight": 2.0, "note": "ok",
    }  # fmt: skip
    assert second == SUCCESS | {
        "order_id": str(order), "user_id": str(2**64 - 1), "guild_id": str(2**63),
    }  # fmt: skip
    assert third == SUCCESS | {"note": "x" * 40, "guild_id": "ünïcode\ufffd", "user_id": 7}
    assert fourth == SUCCESS | {"note": ("word " * 8)}
    assert fifth == SUCCESS | {"note": "write to [email] please"}
    assert received.dropped() == {}


def test_a_long_text_is_cut_where_no_pattern_is_split(client, received):
    for filler in (1000, 1010, 1015, 1020):
        client.event("shop.order", note=("~" * filler) + " someone@example.org +49 170 1234567")
    client.event("shop.order", note="y" * 100_000)
    client.event("shop.order", guild_id="z" * 100_000)
    found = observed(client, received)
    assert [o.get("note") for o in found] == ["~" * 40] * 4 + [None] * 2
    assert received.dropped() == {"wrong_type": 2}


@pytest.mark.parametrize(
    "attributes",
    [
        {"provider": "other"},
        {"provider": 3},
        {"provider": ["smz3"]},
        {"items": "3"},
        {"items": True},
        {"items": float("nan")},
        {"weight": float("inf")},
        {"gift": 1},
        {"order_id": "not one"},
        {"note": b"bytes"},
        {"note": {"a": "map"}},
        {"guild_id": 1.5},
        {"guild_id": ""},
        {"user_id": 2**80},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_dropped_and_counted_and_the_rest_is_sent(
    client, received, attributes
):
    client.event("shop.order", preset="open", **attributes)
    assert observed(client, received) == [SUCCESS | {"preset": "open"}]
    assert received.dropped() == {"wrong_type": 1}


def test_undeclared_events_and_attributes_are_counted_and_not_sent(client, received):
    with client.feature("shop.ordr", provider="smz3") as use:
        use.set(items=1)
        use.fail()
    client.count("shop.ordr")
    client.event("footfall.emitted")
    client.event("shop.visit", provider="smz3", items=3, colour="red")
    assert [o["event"] for o in observed(client, received)] == ["shop.visit"]
    assert received.dropped() == {"undeclared_event": 3, "undeclared_attribute": 2}
    assert b"colour" not in received.bytes
    assert b"ordr" not in received.bytes


def test_functions_of_every_kind_are_decorated_and_stay_what_they_are(client, received):
    use = client.feature("shop.order", provider="smz3")

    @use
    def plain(a: int, *, b: int = 2) -> int:
        """Adds."""
        return a + b

    @use
    async def coroutine(a: int) -> int:
        await asyncio.sleep(0)
        return a

    @use
    def generator(a: int) -> Iterator[int]:
        back = yield a
        yield back
        return 9

    @use
    async def agenerator(a: int) -> AsyncIterator[int]:
        back = yield a
        try:
            yield back
        except KeyError:
            yield 7

    class Shop:
        @use
        def method(self, a: int) -> tuple[Any, int]:
            return self, a

        @use
        @classmethod
        def of_class(cls, a: int) -> tuple[Any, int]:
            return cls, a

        @use
        @staticmethod
        def of_none(a: int) -> int:
            return a

    async def drive() -> list[int]:
        items = agenerator(1)
        return [
            await anext(items), await items.asend(5), await items.athrow(KeyError()),
            *[item async for item in items], await coroutine(3),
        ]  # fmt: skip

    shop = Shop()
    assert (plain(1), plain(1, b=5)) == (3, 6)
    assert (plain.__name__, plain.__doc__) == ("plain", "Adds.")
    assert str(inspect.signature(plain)) == "(a: int, *, b: int = 2) -> int"
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(agenerator)
    items = generator(1)
    assert (next(items), items.send(4)) == (1, 4)
    with pytest.raises(StopIteration) as stop:
        next(items)
    assert stop.value.value == 9
    assert asyncio.run(drive()) == [1, 5, 7, 3]
    assert shop.method(4) == (shop, 4)
    assert Shop.of_class(5) == (Shop, 5)
    assert (shop.of_none(6), Shop.of_none(7)) == (6, 7)
    assert use(int) is int
    assert use(None) is None
    assert observed(client, received) == [SUCCESS | {"provider": "smz3"}] * 9
    assert received.count("shop.order", feature_action="invoke") == 9


def test_failures_of_decorated_functions_are_observed_and_raised(client, received):
    use = client.feature("shop.order")

    @use
    def plain() -> None:
        raise TimeoutError

    @use
    async def coroutine() -> None:
        raise TimeoutError

    @use
    def generator() -> Iterator[int]:
        yield 1
        raise TimeoutError

    @use
    async def agenerator() -> AsyncIterator[int]:
        yield 1
        raise TimeoutError

    async def consume() -> None:
        async for _ in agenerator():
            pass

    for call in (
        plain, lambda: asyncio.run(coroutine()), lambda: list(generator()),
        lambda: asyncio.run(consume()),
    ):  # fmt: skip
        with pytest.raises(TimeoutError):
            call()
    assert observed(client, received) == [failure("timeout", "provider_timeout")] * 4


def test_a_consumer_that_stops_early_makes_no_failure(client, received):
    closed = []

    @client.feature("shop.order")
    def generator() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("sync")

    @client.feature("shop.order")
    async def agenerator() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("async")

    async def consume() -> None:
        items = agenerator()
        await anext(items)
        await items.aclose()
        assert closed == ["sync", "async"], "at once, not when it is collected"

    items = generator()
    next(items)
    items.close()
    asyncio.run(consume())
    assert closed == ["sync", "async"]
    assert observed(client, received) == [SUCCESS] * 2


async def test_blocks_of_concurrent_tasks_are_measured_apart(client, received):
    async def one(number: int) -> None:
        async with client.feature("shop.order", items=number) as use:
            await asyncio.sleep(0.01)
            if number % 2:
                use.deny()

    await asyncio.gather(*(one(number) for number in range(20)))
    await asyncio.to_thread(client.flush)
    found = {(o["items"], o["feature.status"]) for o in received.observations()}
    assert found == {(n, "denied" if n % 2 else "ok") for n in range(20)}


async def test_a_cancelled_task_is_a_timeout(client, received):
    @client.feature("shop.order")
    async def slow() -> None:
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slow(), 0.01)
    await asyncio.to_thread(client.flush)
    assert received.observations() == [failure("timeout", "provider_timeout")]


def test_functions_decorated_before_configure_are_measured_after_it(received, catalog):
    client = Client(strict=True)

    @client.feature("shop.order", provider="smz3")
    def order() -> int:
        return 1

    assert order() == 1
    client.configure(catalog, received.endpoint, enabled=True)
    assert order() == 1
    client.shutdown()
    assert order() == 1
    assert received.observations() == [SUCCESS | {"provider": "smz3"}]


def test_a_callback_that_schedules_itself_keeps_no_earlier_use_alive(client):
    """Each copies the context that it was scheduled in, with the use around it."""
    depth = []

    async def main():
        loop, done, left = asyncio.get_running_loop(), asyncio.Event(), 300

        @client.feature("shop.order")
        def poll():
            nonlocal left
            left -= 1
            use, links = footfall.current(), 0
            while (use := getattr(use, "outer", None)) is not None:
                links += 1
            depth.append(links)
            loop.call_soon(poll if left else done.set)

        poll()
        await done.wait()

    asyncio.run(main())
    assert max(depth) == 0


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_between_its_items_a_generator_is_not_the_current_use(client, received, kind):
    @client.feature("shop.visit")
    def items():
        footfall.current().set(provider="alttpr")
        yield 1
        yield 2

    @client.feature("shop.visit")
    async def aitems():
        footfall.current().set(provider="alttpr")
        yield 1
        yield 2

    async def consume():
        with client.feature("shop.order"):
            async for _ in aitems():
                footfall.current().set(provider="smz3")

    if kind == "async":
        asyncio.run(consume())
    else:
        with client.feature("shop.order"):
            for _ in items():
                footfall.current().set(provider="smz3")
    found = {o["event"]: o.get("provider") for o in observed(client, received)}
    assert found == {"shop.visit": "alttpr", "shop.order": "smz3"}


def test_a_use_that_is_over_is_not_current_where_its_context_was_copied(client, received):
    with client.feature("shop.order"):
        context = contextvars.copy_context()
    context.run(lambda: footfall.current().set(provider="smz3"))
    assert [o.get("provider") for o in observed(client, received)] == [None]
