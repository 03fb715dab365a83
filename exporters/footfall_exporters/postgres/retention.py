"""What is deleted besides day partitions, and the purge command's work."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import AsyncConnection, sql

from footfall_exporters.postgres import (
    latency,
    locks,
    partitions,
    ratings,
    refused,
    spans,
    thinning,
)
from footfall_exporters.postgres.connecting import PURGING, connect
from footfall_exporters.postgres.holding import Holder
from footfall_exporters.postgres.thinning import Rule
from footfall_processors import window

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MISSED = "missed_by_retention"
"""The reason of what a subscriber had not taken when it was deleted."""

_POSITIONS = f"""
    WITH gone AS (
        DELETE FROM footfall.commits WHERE committed_at < %s
        RETURNING position, requests, count_dims, count_values
    ), missed AS (
        SELECT sum(
            coalesce((SELECT sum(b.accepted) FROM footfall.ingest_batches b
                      WHERE b.id = ANY(g.requests) AND b.signal <> 'metrics'), 0)
            + coalesce((SELECT sum(c.n) FROM unnest(g.count_dims, g.count_values) AS c (dim_id, n)
                        JOIN footfall.feature_dims d ON d.id = c.dim_id AND d.surface <> 'footfall'), 0)
        ) AS events
        FROM gone g JOIN footfall.subscribers s ON s.position < g.position
    ) INSERT INTO footfall.losses_daily AS d (day, signal, reason, count)
    SELECT (%s AT TIME ZONE 'UTC')::date, 'subscriber', '{MISSED}', least(events, 10::numeric ^ 15)
    FROM missed WHERE events > 0
    ON CONFLICT (day, signal, reason) DO UPDATE
    SET count = least(d.count + excluded.count, 10::numeric ^ 15)
"""  # noqa: S608  # a constant
_LEDGER = """
    WITH gone AS (
        DELETE FROM footfall.ingest_batches WHERE received_at < %s RETURNING received_at, signal, losses
    ) INSERT INTO footfall.losses_daily AS d (day, signal, reason, count)
    SELECT (received_at AT TIME ZONE 'UTC')::date, signal, key, sum(value::bigint)
    FROM gone, jsonb_each_text(losses) GROUP BY 1, 2, 3
    ON CONFLICT (day, signal, reason) DO UPDATE SET count = d.count + excluded.count
"""


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge dropped, or would drop.

    Attributes:
        first_kept: The first UTC day whose observations and ratings stay.
        rows: Rows by dropped day.
        thinned: Rows by day of which others stay.
        ratings: How many of them.
        held: Days that readers kept from being dropped, with those that are known; housekeeping tries again.
    """

    first_kept: dt.date
    rows: dict[dt.date, int]
    thinned: Mapping[dt.date, int] = field(default_factory=dict)
    ratings: int = 0
    held: Mapping[dt.date, Sequence[Holder]] = field(default_factory=dict)


async def purge(
    dsn: str, days: int, *, dry_run: bool, rules: Sequence[Rule] = (), only: Rule | None = None
) -> Purged:
    """Drops observations and ratings of all days but today and the `days` UTC days before it.

    Args:
        dsn: Of a database whose schema is current, as its owner.
        days: That stay.
        dry_run: Only looks.
        rules: What of the others goes as well.
        only: What alone goes; its days are these.

    Raises:
        psycopg.errors.LockNotAvailable: a collector keeps house for longer than it is waited for.
        psycopg.Error: Postgres refused.
    """
    today = dt.datetime.now(dt.UTC).date()
    first_kept = today - dt.timedelta(days=days)
    async with await connect(dsn, PURGING) as connection:
        if dry_run:
            return await _expired(connection, today, first_kept, rules, only)
        async with _keeping_house(dsn):
            if only is not None:
                return Purged(first_kept, {}, await thinning.thin(connection, [only], today))
            rows = await partitions.expired(connection, first_kept)
            rated = await ratings.expire(connection, first_kept)
            held = (await partitions.drop(connection, first_kept)).held
            dropped = {day: number for day, number in rows.items() if day not in held}
            return Purged(
                first_kept, dropped, await thinning.thin(connection, rules, today), rated, held
            )


async def _expired(
    connection: AsyncConnection,
    today: dt.date,
    first_kept: dt.date,
    rules: Sequence[Rule],
    only: Rule | None,
) -> Purged:
    """What a purge would drop."""
    if only is not None:
        return Purged(first_kept, {}, await thinning.expired(connection, [only], today))
    rows = await partitions.expired(connection, first_kept)
    thinned = await thinning.expired(connection, rules, today)
    stays = {day: number for day, number in thinned.items() if day >= first_kept}
    return Purged(first_kept, rows, stays, await ratings.expired(connection, first_kept))


@asynccontextmanager
async def _keeping_house(dsn: str) -> AsyncIterator[None]:
    """Waits for whoever keeps house, and does so in its place."""
    async with await connect(dsn, PURGING) as lock:
        if not await locks.taken(lock, locks.HOUSE, waits=True):
            raise psycopg.errors.LockNotAvailable("a collector keeps house; try again in a minute")
        async with locks.kept(lock):
            yield


async def forget(connection: AsyncConnection, now: dt.datetime, rollup_days: int) -> None:
    """Deletes what has served its time besides day partitions.

    Args:
        connection: In autocommit mode.
        now: What is older than its time then goes.
        rollup_days: How long rollups, counts and losses are kept.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    await connection.execute(_POSITIONS, [now - window.COMMITS, now])
    await connection.execute(_LEDGER, [now - window.LEDGER])
    rollups = now - dt.timedelta(days=rollup_days)
    for table, column, before in (
        ("counter_series", "seen_at", now - window.COUNTERS),
        ("feature_counts", "hour", rollups),
        ("feature_counts_days", "day", rollups),
        ("feature_counts_stale", "day", rollups),
        ("latency_hourly", "hour", rollups),
        ("latency_hours", "hour", max(rollups, now - latency.HOURS)),
        ("latency_days", "day", rollups),
        ("latency_percentiles", "day", rollups),
        ("groups_counts", "start", rollups),
        ("groups_depth", "start", rollups),
        ("groups_counted", "start", rollups),
        ("dropped_days", "day", rollups),
        ("losses_daily", "day", rollups),
        ("published_days", "day", rollups),
        ("sessions_gone", "day", rollups),
        ("session_times_gone", "day", rollups),
        ("refused_daily", "day", rollups),
        ("refused_hours", "hour", now - refused.HOURS),
        ("parked", "parked_at", rollups),
    ):
        query = sql.SQL("DELETE FROM footfall.{} WHERE {} < %s")
        names = sql.Identifier(table), sql.Identifier(column)
        await connection.execute(query.format(*names), [before])
    oldest = spans.oldest_of((now - window.SPANS - _EPOCH).days)
    await connection.execute(
        "DELETE FROM footfall.span_ledger WHERE span < %s::uuid", [oldest.hex()]
    )
