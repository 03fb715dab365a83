"""A listener's connections: counted from the moment at which they are accepted, and never too many.

When there are as many as may be, the one that has kept us waiting for longest gives way: for its handshake,
for a request's head or body, or for another request. One whose request has come whole is never closed.
"""

from collections.abc import Callable
from typing import Protocol


class Connection(Protocol):
    """One of them."""

    def give_way(self) -> None:
        """Closes it at once."""


class Connections:
    """Those of one listener.

    Args:
        most: How many there may be; asked each time, because files are limited while a process runs.

    Attributes:
        turned_away: Those for which there was no room, while they are told so.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self.turned_away: set[Connection] = set()
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # the longest first

    def enter(self, connection: Connection) -> bool:
        """Counts one that was accepted; False when there is no room for it."""
        if len(self._open) >= self._most():
            longest = next(iter(self._waiting), None)
            if longest is None:
                return False
            self.leave(longest)
            longest.give_way()
        self._open.add(connection)
        self._waiting[connection] = None
        return True

    def wait(self, connection: Connection) -> None:
        """From now on something is waited for."""
        if connection in self._open:
            self._waiting.pop(connection, None)
            self._waiting[connection] = None

    def work(self, connection: Connection) -> None:
        """A whole request has come."""
        self._waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """It was closed."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        self.turned_away.discard(connection)
