"""What outlives the observations: durations by hour, distinct groups by day (docs/design.md, "Rollups").

Durations are rolled up when their hour has closed, and anew when something came late. How many occurrences an
hour has (`feature_counts`, written by the same transaction as the observations) tells whether something did.
The reports read a day's durations from when its observations are dropped: what is done here before that only
spreads the work, what is done at the drop (`finish`) makes it exact.

Distinct groups are counted once, when their day has settled, and shown only then (ADR 22). Would what is sent
later move the number, then anybody who may send could ask it whether a group was there.
"""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from psycopg import AsyncConnection, sql

from footfall_processors.window import REACH

PARENT = "feature_events"
SETTLED = dt.timedelta(hours=6)
"""After its end a day waits so long for what comes late: retries, spools, devices that were offline."""
BUDGET = 20.0
"""Seconds after which the rest is left to the next look: other tasks wait meanwhile."""
LIMIT = 10**12
"""What a count stops at (statements.py): it tells nothing any more then, and is looked at every time."""
_DAY = dt.timedelta(days=1)
_LENGTH = {"latency": dt.timedelta(hours=1), "groups": _DAY}

_CHANGED = """
    SELECT c.start, c.counted FROM (
        SELECT date_trunc(%(unit)s, hour, 'UTC') AS start, sum(count) AS counted, max(count) AS most
        FROM footfall.feature_counts WHERE hour >= %(since)s AND hour < %(until)s GROUP BY 1
    ) AS c LEFT JOIN footfall.rolled_up r ON r.rollup = %(rollup)s AND r.start = c.start
    WHERE CASE %(rollup)s WHEN 'groups' THEN r.start IS NULL
               ELSE r.counted IS DISTINCT FROM c.counted OR c.most >= %(limit)s END
    AND NOT EXISTS (
        SELECT FROM footfall.dropped_days d WHERE d.day = (c.start AT TIME ZONE 'UTC')::date
    ) ORDER BY c.start
"""
_LATENCY = """
    INSERT INTO footfall.latency_hourly AS l (hour, dim_id, buckets, counts)
    SELECT hour, dim_id, array_agg(bucket ORDER BY bucket), array_agg(n ORDER BY bucket) FROM (
        SELECT date_trunc('hour', time, 'UTC') AS hour, dim_id,
               footfall.latency_bucket(duration_ms) AS bucket, count(*) AS n
        FROM footfall.{source} WHERE time >= %s AND time < %s AND duration_ms IS NOT NULL
        GROUP BY 1, 2, 3
    ) AS found GROUP BY hour, dim_id
    ON CONFLICT (hour, dim_id) DO UPDATE SET (buckets, counts) = (
        SELECT array_agg(bucket ORDER BY bucket), array_agg(n ORDER BY bucket) FROM (
            SELECT bucket, sum(n)::bigint AS n FROM (
                SELECT * FROM unnest(l.buckets, l.counts) AS before (bucket, n)
                UNION ALL SELECT * FROM unnest(excluded.buckets, excluded.counts) AS late (bucket, n)
            ) AS both_of_them GROUP BY bucket
        ) AS merged
    )
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
        number: Hours or days that were made, or made anew.
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


async def roll_up_latency(connection: AsyncConnection, now: dt.datetime) -> RolledUp:
    """Brings the closed hours of the last days up to date.

    Args:
        connection: In autocommit mode.
        now: The hours that ended before it are closed.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    until = now.replace(minute=0, second=0, microsecond=0)
    return await _catch_up(connection, "latency", until - REACH, until)


