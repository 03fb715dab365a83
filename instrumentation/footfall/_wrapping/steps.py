"""A generator as one use: it is the current one while the generator works, and not between two items."""

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from footfall._feature import Feature


class _Run:
    """A generator that another one runs, in whose place it stands.

    Unlike `yield from`, which asynchronous generators do not have (PEP 525), it hands on all that is thrown
    in: also GeneratorExit, which the generator may handle, and end with a value.

    Its user yields `item` as often as `advance()` says that there is one, each within a `with` block.

    Args:
        use: Paused within these blocks.
        inner: The generator.

    Attributes:
        item: What `inner` has yielded.
        sent: What it is to be sent.
    """

    __slots__ = ("_inner", "_inside", "_thrown", "_use", "item", "sent")

    def __init__(self, use: "Feature", inner: Any) -> None:
        self.item: Any = None
        self.sent: Any = None
        self._thrown: BaseException | None = None
        self._inner = inner
        self._use = use

    def __enter__(self) -> None:
        self.sent = None
        self._inside = self._use._pause()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Keeps what is thrown in, for `inner`."""
        inside, self._inside = self._inside, None
        self._use._resume(inside)
        self._thrown = error
        return True


class Steps(_Run):
    """A generator's run.

    Attributes:
        result: What it has returned, at its end.
    """

    __slots__ = ("result",)

    def __init__(self, use: "Feature", inner: Generator[Any, Any, Any]) -> None:
        super().__init__(use, inner)
        self.result: Any = None

    def advance(self) -> bool:
        """Lets `inner` work until its next item; False at its end."""
        thrown, self._thrown = self._thrown, None
        try:
            if thrown is None:
                self.item = self._inner.send(self.sent)
            else:
                self.item = self._inner.throw(thrown)
        except StopIteration as end:
            self.result = end.value
            return False
        finally:
            del thrown  # an exception that comes out again would hold this frame, and this frame it
        return True


class AsyncSteps(_Run):
    """An asynchronous generator's run."""

    __slots__ = ()

    def __init__(self, use: "Feature", inner: AsyncGenerator[Any, Any]) -> None:
        super().__init__(use, inner)

    async def advance(self) -> bool:
        """Lets `inner` work until its next item; False at its end."""
        thrown, self._thrown = self._thrown, None
        try:
            if thrown is None:
                self.item = await self._inner.asend(self.sent)
            else:
                self.item = await self._inner.athrow(thrown)
                if isinstance(thrown, GeneratorExit):
                    # What aclose() would say; an item is not to be handed on then, and who asks is not known.
                    raise RuntimeError("async generator ignored GeneratorExit")
        except StopAsyncIteration:
            return False
        finally:
            del thrown
        return True
