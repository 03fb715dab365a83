"""Functions that measure themselves: `@feature("...")` on every kind of function (A3)."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from footfall._client import Client
    from footfall._feature import Feature

F = TypeVar("F", bound=Callable[..., Any])
Use = Callable[[], "Feature"]


def wrap(
    client: "Client", event: str, action: str | None, attributes: Mapping[str, Any], function: F
) -> F:
    """`function`, each call of which is one use of `event`.

    Whether telemetry is on is asked per call: modules are imported, and functions decorated, before
    the program calls `configure()`.
    """
    if isinstance(function, staticmethod | classmethod):
        inner = wrap(client, event, action, attributes, function.__func__)
        return cast(F, type(function)(inner))
    if not callable(function) or isinstance(function, type):
        return function
    use = functools.partial(client.feature, event, action, **attributes)
    kind = next((make for test, make in _KINDS if test(function)), _plain)
    return cast(F, functools.wraps(function)(kind(client, use, function)))


def _plain(client: "Client", use: Use, function: Callable[..., Any]) -> Callable[..., Any]:
    def measured(*args: Any, **kwargs: Any) -> Any:
        if client.recorder is None:
            return function(*args, **kwargs)
        with use():
            return function(*args, **kwargs)

    return measured


def _coroutine(client: "Client", use: Use, function: Callable[..., Any]) -> Callable[..., Any]:
    async def measured(*args: Any, **kwargs: Any) -> Any:
        if client.recorder is None:
            return await function(*args, **kwargs)
        with use():
            return await function(*args, **kwargs)

    return measured


def _generator(client: "Client", use: Use, function: Callable[..., Any]) -> Callable[..., Any]:
    def measured(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with use() as this:
            inner = function(*args, **kwargs)
            step, value = inner.send, None
            while True:  # as `yield from`, but between two items the use is not the current one
                try:
                    item = step(value)
                except StopIteration as end:
                    return end.value
                this._pause()
                try:
                    step, value = inner.send, (yield item)
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as error:
                    step, value = inner.throw, error
                finally:
                    this._resume()

    return measured


def _async_generator(
    client: "Client", use: Use, function: Callable[..., Any]
) -> Callable[..., Any]:
    async def measured(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with use() as this:
            inner = function(*args, **kwargs)
            step = inner.asend(None)
            while True:  # as `yield from`, which asynchronous generators do not have (PEP 525)
                try:
                    item = await step
                except StopAsyncIteration:
                    return
                this._pause()
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:
                    step = inner.athrow(error)
                finally:
                    this._resume()

    return measured


_KINDS = (
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.isgeneratorfunction, _generator),
)