async def roll_up_groups(connection: AsyncConnection, now: dt.datetime) -> RolledUp:
    """Counts the groups of the last days (UTC) that have settled, each once; see `roll_up_latency`."""
    until = (now - SETTLED).replace(hour=0, minute=0, second=0, microsecond=0)
    return await _catch_up(connection, "groups", until - REACH, until)


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
    first = dt.datetime.combine(day, dt.time(), dt.UTC)
    known = await connection.execute("SELECT FROM footfall.dropped_days WHERE day = %s", [day])
    if known.rowcount:
        await _add_latency(connection, table, first, first + _DAY)
        return
    for rollup in _LENGTH:
        if changed := await _changed(connection, rollup, first, first + _DAY):
            await _renew(connection, rollup, table, changed)
    await connection.execute("INSERT INTO footfall.dropped_days (day) VALUES (%s)", [day])


async def renew_latency(connection: AsyncConnection, hours: Sequence[dt.datetime]) -> None:
    """Makes the durations of hours anew of which observations were taken away, where they are rolled up.

    A day that was dropped, and came back, has its durations from before; they stay.

    Args:
        connection: In the transaction that takes them away.
        hours: By their beginnings.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = await connection.execute(
        "SELECT r.start, (SELECT coalesce(sum(count), 0) FROM footfall.feature_counts WHERE hour = r.start)"
        " FROM footfall.rolled_up r WHERE r.rollup = 'latency' AND r.start = ANY(%s) AND NOT EXISTS ("
        "    SELECT FROM footfall.dropped_days d WHERE d.day = (r.start AT TIME ZONE 'UTC')::date)",
        [list(hours)],
    )
    for start, counted in await found.fetchall():
        await _renew(connection, "latency", PARENT, [(start, counted)])


async def _catch_up(
    connection: AsyncConnection, rollup: str, since: dt.datetime, until: dt.datetime
) -> RolledUp:
    begun, done = time.monotonic(), 0
    changed = await _changed(connection, rollup, since, until)
    for _, found in groupby(changed, key=lambda each: each[0].date()):
        if time.monotonic() - begun > BUDGET:
            break
        of_a_day = list(found)
        async with connection.transaction():
            await _renew(connection, rollup, PARENT, of_a_day)
        done += len(of_a_day)
    return RolledUp(done, done < len(changed))


async def _renew(
    connection: AsyncConnection,
    rollup: str,
    table: str,
    changed: Sequence[tuple[dt.datetime, int]],
) -> None:
    """Makes what has changed of a day, and what lies between: a day's partition is read once."""
    start, end = changed[0][0], changed[-1][0] + _LENGTH[rollup]
    await _make(connection, rollup, table, start, end)
    for each, counted in changed:
        await _note(connection, rollup, each, counted)


async def _changed(
    connection: AsyncConnection, rollup: str, since: dt.datetime, until: dt.datetime
) -> list[tuple[dt.datetime, int]]:
    """What is to be made (anew), with its number of occurrences: read before the observations are."""
    unit = "hour" if rollup == "latency" else "day"
    found = await connection.execute(
        _CHANGED, {"unit": unit, "rollup": rollup, "since": since, "until": until, "limit": LIMIT}
    )
    return [(start.astimezone(dt.UTC), counted) for start, counted in await found.fetchall()]


async def _note(connection: AsyncConnection, rollup: str, start: dt.datetime, counted: int) -> None:
    await connection.execute(
        "INSERT INTO footfall.rolled_up VALUES (%s, %s, %s)"
        " ON CONFLICT (rollup, start) DO UPDATE SET counted = excluded.counted",
        [rollup, start, counted],
    )


async def _make(
    connection: AsyncConnection, rollup: str, table: str, start: dt.datetime, end: dt.datetime
) -> None:
    if rollup == "groups":
        await _make_groups(connection, table, start, end)
        return
    await connection.execute(
        "DELETE FROM footfall.latency_hourly WHERE hour >= %s AND hour < %s", [start, end]
    )
    await _add_latency(connection, table, start, end)


async def _add_latency(
    connection: AsyncConnection, table: str, start: dt.datetime, end: dt.datetime
) -> None:
    query = sql.SQL(_LATENCY).format(source=sql.Identifier(table))
    await connection.execute(query, [start, end])


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
