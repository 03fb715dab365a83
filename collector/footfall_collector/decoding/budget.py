"""How much all memos of a process may take: one number of bytes, whatever a catalog declares."""

from collections.abc import Callable

MOST = 20 * 2**20
"""Bytes."""
ENTRY = 200
"""Bytes that a remembered thing takes beside what is counted of it: its place in a dict, and the objects."""


class Budget:
    """What memos share; when it is used up, all of them are emptied, and fill again."""

    def __init__(self) -> None:
        self.used = 0
        self._memos: list[Callable[[], None]] = []

    def share(self, forget: Callable[[], None]) -> None:
        """Adds a memo.

        Args:
            forget: Empties it.
        """
        self._memos.append(forget)

    def take(self, size: int) -> None:
        """Counts something that is about to be remembered.

        Args:
            size: Its bytes, beside those of every entry.
        """
        self.used += size + ENTRY
        if self.used > MOST:
            self.forget()

    def forget(self) -> None:
        """Empties all memos."""
        self.used = 0
        for forget in self._memos:
            forget()
