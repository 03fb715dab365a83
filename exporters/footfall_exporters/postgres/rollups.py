"""What outlives the observations: durations (latency.py), distinct groups by day (docs/design.md, "Rollups").

Distinct groups are counted once, when their day has settled, and shown only then (ADR 22). Would what is sent
later move the number, then anybody who may send could ask it whether a group was there.
"""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection, sql

from footfall_exporters.postgres import latency
from footfall_processors.window import REACH

PARENT = "feature_events"
SETTLED = dt.timedelta(hours=6)
"""After its end a day waits so long for what comes late: retries, spools, devices that were offline."""
BUDGET = 20.0
"""Seconds after which the rest is left to the next look: other tasks wait meanwhile."""
_DAY = dt.timedelta(days=1)
_UNCOUNTED = """
    SELECT c.day, c.counted FROM (
        SELECT date_trunc('day', hour, 'UTC') AS day, sum(count) AS counted
        FROM footfall.feature_counts WHERE hour >= %(since)s AND hour < %(until)s GROUP BY 1
    ) AS c
    WHERE NOT EXISTS (SELECT FROM footfall.rolled_up r WHERE r.rollup = 'groups' AND r.start = c.day)
    AND NOT EXISTS (
        SELECT FROM footfall.dropped_days d WHERE d.day = (c.day AT TIME ZONE 'UTC')::date
    ) ORDER BY c.day
"""
_GROUPS = """
    INSERT INTO footfall.groups_daily (day, attribute, kind, groups)
    SELECT %(day)s, %(attribute)s, %(kind)s, CASE WHEN
        count(*) FILTER (WHERE made_at > %(start)s)
        + max(CASE WHEN made_at <= %(start)s THEN 1 ELSE 0 END) > 1 THEN NULL ELSE %(number)s::bigint END
    FROM footfall.salt_log
    WHERE kind = %(kind)s AND period = footfall.salt_period(%(kind)s, %(day)s)
    ON CONFLICT (day, attribute) DO NOTHING
"""
"""NULL where more than one salt was in force since the day began: one group would count twice."""


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What a call has done.

    Attributes:
        number: Days that were counted.
        more: Whether some are left, because it took long.
    """

    number: int
    more: bool


@dataclass(frozen=True, slots=True)
class _Hashed:
    """A column of hashed values."""

    attribute: str
    column: str
    kind: str


async def roll_up_groups(connection: AsyncConnection, now: dt.datetime) -> RolledUp:
    """Counts the groups of the last days (UTC) that have settled, each once.

    Args:
        connection: In autocommit mode.
        now: The days that ended SETTLED before it have settled.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    until = (now - SETTLED).replace(hour=0, minute=0, second=0, microsecond=0)
    begun, done = time.monotonic(), 0
    uncounted = await _uncounted(connection, until - REACH, until)
    for start, counted in uncounted:
        if time.monotonic() - begun > BUDGET:
            break
        async with connection.transaction():
            await _count(connection, PARENT, start, counted)
        done += 1
    return RolledUp(done, done < len(uncounted))


async def finish(connection: AsyncConnection, table: str, day: dt.date) -> None:
    """Rolls a day up for good, inside the transaction that drops its detached partition.

    A day may come back, when something is stored for it after its drop. Durations are added then; its groups
    have been counted.

    Args:
        connection: In a transaction.
        table: The detached partition; nobody writes there.
        day: Its day (UTC).

    Raises:
        psycopg.Error: Postgres refused.
    """
    await latency.finish(connection, table, day)
    first = dt.datetime.combine(day, dt.time(), dt.UTC)
    for start, counted in await _uncounted(connection, first, first + _DAY):
        await _count(connection, table, start, counted)
    await connection.execute(
        "INSERT INTO footfall.dropped_days (day) VALUES (%s) ON CONFLICT DO NOTHING", [day]
    )


async def _uncounted(
    connection: AsyncConnection, since: dt.datetime, until: dt.datetime
) -> list[tuple[dt.datetime, int]]:
    """The days whose groups are to be counted, with their number of occurrences: read before those are."""
    found = await connection.execute(_UNCOUNTED, {"since": since, "until": until})
    return [(start.astimezone(dt.UTC), counted) for start, counted in await found.fetchall()]


async def _count(connection: AsyncConnection, table: str, start: dt.datetime, counted: int) -> None:
    await _make_groups(connection, table, start, start + _DAY)
    await connection.execute(
        "INSERT INTO footfall.rolled_up VALUES ('groups', %s, %s)"
        " ON CONFLICT (rollup, start) DO UPDATE SET counted = excluded.counted",
        [start, counted],
    )


async def _make_groups(
    connection: AsyncConnection, table: str, start: dt.datetime, end: dt.datetime
) -> None:
    known = {"day": start.date(), "start": start}
    for hashed, number in await _distinct(connection, table, start, end):
        found = {"attribute": hashed.attribute, "kind": hashed.kind, "number": number}
        await connection.execute(_GROUPS, known | found)


async def _distinct(
    connection: AsyncConnection, table: str, start: dt.datetime, end: dt.datetime
) -> list[tuple[_Hashed, int]]:
    """The hashed attributes that have values at all, with how many are distinct."""
    hashed = await _hashed(connection, table)
    if not hashed:
        return []
    numbers = sql.SQL(", ").join(
        sql.SQL("count(DISTINCT {})").format(sql.Identifier(each.column)) for each in hashed
    )
    query = sql.SQL("SELECT {} FROM footfall.{} WHERE time >= %s AND time < %s")
    found = await connection.execute(query.format(numbers, sql.Identifier(table)), [start, end])
    row: Sequence[int] = await found.fetchone() or ()
    return [(each, number) for each, number in zip(hashed, row, strict=True) if number]


async def _hashed(connection: AsyncConnection, table: str) -> list[_Hashed]:
    """The columns of hashed values that a table has; one that was detached earlier may lack the newest."""
    found = await connection.execute(
        "SELECT c.attribute, c.column_name, c.hash FROM footfall.catalog_columns c"
        " JOIN pg_attribute a ON a.attname = c.column_name AND NOT a.attisdropped"
        " WHERE c.table_name = %s AND c.hash IS NOT NULL"
        " AND a.attrelid = to_regclass('footfall.' || quote_ident(%s)) ORDER BY 1",
        [PARENT, table],
    )
    return [_Hashed(*row) for row in await found.fetchall()]
