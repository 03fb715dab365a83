"""Work that a plain function only begins: it is measured until it ends, and its caller notices nothing."""

import asyncio
import concurrent.futures
import copy
import functools
import gc
import inspect
import pickle
import time
import types
import warnings
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Generic, TypeVar

import anyio
import discord.context_managers
import grpc
import pytest

import footfall
from instrumentation.orders import SUCCESS, failure, observed

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


@pytest.mark.parametrize("make", AWAITED, ids=lambda make: make.__name__)
@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_what_is_awaited_is_measured_until_it_ends(make, fails, client, received):
    measured = client.feature("shop.order")(behind(make))

    async def main():
        result, plain = measured(fails), make(fails)
        assert isinstance(result, type(plain))
        assert type(result).__name__ == type(plain).__name__
        assert inspect.isawaitable(result)
        assert asyncio.iscoroutine(result) == asyncio.iscoroutine(plain)
        assert inspect.iscoroutine(result) == inspect.iscoroutine(plain)
        assert asyncio.isfuture(result) == asyncio.isfuture(plain)
        found = await asyncio.gather(result, plain, return_exceptions=True)
        assert repr(found[0]) == repr(found[1])
        assert not isinstance(make, type) or type(result) is make, "it has its own class again"

    asyncio.run(main())
    (end,) = observed(client, received)
    assert end.items() >= (LATE if fails else SUCCESS).items()
    assert lasted(received)
    assert received.count("shop.order", feature_action="invoke") == 1


@pytest.mark.parametrize("make", ITERATED, ids=lambda make: make.__name__)
@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_what_is_iterated_is_measured_until_its_end(make, fails, client, received):
    measured = client.feature("shop.order")(behind(make))

    async def main():
        found, result = [], measured(fails)
        assert isinstance(result, type(make(fails)))
        try:
            async for item in result:
                found.append(item)
                assert type(footfall.current()).__name__ != "Measured"
        except TimeoutError:
            assert (fails, found) == (True, [1])
        else:
            assert (fails, found) == (False, [1, 2])

    asyncio.run(main())
    assert observed(client, received) == [(LATE if fails else SUCCESS) | {"provider": "smz3"}]
    assert lasted(received)


@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_a_generator_behind_a_plain_function_is_measured_until_its_end(fails, client, received):
    def generator():
        back = yield 1
        if fails:
            raise TimeoutError
        return (yield back)

    items = client.feature("shop.order")(behind(generator))()
    assert inspect.isgenerator(items)
    assert (items.__name__, next(items)) == ("generator", 1)
    assert type(footfall.current()).__name__ != "Measured"
    assert observed(client, received) == []
    if fails:
        with pytest.raises(TimeoutError):
            next(items)
    else:
        assert items.send(5) == 5
        with pytest.raises(StopIteration) as end:
            items.send(6)
        assert end.value.value == 6
    assert observed(client, received) == [LATE if fails else SUCCESS]


@pytest.mark.parametrize("make", [of_a_thread, task, future], ids=lambda make: make.__name__)
def test_a_future_is_returned_itself(make, client, received):
    made = []

    def function(fails):
        made.append(make(fails))
        return made[-1]

    measured = client.feature("shop.order")(function)

    async def main():
        for fails in (False, True):
            result = measured(fails)
            assert result is made[-1]
            waited = asyncio.wrap_future(result) if make is of_a_thread else result
            (found,) = await asyncio.gather(waited, return_exceptions=True)
            assert type(found) is TimeoutError if fails else found == "done"

    asyncio.run(main())
    found = [o["feature.status"] for o in observed(client, received)]
    assert found == ["ok", "timeout"]
    assert lasted(received)


def test_a_future_that_is_done_or_cancelled_ends_so(client, received):
    measured = client.feature("shop.order")(lambda made: made)

    async def main():
        loop = asyncio.get_running_loop()
        done, failed, cancelled = (loop.create_future() for _ in range(3))
        done.set_result(1)
        failed.set_exception(TimeoutError())
        for each in (done, failed, measured(cancelled)):
            if each is not cancelled:
                assert measured(each) is each
        cancelled.cancel()
        await asyncio.sleep(0)
        failed.exception()

    asyncio.run(main())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        measured(pool.submit(int)).result()
        with pytest.raises(ValueError, match="invalid"):
            measured(pool.submit(int, "x")).result()
    found = [(o["feature.status"], o.get("error.type")) for o in observed(client, received)]
    assert found == [
        ("ok", None), ("timeout", "timeout"), ("timeout", "timeout"),
        ("ok", None), ("error", "unexpected_error"),
    ]  # fmt: skip


