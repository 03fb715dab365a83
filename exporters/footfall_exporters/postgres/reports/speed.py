"""Whether one version is slower than another: a test of the share of uses that take long.

Long is what takes longer than 95 % of the uses of both versions together: where nothing has changed, 5 % of
either do. That is the median test of Brown and Mood (On Tests of Several Independent Samples, 1951) at
another quantile (Conover, Practical Nonparametric Statistics, 1999, section 4.3): it asks nothing of how
durations are distributed, and one that is very long counts as one. The shares are compared as those of
failures are, by an interval that holds however often it is looked at and is wider where days differ
(sequential.py).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from footfall_exporters.postgres.reports.answering import Answer
from footfall_exporters.postgres.reports.asked import Asked
from footfall_exporters.postgres.reports.building import Columns, within
from footfall_exporters.postgres.reports.histograms import (
    HISTOGRAM,
    SENT,
    beyond,
    digits_up_to,
    quantile,
    slot_of,
    slots,
)
from footfall_exporters.postgres.reports.kinds.kind import Measure
from footfall_exporters.postgres.reports.kinds.uses import ADDED_UP
from footfall_exporters.postgres.reports.sequential import (
    LEVEL,
    Days,
    Difference,
    difference,
    narrowest,
    summed,
)

FEW: Final = 100
"""Durations of either version from which on anything is said: 5 of them are long then."""
FEWEST_DAYS: Final = 3
"""Of either version: how far days differ is not known before."""
LONG: Final = 0.95
_TOTALS: Final = replace(
    ADDED_UP,
    measures=(
        Measure(HISTOGRAM, SENT),
        # A bit for each day that has any; the same one again after nine weeks.
        Measure(
            "days",
            "coalesce(bit_or(1::bigint << mod(day - date '2000-01-01', 63))"
            " FILTER (WHERE observations > 0), 0)",
        ),
    ),
)
_BY_DAY: Final = replace(
    ADDED_UP,
    measures=(
        Measure("ends", "sum(observations)::bigint"),
        # Of the digits above a slot twelve at a time are cast out, as nines are: what remains is how many
        # durations these are. (In Postgres before 15.8 and 16.4 trunc() stops at 2,000 digits.)
        Measure(
            "failures",
            "sum(mod(div(histogram, ('1e' || (%(digits)s::jsonb ->> event))::numeric),"
            " 999999999999))::bigint",
        ),
    ),
)
_Both = tuple[Days, Days]
"""Of an event in the former version and in the newer one: durations, and those that are long."""


class _Total(NamedTuple):
    """The durations of an event in a version.

    Attributes:
        slots: How many each slot of the histogram has.
        days: A bit for each day that has any: there are as many days at least.
    """

    slots: Sequence[int]
    days: int


class Speed(NamedTuple):
    """How fast two versions are.

    Attributes:
        p95: By version and event, in milliseconds.
        verdicts: By event that was measured in both.
    """

    p95: Mapping[tuple[str, str], int | None]
    verdicts: Mapping[str, str]


def compared(
    versions: tuple[str, str], asked: Asked, views: Mapping[str, Columns]
) -> Answer[Speed]:
    """Whether the newer one of two versions is slower, event by event.

    Days are looked at of those events alone for which they may decide: an interval is the wider the more days
    differ, and where nothing is to be seen though they did not at all, nothing is.

    Args:
        versions: The former one and the newer one.
        asked: Both, by version and event.
        views: The columns of each view of `reporting`.
    """
    former, present = versions
    rows = yield within("releases", _TOTALS, asked, views)
    totals = {(version, event): _Total(slots(sent), days) for version, event, sent, days in rows}
    both = {
        event: (totals[former, event], totals[present, event])
        for version, event in totals
        if version == former and (present, event) in totals
    }
    limits = {
        event: slot_of((one.slots, other.slots), LONG) for event, (one, other) in both.items()
    }
    days = {event: _alike(of, limits[event]) for event, of in both.items()}
    level = _level(days)
    if looked_at := {event: limits[event] for event, of in days.items() if _is_open(of, level)}:
        days |= yield from _day_by_day(versions, asked, looked_at, views)
        level = _level(days)
    p95 = {key: quantile(of.slots, LONG) for key, of in totals.items()}
    return Speed(p95, {event: slower(*of, level) for event, of in days.items()})


def _level(days: Mapping[str, _Both]) -> float:
    """Of each event: the probability that anything is said of any of them that is not so is LEVEL."""
    return LEVEL / max(1, sum(is_enough(*of) for of in days.values()))


def _alike(both: tuple[_Total, _Total], limit: int) -> _Both:
    """What is known before days are looked at, as if these did not differ."""
    former, present = (_in_all(total, limit) for total in both)
    return former, present


def _in_all(total: _Total, limit: int) -> Days:
    durations, long = beyond(total.slots, limit)
    return Days(durations, long, long**2 / durations if durations else 0.0, total.days.bit_count())


def _is_open(both: _Both, level: float) -> bool:
    """Whether days may decide what is said, at this level or a lower one."""
    if min(days.ends for days in both) < FEW:
        return False
    change = narrowest(*both, level)
    return not is_enough(*both) or change is None or not change.low <= 0 <= change.high


def _day_by_day(
    versions: tuple[str, str],
    asked: Asked,
    limits: Mapping[str, int],
    views: Mapping[str, Columns],
) -> Answer[dict[str, _Both]]:
    """What is known of events when their days have been looked at.

    Args:
        versions: The former one and the newer one.
        asked: Both.
        limits: The slot of each event beyond which durations are long.
        views: The columns of each view of `reporting`.
    """
    question = replace(
        asked, where={**asked.where, "event": [*limits]}, by=("service_version", "event", "day")
    )
    statement = summed(within("releases", _BY_DAY, question, views))
    digits = {event: digits_up_to(limit) for event, limit in limits.items()}
    rows = yield statement._replace(
        parameters={**statement.parameters, "digits": json.dumps(digits)}
    )
    days = {(version, event): Days(*of) for version, event, *of in rows}
    former, present = versions
    return {  # what was erased meanwhile is left as it was
        event: (days[former, event], days[present, event])
        for event in limits
        if (former, event) in days and (present, event) in days
    }


def is_enough(former: Days, present: Days) -> bool:
    """Whether anything can be told of these versions' days."""
    return all(days.number >= FEWEST_DAYS and days.ends >= FEW for days in (former, present))


def slower(former: Days, present: Days, level: float) -> str:
    """A verdict.

    Args:
        former: The days of one version.
        present: Those of the other.
        level: The probability with which it ever says what is not so, at most.
    """
    change = difference(former, present, level) if is_enough(former, present) else None
    return _said(change)


def _said(change: Difference | None) -> str:
    if change is None:
        return "too few to tell"
    if change.low > 0:
        return "slower"
    return "faster" if change.high < 0 else "no difference seen"
