"""Where counts of a period are read: its whole days from the view of days, its ends by the hour (ADR 43).

Days are a twenty-fourth as many rows. They know their hours: where hours are asked for, or the days of a time
zone, rows of days are added up first, and taken apart then.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Final

from psycopg import sql

from footfall_exporters.postgres.reports.asked import Period
from footfall_exporters.postgres.reports.zones import UTC, zone_of
from footfall_processors import window

HOURS, DAYS = "usage", "usage_by_day"
"""The views."""
_DAY, _HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
_OF_HOURS = """
    SELECT {hour} AS hour, count{columns} FROM reporting.usage WHERE hour >= {since} AND hour < {until}
"""
_OF_DAYS = """
    SELECT {day} AS hour, count{columns} FROM reporting.usage_by_day WHERE {days}
"""
_APART = """
    SELECT h.hour, h.count{columns} FROM (
        SELECT day, sum(hours) AS hours{columns}
        FROM reporting.usage_by_day WHERE {days} GROUP BY day{columns}
    ) AS d, LATERAL reporting.hours_of(d.day, d.hours) AS h
"""
_CUT = """
    SELECT h.hour, h.count{columns} FROM (
        SELECT day, sum(count)::bigint AS count, sum({before})::bigint AS before{columns}
        FROM reporting.usage_by_day WHERE {days} GROUP BY day{columns}
    ) AS d, LATERAL (VALUES (d.day::timestamp AT TIME ZONE 'UTC', d.before),
                            ((d.day + {after}) AT TIME ZONE 'UTC', d.count - d.before)
    ) AS h (hour, count)
    WHERE h.count > 0
"""
_BEFORE = "mod(hours - trunc(hours, {places}), {ones})"
_NOT_AFTER = "count - mod(div(hours, {power}), {ones})"
_DIGITS: Final = 20
"""Of an hour; so many nines are 0 modulo themselves, and 10^20 is 1: the rest is the sum of the hours."""
_ONES: Final = Decimal(10**_DIGITS - 1)
_FOREVER: Final = sql.SQL("'infinity'")
_OPEN: Final = "(SELECT CASE WHEN {until} > now() + {ahead} THEN 'infinity' ELSE {last} END)"
_AHEAD: Final = 2 * _DAY
"""Senders' clocks may be ahead."""


def counts(
    period: Period,
    columns: Sequence[str],
    steps: Iterable[str] = (),
    zone: str = UTC,
    *,
    local: bool = False,
) -> sql.Composable:
    """What stands for `reporting.usage` in a FROM, of a period alone: the same sums, of fewer rows.

    Args:
        period: Of whole hours.
        columns: Those that are asked for beside `hour` and `count`.
        steps: Of time, that are told apart: `hour`, `day`, `week`, `month`.
        zone: Whose days these are.
        local: Whether `hour` is to be without a time zone, which is UTC: its days are reckoned faster.
    """
    first, last = _days(period)
    end = _end(period.until, last)
    names = sql.Composed([sql.SQL(", {}").format(sql.Identifier(name)) for name in columns])
    parts = {
        "columns": names,
        "hour": sql.SQL("hour AT TIME ZONE 'UTC'" if local else "hour"),
        "day": sql.SQL("day::timestamp" if local else "day::timestamp AT TIME ZONE 'UTC'"),
    }
    if last is not None and last - first < _DAY:
        return _counted(_hours(parts, period.since, period.until))
    days: list[sql.Composable]
    if "hour" in steps:
        days = [sql.SQL(_APART).format(**parts, days=_within(first, end))]
    elif zone != UTC and [*steps]:
        days = [*_cut(zone, first, last, end, names)]
    else:
        days = [sql.SQL(_OF_DAYS).format(**parts, days=_within(first, end))]
    ends = (*_hours(parts, period.since, first), *_hours(parts, last, period.until, end))
    return _counted([*ends, *days])


def _hours(
    parts: Mapping[str, sql.Composable],
    since: dt.datetime | None,
    until: dt.datetime | None,
    begin: sql.Composable | None = None,
) -> list[sql.Composable]:
    """What is read by the hour, if anything is: from `since` on, or from where the statement begins it."""
    if since is None or until is None or since >= until:
        return []
    whole = {"since": begin or sql.Literal(since), "until": sql.Literal(until)}
    return [sql.SQL(_OF_HOURS).format(**parts, **whole)]


def _counted(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL("({}) AS counted").format(sql.SQL(" UNION ALL ").join(parts))


def _days(period: Period) -> tuple[dt.datetime, dt.datetime | None]:
    """The first day that is whole in a period, and the first one after it that is not."""
    first = Period(period.since, period.since).whole(_DAY).until
    last = period.until and Period(period.until, None).whole(_DAY).since
    return first or period.since, last


def _end(until: dt.datetime | None, last: dt.datetime | None) -> sql.Composable:
    """Up to when whole days are read: with the last one, where nothing can be stored that is later.

    Then today is read as a day. The clock that says what can be stored is Postgres', not that of who asks.
    """
    if last is None or until is None:
        return _FOREVER
    if until == last or until < dt.datetime.now(dt.UTC) - _DAY:  # long over, whatever the clock
        return sql.Literal(last)
    return sql.SQL(_OPEN).format(
        until=sql.Literal(until), ahead=sql.Literal(window.FUTURE), last=sql.Literal(last)
    )


def _within(first: dt.datetime, end: sql.Composable) -> sql.Composable:
    within = sql.SQL("day >= {} AND day < ({}::timestamptz AT TIME ZONE 'UTC')::date")
    return within.format(sql.Literal(first.date()), end)


def _cut(
    zone: str,
    first: dt.datetime,
    last: dt.datetime | None,
    end: sql.Composable,
    names: sql.Composed,
) -> Iterator[sql.Composable]:
    """Days of UTC in two, where a day of the zone begins in them; a part for each offset of its clocks."""
    beyond = last + _DAY if last else max(first, dt.datetime.now(dt.UTC)) + _AHEAD
    days = [first + n * _DAY for n in range(max(1, (beyond - first) // _DAY))]
    spans = [(cut, [*of]) for cut, of in groupby(days, key=_cutter(zone_of(zone)))]
    for n, (cut, of) in enumerate(spans):
        within = [_within(of[0], end)]
        if n < len(spans) - 1:
            within.append(_within(of[0], sql.Literal(of[-1] + _DAY)))
        yield sql.SQL(_CUT).format(
            columns=names,
            days=sql.SQL(" AND ").join(within),
            before=_before(cut),
            after=sql.Literal(cut * _HOUR),
        )


def _before(cut: int) -> sql.Composable:
    """How many of a day's count are before an hour; of the shorter part the digits are added."""
    if cut <= 12:
        return sql.SQL(_BEFORE).format(places=sql.Literal(-_DIGITS * cut), ones=sql.Literal(_ONES))
    power = sql.Literal(Decimal(10) ** (_DIGITS * cut))
    return sql.SQL(_NOT_AFTER).format(power=power, ones=sql.Literal(_ONES))


def _cutter(zone: dt.tzinfo) -> Callable[[dt.datetime], int]:
    """Says with which hour of a day the zone's date changes."""

    def cut(day: dt.datetime) -> int:
        dates = [(day + n * _HOUR).astimezone(zone).date() for n in range(24)]
        return next((n for n, date in enumerate(dates) if date != dates[0]), 0)

    return cut
