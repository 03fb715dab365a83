"""What a plain function returns that ends later: its use goes on until then.

The caller gets what the function returned, or one of the same kind:

| returned                                      | measured until                | the caller gets          |
|-----------------------------------------------|-------------------------------|--------------------------|
| a coroutine                                   | it was awaited                | a coroutine              |
| a generator, also an asynchronous one         | its last item                 | a generator of that kind |
| a future or task of asyncio, a future of      | it is done                    | itself                   |
| `concurrent.futures`, gRPC and their like     |                               |                          |
| another object to be awaited, or to be        | it was awaited, or left by    | itself                   |
| iterated by `async for`                       | `async with`, or iterated, or |                          |
|                                               | is gone, whichever is first   |                          |

An object whose class cannot be changed, as those of extensions, ends its use when it is returned; so does one
that is returned again while it has a use.
"""

import asyncio
import concurrent.futures
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType, coroutine
from typing import TYPE_CHECKING, Any, Final

from footfall._wrapping.steps import AsyncSteps, steps
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
    if isinstance(result, FUTURES) or _calls_back(kind):
        use.later = True
        _until_done(use, result)
    else:
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
        return (yield from steps(use, inner))


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


def _calls_back(kind: type) -> bool:
    """Whether it is a future of another library: what is awaited as well is watched while it is."""
    return hasattr(kind, "add_done_callback") and not hasattr(kind, "__await__")


def _until_done(use: "Measured", future: Any) -> None:
    def settle(done: Any) -> None:
        if done.cancelled():
            use._end(asyncio.CancelledError())
        elif isinstance(done, FUTURES):
            # `exception()` would count as asking for it, and asyncio would not tell of it any more.
            use._end(done._exception)
        else:
            use._end(done.exception())

    if future.done():
        settle(future)
    else:
        future.add_done_callback(settle)
