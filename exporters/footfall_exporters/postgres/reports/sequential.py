"""Whether one of two failure rates is higher: an interval that holds however often it is looked at.

An interval of 95 % that is looked at every day excludes the truth sooner or later. This one is a confidence
sequence: the probability that it ever does is bounded. It is the normal mixture of Robbins (1970), in the
form of Howard, Ramdas, McAuliffe and Sekhon (Time-uniform, nonparametric, nonasymptotic confidence sequences,
Annals of Statistics 49, 2021, equation 14), for the difference of two rates as its information grows,
asymptotically (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 52, 2024). Days that
differ by more than chance widen it, as in a quasi-binomial model (McCullagh and Nelder 1989, section 4.5).
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

LEVEL: Final = 0.05
"""Of services in which nothing has changed, the share in which something is ever said to have, at most."""
FEW: Final = 30
"""Ends of either one from which on there is an interval."""
_MIXTURE: Final = 630.0
"""The information about which it is narrowest: a thousand ends of each version, of which a tenth fails."""
_UNSURE: Final = 3.0
"""By how much, at one degree of freedom, days may differ more than they did so far."""


class Day(NamedTuple):
    """What ended on a day: how many, and of these failed."""

    ends: int
    failures: int


class Difference(NamedTuple):
    """How much more the second one fails.

    Attributes:
        rate: The difference of their rates.
        low: Below which it is not.
        high: Above which it is not.
    """

    rate: float
    low: float
    high: float


def difference(former: Sequence[Day], present: Sequence[Day], level: float) -> Difference | None:
    """Compares two rates.

    Args:
        former: The days of one.
        present: Those of the other.
        level: The probability with which the interval ever excludes the truth, at most.

    Returns:
        None where either one has too few ends.
    """
    if min(sum(day.ends for day in days) for days in (former, present)) < FEW:
        return None
    spread = _spread(former) + _spread(present)
    information = 1 / (_dispersion(former, present) * spread)
    growth = information + _MIXTURE
    reach = math.sqrt(growth * math.log(growth / (_MIXTURE * level**2))) / information
    moved = _rate(present) - _rate(former)
    return Difference(moved, max(moved - reach, -1.0), min(moved + reach, 1.0))


def _dispersion(former: Sequence[Day], present: Sequence[Day]) -> float:
    """How much more the days of both vary than chance has them vary; of few days more may be behind it."""
    squares = []
    for days in (former, present):
        rate = _smoothed(days)
        squares += [
            (day.failures - day.ends * rate) ** 2 / (day.ends * rate * (1 - rate))
            for day in days
            if day.ends
        ]
    freedom = max(1, len(squares) - 2)
    return max(1.0, sum(squares) / freedom) * (freedom + _UNSURE) / freedom


def _spread(days: Sequence[Day]) -> float:
    """The variance of a rate, were there chance alone."""
    rate = _smoothed(days)
    return rate * (1 - rate) / sum(day.ends for day in days)


def _rate(days: Sequence[Day]) -> float:
    return sum(day.failures for day in days) / sum(day.ends for day in days)


def _smoothed(days: Sequence[Day]) -> float:
    """A rate that is neither nothing nor all."""
    return (sum(day.failures for day in days) + 1) / (sum(day.ends for day in days) + 2)
