"""What was refused and what was dropped, in the log: reason, sender and remedy, never a value.

A kind is told of at once, and while it goes on after a minute, ten minutes, and then every hour, with how
many there were since. Whoever may not send can still make requests: there are `MOST` kinds.
"""

import logging
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from footfall_collector.signals import SIGNALS
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.remedies import EXPECTED, RECEIVED, REFUSALS
from footfall_processors import Loss

MOST: Final = 200
"""Kinds that are told apart; the rest lacks key and service."""
PAUSES: Final = (60.0, 600.0, 3600.0)
"""Seconds between two lines of one kind; the last one stays."""
_NO_FAULT: Final = {Refused.ADMISSION, Refused.UNAVAILABLE, Refused.GONE, Refused.INTERNAL}
"""Told elsewhere, where the cause is known; the sender sends the request again."""
log = logging.getLogger("footfall.refused")


class Kind(NamedTuple):
    """What is told of together; empty where it is not known."""

    reason: str
    signal: str
    key: str
    service: str


class _Told:
    """How often one kind has come since it was told of, and when it may be told again."""

    __slots__ = ("number", "pauses", "quiet_until")

    def __init__(self) -> None:
        self.number, self.pauses, self.quiet_until = 0, 0, 0.0

    def again(self, now: float) -> None:
        """It has just been told."""
        self.number, self.quiet_until = 0, now + PAUSES[self.pauses]
        self.pauses = min(self.pauses + 1, len(PAUSES) - 1)


class Complaints:
    """Tells the log what the operator or the owner of a sender can mend.

    Args:
        clock: Seconds, of a clock that is never set.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._told = clock, dict[Kind, _Told]()

    def refused(self, reason: Refused, signal: str, key: str = "", service: str = "") -> None:
        """A request was refused.

        Args:
            reason: Why.
            signal: `traces`, `metrics`, `logs` or `unknown`.
            key: The name of the sender's key, if there is one.
            service: What it spoke for, if that is known.
        """
        if reason in _NO_FAULT:
            return
        if told := self._due(Kind(reason, signal, key, service), 1):
            kind, number = told
            what = "a request was" if number == 1 else f"{number:,} requests were"
            remedy = REFUSALS[reason.value]
            log.warning("%s refused: %s%s; %s", what, reason, _sender(kind), remedy)

    def dropped(self, reason: Loss, number: int, signal: str, key: str, service: str) -> None:
        """Something of a request that was accepted is not stored.

        Args:
            reason: Why.
            number: How many spans, data points, records, or attributes of them.
            signal: `traces`, `metrics` or `logs`.
            key: The name of the sender's key; empty without one.
            service: What it spoke for; empty where that is not known.
        """
        if told := self._due(Kind(reason, signal, key, service), number):
            kind, number = told
            level = logging.INFO if reason in EXPECTED else logging.WARNING
            times = "once" if number == 1 else f"{number:,} times"
            remedy = RECEIVED[reason.value]
            log.log(level, "dropped: %s, %s%s; %s", reason, times, _sender(kind), remedy)

    def _due(self, kind: Kind, number: int) -> tuple[Kind, int] | None:
        """The kind as it is told, and how many there were since the last time, if it is time for another."""
        if kind not in self._told and len(self._told) >= MOST:
            kind = kind._replace(key="", service="")
        told = self._told.setdefault(kind, _Told())
        told.number += number
        if (now := self._clock()) < told.quiet_until:
            return None
        total = told.number
        told.again(now)
        return kind, total


def _sender(kind: Kind) -> str:
    known = [kind.signal] if kind.signal in SIGNALS else []
    known += [f"{what} {name}" for what in ("service", "key") if (name := getattr(kind, what))]
    return f" ({', '.join(known)})" if known else ""
