"""A request while it is decoded: what it is known by, and the batch under construction."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from operator import attrgetter

from footfall_collector.decoding.plans import Plan
from footfall_processors import Dimension, Loss, Rows

_dimension = attrgetter("shape.dimension")
_losses = attrgetter("losses")


def digest(path: str, sender: bytes, body: bytes) -> bytes:
    """A request's identity in the ledger: SHA-256, cut to 128 bits.

    Args:
        path: The OTLP/HTTP path of its signal, for gRPC as well.
        sender: What distinguishes senders that must not see each other's retries; may be empty.
        body: The decompressed request.
    """
    hasher = hashlib.sha256(b"%d:%s%d:%s" % (len(path), path.encode(), len(sender), sender))
    hasher.update(body)
    return hasher.digest()[:16]


def is_other(name: object, services: Collection[str]) -> bool:
    """Whether a service's name, as it was sent, is none of those that its sender may send for."""
    return bool(services) and (not isinstance(name, str) or name not in services)


@dataclass(slots=True)
class Found:
    """Rows, counts and losses.

    Attributes:
        quantities: Whether a row may stand for several occurrences.
        times: The earliest and the latest of each part, µs.
        identified: Whether every span has an id.
        misnamed: Whether a service has a name that its sender may not use.
        identities: What spans are known by, one after the other.
    """

    quantities: bool = False
    rows: list[Rows] = field(default_factory=list)
    counts: dict[tuple[int, Dimension], int] = field(default_factory=dict)
    losses: Counter[Loss] = field(default_factory=Counter)
    times: list[int] = field(default_factory=list)
    identified: bool = True
    misnamed: bool = False
    identities: bytes | None = None

    def count(self, hour: int, tally: Counter[Plan]) -> None:
        """Adds how often each plan was chosen within an hour to the counts and the losses."""
        if self.quantities:
            for plan, number in tally.items():
                key = hour, plan.shape.dimension
                self.counts[key] = self.counts.get(key, 0) + number * plan.shape.quantity
                self.lose(plan.losses, number)
            return
        dimensions = list(map(_dimension, tally))
        if not self.counts and len(set(dimensions)) == len(dimensions):  # nearly always
            hours = repeat(hour, len(dimensions))
            self.counts.update(
                zip(zip(hours, dimensions, strict=True), tally.values(), strict=True)
            )
        else:
            for counted, number in zip(dimensions, tally.values(), strict=True):
                self.counts[hour, counted] = self.counts.get((hour, counted), 0) + number
        losses = set(map(_losses, tally))
        if len(losses) == 1:
            self.lose(losses.pop(), tally.total())
        else:
            for plan, number in tally.items():
                self.lose(plan.losses, number)

    def lose(self, losses: Iterable[tuple[Loss, int]], number: int) -> None:
        """Adds what was dropped from each of so many spans."""
        for reason, each in losses:
            self.losses[reason] += each * number
