"""Distinct groups by day, week and month, in all and of what they used (docs/design.md, "Rollups"; ADR 35).

Of a day there is as well how many of them used how many features: its depth (ADR 41). It is counted with the
day, or by itself where an earlier Footfall has counted that.

A period is counted once, when it has settled, and shown only then (ADR 22). Would what is sent later move the
number, then anybody who may send could ask it whether a group was there.
"""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Final, NamedTuple

from psycopg import AsyncConnection, sql

from footfall_exporters.postgres.queries import query

PARENT: Final = "feature_events"
SETTLED: Final = dt.timedelta(hours=6)
"""After its end a period waits so long for what comes late: retries, spools, devices that were offline."""
BUDGET: Final = 20.0
"""Seconds after which the rest is left to the next look: other tasks wait meanwhile."""
_PLANNED: Final = "SET LOCAL work_mem = '64MB'; SET LOCAL enable_nestloop = off"
"""Of what is new Postgres expects one row, and would look up the others one by one."""
_OBSERVED = """
    SELECT dim_id, sample_rate, {column} AS hash FROM footfall.{table}
    WHERE time >= %(start)s::date::timestamp AT TIME ZONE 'UTC'
    AND time < %(end)s::date::timestamp AT TIME ZONE 'UTC' AND {column} IS NOT NULL
"""
_CLAIM = "INSERT INTO footfall.groups_counted VALUES (%s, %s) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a call has done.

    Attributes:
        days: That were counted.
        longer: Weeks and months that were.
        left: Days, weeks and months that are to be counted still, because it took long.
    """

    days: int
    longer: int
    left: int


class _Span(NamedTuple):
    name: str
    start: dt.date

    @property
    def end(self) -> dt.date:
        """The first day that is not in it."""
        if self.name == "month":
            return (self.start + dt.timedelta(days=31)).replace(day=1)
        return self.start + dt.timedelta(days=7 if self.name == "week" else 1)


class _Hashed(NamedTuple):
    """A column of hashed values."""

    attribute: str
    column: str
    kind: str


async def count_settled(connection: AsyncConnection, now: dt.datetime) -> Counted:
    """Counts the groups of periods (UTC) that have settled, each once: days first, the newest first.

    Args:
        connection: In autocommit mode.
        now: The periods that ended SETTLED before it have settled.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    until = (now.astimezone(dt.UTC) - SETTLED).date()
    end = time.monotonic() + BUDGET
    days = await _uncounted(connection, "groups_uncounted_days", until)
    done = await _count_some(connection, days, end)
    if done < len(days):
        return Counted(done, 0, len(days) - done)
    spans = await _uncounted(connection, "groups_uncounted_spans", until)
    longer = await _count_some(connection, spans, end)
    return Counted(done, longer, len(spans) - longer)


async def settle(connection: AsyncConnection, day: dt.date) -> None:
    """Counts what a day is in and has ended, before some of its observations go.

    A week or a month that has not settled loses them, and is unknown for good.

    Args:
        connection: In autocommit mode.
        day: UTC; it is over.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    for span in (*_of(day), *await _longer(connection, day)):
        async with connection.transaction():
            await _count(connection, span, [PARENT])


async def finish(connection: AsyncConnection, table: str, day: dt.date) -> None:
    """Counts what a day is in, in the transaction that drops its detached partition.

    A day may come back, when something is stored for it after its drop. Its groups have been counted then. A
    week or a month that has not settled has lost it, and is unknown for good.

    Args:
        connection: In a transaction; `dropped_days` does not have the day yet, unless it came back.
        table: The detached partition; nobody writes there.
        day: Its day (UTC).

    Raises:
        psycopg.Error: Postgres refused.
    """
    known = "SELECT EXISTS (SELECT FROM footfall.dropped_days WHERE day = %s)"
    [dropped] = await (await connection.execute(known, [day])).fetchone() or [True]
    if dropped:
        return
    for span in _of(day):
        await _count(connection, span, [table])
    for span in await _longer(connection, day):
        await _count(connection, span, [PARENT, table])


def _of(day: dt.date) -> tuple[_Span, _Span]:
    """A day, and its depth, which is counted with it unless it was counted before there was one."""
    return _Span("day", day), _Span("depth", day)


async def _longer(connection: AsyncConnection, day: dt.date) -> list[_Span]:
    """The week and the month of a day, if they have settled."""
    [now] = await (await connection.execute("SELECT clock_timestamp()")).fetchone() or [None]
    until = (now.astimezone(dt.UTC) - SETTLED).date() if now else day
    week = _Span("week", day - dt.timedelta(days=day.weekday()))
    return [span for span in (week, _Span("month", day.replace(day=1))) if span.end <= until]


async def _uncounted(connection: AsyncConnection, name: str, until: dt.date) -> list[_Span]:
    found = await connection.execute(query(name), {"until": until}, prepare=False)
    return [_Span(*row) for row in await found.fetchall()]


async def _count_some(connection: AsyncConnection, spans: list[_Span], end: float) -> int:
    """Counts until the time is over, one at least; how many."""
    for done, span in enumerate(spans, start=1):
        async with connection.transaction():
            await _count(connection, span, [PARENT])
        if time.monotonic() > end:
            return done
    return len(spans)


async def _count(connection: AsyncConnection, span: _Span, tables: list[str]) -> None:
    """Counts a period from these tables, unless it is counted."""
    if (await connection.execute(_CLAIM, span)).rowcount == 0:
        return
    if span.name == "day":
        await connection.execute(_CLAIM, _Span("depth", span.start))
    await connection.execute(_PLANNED)
    for hashed, where in (await _hashed(connection, tables)).items():
        parameters = {"span": span.name, "start": span.start, "end": span.end}
        parameters |= {"attribute": hashed.attribute, "kind": hashed.kind}
        found = await connection.execute(query("groups_reason"), parameters)
        [reason] = await found.fetchone() or [None]
        parameters["reason"] = reason
        unknown = reason is not None and span.name in ("week", "month")
        statement = query("groups_unknown") if unknown else _counting(hashed, where)
        # Planned anew each time: only then are partitions left out by these very days.
        await connection.execute(statement, parameters, prepare=False)


def _counting(hashed: _Hashed, tables: list[str]) -> sql.Composed:
    column = sql.Identifier(hashed.column)
    each = [sql.SQL(_OBSERVED).format(column=column, table=sql.Identifier(t)) for t in tables]
    observed = sql.SQL(" UNION ALL ").join(each)
    return sql.SQL(query("groups_count")).format(observed=observed)


async def _hashed(connection: AsyncConnection, tables: list[str]) -> dict[_Hashed, list[str]]:
    """The columns of hashed values, and which tables have them: one that was detached may lack the newest."""
    found = await connection.execute(
        "SELECT c.attribute, c.column_name, c.hash, array_agg(t.name) FROM footfall.catalog_columns c"
        " CROSS JOIN unnest(%s::text[]) AS t (name) JOIN pg_attribute a ON a.attname = c.column_name"
        " AND NOT a.attisdropped AND a.attrelid = to_regclass('footfall.' || quote_ident(t.name))"
        " WHERE c.table_name = %s AND c.hash IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1",
        [tables, PARENT],
    )
    return {_Hashed(*row[:3]): row[3] for row in await found.fetchall()}
