"""Whether one of two failure rates is higher: an interval that holds however often it is looked at.

An interval of 95 % that is looked at every day excludes the truth sooner or later. This one is a confidence
sequence: the probability that it ever does is bounded. It is the normal mixture of Robbins (1970), in the
form of Howard, Ramdas, McAuliffe and Sekhon (Time-uniform, nonparametric, nonasymptotic confidence sequences,
Annals of Statistics 49, 2021, equation 14), for the difference of two rates as its information grows,
asymptotically (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 52, 2024). Days that
differ by more than chance widen it, as in a quasi-binomial model (McCullagh and Nelder 1989, section 4.5).
"""

import math
from typing import Final, NamedTuple

from psycopg import sql

from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.reports.building import Statement

LEVEL: Final = 0.05
"""Of services in which nothing has changed, the share in which something is ever said to have, at most."""
FEW: Final = 30
"""Ends of either one from which on there is an interval."""
ALL: Final = "(all)"
"""What all events together are called."""
_MIXTURE: Final = 630.0
"""The information about which it is narrowest: a thousand ends of each version, of which a tenth fails."""
_UNSURE: Final = 3.0
"""By how much, at one degree of freedom, days may differ more than they did so far."""


class Days(NamedTuple):
    """What ended on several days.

    Attributes:
        ends: How many.
        failures: How many of these failed.
        squares: The sum over the days of failures² / ends: with it is known how far they differ.
        number: Of days on which anything ended.
    """

    ends: int
    failures: int
    squares: float
    number: int


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


def summed(days: Statement) -> Statement:
    """What gives versions, events and the fields of their Days, and those of all events together (ALL).

    Args:
        days: What gives `service_version`, `event`, `day`, `ends` and `failures`.
    """
    return days._replace(text=sql.SQL(query("days_summed")).format(days=days.text))


def difference(former: Days, present: Days, level: float) -> Difference | None:
    """Compares two rates.

    Args:
        former: The days of one.
        present: Those of the other.
        level: The probability with which the interval ever excludes the truth, at most.

    Returns:
        None where either one has too few ends.
    """
    return _difference(former, present, level, _dispersion(former, present))


def narrowest(former: Days, present: Days, level: float) -> Difference | None:
    """Within `difference`, however far days differ: it is that of days that do not, and of very many."""
    return _difference(former, present, level, 1.0)


def _difference(former: Days, present: Days, level: float, dispersion: float) -> Difference | None:
    if min(former.ends, present.ends) < FEW:
        return None
    spread = _spread(former) + _spread(present)
    information = 1 / (dispersion * spread)
    growth = information + _MIXTURE
    reach = math.sqrt(growth * math.log(growth / (_MIXTURE * level**2))) / information
    moved = _rate(present) - _rate(former)
    return Difference(moved, max(moved - reach, -1.0), min(moved + reach, 1.0))


def _dispersion(former: Days, present: Days) -> float:
    """How much more the days of both vary than chance has them vary; of few days more may be behind it."""
    squares = sum(map(_squares, (former, present)))
    freedom = max(1, former.number + present.number - 2)
    return max(1.0, squares / freedom) * (freedom + _UNSURE) / freedom


def _squares(days: Days) -> float:
    """The sum of (failures - ends * rate)² / (ends * rate * (1 - rate)), which is Pearson's chi-squared."""
    rate = _smoothed(days)
    found = days.squares - 2 * rate * days.failures + rate**2 * days.ends
    return found / (rate * (1 - rate))


def _spread(days: Days) -> float:
    """The variance of a rate, were there chance alone."""
    rate = _smoothed(days)
    return rate * (1 - rate) / days.ends


def _rate(days: Days) -> float:
    return days.failures / days.ends


def _smoothed(days: Days) -> float:
    """A rate that is neither nothing nor all."""
    return (days.failures + 1) / (days.ends + 2)
