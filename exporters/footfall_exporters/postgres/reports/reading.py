"""Where counts of a period are read: its whole days from the view of days, its ends by the hour (ADR 43).

Days are a twenty-fourth as many rows. They know their hours: where hours are asked for, or the days of a time
zone, rows of days are added up first, and taken apart then.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Final

from psycopg import sql

from footfall_exporters.postgres.reports.asked import Period
from footfall_exporters.postgres.reports.zones import zone_of

HOURS, DAYS = "usage", "usage_by_day"
"""The views."""
_DAY, _HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
_OF_HOURS = (
    "SELECT hour, count{columns} FROM reporting.usage WHERE hour >= {since} AND hour < {until}"
)
_OF_DAYS = """
    SELECT day::timestamp AT TIME ZONE 'UTC' AS hour, count{columns}
    FROM reporting.usage_by_day WHERE {days}
"""
_SUMMED = """
    SELECT day, sum(count)::bigint AS count, sum(hours) AS hours{columns}
    FROM reporting.usage_by_day WHERE {days} GROUP BY day{columns}
"""
_APART = f"""
    SELECT h.hour, h.count{{columns}}
    FROM ({_SUMMED}) AS d, LATERAL reporting.hours_of(d.day, d.hours) AS h
"""  # noqa: S608  # a constant
_CUT = f"""
    SELECT h.hour, h.count{{columns}}
    FROM ({_SUMMED}) AS d, LATERAL (SELECT {{cut}} AS cut OFFSET 0) AS c,
         LATERAL (SELECT reporting.count_before(d.hours, c.cut) AS count OFFSET 0) AS b,
         LATERAL (VALUES (d.day::timestamp AT TIME ZONE 'UTC', b.count),
                         ((d.day + c.cut * interval '1 hour') AT TIME ZONE 'UTC', d.count - b.count)
         ) AS h (hour, count)
    WHERE h.count > 0
"""  # noqa: S608  # a constant
_FOREVER: Final = sql.SQL("'infinity'")
_AHEAD: Final = 2 * _DAY
"""Senders' clocks may be ahead."""


def counts(
    period: Period, columns: Sequence[str], steps: Iterable[str] = (), zone: str = "UTC"
) -> sql.Composable:
    """What stands for `reporting.usage` in a FROM, of a period alone: the same sums, of fewer rows.

    Args:
        period: Of whole hours.
        columns: Those that are asked for beside `hour` and `count`.
        steps: Of time, that are told apart: `hour`, `day`, `week`, `month`.
        zone: Whose days these are.
    """
    first, last = _days(period)
    names = sql.Composed([sql.SQL(", {}").format(sql.Identifier(name)) for name in columns])
    if last is not None and last - first < _DAY:
        return _counted(_hours(names, period.since, period.until))
    whole = {"columns": names, "days": _within(first, last)}
    if "hour" in steps:
        days = sql.SQL(_APART).format(**whole)
    elif zone != "UTC" and [*steps]:
        days = sql.SQL(_CUT).format(**whole, cut=_cuts(zone, first, last))
    else:
        days = sql.SQL(_OF_DAYS).format(**whole)
    ends = (*_hours(names, period.since, first), *_hours(names, last, period.until))
    return _counted([*ends, days])


def _hours(
    names: sql.Composed, since: dt.datetime | None, until: dt.datetime | None
) -> list[sql.Composable]:
    """What is read by the hour, if anything is."""
    if since is None or until is None or since >= until:
        return []
    whole = {"since": sql.Literal(since), "until": sql.Literal(until)}
    return [sql.SQL(_OF_HOURS).format(columns=names, **whole)]


def _counted(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL("({}) AS counted").format(sql.SQL(" UNION ALL ").join(parts))


def _days(period: Period) -> tuple[dt.datetime, dt.datetime | None]:
    """The first day that is whole in a period, and the first one after it that is not."""
    first = Period(period.since, period.since).whole(_DAY).until
    last = period.until and Period(period.until, None).whole(_DAY).since
    return first or period.since, last


def _within(first: dt.datetime, last: dt.datetime | None) -> sql.Composable:
    until = sql.Literal(last.date()) if last else _FOREVER
    return sql.SQL("day >= {} AND day < {}").format(sql.Literal(first.date()), until)


def _cuts(zone: str, first: dt.datetime, last: dt.datetime | None) -> sql.Composable:
    """The hour of each day of UTC with which a day of the zone begins; 0: none but its first."""
    there = zone_of(zone)
    end = last or max(first, dt.datetime.now(dt.UTC)) + _AHEAD
    days = [first + n * _DAY for n in range(max(1, (end - first) // _DAY))]
    each = [(cut, [*of][-1]) for cut, of in groupby(days, key=_cutter(there))]
    cases = [
        sql.SQL(" WHEN d.day <= {} THEN {}").format(sql.Literal(until.date()), sql.Literal(cut))
        for cut, until in each[:-1]
    ]
    return sql.SQL("CASE{} ELSE {} END").format(
        sql.Composed(cases or [sql.SQL(" WHEN false THEN 0")]), sql.Literal(each[-1][0])
    )


def _cutter(zone: dt.tzinfo) -> Callable[[dt.datetime], int]:
    """Says with which hour of a day the zone's date changes."""

    def cut(day: dt.datetime) -> int:
        dates = [(day + n * _HOUR).astimezone(zone).date() for n in range(24)]
        return next((n for n, date in enumerate(dates) if date != dates[0]), 0)

    return cut
