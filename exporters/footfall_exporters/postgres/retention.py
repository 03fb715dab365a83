"""What is deleted besides day partitions, and the purge command's work (A7, A11)."""

import datetime as dt
from dataclasses import dataclass

from psycopg import AsyncConnection, sql

from footfall_exporters.postgres import partitions

LEDGER_DAYS = 7
"""How long a retry of a request is recognised."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge dropped, or would drop.

    Attributes:
        first_kept: The first UTC day whose observations stay.
        rows: Rows by dropped day.
    """

    first_kept: dt.date
    rows: dict[dt.date, int]


async def purge(dsn: str, days: int, *, dry_run: bool) -> Purged:
    """Drops observations of all days but today and the `days` UTC days before it.

    Raises:
        psycopg.Error: Postgres refused.
    """
    first_kept = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days)
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        rows = await partitions.expired(connection, first_kept)
        if not dry_run:
            await partitions.drop(connection, first_kept)
        return Purged(first_kept, rows)


async def forget(connection: AsyncConnection, rollup_days: int) -> None:
    """Deletes what has served its time: ledger rows, idle counters, old counts, positions, losses.

    The losses of deleted ledger rows are added up per day in the same statement.
    """
    await connection.execute(
        "WITH gone AS ("
        " DELETE FROM footfall.ingest_batches"
        " WHERE received_at < now() - make_interval(days => %s)"
        " RETURNING received_at, signal, losses"
        ") INSERT INTO footfall.losses_daily AS d (day, signal, reason, count)"
        " SELECT (received_at AT TIME ZONE 'UTC')::date, signal, key, sum(value::bigint)"
        " FROM gone, jsonb_each_text(losses) GROUP BY 1, 2, 3"
        " ON CONFLICT (day, signal, reason) DO UPDATE SET count = d.count + excluded.count",
        [LEDGER_DAYS],
    )
    for table, column, days in (
        ("counter_series", "seen_at", LEDGER_DAYS),
        ("commits", "committed_at", LEDGER_DAYS),
        ("feature_counts", "hour", rollup_days),
        ("losses_daily", "day", rollup_days),
    ):
        await connection.execute(
            sql.SQL("DELETE FROM footfall.{} WHERE {} < now() - make_interval(days => %s)").format(
                sql.Identifier(table), sql.Identifier(column)
            ),
            [days],
        )
