"""Work that a plain function only begins, of every kind that libraries give: each makes one."""

import asyncio
import types
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Generic, TypeVar

import footfall
from instrumentation.orders import failure

T = TypeVar("T")
LENGTH = 0.05
LATE = failure("timeout", "timeout")
CANCELLED = LATE


async def work(fails=False):
    footfall.current().set(provider="smz3")
    await asyncio.sleep(LENGTH)
    if fails:
        raise TimeoutError
    return "done"


async def items(fails=False):
    yield 1
    footfall.current().set(provider="smz3")
    await asyncio.sleep(LENGTH)
    if fails:
        raise TimeoutError
    yield 2


class Awaited:
    """As asyncpg's and SQLAlchemy's: to be awaited, or entered, and with attributes."""

    def __init__(self, fails=False):
        self.fails = fails
        self.url = "x"

    def __await__(self):
        return work(self.fails).__await__()

    async def __aenter__(self):
        await work()
        return self

    async def __aexit__(self, *error):
        return self.url == "handled"


class Slotted:
    __slots__ = ("fails",)

    def __init__(self, fails=False):
        self.fails = fails

    def __await__(self):
        yield from work(self.fails).__await__()
        return "done"


class Base(ABC, Generic[T]):
    @abstractmethod
    def __await__(self): ...


class Abstract(Base[int]):
    def __init__(self, fails=False):
        self.fails = fails

    def __await__(self):
        return work(self.fails).__await__()


class ByHand(Coroutine):
    """As aiohttp's requests: a coroutine that is no generator."""

    def __init__(self, fails=False):
        self._inner = work(fails)

    def __await__(self):
        return self._inner.__await__()

    def send(self, value):
        return self._inner.send(value)

    def throw(self, *error):
        return self._inner.throw(*error)

    def close(self):
        self._inner.close()


class Items:
    """As a stream of parts: an iterator of its own."""

    def __init__(self, fails=False):
        self.fails = fails
        self.left = [1, 2]

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.left == [2]:
            await work(self.fails)
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


class Iterable:
    """To be iterated more than once."""

    def __init__(self, fails=False):
        self.fails = fails

    def __aiter__(self):
        return items(self.fails)


@types.coroutine
def awaited_generator(fails=False):
    return (yield from work(fails).__await__())


def task(fails=False):
    return asyncio.get_running_loop().create_task(work(fails))


def future(fails=False):
    made = asyncio.get_running_loop().create_future()
    result = made.set_exception if fails else made.set_result
    asyncio.get_running_loop().call_later(LENGTH, result, TimeoutError() if fails else "done")
    return made


def of_a_thread(fails=False):
    return asyncio.run_coroutine_threadsafe(work(fails), asyncio.get_running_loop())


def gathered(fails=False):
    return asyncio.gather(work(fails))


AWAITED = [
    work, awaited_generator, task, future, gathered, Awaited, Slotted, Abstract, ByHand,
]  # fmt: skip
ITERATED = [items, Items, Iterable]


def behind(function):
    """A plain function, as decorators make them of others."""
    return lambda *args: function(*args)


def lasted(received):
    spans = received.spans()
    assert spans
    return all(s.end_time_unix_nano - s.start_time_unix_nano > LENGTH * 0.9e9 for s in spans)
