"""How much senders have sent in their present minute, as far as this process knows."""

MOST = 20_000
"""Senders that are remembered: 4 MB."""


class Window:
    """A sender's minute: it begins with its first request.

    Every request counts, also one that is refused: the first that does not fit closes the minute for those
    that come after it, however small.

    Attributes:
        sender: Whose it is.
        used: The weight of its requests.
        ends: When it ends (monotonic, seconds).
    """

    __slots__ = ("ends", "sender", "used")

    def __init__(self, sender: bytes) -> None:
        self.sender, self.used, self.ends = sender, 0, 0.0

    def add(self, weight: int, now: float) -> None:
        """Counts a request, with which another minute begins when this one has ended."""
        if self.ends <= now:
            self.used, self.ends = 0, now + 60.0
        self.used += weight


class Windows:
    """The minutes of those senders that were heard last."""

    def __init__(self) -> None:
        self._windows: dict[bytes, Window] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._windows)

    def of(self, sender: bytes, now: float) -> Window:
        """A sender's minute, which may have ended."""
        window = self._windows.get(sender)
        if window is None:
            if len(self._windows) >= MOST:
                self._forget(now)
            window = self._windows[sender] = Window(sender)
        return window

    def clear(self) -> None:
        """Forgets everyone."""
        self._windows.clear()

    def _forget(self, now: float) -> None:
        """Forgets whose minute has ended, which changes nothing; else who has sent the least."""
        going_on = [window for window in self._windows.values() if window.ends > now]
        going_on.sort(key=lambda window: window.used)
        self._windows = {window.sender: window for window in going_on[-MOST // 2 :]}
