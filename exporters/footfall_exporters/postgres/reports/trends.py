"""How a figure of each row went from day to day, or from hour to hour of a period of two days at most."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from psycopg import Connection

from footfall_exporters.postgres.reports import Report, ask
from footfall_exporters.postgres.reports.asked import Asked, Period
from footfall_exporters.postgres.reports.building import DAY, HOUR, steps_of
from footfall_exporters.postgres.reports.kinds import KINDS
from footfall_exporters.postgres.reports.zones import zone_of

MOST: Final = 14
"""Steps of a trend; of a longer period each is the average of some days."""
Trend = Sequence[float | None]


def trends(connection: Connection, asked: Asked, found: Report) -> list[Trend]:
    """The trend of each row of a report; none at all where there is none to be shown.

    Args:
        connection: That of the report.
        asked: What was asked.
        found: What was answered.

    Raises:
        psycopg.Error: Postgres refused.
    """
    kind = KINDS[found.name]
    keys = list(asked.by or kind.by)
    measure = next((m for m in kind.measures if m.name == kind.trend), None)
    if measure is None or found.since is None or not found.rows:
        return []
    hourly = "hour" in steps_of(kind) and measure.adds
    steps = steps_between(Period(found.since, found.until), hourly=hourly, zone=zone_of(found.zone))
    if (
        set(keys) & set(steps_of(kind))
        or len(steps) < 2
        or not (measure.adds or len(steps) <= MOST)
    ):
        return []
    step = "hour" if isinstance(steps[0], dt.datetime) else "day"
    by_step = ask(connection, found.name, replace(asked, step=step, limit=None))
    figures = _figures(by_step, step, measure.name)
    missing = 0 if measure.adds else None
    each = [figures.get(row[: len(keys)], {}) for row in found.rows]
    return [merged([known.get(at, missing) for at in steps]) for known in each]


def steps_between(period: Period, *, hourly: bool, zone: dt.tzinfo = dt.UTC) -> list[Any]:
    """The days of a period in a zone, up to now; its hours where it is no longer than two days."""
    since, until = period.since, period.until or dt.datetime.now(dt.UTC)
    if hourly and until - since <= 2 * DAY:
        return [since + n * HOUR for n in range(-((since - until) // HOUR))]
    first = since.astimezone(zone).date()
    last = (until - dt.timedelta(microseconds=1)).astimezone(zone).date()
    return [first + n * DAY for n in range((last - first).days + 1)]


def merged(values: Sequence[float | None], most: int = MOST) -> Trend:
    """Values as averages of so many together that there are no more than some."""
    size = -(-len(values) // most)
    if size < 2:
        return values
    first = len(values) % size or size
    ends = range(first, len(values) + 1, size)
    parts = [values[max(0, end - size) : end] for end in ends]
    return [sum(value or 0 for value in part) / len(part) for part in parts]


def _figures(
    found: Report, step: str, measure: str
) -> Mapping[tuple[Any, ...], Mapping[Any, float]]:
    """By key and step."""
    at, value = found.columns.index(step), found.columns.index(measure)
    figures: dict[tuple[Any, ...], dict[Any, float]] = {}
    for row in found.rows:
        figures.setdefault(row[:at], {})[row[at]] = row[value]
    return figures
