"""What somebody looks at who asks whether events arrive (R-number C8): how often each came, and the newest.

Of the views of `reporting`, in which no pseudonym is.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from psycopg import Connection, sql

from footfall_exporters.postgres.reports.asked import WrongQuestion
from footfall_exporters.postgres.reports.building import Columns
from footfall_exporters.postgres.reports.distinct import Span
from footfall_exporters.postgres.reports.newest import newest
from footfall_exporters.postgres.reports.state import (
    OtherViews,
    freshness,
    of_this_version,
    views_of,
)

MOST_RECENT: Final = 1000
_LEFT_OUT: Final = frozenset({"event_id", "day_bucket", "event_name", "surface", "feature"})
"""Columns of `reporting.events` that name a row, or say what its event's name says."""
_FIRST: Final = ("created_at", "event", "action", "status", "error_type", "duration_ms")
_ALIASES: Final = {"version": "service_version"}
_BACK: Final = dt.timedelta(days=10)
_AHEAD: Final = dt.timedelta(days=2)
"""Senders' clocks may be ahead."""
_STATS: Final = """
    WITH used AS (
        SELECT event, sum(count) AS count, sum(count) FILTER (WHERE day > %(today)s - 7) AS week,
               sum(count) FILTER (WHERE day >= %(today)s) AS today
        FROM reporting.usage_by_day GROUP BY event
    ), latest AS (
        SELECT event, sum(count) AS count FROM reporting.usage WHERE hour >= %(hour)s GROUP BY event
    )
    SELECT event, coalesce(u.count, 0)::bigint, coalesce(u.week, 0)::bigint,
           coalesce(u.today, 0)::bigint, coalesce(l.count, 0)::bigint, c.last_used
    FROM used u FULL JOIN latest l USING (event)
    FULL JOIN (SELECT event, last_used FROM reporting.catalog WHERE declared OR last_used IS NOT NULL) c
        USING (event)
    ORDER BY 2 DESC, 1
"""
_RECENT: Final = """
    SELECT {columns} FROM reporting.events
    WHERE created_at >= {since} AND created_at < {until} AND {condition}
    ORDER BY created_at DESC, event_id LIMIT {limit}
"""


@dataclass(frozen=True, slots=True)
class Stats:
    """How often an event came.

    Attributes:
        event: Its name.
        count: In all that is kept.
        week: In the last 7 days (UTC), today included.
        today: Today (UTC).
        hour: In this hour.
        last_used: The hour in which it came last; None where that is not known, or never.
    """

    event: str
    count: int
    week: int
    today: int
    hour: int
    last_used: dt.datetime | None

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Recent(NamedTuple):
    """Single observations, the newest first.

    Attributes:
        columns: Names of columns of `reporting.events`.
        rows: A value for each.
    """

    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]


def stats(connection: Connection, now: dt.datetime) -> list[Stats]:
    """Of each event that is declared, or has come, how often it came; the most frequent first.

    Args:
        connection: Of any role that may read `reporting`.
        now: UTC.

    Raises:
        NotThere, OtherViews, psycopg.Error: the database cannot be asked.
    """
    views_of(connection)
    hour = now.replace(minute=0, second=0, microsecond=0)
    with of_this_version():
        found = connection.execute(_STATS, {"today": now.date(), "hour": hour})
    return [Stats(*row) for row in found.fetchall()]


def recent(
    connection: Connection, where: Mapping[str, Sequence[str]], limit: int, now: dt.datetime
) -> Recent:
    """The newest observations that fit, by when they were, of the last ten days.

    Args:
        connection: Of any role that may read `reporting`.
        where: By column the values of which one has to be there; an empty one stands for none.
        limit: How many at most.
        now: UTC.

    Raises:
        WrongQuestion: there is no such column.
        NotThere, OtherViews, psycopg.Error: the database cannot be asked.
    """
    there = views_of(connection).get("events")
    if there is None:
        raise OtherViews
    columns = [*_FIRST, *(n for n in there if n not in _LEFT_OUT and n not in _FIRST)]
    condition = sql.SQL(" AND ").join([sql.SQL("true"), *_conditions(there, where)])

    def ask(part: Span, limit: int) -> list[tuple[Any, ...]]:
        statement = sql.SQL(_RECENT).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            since=sql.Literal(part.since),
            until=sql.Literal(part.until),
            condition=condition,
            limit=sql.Literal(limit),
        )
        with of_this_version():
            return connection.execute(statement).fetchall()

    last = freshness(connection).committed_at
    return Recent(columns, newest(ask, Span(now - _BACK, now + _AHEAD), limit, last))


def _conditions(there: Columns, where: Mapping[str, Sequence[str]]) -> Iterator[sql.Composable]:
    for named, values in where.items():
        name = _ALIASES.get(named, named)
        if there.get(name) not in ("text", "boolean"):
            columns = [
                n for n, of in there.items() if of in ("text", "boolean") and n != "event_id"
            ]
            raise WrongQuestion(
                "where", "events have no such column to ask for", f"there are {', '.join(columns)}"
            )
        column = sql.Identifier(name)
        held = sql.SQL("{}::text = ANY({})").format(column, sql.Literal(list(values)))
        yield sql.SQL("({} IS NULL OR {})").format(column, held) if "" in values else held
