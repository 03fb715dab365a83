"""A generator as one use: it is the current one while the generator works, and not between two items."""

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from footfall._feature import Feature


def steps(use: "Feature", inner: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """`inner`, as `yield from` would run it."""
    step, value = inner.send, None
    while True:
        try:
            item = step(value)
        except StopIteration as end:
            return end.value
        finally:
            del value  # an exception that comes out again would hold this frame, and this frame it
        use._pause()
        try:
            step, value = inner.send, (yield item)
        except GeneratorExit:
            inner.close()
            raise
        except BaseException as error:
            step, value = inner.throw, error
        finally:
            use._resume()


class AsyncSteps:
    """An asynchronous generator as `yield from` would run it, which they do not have (PEP 525).

    Its user yields `item` as often as `advance()` says that there is one, each within a `with` block.

    Args:
        use: Paused within these blocks.
        inner: The generator.

    Attributes:
        item: What `inner` has yielded.
        sent: What it is to be sent.
    """

    __slots__ = ("_inner", "_thrown", "_use", "item", "sent")

    def __init__(self, use: "Feature", inner: AsyncGenerator[Any, Any]) -> None:
        self.item = self.sent = None
        self._thrown: BaseException | None = None
        self._inner = inner
        self._use = use

    async def advance(self) -> bool:
        """Lets `inner` work until its next item; False at its end."""
        thrown, self._thrown = self._thrown, None
        try:
            if isinstance(thrown, GeneratorExit):
                await self._inner.aclose()
                raise thrown
            if thrown is None:
                self.item = await self._inner.asend(self.sent)
            else:
                self.item = await self._inner.athrow(thrown)
        except StopAsyncIteration:
            return False
        finally:
            del thrown
        return True

    def __enter__(self) -> None:
        self.sent = None
        self._use._pause()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Keeps what is thrown in, for `inner`."""
        self._use._resume()
        self._thrown = error
        return True
