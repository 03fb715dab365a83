"""What goes in and out of a measured generator between its items: exceptions, and blocks that stay open."""

import asyncio
import contextlib

import pytest

import footfall
from instrumentation.orders import observed


def ends():
    """Handles that it is told to end, and says so."""
    try:
        yield 1
    except GeneratorExit:
        return 2


def goes_on():
    try:
        yield 1
    except GeneratorExit:
        yield 2
    return 3


async def ends_async():
    with contextlib.suppress(GeneratorExit):
        yield 1


def returned(function):
    """A plain function that returns a generator."""
    return lambda: function()


def close(make):
    items = make()
    return next(items), items.close()


def throw(make):
    items = make()
    next(items)
    try:
        return items.throw(GeneratorExit)
    except StopIteration as end:
        return [end.value]


def manage(make):
    with contextlib.contextmanager(make)() as item:
        raise GeneratorExit
    return item


async def aclose(make):
    items = make()
    return await anext(items), await items.aclose()


async def athrow(make):
    items = make()
    await anext(items)
    try:
        return await items.athrow(GeneratorExit)
    except StopAsyncIteration:
        return []


async def manage_async(make):
    async with contextlib.asynccontextmanager(make)() as item:
        raise GeneratorExit
    return item


def outcome(way, make):
    """What the way comes to with such a generator; the class of what it raises."""
    try:
        found = way(make)
        return asyncio.run(found) if asyncio.iscoroutine(found) else found
    except (GeneratorExit, RuntimeError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("kind", [lambda function: function, returned], ids=["plain", "returned"])
@pytest.mark.parametrize(
    ("way", "function"),
    [(way, function) for way in (close, throw, manage) for function in (ends, goes_on)]
    + [(way, ends_async) for way in (aclose, athrow, manage_async)],
)
def test_whoever_tells_a_generator_to_end_hears_what_it_says(client, received, way, function, kind):
    measured = client.feature("shop.order")(kind(function))
    assert outcome(way, measured) == outcome(way, function)
    assert len(observed(client, received)) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_block_that_stays_open_in_a_generator_is_not_current_between_its_items(
    client, received, kind
):
    @client.feature("shop.order")
    def items():
        with client.feature("shop.visit"):
            yield 1
            footfall.current().set(provider="alttpr")
            yield 2
        footfall.current().set(provider="smz3")

    @client.feature("shop.order")
    async def aitems():
        with client.feature("shop.visit"):
            yield 1
            footfall.current().set(provider="alttpr")
            yield 2
        footfall.current().set(provider="smz3")

    async def consume(around):
        async for _ in aitems():
            assert footfall.current() is around
        assert footfall.current() is around

    with client.feature("shop.visit") as around:
        if kind == "async":
            asyncio.run(consume(around))
        else:
            for _ in items():
                assert footfall.current() is around
            assert footfall.current() is around
    found = [(o["event"], o.get("provider")) for o in observed(client, received)]
    assert found == [("shop.visit", "alttpr"), ("shop.order", "smz3"), ("shop.visit", None)]
