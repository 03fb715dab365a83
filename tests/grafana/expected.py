"""What each panel shows, found by plain Python over what the tests stored: no query of ours is asked.

A panel of a range counts an hour that the range touches, and one of days a day that it touches.
"""

import datetime as dt
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any

import pytest

from grafana.known import DAY, ENDLESS, HOUR, NONE, Known, Use
from grafana.panels import View

Row = tuple[Any, ...]
Figures = Callable[[Known, View], Iterable[Row]]
VARIABLES = ("product", "environment", "service", "version", "surface", "feature")
BUCKETS = {"1h": 3600, "6h": 6 * 3600, "1d": 86_400}


def chosen(use: Use, view: View, names: Collection[str] = VARIABLES) -> bool:
    """Whether the variables choose it."""
    return all(takes(view, name, getattr(use, name)) for name in names)


def takes(view: View, name: str, value: object) -> bool:
    """Whether a variable has a value among those that are chosen."""
    return not view.chosen.get(name) or value in view.chosen[name]


def counted(data: Known, view: View) -> list[Use]:
    """The chosen uses, beginnings among them, of the hours that the range touches."""
    return [
        use
        for use in data.uses
        if use.hour + HOUR > view.start and use.hour <= view.end and chosen(use, view)
    ]


def of_days(data: Known, view: View) -> list[Use]:
    """The same of the days that the range touches."""
    return [use for use in data.uses if on_day(use.day, view) and chosen(use, view)]


def on_day(day: dt.date, view: View) -> bool:
    """Whether the range touches a day."""
    return view.start.date() <= day <= view.end.date()


def used(uses: Iterable[Use]) -> list[Use]:
    """Without the beginnings."""
    return [use for use in uses if not use.begins]


def ended(uses: Iterable[Use]) -> list[Use]:
    """Those that are a success or a failure."""
    return [use for use in uses if use.ended]


def failed(uses: Iterable[Use]) -> list[Use]:
    """Those that did not end well."""
    return [use for use in uses if use.ended and use.status != "ok"]


def timed(data: Known, view: View) -> list[Use]:
    """Those with a duration; of all days of the range, where it is long."""
    uses = of_days if view.end - view.start > 2 * DAY else counted
    return [use for use in uses(data, view) if use.ms is not None]


def timed_by_bucket(data: Known, view: View) -> list[Use]:
    """Those with a duration; of all days of the range, where points are days."""
    uses = of_days if per(view) == "1d" else counted
    return [use for use in uses(data, view) if use.ms is not None]


def version(use: Use) -> str:
    return f"{use.service} {use.version}"


def place(use: Use) -> str:
    return f"{use.surface} · {use.feature}"


