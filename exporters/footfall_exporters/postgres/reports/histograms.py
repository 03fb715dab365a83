"""Percentiles of durations that were added up as histograms (ADR 34): at most 2.2 % off."""

import math
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import Any, Final, LiteralString

from footfall_exporters.postgres import bounds

HISTOGRAM: Final = "histogram"
"""The measure that is decoded before it is shown."""
SENT: Final[LiteralString] = "numeric_send(sum(histogram))"
"""Several histograms together, as they are read here."""
DIGITS: Final = 12
"""Of each bucket, in decimal, from the right; the first ones are empty."""
_THOUSANDS: Final = 10**4, 10**8
"""Postgres keeps and sends digits of base 10,000: a bucket has three of them."""
COLUMNS: Final = ("observations", "p50_ms", "p95_ms", "p99_ms", "p95_low_ms", "p95_high_ms")
SHARES: Final = (0.5, 0.95, 0.99)
STEPS: Final = ("from_ms", "to_ms", "observations")
_TOGETHER = 4
"""Buckets of a step."""
_WIDE: Final = 2 ** (1 / 16)
"""How much greater the end of a bucket is than its beginning."""


def decoded(histogram: bytes) -> tuple[int | None, ...]:
    """How many durations a histogram has, and their percentiles by nearest rank, in whole milliseconds.

    The last two are the bounds of the 95th one; None where there are too few.

    Args:
        histogram: As SENT.
    """
    seen = [*accumulate(slots(histogram))]
    total = seen[-1]
    ranks = [*(math.ceil(share * total) for share in SHARES), *bounds.ranks(total)]
    return (total, *(_quantile(seen, rank) for rank in ranks))


def slots(histogram: bytes) -> list[int]:
    """How many durations each slot has.

    Args:
        histogram: As SENT: how many digits there are, the power of the first one, two fields, and the digits;
            nothings at either end are left out.
    """
    number, power = struct.unpack_from(">Hh", histogram)
    digits = [0] * (power + 1)
    digits[:number] = struct.unpack_from(f">{number}H", histogram, 8)
    digits.reverse()
    digits += [0] * (3 - len(digits) % 3)
    ones, thousands, most = digits[0::3], digits[1::3], digits[2::3]
    if not any(thousands) and not any(most):  # nearly always
        return ones
    second, third = _THOUSANDS
    return [
        one + second * more + third * rest
        for one, more, rest in zip(ones, thousands, most, strict=True)
    ]


def spread(histogram: bytes) -> Iterator[tuple[int, int, int]]:
    """How many durations took how long, in steps of a fifth (four of them double it), from the fastest on.

    Durations are whole milliseconds: where a step has none it could be of, it is left out.

    Args:
        histogram: As SENT.

    Yields:
        Above how many milliseconds, up to how many, and how many durations, which may be none in between.
    """
    steps: Counter[int] = Counter()
    for slot, number in enumerate(slots(histogram)):
        if number:
            steps[-(-max(0, slot - 1) // _TOGETHER)] += number
    for step in range(min(steps, default=0), max(steps, default=-1) + 1):
        if _end(step - 1) < _end(step):
            yield max(0, _end(step - 1)), _end(step), steps[step]


def _end(step: int) -> int:
    """The longest duration of a step."""
    return math.floor(2 ** (step * _TOGETHER / 16)) if step >= 0 else -1


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


def quantile(histogram: Sequence[int], share: float) -> int | None:
    """A percentile by nearest rank, in whole milliseconds; None: there is none.

    Args:
        histogram: How many durations each slot has.
        share: From 0 to 1.
    """
    seen = [*accumulate(histogram)]
    return _quantile(seen, math.ceil(share * seen[-1]))


def slot_of(histograms: Iterable[Sequence[int]], share: float) -> int:
    """The slot in which a percentile of several histograms together lies."""
    seen = [*accumulate(map(sum, zip_longest(*histograms, fillvalue=0)))]
    return bisect_left(seen, max(1, math.ceil(share * seen[-1])))


def beyond(histogram: Sequence[int], slot: int) -> tuple[int, int]:
    """How many durations a histogram has, and how many of them are above a slot."""
    return sum(histogram), sum(histogram[slot + 1 :])


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
