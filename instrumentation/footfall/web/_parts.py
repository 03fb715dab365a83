"""Answers that are made while they are sent: a use ends with the last part, and fails if one cannot be made.

A client that leaves in the middle had enough.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from footfall.web._request import Visit


class Parts:
    """The parts of an answer under WSGI; while one is made, the visit is the current use.

    Args:
        visit: The request; it ends with the last part.
        parts: What the application answers.
    """

    def __init__(self, visit: "Visit", parts: Iterable[Any]) -> None:
        self._visit = visit
        self._next: Callable[[], Any] = iter(parts).__next__
        self._close: Callable[[], None] | None = getattr(parts, "close", None)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._visit.resume()
        try:
            return self._next()
        except StopIteration:
            self._visit.end()
            raise
        except BaseException as error:
            self._visit.end(error)
            raise
        finally:
            self._visit.pause()

    def close(self) -> None:
        """Closes what was answered, as a server does in any case."""
        try:
            if self._close is not None:
                self._close()
        finally:
            self._visit.end()


class AsyncParts:
    """The same of an asynchronous iterator.

    Args:
        visit: The request; it ends with the last part.
        parts: What the application answers.
    """

    def __init__(self, visit: "Visit", parts: AsyncIterator[Any]) -> None:
        self._visit = visit
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self._visit.resume()
        try:
            return await anext(self._parts)
        except StopAsyncIteration:
            self._visit.end()
            raise
        except BaseException as error:
            self._visit.end(error)
            raise
        finally:
            self._visit.pause()


def end_with_file(visit: "Visit", file: Any) -> None:
    """Ends a visit when the server closes a file, which it may send in a way of its own.

    Servers know such a file by its class, so it cannot be replaced.
    """
    close = getattr(file, "close", None)

    def closed() -> None:
        try:
            if close is not None:
                close()
        finally:
            visit.closed()

    try:
        file.close = closed
    except (AttributeError, TypeError):  # a class of the server's that is not written in Python
        visit.end()
