"""Functions of every kind, tasks and generators as uses of a feature."""

import asyncio
import contextlib
import contextvars
import gc
import inspect
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import footfall
from footfall import Client
from instrumentation.orders import SUCCESS, failure, observed


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
    assert observed(client, received) == [failure("timeout", "timeout")] * 4


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


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_is_thrown_into_a_generator_is_freed_at_once(client, received, kind):
    """Through its traceback an exception holds all that its frames hold; a cycle of them is freed late."""

    class Large: ...

    held: list[weakref.ref[Large]] = []

    @client.feature("shop.order")
    def generator() -> Iterator[int]:
        yield 1

    @client.feature("shop.order")
    async def agenerator() -> AsyncIterator[int]:
        yield 1

    def fail() -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise KeyError

    async def consume() -> None:
        items = agenerator()
        await anext(items)
        with contextlib.suppress(KeyError):
            try:
                fail()
            except KeyError as error:
                await items.athrow(error)

    def consume_now() -> None:
        items = generator()
        next(items)
        with contextlib.suppress(KeyError):
            try:
                fail()
            except KeyError as error:
                items.throw(error)

    gc.collect()
    gc.disable()
    try:
        consume_now() if kind == "sync" else asyncio.run(consume())
        assert held[0]() is None
    finally:
        gc.enable()
    assert observed(client, received) == [failure("error", "unexpected_error")]


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
    assert received.observations() == [failure("timeout", "timeout")]


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
