"""Work that a plain function only begins: it is measured until it ends, and its caller notices nothing."""

import asyncio
import concurrent.futures
import gc
import inspect
import time
import warnings

import grpc
import pytest

import footfall
from instrumentation.later import (
    AWAITED,
    CANCELLED,
    ITERATED,
    LATE,
    LENGTH,
    Awaited,
    Items,
    Iterable,
    Slotted,
    behind,
    future,
    lasted,
    of_a_thread,
    task,
    work,
)
from instrumentation.orders import SUCCESS, failure, observed


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


async def stream(request, context):
    yield request
    await asyncio.sleep(LENGTH)
    yield request


def test_a_stream_of_grpc_aio_is_measured_until_its_end(client, received):
    handler = grpc.unary_stream_rpc_method_handler(stream)

    async def main():
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("Shop", {"Order": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            order = client.feature("shop.order")(behind(channel.unary_stream("/Shop/Order")))
            assert [part async for part in order(b"lamp")] == [b"lamp"] * 2
        await server.stop(None)

    asyncio.run(main())
    assert observed(client, received) == [SUCCESS]
    assert lasted(received)


class Polled:
    """As google.api_core's: to be asked means to ask a server, and to call back needs a thread."""

    def _ask(self, *_):
        raise OSError

    done = running = cancelled = exception = result = add_done_callback = _ask


class Called:
    """As torch's: it cannot be cancelled."""

    def __init__(self):
        self.calls = []

    def done(self):
        return False

    def add_done_callback(self, call):
        self.calls.append(call)


class Promised:
    """As promises that call back, and no more."""

    def add_done_callback(self, call):
        call(self)


@pytest.mark.parametrize("make", [Polled, Called, Promised], ids=lambda make: make.__name__)
def test_a_future_that_is_not_known_is_left_alone_and_ends_when_it_is_returned(
    make, client, received
):
    made = make()
    assert client.feature("shop.order")(lambda: made)() is made
    assert observed(client, received) == [SUCCESS]
    assert type(made) is make
    assert not getattr(made, "calls", None)


class Unasked(concurrent.futures.Future):
    def done(self):
        raise OSError


class Untold(concurrent.futures.Future):
    def cancelled(self):
        raise OSError


@pytest.mark.parametrize("make", [Unasked, Untold], ids=lambda make: make.__name__)
def test_a_known_future_that_fails_when_it_is_asked_hurts_nobody(make, connect, received, caplog):
    client = connect(received.endpoint, strict=False)
    made = make()
    assert client.feature("shop.order")(lambda: made)() is made
    made.set_result("done")
    assert made.result(0) == "done"
    assert observed(client, received) == [SUCCESS]
    assert [record.name for record in caplog.records] == ["footfall"]


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
