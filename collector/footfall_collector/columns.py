"""Spans that all have the same number of attributes, as columns. Part of the hot path."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attributes:
    """As columns.

    Attributes:
        places: For each place its attributes, one of every span.
        chosen: Which of the spans are meant; all without.
    """

    places: Sequence[list[bytes]]
    chosen: Sequence[int] | None = None

    @property
    def number(self) -> int:
        """How many attributes there are."""
        return sum(map(len, self.places))

    def at(self, position: int) -> Sequence[bytes]:
        """An attribute of each span, by its position from the end of the span's: -1 is the last."""
        place = self.places[position]
        return place if self.chosen is None else [place[span] for span in self.chosen]

    def take(self, spans: Sequence[int]) -> "Attributes":
        """Those of the spans at these positions."""
        return Attributes(
            self.places, spans if self.chosen is None else [self.chosen[span] for span in spans]
        )


@dataclass(slots=True)
class Columns:
    """Spans with the same number of attributes, at least one, as columns of equal length.

    Attributes:
        names: Span names, undecoded.
        starts: Start times, Unix nanoseconds; where absent the end time, 0 without either.
        ends: End times, Unix nanoseconds; where absent the start time.
        statuses: Encoded `Status` messages; empty where absent.
        attributes: Encoded attributes.
    """

    names: Sequence[bytes]
    starts: Sequence[int]
    ends: Sequence[int]
    statuses: Sequence[bytes]
    attributes: Attributes


_Read = tuple[bytes, int, int, bytes, Sequence[bytes]]
"""A span's name, start, end, status and attributes."""


def by_number(
    names: Sequence[bytes],
    starts: Sequence[int],
    ends: Sequence[int],
    statuses: Sequence[bytes],
    attributes: Sequence[Sequence[bytes]],
) -> list[Columns]:
    """Spans as columns, for each number of attributes.

    Args:
        names: As in `Columns`; the following, too.
        starts: Of each span.
        ends: Of each span.
        statuses: Of each span.
        attributes: Those of each span.
    """
    groups: dict[int, list[_Read]] = {}
    for span in zip(names, starts, ends, statuses, attributes, strict=True):
        groups.setdefault(len(span[-1]), []).append(span)
    return list(map(_columns, groups.values()))


def _columns(spans: list[_Read]) -> Columns:
    names, starts, ends, statuses, attributes = zip(*spans, strict=True)
    places = list(map(list, zip(*attributes, strict=True)))
    return Columns(names, starts, ends, statuses, Attributes(places))
