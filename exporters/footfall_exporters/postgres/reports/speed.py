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
from typing import Final

from footfall_exporters.postgres.reports.answering import Answer
from footfall_exporters.postgres.reports.asked import Asked
from footfall_exporters.postgres.reports.building import Columns, build
from footfall_exporters.postgres.reports.histograms import added, beyond, digits_up_to, slot_of
from footfall_exporters.postgres.reports.kinds import Kind, Measure
from footfall_exporters.postgres.reports.sequential import Day, Difference, difference

FEW: Final = 100
"""Durations of either version from which on anything is said: 5 of them are long then."""
FEWEST_DAYS: Final = 3
"""Of either version: how far days differ is not known before."""
LONG: Final = 0.95
_MEASURES: Final = (
    Measure("observations", "sum(observations)::bigint"),
    # Of the digits above a slot twelve at a time are cast out, as nines are: what remains is how many
    # durations these are. (In Postgres before 15.8 and 16.4 trunc() stops at 2,000 digits.)
    Measure(
        "long",
        "sum(mod(div(histogram, ('1e' || (%(digits)s::jsonb ->> event))::numeric), 999999999999))::bigint",
    ),
)
Days = Mapping[str, list[Day]]
"""By version."""


def long_days(
    kind: Kind,
    asked: Asked,
    histograms: Mapping[tuple[str, str], str],
    views: Mapping[str, Columns],
) -> Answer[dict[str, dict[str, list[Day]]]]:
    """Of each event in both versions the days of each: how many durations, and how many of them were long.

    Args:
        kind: What asks for histograms of durations by day.
        asked: The two versions, by version and event.
        histograms: By version and event.
        views: The columns of each view of `reporting`.
    """
    slots = {event: slot_of(both, LONG) for event, both in _both(histograms).items()}
    by_day = replace(asked, by=("service_version", "event", "day"))
    statement = build("releases", replace(kind, measures=_MEASURES), by_day, views)
    digits = {event: digits_up_to(slot) for event, slot in slots.items()}
    found: dict[str, dict[str, list[Day]]] = {}
    rows = yield statement._replace(
        parameters={**statement.parameters, "digits": json.dumps(digits)}
    )
    for version, event, _, number, long in rows:
        if number and event in slots:
            found.setdefault(event, {}).setdefault(version, []).append(Day(number, long))
    return found


def of_one(
    kind: Kind, asked: Asked, views: Mapping[str, Columns]
) -> Answer[tuple[dict[tuple[str, str], str], dict[str, dict[str, list[Day]]]]]:
    """Of one event the histograms by version and event, and what `long_days` says: added up here, read once.

    Args:
        kind: What asks for histograms of durations by day.
        asked: The two versions of the event.
        views: The columns of each view of `reporting`.
    """
    by_day = replace(asked, by=("service_version", "event", "day"))
    rows = yield build("releases", kind, by_day, views)
    of_days: dict[tuple[str, str], list[str]] = {}
    for version, event, _, histogram in rows:
        of_days.setdefault((version, event), []).append(histogram)
    histograms = {key: added(days) for key, days in of_days.items()}
    slots = {event: slot_of(both, LONG) for event, both in _both(histograms).items()}
    found: dict[str, dict[str, list[Day]]] = {}
    for version, event, _, histogram in rows:
        if event in slots and (day := Day(*beyond(histogram, slots[event]))).ends:
            found.setdefault(event, {}).setdefault(version, []).append(day)
    return histograms, found


def is_enough(*versions: Sequence[Day]) -> bool:
    """Whether anything can be told of these versions' days."""
    return all(
        len(days) >= FEWEST_DAYS and sum(day.ends for day in days) >= FEW for days in versions
    )


def slower(former: Sequence[Day], present: Sequence[Day], level: float) -> str:
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


def _both(histograms: Mapping[tuple[str, str], str]) -> dict[str, list[str]]:
    """The histograms of each event that both versions have."""
    every: dict[str, list[str]] = {}
    for (_, event), histogram in histograms.items():
        every.setdefault(event, []).append(histogram)
    return {event: both for event, both in every.items() if len(both) > 1}