@pytest.fixture
def call():
    """A method of a gRPC service, which takes a while; it fails for `fail`."""

    def handle(request, context):
        time.sleep(LENGTH)
        if request == b"fail":
            context.abort(grpc.StatusCode.INTERNAL, "no")
        return request

    method = grpc.unary_unary_rpc_method_handler(handle)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        server = grpc.server(
            pool, [grpc.method_handlers_generic_handler("Shop", {"Order": method})]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel.unary_unary("/Shop/Order")
        server.stop(None).wait()


def test_a_future_of_another_library_is_returned_itself_too(call, client, received):
    order = client.feature("shop.order")(lambda request: call.future(request))
    began = order(b"lamp")
    assert type(began).__module__.startswith("grpc")
    assert began.result(5) == b"lamp"
    with pytest.raises(grpc.RpcError):
        order(b"fail").result(5)
    assert order(b"lamp").cancel()
    deadline = time.monotonic() + 5
    while len(observed(client, received)) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)  # it calls back after it has answered
    assert observed(client, received) == [SUCCESS, failure("error", "unexpected_error"), LATE]


def test_asyncio_still_tells_of_an_error_that_nobody_looked_at(client, received, caplog):
    measured = client.feature("shop.order")(task)

    async def main():
        measured(True)
        await asyncio.sleep(2 * LENGTH)

    asyncio.run(main())
    gc.collect()
    told = [r.getMessage() for r in caplog.records if r.name == "asyncio"]
    assert any("exception was never retrieved" in line for line in told)
    assert observed(client, received) == [LATE | {"provider": "smz3"}]


def test_an_object_can_be_entered_and_says_how_it_was_left(client, received):
    measured = client.feature("shop.order")(Awaited)
    assert measured is Awaited, "a class is no function"
    measured = client.feature("shop.order")(behind(Awaited))

    async def main():
        async with measured() as entered:
            assert entered.url == "x"
            await asyncio.sleep(LENGTH)
        with pytest.raises(KeyError):
            async with measured():
                raise KeyError
        async with measured() as entered:
            entered.url = "handled"
            raise TimeoutError
        assert type(entered) is Awaited

    asyncio.run(main())
    found = [o.get("error.type") for o in observed(client, received)]
    assert found == [None, "unexpected_error", "timeout"]
    assert lasted(received)


def test_what_nobody_waits_for_ends_when_it_is_gone(client, received):
    measured = client.feature("shop.order")
    for make in (Awaited, Items, Iterable, Slotted):
        result = measured(behind(make))()
        assert isinstance(result, make)
        assert type(result) is not make
        del result
    generator = measured(behind(lambda: (each for each in ())))()
    generator.close()
    del generator
    assert observed(client, received) == [SUCCESS] * 5


def test_a_coroutine_that_never_begins_was_cancelled_and_python_says_so_once(client, received):
    measured = client.feature("shop.order")(behind(work))

    async def main():
        task = asyncio.create_task(measured())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    closed = measured()
    closed.close()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        del closed
        measured()
        gc.collect()
    assert [str(one.message) for one in said] == ["coroutine 'work' was never awaited"]
    said.clear()  # a warning holds what it is about
    assert observed(client, received) == [CANCELLED] * 3


def test_a_cancelled_coroutine_is_a_timeout(client, received):
    measured = client.feature("shop.order")(behind(work))

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(measured(), LENGTH / 5)

    asyncio.run(main())
    assert observed(client, received) == [CANCELLED | {"provider": "smz3"}]


def test_while_it_waits_it_is_the_current_use_of_nobody_else(client, received):
    measured = client.feature("shop.order")(behind(work))

    async def main():
        begun = measured()
        assert type(footfall.current()).__name__ != "Measured"
        other = asyncio.create_task(asyncio.sleep(0, footfall.current()))
        await begun
        assert type(await other).__name__ != "Measured"
        assert type(footfall.current()).__name__ != "Measured"

    asyncio.run(main())
    assert observed(client, received) == [SUCCESS | {"provider": "smz3"}]


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
