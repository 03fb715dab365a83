"""What is stored under one pseudonym, and its erasure: rows, counts and durations, in one transaction.

What a day's distinct groups came to stays, as it stays when a day is dropped. What was erased is among the
losses, so that who compares what was sent with what is stored knows why they differ.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final, NamedTuple

from psycopg import AsyncConnection, sql

from footfall_exporters.postgres import daily, latency, locks

ERASED: Final = "erased"
"""The reason."""
_HELD = """
    SELECT (e.time AT TIME ZONE 'UTC')::date, d.event, sum(e.quantity)::bigint
    FROM footfall.feature_events e JOIN footfall.feature_dims d ON d.id = e.dim_id
    WHERE e.{column} = ANY(%(wanted)s::uuid[]) GROUP BY 1, 2 ORDER BY 1, 2
"""
_ERASE = """
    WITH gone AS (
        DELETE FROM footfall.feature_events WHERE {column} = ANY(%(wanted)s::uuid[])
        RETURNING time, dim_id, quantity, duration_ms
    ), less AS (
        SELECT date_trunc('hour', time, 'UTC') AS hour, dim_id, sum(quantity) AS number
        FROM gone GROUP BY 1, 2
    ), counted AS (
        UPDATE footfall.feature_counts c SET count = greatest(c.count - less.number, 0) FROM less
        WHERE c.hour = less.hour AND c.dim_id = less.dim_id
    ), noted AS (
        INSERT INTO footfall.losses_daily AS l (day, signal, reason, count)
        SELECT (now() AT TIME ZONE 'UTC')::date, 'logs', %(reason)s, sum(number) FROM less HAVING count(*) > 0
        ON CONFLICT (day, signal, reason) DO UPDATE SET count = l.count + excluded.count
    )
    SELECT date_trunc('hour', time, 'UTC'), dim_id,
           (-sum(footfall.latency_histogram(footfall.latency_bucket(duration_ms), 1)))::text
    FROM gone WHERE duration_ms IS NOT NULL GROUP BY 1, 2
"""


class Held(NamedTuple):
    """What is stored under pseudonyms.

    Attributes:
        day: UTC.
        event: Its name.
        number: Occurrences on that day.
    """

    day: dt.date
    event: str
    number: int


async def held(connection: AsyncConnection, column: str, pseudonyms: Sequence[bytes]) -> list[Held]:
    """What is stored under pseudonyms, by day and event.

    Args:
        connection: In autocommit mode, as the owner.
        column: Of `feature_events`, by which observations are found (finding.py).
        pseudonyms: 16 bytes each.

    Raises:
        psycopg.Error: Postgres refused.
    """
    query = sql.SQL(_HELD).format(column=sql.Identifier(column))
    found = await connection.execute(query, {"wanted": _uuids(pseudonyms)})
    return [Held(*row) for row in await found.fetchall()]


async def erase(
    connection: AsyncConnection, column: str, pseudonyms: Sequence[bytes]
) -> list[Held]:
    """Erases it, so that no file of the table holds it any more; what it was.

    Nobody stores meanwhile: it takes its turn among the writers, if there is anything at all. The arguments
    are those of `held`.

    Raises:
        psycopg.errors.LockNotAvailable: they stored for longer than `lock_timeout`; nothing is erased.
        psycopg.Error: Postgres refused; nothing is erased, or all of it and its place is not free yet.
    """
    if not await held(connection, column, pseudonyms):
        return []
    query = sql.SQL(_ERASE).format(column=sql.Identifier(column))
    parameters = {"wanted": _uuids(pseudonyms), "reason": ERASED}
    await latency.follow(connection)  # by far the most of it, while others store
    async with connection.transaction():
        await connection.execute(latency.LOCK)
        await connection.execute(locks.taking(locks.TURN))
        while (await latency.advance(connection))[1]:
            pass
        gone = await held(connection, column, pseudonyms)
        found = await connection.execute(query, parameters, prepare=False)
        await latency.take_away(connection, await found.fetchall())
        await daily.renew(connection, {each.day for each in gone})
    for day in sorted({each.day for each in gone}):
        table = sql.Identifier("footfall", f"feature_events_{day:%Y%m%d}")
        await connection.execute(sql.SQL("VACUUM {}").format(table))
    return gone


def _uuids(pseudonyms: Sequence[bytes]) -> list[str]:
    return [pseudonym.hex() for pseudonym in pseudonyms]