def bucket(use: Use, view: View) -> dt.datetime:
    """Where a point is that stands for a use."""
    width = BUCKETS[per(view)]
    return dt.datetime.fromtimestamp(int(use.hour.timestamp()) // width * width, dt.UTC)


def per(view: View) -> str:
    """How far points are from each other."""
    return view.chosen.get("bucket", ["1d"])[0]


def midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def percentile(uses: Iterable[Use], share: float) -> Any:
    """Of the nearest rank, as near as is promised."""
    values = sorted(use.ms for use in uses if use.ms is not None)
    return pytest.approx(values[math.ceil(share * len(values)) - 1], rel=0.022)


def grouped(uses: Iterable[Use], key: Callable[[Use], Any]) -> dict[Any, list[Use]]:
    """Uses by whatever they have in common."""
    found = defaultdict(list)
    for use in uses:
        found[key(use)].append(use)
    return found


def total(of: Callable[[list[Use]], Collection[Use]]) -> Figures:
    """One number: how many there are."""
    return lambda data, view: [(len(of(counted(data, view))),)]


def failure_rate(data: Known, view: View) -> list[Row]:
    uses = ended(counted(data, view))
    return [(len(failed(uses)) / len(uses) if uses else None,)]


def trend(of: Callable[[list[Use]], list[Use]], name: Callable[[Use], str]) -> Figures:
    """How many there are in each bucket."""

    def figures(data: Known, view: View) -> list[Row]:
        points = Counter((bucket(use, view), name(use)) for use in of(counted(data, view)))
        return [(*key, count) for key, count in points.items()]

    return figures


def most(uses: Iterable[Use]) -> set[str]:
    """The six features of which there are most."""
    counts = Counter(map(place, uses))
    return set(sorted(counts, key=lambda name: (-counts[name], name))[:6])


def uses_by_feature(data: Known, view: View) -> list[Row]:
    named = most(used(counted(data, view)))
    figures = trend(used, lambda use: place(use) if place(use) in named else "others")
    return list(figures(data, view))


def rates(name: Callable[[Use], str]) -> Figures:
    """The share that fails in each bucket."""

    def figures(data: Known, view: View) -> list[Row]:
        points = grouped(ended(counted(data, view)), lambda use: (bucket(use, view), name(use)))
        return [(*key, len(failed(uses)) / len(uses)) for key, uses in points.items()]

    return figures


def rates_by_feature(data: Known, view: View) -> list[Row]:
    counts = Counter({place(use): 0 for use in ended(counted(data, view))})
    counts.update(map(place, failed(counted(data, view))))
    named = sorted(counts, key=lambda name: (-counts[name], name))[:6]
    return [row for row in rates(place)(data, view) if row[1] in named]


def series(name: Callable[[Use], str]) -> Figures:
    """The 95th percentile in each bucket."""

    def figures(data: Known, view: View) -> list[Row]:
        points = grouped(timed_by_bucket(data, view), lambda use: (bucket(use, view), name(use)))
        return [(*key, percentile(uses, 0.95)) for key, uses in points.items()]

    return figures


def p95_by_feature(data: Known, view: View) -> list[Row]:
    named = most(timed_by_bucket(data, view))
    return [row for row in series(place)(data, view) if row[1] in named]


def percentiles(key: Callable[[Use], tuple[str, ...]], *shares: float) -> Figures:
    """How many observations have something in common, and their percentiles."""

    def figures(data: Known, view: View) -> list[Row]:
        return [
            (*of, len(uses), *(percentile(uses, share) for share in shares))
            for of, uses in grouped(timed(data, view), key).items()
        ]

    return figures


def durations(data: Known, view: View) -> list[Row]:
    """Three series of percentiles."""
    points = grouped(timed_by_bucket(data, view), lambda use: bucket(use, view))
    named = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    return [(at, name, percentile(u, share)) for at, u in points.items() for name, share in named]


def overall(data: Known, view: View) -> list[Row]:
    uses = timed(data, view)
    return [tuple(percentile(uses, share) for share in (0.5, 0.95, 0.99))] if uses else []


def features(data: Known, view: View) -> list[Row]:
    return [
        (*of, sum(use.begins for use in uses), len(used(uses)), len(failed(uses)), share(uses))
        for of, uses in grouped(
            counted(data, view), lambda use: (use.surface, use.feature, use.event)
        ).items()
    ]


def share(uses: list[Use]) -> float | None:
    """Of those that ended the share that did not end well."""
    return len(failed(uses)) / len(ended(uses)) if ended(uses) else None


def actions(data: Known, view: View) -> list[Row]:
    counts = Counter((u.surface, u.feature, u.event, u.action) for u in counted(data, view))
    return [(*key, count) for key, count in counts.items()]


def versions(data: Known, view: View) -> list[Row]:
    return [
        (
            *of,
            min(use.day for use in uses),
            max(use.day for use in uses),
            len(used(uses)),
            len(failed(uses)),
            share(uses),
        )
        for of, uses in grouped(of_days(data, view), lambda u: (u.service, u.version)).items()
    ]


def features_by_version(data: Known, view: View) -> list[Row]:
    found = grouped(used(counted(data, view)), lambda u: (u.feature, u.service, u.version))
    return [(*of, len(uses), len(failed(uses)), share(uses)) for of, uses in found.items()]


def failures_by_version(data: Known, view: View) -> list[Row]:
    found = Counter((u.service, u.version, u.error) for u in failed(counted(data, view)))
    return [(*key, count) for key, count in found.items()]


def kinds(data: Known, view: View) -> list[Row]:
    return [
        (
            *of,
            len(uses),
            len({place(use) for use in uses}),
            min(use.day for use in uses),
            max(use.day for use in uses),
        )
        for of, uses in grouped(failed(of_days(data, view)), lambda u: (u.error, u.status)).items()
    ]


def failures(data: Known, view: View) -> list[Row]:
    def where(use: Use) -> tuple[str, str, str]:
        return use.surface, use.feature, use.provider or NONE

    uses = ended(counted(data, view))
    totals = Counter(map(where, uses))
    found = Counter((*where(use), use.error, use.status) for use in failed(uses))
    return [(*key, count, count / totals[key[:3]]) for key, count in found.items()]


def unfinished(data: Known, view: View) -> list[Row]:
    ending = [use for use in counted(data, view) if use.event != ENDLESS]
    found = grouped(ending, lambda use: (use.feature, use.event))
    tallies = {
        of: (sum(use.begins for use in uses), len(ended(uses))) for of, uses in found.items()
    }
    return [
        (*of, begun, done, max(begun - done, 0)) for of, (begun, done) in tallies.items() if begun
    ]


EVENTS: dict[str, Figures] = {
    "Uses": total(used),
    "Begun": total(lambda uses: [use for use in uses if use.begins]),
    "Failures": total(failed),
    "Failure rate": failure_rate,
    "Uses per ${bucket}, by surface": trend(used, lambda use: use.surface),
    "Uses per ${bucket}, by feature": uses_by_feature,
    "Uses per ${bucket}, by version": trend(used, version),
    "Occurrences per ${bucket}, by action": trend(list, lambda use: use.action),
    "Failures per ${bucket}, by error type": trend(failed, lambda use: use.error or NONE),
    "Failures per ${bucket}, by status": trend(failed, lambda use: use.status),
    "Failures per ${bucket}, by provider": trend(failed, lambda use: use.provider or NONE),
    "Failure rate per ${bucket}, by version": rates(version),
    "Failure rate per ${bucket}, by feature": rates_by_feature,
    "Features": features,
    "Occurrences by action": actions,
    "Versions": versions,
    "Features by version": features_by_version,
    "Failures by version": failures_by_version,
    "Kinds of failures": kinds,
    "Failures by feature, provider and error type": failures,
    "Begun and not ended": unfinished,
    "Percentiles": overall,
    "Observations": lambda data, view: [(len(timed(data, view)),)],
    "Durations per ${bucket}": durations,
    "p95 per ${bucket}, by surface": series(lambda use: use.surface),
    "p95 per ${bucket}, by feature": p95_by_feature,
    "p95 per ${bucket}, by version": series(version),
    "Latency by version": percentiles(lambda u: (u.feature, u.service, u.version), 0.5, 0.95),
    "Latency by feature": percentiles(lambda u: (u.surface, u.feature), 0.5, 0.95, 0.99),
    "Latency by action": percentiles(lambda u: (u.feature, u.event, u.action), 0.5, 0.95, 0.99),
}
"""Panels of what was used."""
