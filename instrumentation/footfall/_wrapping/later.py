"""What a plain function returns that ends later: its use goes on until then.

The caller gets what the function returned, or one of the same kind:

| returned                                      | measured until                | the caller gets          |
|-----------------------------------------------|-------------------------------|--------------------------|
| a coroutine                                   | it was awaited                | a coroutine              |
| a generator, also an asynchronous one         | its last item                 | a generator of that kind |
| a future or task of asyncio, a future of      | it is done                    | itself                   |
| `concurrent.futures` or of gRPC               |                               |                          |
| another object to be awaited, or to be        | it was awaited, or left by    | itself                   |
| iterated by `async for`                       | `async with`, or iterated, or |                          |
|                                               | is gone, whichever is first   |                          |

An object whose class cannot be changed, as those of extensions, ends its use when it is returned; so does one
that is returned again while it has a use, and a future of another library: to ask it may ask a network, or
begin a thread (`PollingFuture` of google.api_core).
"""

import asyncio
import concurrent.futures
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType, coroutine
from typing import TYPE_CHECKING, Any, Final

from footfall._guard import guarded
from footfall._wrapping.steps import AsyncSteps, Steps
from footfall._wrapping.watched import watch

if TYPE_CHECKING:
    from footfall._feature import Measured

FUTURES: Final = (asyncio.Future, concurrent.futures.Future)


def until(use: "Measured", result: Any) -> Any:
    """What the caller gets for `result`; if that ends later, so will `use`."""
    kind = type(result)
    make = next((make for known, make in _KINDS if kind is known), None)
    if make is not None:
        made = make(Rest(use, result), result)
        # Its name stands in warnings, and in what the host logs.
        made.__name__, made.__qualname__ = result.__name__, result.__qualname__
        use.later = True
        return made
    if _is_future(kind):
        use.later = _until_done(use, result)
    elif any(hasattr(kind, way) for way in ("__await__", "__aiter__", "__anext__")):
        use.later = watch(use, result, until)
    return result


class Rest:
    """What is left of a use: resumed by `with`, and ended with it.

    Args:
        use: The use.
        work: What is left to do.
    """

    __slots__ = ("_use", "_work")

    def __init__(self, use: "Measured", work: Any) -> None:
        self._use = use
        self._work = work

    def __enter__(self) -> "Measured":
        self._work = None
        self._use._resume()
        return self._use

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._use._end(error)

    def __del__(self) -> None:
        """Ends the use of what was never begun: the task was cancelled at once, or nobody wanted an item."""
        work, self._work = self._work, None
        if isinstance(work, CoroutineType):
            work.close()  # Python has warned already if nobody awaited it
            self._use._end(asyncio.CancelledError())
        elif work is not None:
            self._use._end(None)


async def _coroutine(rest: Rest, inner: Coroutine[Any, Any, Any]) -> Any:
    with rest:
        return await inner


def _generator(rest: Rest, inner: Any) -> Generator[Any, Any, Any]:
    awaited = inner.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE
    return _awaited_generator(rest, inner) if awaited else _items(rest, inner)


def _items(rest: Rest, inner: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    with rest as use:
        run = Steps(use, inner)
        while run.advance():
            with run:
                run.sent = yield run.item
        return run.result


@coroutine
def _awaited_generator(rest: Rest, inner: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    with rest:
        return (yield from inner)


async def _async_generator(rest: Rest, inner: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    with rest as use:
        run = AsyncSteps(use, inner)
        while await run.advance():
            with run:
                run.sent = yield run.item


_KINDS: Final[tuple[tuple[type, Callable[[Rest, Any], Any]], ...]] = (
    (CoroutineType, _coroutine),
    (GeneratorType, _generator),
    (AsyncGeneratorType, _async_generator),
)


def _is_future(kind: type) -> bool:
    """Whether it is known to tell when it is done, and to do nothing else for it."""
    known = (*FUTURES, getattr(sys.modules.get("grpc"), "Future", None))
    return any(cls is one for cls in kind.__mro__ for one in known)


def _until_done(use: "Measured", future: Any) -> bool:
    """Ends `use` when `future` is done; False where it is."""

    def settle(done: Any) -> None:
        error = None
        with guarded(use.client.trouble):
            error = _error_of(done)
        use._end(error)

    if future.done():
        settle(future)
        return False
    future.add_done_callback(settle)
    return True


def _error_of(done: Any) -> BaseException | None:
    if done.cancelled():
        return asyncio.CancelledError()
    if isinstance(done, FUTURES):
        # `exception()` would count as asking for it, and asyncio would not tell of it any more.
        return done._exception
    return done.exception()  # type: ignore[no-any-return]
