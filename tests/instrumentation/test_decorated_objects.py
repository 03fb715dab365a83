"""Objects that are measured until they end: they answer, are copied and watched as before."""

import asyncio
import copy
import functools
import pickle

import anyio
import discord.context_managers
import pytest

import footfall
from instrumentation.later import LATE, LENGTH, Abstract, Awaited, Base, behind, lasted, work
from instrumentation.orders import SUCCESS, observed


def test_the_class_of_an_object_answers_as_before(client, received):
    result = client.feature("shop.order")(behind(Abstract))()
    assert not isinstance(Abstract(), type(result))
    assert not isinstance(object(), type(result))
    asyncio.run(as_coroutine(result))
    assert isinstance(Abstract(), Base)
    assert isinstance(result, Abstract)
    assert observed(client, received) == [SUCCESS | {"provider": "smz3"}]


class Orders:
    """As the queries of an ORM, which are awaited and make others of their kind."""

    def __init__(self, number=1):
        self.number = number

    def __eq__(self, other):
        return other.__class__ is self.__class__ and other.number == self.number

    __hash__ = None

    def __await__(self):
        yield from asyncio.sleep(LENGTH).__await__()
        return self.number

    def limit(self, number):
        return self.__class__(number)


def test_copies_and_relatives_of_an_object_are_of_its_own_class(client, received):
    result = client.feature("shop.order")(lambda: Orders(3))()
    others = [
        copy.copy(result),
        copy.deepcopy(result),
        *(pickle.loads(pickle.dumps(result, protocol)) for protocol in range(6)),
    ]
    for other in others:
        assert type(other) is Orders
        assert other == result
    assert result == others[0]
    assert type(result.limit(2)) is Orders
    assert asyncio.run(as_coroutine(others[0])) == 3
    assert observed(client, received) == []
    assert asyncio.run(as_coroutine(result)) == 3
    assert observed(client, received) == [SUCCESS]
    assert type(result) is Orders


def test_an_object_that_is_returned_again_and_again_is_measured_once_at_a_time(client, received):
    """As the one connection of an application, which nobody may ever await."""

    class Stream:
        """Iterated as often as wanted."""

        number = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.number += 1
            if self.number % 3 == 0:
                raise StopAsyncIteration
            return self.number

    stream = Stream()
    measured = client.feature("shop.order")(lambda: stream)
    for _ in range(50):
        assert measured() is stream
    assert len(type(stream).__mro__) == 3
    for number in (1, 4):
        assert asyncio.run(as_list(stream)) == [number, number + 1]
    assert type(stream) is Stream
    assert observed(client, received) == [SUCCESS] * 50
    measured()
    assert asyncio.run(as_list(stream)) == [7, 8]
    assert len(observed(client, received)) == 51


async def as_list(items):
    return [item async for item in items]


async def as_coroutine(awaitable):
    return await awaitable


def test_discords_and_anyios_are_what_they_were(client, received):
    class Channel:
        def typing(self):
            return discord.context_managers.Typing(self)

        async def _get_channel(self):
            return self

        class _state:
            class http:
                send_typing = staticmethod(lambda id: work())

        id = 1

    measured = client.feature("shop.order")(Channel().typing)

    async def typing():
        with anyio.fail_after(5):
            await measured()
            async with measured():
                await asyncio.sleep(LENGTH)

    Channel._state.loop = None

    async def portal():
        async with anyio.from_thread.BlockingPortal() as portal:
            start = client.feature("shop.order")(lambda: portal.start_task_soon(work))
            await anyio.to_thread.run_sync(lambda: start().result())

    async def main():
        Channel._state.loop = asyncio.get_running_loop()
        await portal()
        await typing()

    asyncio.run(main())
    assert [o["feature.action"] for o in observed(client, received)] == ["success"] * 3
    assert lasted(received)


def test_objects_that_cannot_be_watched_end_when_they_are_returned(client, received):
    class Meta(type):
        """Of an ORM, which would make a table of a subclass."""

    class Query(metaclass=Meta):
        def __await__(self):
            return work().__await__()

    class Liar:
        @property
        def __class__(self):
            return dict

        def __await__(self):
            return work().__await__()

    known = []

    class Plugin:
        def __init_subclass__(cls):
            known.append(cls)

        def __await__(self):
            return work().__await__()

    for result in (Query(), Liar(), Plugin()):
        assert client.feature("shop.order")(lambda result=result: result)() is result
        assert type(result) in (Query, Liar, Plugin)
    assert known == []
    assert observed(client, received) == [SUCCESS] * 3


def test_it_costs_nothing_while_telemetry_is_off():
    off = footfall.Client(strict=True).feature("shop.order")
    made = Awaited()
    assert off(lambda: made)() is made
    assert type(made) is Awaited


def test_decorators_between_change_nothing(client, received):
    @client.feature("shop.order")
    @functools.wraps(work)
    def retried(fails=False):
        return work(fails)

    with pytest.raises(TimeoutError):
        asyncio.run(retried(True))
    assert observed(client, received) == [LATE | {"provider": "smz3"}]
