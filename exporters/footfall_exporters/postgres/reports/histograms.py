"""Percentiles of durations that were added up as histograms (ADR 34): at most 2.2 % off."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import Any, Final

from footfall_exporters.postgres import bounds

DIGITS: Final = 12
"""Of each bucket, in decimal, from the right; the first ones are empty."""
COLUMNS: Final = ("observations", "p50_ms", "p95_ms", "p99_ms", "p95_low_ms", "p95_high_ms")
SHARES: Final = (0.5, 0.95, 0.99)
STEPS: Final = ("from_ms", "to_ms", "observations")
_TOGETHER = 4
"""Buckets of a step."""
_WIDE: Final = 2 ** (1 / 16)
"""How much greater the end of a bucket is than its beginning."""


def decoded(histogram: str) -> tuple[int | None, ...]:
    """How many durations a histogram has, and their percentiles by nearest rank, in whole milliseconds.

    The last two are the bounds of the 95th one; None where there are too few.

    Args:
        histogram: Its decimal digits.
    """
    seen = [*accumulate(_slots(histogram))]
    total = seen[-1]
    ranks = [*(math.ceil(share * total) for share in SHARES), *bounds.ranks(total)]
    return (total, *(_quantile(seen, rank) for rank in ranks))


def spread(histogram: str) -> Iterator[tuple[int, int, int]]:
    """How many durations took how long, in steps of a fifth (four of them double it), from the fastest on.

    Durations are whole milliseconds: where a step has none it could be of, it is left out.

    Args:
        histogram: Its decimal digits.

    Yields:
        Above how many milliseconds, up to how many, and how many durations, which may be none in between.
    """
    steps: Counter[int] = Counter()
    for slot, number in _buckets(histogram):
        steps[-(-max(0, slot - 1) // _TOGETHER)] += number
    for step in range(min(steps, default=0), max(steps, default=-1) + 1):
        if _end(step - 1) < _end(step):
            yield max(0, _end(step - 1)), _end(step), steps[step]


def _end(step: int) -> int:
    """The longest duration of a step."""
    return math.floor(2 ** (step * _TOGETHER / 16)) if step >= 0 else -1


def _buckets(histogram: str) -> Iterator[tuple[int, int]]:
    """The slot of each bucket that has any, and how many it has."""
    return ((slot, number) for slot, number in enumerate(_slots(histogram)) if number)


def _slots(histogram: str) -> list[int]:
    """How many each slot has."""
    whole = histogram.zfill(-(-len(histogram) // DIGITS) * DIGITS)
    return [int(whole[at : at + DIGITS]) for at in range(len(whole) - DIGITS, -1, -DIGITS)]


def _quantile(seen: Sequence[int], rank: int) -> int | None:
    """The duration of a rank, from 1 on, where so many are in each slot or before it; None: there is none."""
    slot = bisect_left(seen, rank)
    return round(_milliseconds(slot)) if rank > 0 and slot < len(seen) else None


def _milliseconds(slot: int) -> float:
    """The value from which no duration of a bucket is further than 2.2 %."""
    return slot if slot < 2 else _WIDE ** (slot - 1) * 2 / (1 + _WIDE)


def slot_at(ms: float) -> int:
    """The slot whose durations are told as this one."""
    return round(ms) if ms <= 1 else 1 + round(math.log(ms * (1 + _WIDE) / 2, _WIDE))


def slot_of(histograms: Iterable[str], share: float) -> int:
    """The slot in which a percentile of several histograms together lies."""
    together: Counter[int] = Counter()
    for histogram in histograms:
        together.update(dict(_buckets(histogram)))
    rank, seen = math.ceil(share * together.total()), 0
    for slot in sorted(together):
        seen += together[slot]
        if seen >= rank:
            return slot
    return 0


def added(histograms: Iterable[str]) -> str:
    """Several histograms together, slot by slot: Python reads no number of so many digits."""
    slots = [sum(of) for of in zip_longest(*map(_slots, histograms), fillvalue=0)]
    return "".join(f"{number:0{DIGITS}}" for number in reversed(slots))


def beyond(histogram: str, slot: int) -> tuple[int, int]:
    """How many durations a histogram has, and how many of them are above a slot."""
    slots = _slots(histogram)
    return sum(slots), sum(slots[slot + 1 :])


def digits_up_to(slot: int) -> int:
    """How many of a histogram's digits, from the right, are of this slot and those before it."""
    return DIGITS * (slot + 1)


def ordered(
    rows: Sequence[tuple[Any, ...]], keys: int, times: Sequence[int]
) -> list[tuple[Any, ...]]:
    """Rows by time, the slowest first, then by name.

    Args:
        rows: With keys first, then what was decoded.
        keys: How many keys.
        times: Which of them are times.
    """

    def by(row: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [(value is None, str(value)) for value in row[:keys]]
        return [row[n] for n in times], -(row[keys + COLUMNS.index("p95_ms")] or 0), names

    return sorted(rows, key=by)
