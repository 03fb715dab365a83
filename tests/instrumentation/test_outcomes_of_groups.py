"""Groups of exceptions, and cancellation and timeouts of asyncio, anyio and trio: alike."""

import asyncio
import concurrent.futures
import contextlib
import subprocess
import time

import anyio
import pytest
import trio
from starlette.requests import ClientDisconnect

from footfall_processors.error_types import LEAVES, error_type
from instrumentation.orders import SUCCESS, failure, observed

TIMEOUT = failure("timeout", "timeout")
UNEXPECTED = failure("error", "unexpected_error")
SOLD_OUT = failure("error", "out_of_stock")


class StockError(Exception): ...


class LastItemError(StockError): ...


class GroupError(ExceptionGroup): ...


class UnloadedError(ExceptionGroup):
    @property
    def exceptions(self):
        raise RuntimeError("jane@example.org")


def group(*errors):
    return BaseExceptionGroup("jane@example.org", errors)


def caused_by(error, cause):
    error.__cause__ = cause
    return error


GROUPS = {
    "one": (group(StockError()), SOLD_OUT),
    "two alike": (group(StockError(), LastItemError()), SOLD_OUT),
    "two that differ": (group(StockError(), TimeoutError()), UNEXPECTED),
    "nested": (group(group(StockError()), group(group(StockError()), StockError())), SOLD_OUT),
    "nested that differ": (group(group(StockError()), group(KeyError())), UNEXPECTED),
    "timeouts": (group(TimeoutError(), trio.TooSlowError()), TIMEOUT),
    "cancelled": (group(asyncio.CancelledError()), TIMEOUT),
    "cancelled and an error": (group(asyncio.CancelledError(), StockError()), UNEXPECTED),
    "interrupted": (group(KeyboardInterrupt(), asyncio.CancelledError()), TIMEOUT),
    "the end of the program": (group(SystemExit(0)), SUCCESS),
    "the end of the program, failed": (group(SystemExit(1)), UNEXPECTED),
    "causes": (group(caused_by(ValueError(), StockError()), StockError()), SOLD_OUT),
    "as a cause": (caused_by(ValueError(), group(StockError())), SOLD_OUT),
    "with a cause": (caused_by(group(ValueError()), StockError()), SOLD_OUT),
    "of a class of its own": (GroupError("x", [StockError()]), SOLD_OUT),
    "of a class that does not tell": (UnloadedError("x", [StockError()]), SOLD_OUT),
    "a class of its own that is known": (GroupError("x", [KeyError()]), failure("error", "invalid_preset")),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_is_what_its_errors_are_if_they_agree(name, connect, received):
    error, expected = GROUPS[name]
    errors = {StockError: "out_of_stock"}
    if name == "a class of its own that is known":
        errors[GroupError] = "invalid_preset"
    client = connect(received.endpoint, errors=errors)
    with pytest.raises(BaseException) as caught, client.feature("shop.order"):  # noqa: PT011
        raise error
    assert caught.value is error
    with client.feature("shop.order") as use:
        use.fail(error)
    again = expected if expected is not SUCCESS else SUCCESS
    assert observed(client, received) == [expected, again]
    assert b"jane" not in received.bytes


def test_a_group_without_end_takes_no_time():
    many = group(*[StockError() for _ in range(100_000)])
    deep = StockError()
    for _ in range(5_000):
        deep = group(deep)
    before = time.process_time()
    assert error_type(many, {StockError: "out_of_stock"}) == "out_of_stock"
    assert error_type(deep, {StockError: "out_of_stock"}) == "out_of_stock"
    assert time.process_time() - before < 2
    last = group(*[StockError() for _ in range(LEAVES)], KeyError())
    assert error_type(last, {StockError: "out_of_stock"}) == "out_of_stock"


async def cancelled_by_asyncio(order):
    task = asyncio.create_task(order(asyncio.sleep))
    await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def timed_out_by_asyncio(order):
    async with asyncio.timeout(0.01):
        await order(asyncio.sleep)


async def waited_for_by_asyncio(order):
    await asyncio.wait_for(order(asyncio.sleep), 0.01)


async def cancelled_by_a_task_group(order):
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(order(asyncio.sleep))
        await asyncio.sleep(0.01)
        raise KeyError


async def moved_on_by_anyio(order):
    with anyio.move_on_after(0.01):
        await order(anyio.sleep)


async def failed_by_anyio(order):
    with anyio.fail_after(0.01):
        await order(anyio.sleep)


async def cancelled_by_anyio(order):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(order, anyio.sleep)
        await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


async def moved_on_by_trio(order):
    with trio.move_on_after(0.01):
        await order(trio.sleep)


async def cancelled_by_trio(order):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(order, trio.sleep)
        await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


WAYS = [
    (anyio.run, "asyncio", way)
    for way in (
        cancelled_by_asyncio, timed_out_by_asyncio, waited_for_by_asyncio, cancelled_by_a_task_group,
        moved_on_by_anyio, failed_by_anyio, cancelled_by_anyio,
    )
] + [
    (anyio.run, "trio", way)
    for way in (
        moved_on_by_anyio, failed_by_anyio, cancelled_by_anyio, moved_on_by_trio, cancelled_by_trio
    )
]  # fmt: skip


@pytest.mark.parametrize(("run", "loop", "way"), WAYS, ids=lambda v: getattr(v, "__name__", v))
def test_whoever_stops_waiting_means_a_timeout(run, loop, way, client, received):
    @client.feature("shop.order")
    async def order(sleep):
        await sleep(60)

    with contextlib.suppress(TimeoutError, ExceptionGroup):
        run(way, order, backend=loop)
    assert observed(client, received) == [TIMEOUT]


def test_timeouts_that_are_errors_are_known(client, received):
    def expired():
        subprocess.run(["sleep", "9"], timeout=0.01, check=False)

    def too_slow():
        async def main():
            with trio.fail_after(0):
                await trio.sleep(1)

        trio.run(main)

    def cancelled():
        future = concurrent.futures.Future()
        future.cancel()
        future.result()

    def left():
        raise ClientDisconnect

    for way in (expired, too_slow, cancelled, left):
        with contextlib.suppress(Exception), client.feature("shop.order"):
            way()
    assert observed(client, received) == [TIMEOUT] * 4


def test_decorators_of_every_kind_work_under_trio(client, received):
    measured = client.feature("shop.order")

    @measured
    async def items():
        yield await later()

    @measured
    async def later():
        await trio.sleep(0.01)
        return 1

    @measured
    def plain():
        return later()

    async def main():
        found = [item async for item in items()]
        assert (found, await plain()) == ([1], 1)

    trio.run(main)
    assert observed(client, received) == [SUCCESS] * 4
