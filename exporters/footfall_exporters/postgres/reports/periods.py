"""What happened in a period, as dashboards ask for it (R-numbers C4, C5, C8): of the `reporting` views.

How often is counted by the hour, so that a period is as long as the hours that it touches. Distinct
pseudonyms are counted with the owner's rights, for nobody else reads one; all else with those of who asks.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from psycopg import Connection, sql

from footfall_exporters.postgres.asking import as_owner
from footfall_exporters.postgres.reports import reading
from footfall_exporters.postgres.reports.asked import Period
from footfall_exporters.postgres.reports.distinct import Span, distinct
from footfall_exporters.postgres.reports.newest import newest
from footfall_exporters.postgres.reports.state import freshness

Interval = Literal["hour", "day", "week", "month"]
INTERVALS: Final[Sequence[Interval]] = get_args(Interval)
TOP, TOP_OF_AN_INTERVAL = 10, 5
MOST_RECENT = 100
MOST_INTERVALS = 1000
_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
LEAST: Final[Mapping[Interval, dt.timedelta]] = {
    "hour": _HOUR,
    "day": _DAY,
    "week": 7 * _DAY,
    "month": 28 * _DAY,
}
"""How long an interval is at least."""
_COUNTS = "SELECT hour, event, sum(count)::bigint FROM {} GROUP BY 1, 2"
_TOTAL = "SELECT event, sum(count)::bigint FROM {} GROUP BY 1"
_RECENT = """
    SELECT * FROM reporting.events WHERE created_at >= %s AND created_at < %s
    ORDER BY created_at DESC, event_id LIMIT %s
"""
Json = dict[str, Any]
Counts = Mapping[dt.datetime, Counter[str]]
"""By hour and event."""


class Attributes(NamedTuple):
    """What is told apart.

    Attributes:
        users: The attribute that stands for a user.
        sessions: That of a session.
    """

    users: str
    sessions: str


def summary(connection: Connection, span: Span, interval: Interval, attributes: Attributes) -> Json:
    """Totals, counts by event, the ten most frequent, and how it went from interval to interval."""
    span = whole_hours(span)
    counts = _counts(connection, span, interval)
    total = _sum(counts)
    trends = [
        {"timestamp": written(each.since), "eventCount": _sum(counts, each).total()}
        for each in intervals(span, interval)
    ]
    return {
        "summary": {"totalEvents": total.total(), **_distinct(connection, span, attributes)},
        "eventCounts": dict(_most(total)),
        "topEvents": _top(total, TOP),
        "trends": trends,
        "period": _period(span),
    }


def metrics(connection: Connection, span: Span, interval: Interval, attributes: Attributes) -> Json:
    """Of each interval how many events, how many users, and the five most frequent events."""
    span = whole_hours(span)
    counts, parts = _counts(connection, span, interval), intervals(span, interval)
    with as_owner(connection):
        users = distinct(connection, attributes.users, parts)
    each = [
        {
            "timestamp": written(part.since),
            "eventCount": _sum(counts, part).total(),
            "uniqueUsers": number,
            "topEvents": _top(_sum(counts, part), TOP_OF_AN_INTERVAL),
        }
        for part, number in zip(parts, users, strict=True)
    ]
    return {"metrics": each, "interval": interval, "period": _period(span)}


def last_hour(connection: Connection, now: dt.datetime, attributes: Attributes) -> Json:
    """The last 60 minutes: this hour's counts, and of the hour before the share that is within them."""
    this = _hour_of(now)
    counts = _counts(connection, Span(this - _HOUR, now + _HOUR), "hour")
    share = 1 - (now - this) / _HOUR
    total = Counter[str]()
    for hour, found in counts.items():
        for event, number in found.items():
            total[event] += round(number * (share if hour < this else 1))
    return {
        "eventsLastHour": total.total(),
        "topEvents": _top(+total, TOP),
        "userActivity": _distinct(connection, Span(now - _HOUR, now), attributes),
    }


def events(connection: Connection, span: Span) -> Json:
    """How often which event was, the most frequent first."""
    span = whole_hours(span)
    query = sql.SQL(_TOTAL).format(reading.counts(Period(*span), ["event"]))
    total: Counter[str] = Counter(dict(connection.execute(query).fetchall()))
    return {"events": _top(total, len(total)), "period": _period(span)}


def recent(connection: Connection, span: Span) -> Json:
    """The newest observations, as the reporting view shows them; all until `position` were there."""

    def ask(part: Span, limit: int) -> list[Json]:
        cursor = connection.execute(_RECENT, [*part, limit])
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    fresh = freshness(connection)
    return {
        "events": newest(ask, span, MOST_RECENT, fresh.committed_at),
        "period": _period(span),
        "position": fresh.position,
    }


def whole_hours(span: Span) -> Span:
    """The hours that a span touches."""
    end = _hour_of(span.until)
    return Span(_hour_of(span.since), end if end == span.until else end + _HOUR)


def intervals(span: Span, interval: Interval) -> list[Span]:
    """The intervals that a span touches, the first and the last one cut to it."""
    return list(_intervals(span, interval))


def written(moment: dt.datetime) -> str:
    """ISO 8601, UTC."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _intervals(span: Span, interval: Interval) -> Iterator[Span]:
    since = span.since
    while since < span.until:
        until = min(_next(since, interval), span.until)
        yield Span(since, until)
        since = until


def _next(moment: dt.datetime, interval: Interval) -> dt.datetime:
    """When the next interval begins: weeks on Mondays, all of it in UTC."""
    if interval == "hour":
        return _hour_of(moment) + _HOUR
    day = _hour_of(moment).replace(hour=0)
    if interval == "month":
        return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    return day + dt.timedelta(days=7 - day.weekday() if interval == "week" else 1)


def _hour_of(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def _counts(connection: Connection, span: Span, interval: Interval) -> Counts:
    """By hour, or by days that begin with it where nobody tells the hours of a day apart."""
    counts: dict[dt.datetime, Counter[str]] = {}
    query = sql.SQL(_COUNTS).format(reading.counts(Period(*span), ["event"], [interval]))
    for hour, event, number in connection.execute(query).fetchall():
        counts.setdefault(hour, Counter())[event] = number
    return counts


def _sum(counts: Counts, span: Span | None = None) -> Counter[str]:
    total = Counter[str]()
    for hour, found in counts.items():
        if span is None or span.since <= hour < span.until:
            total.update(found)
    return total


def _distinct(connection: Connection, span: Span, attributes: Attributes) -> Json:
    with as_owner(connection):
        [users] = distinct(connection, attributes.users, [span])
        [sessions] = distinct(connection, attributes.sessions, [span])
    return {"uniqueUsers": users, "uniqueSessions": sessions}


def _most(total: Counter[str]) -> list[tuple[str, int]]:
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))


def _top(total: Counter[str], number: int) -> list[Json]:
    return [{"event": event, "count": count} for event, count in _most(total)[:number]]


def _period(span: Span) -> Json:
    return {"start": written(span.since), "end": written(span.until)}
