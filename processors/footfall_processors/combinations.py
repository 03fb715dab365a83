"""Which services are kept apart, when senders name more of them than any team has (ADR 23).

Each combination is a row of dimensions for good, so there must be a bound; and no sender may use it up for
another. Hence each sender has its own, the version is given up before the name, what was not seen for a day
makes room, and of names the one that was not seen for longest.
"""

from collections import OrderedDict
from typing import Final

COMBINATIONS: Final = 1000
"""Of service, version and environment, that are kept apart of one sender."""
NAMES: Final = 1000
"""Of service and environment, once there are too many versions."""
NEWCOMERS: Final = 10_000
"""Names that may take another's place in a day (UTC)."""
IDLE_US: Final = 86_400_000_000
"""What was not seen for so long makes room."""

Said = tuple[str | None, ...]
"""What a resource says of its service."""


class Seen(OrderedDict[Said, int]):
    """What was seen of one sender, and when: µs since the Unix epoch, the longest ago first."""

    def known(self, what: Said, now_us: int) -> bool:
        """Whether it was seen already; it is seen now."""
        if what not in self:
            return False
        self.move_to_end(what)
        self[what] = now_us
        return True

    def admits(self, what: Said, most: int, now_us: int) -> bool:
        """Whether it is known, or there is room for it."""
        if self.known(what, now_us):
            return True
        while self and now_us - next(iter(self.values())) > IDLE_US:
            self.popitem(last=False)
        if len(self) >= most:
            return False
        self[what] = now_us
        return True


class Sender:
    """The services that one sender names; nothing of what others send matters to it."""

    def __init__(self) -> None:
        self._whole = Seen()
        self._names = Seen()
        self._day, self._newcomers = 0, 0

    def keeps(self, whole: Said, now_us: int) -> bool:
        """Whether all that is said of a service is kept.

        Args:
            whole: Name, version, environment and the rest.
            now_us: µs since the Unix epoch.
        """
        return self._whole.admits(whole, COMBINATIONS, now_us)

    def keeps_name(self, plain: Said, now_us: int) -> bool:
        """Whether a service is kept without its version, where there are too many versions."""
        return self._names.admits(plain, NAMES, now_us) or self._gives_way(plain, now_us)

    def _gives_way(self, plain: Said, now_us: int) -> bool:
        """Whether the name that was not seen for longest makes room for this one."""
        if (day := now_us // IDLE_US) != self._day:
            self._day, self._newcomers = day, 0
        if self._newcomers >= NEWCOMERS:
            return False
        self._newcomers += 1
        self._names.popitem(last=False)
        self._names[plain] = now_us
        return True
