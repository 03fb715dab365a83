"""The encoded attributes of some spans, in one of two forms. Part of the hot path."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

MARK = secrets.token_bytes(16)
"""Stands for an attribute between two spans. A sender who could guess it could move attributes from one of
its spans to another."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """Of spans that all have the same number of attributes.

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

    def take(self, spans: Sequence[int]) -> "Aligned":
        """Those of the spans at these positions."""
        return Aligned(
            self.places, spans if self.chosen is None else [self.chosen[span] for span in spans]
        )


@dataclass(frozen=True, slots=True)
class Ragged:
    """Of any spans.

    Attributes:
        encoded: All attributes, one after the other, `MARK` after each span's.
        stops: Where each span's attributes stop.
    """

    encoded: Sequence[bytes]
    stops: Sequence[int]

    @property
    def number(self) -> int:
        """How many attributes there are."""
        return len(self.encoded) - len(self.stops)

    def at(self, position: int) -> Sequence[bytes]:
        """As `Aligned.at`."""
        return [self.encoded[stop + position] for stop in self.stops]

    def take(self, spans: Sequence[int]) -> "Ragged":
        """As `Aligned.take`."""
        return Ragged(self.encoded, [self.stops[span] for span in spans])


Attributes = Aligned | Ragged


def collect(groups: Sequence[Sequence[bytes]]) -> Attributes:
    """The attributes of spans that were read one by one."""
    if len(set(map(len, groups))) == 1:
        return Aligned(list(map(list, zip(*groups, strict=True))))
    encoded: list[bytes] = []
    stops = []
    for group in groups:
        encoded += group
        stops.append(len(encoded))
        encoded.append(MARK)
    return Ragged(encoded, stops)


def arrange(marked: list[bytes], size: int) -> Attributes:
    """The attributes of spans that were read together.

    Args:
        marked: All of them, `MARK` between two spans'; a repeated field of protobuf's.
        size: How many spans there are; at least one.
    """
    step, rest = divmod(len(marked) + 1, size)
    # Joined, because to compare one by one costs more.
    if not rest and b"".join(marked[step - 1 :: step]) == MARK * (size - 1):
        return Aligned([marked[place::step] for place in range(step - 1)])
    encoded, stops, at = [*marked, MARK], [], -1
    with suppress(ValueError):  # searching in C takes half of what a loop over all attributes does
        while True:
            at = encoded.index(MARK, at + 1)
            stops.append(at)
    return Ragged(encoded, stops)
