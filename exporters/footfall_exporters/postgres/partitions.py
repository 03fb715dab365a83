"""Day partitions of `feature_events`: made ahead, and dropped when expired (DESIGN, "Store"; A7).

All functions take a connection in autocommit mode and hold the schema lock while they work, so that a
column is never added between the making of a partition and its attaching. A partition is detached, rolled
up (rollups.py) and dropped: between the first two nobody can store in it any more.
"""

import datetime as dt
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from psycopg import AsyncConnection, errors, sql

from footfall_exporters.postgres import rollups
from footfall_exporters.postgres.migrate import LOCK

PREFIX = "feature_events_"


@asynccontextmanager
async def _schema_lock(connection: AsyncConnection) -> AsyncIterator[None]:
    await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


async def existing(connection: AsyncConnection) -> dict[dt.date, str]:
    """The attached partitions by their day."""
    found = await connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'footfall.feature_events'::regclass AND NOT i.inhdetachpending"
    )
    names = [row[0] for row in await found.fetchall()]
    return {_day(name): name for name in sorted(names)}


async def ensure(connection: AsyncConnection, days: Iterable[dt.date]) -> list[dt.date]:
    """Makes the partitions of these days that are missing, and returns those days.

    A partition is made apart and attached, which does not block writers; a check constraint spares
    the attaching its scan. What an interrupted drop left behind would be in the way, and goes first.
    """
    async with _schema_lock(connection):
        await _finish_interrupted(connection)
        present = await existing(connection)
        missing = sorted(set(days) - present.keys())
        for day in missing:
            await _make(connection, day)
    return missing


async def expired(connection: AsyncConnection, first_kept: dt.date) -> dict[dt.date, int]:
    """The partitions before `first_kept`, with the number of their rows."""
    rows: dict[dt.date, int] = {}
    for day, name in (await existing(connection)).items():
        if day < first_kept:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("footfall", name))
            counted = await (await connection.execute(query)).fetchone()
            rows[day] = counted[0] if counted else 0
    return rows


async def drop(connection: AsyncConnection, first_kept: dt.date) -> list[dt.date]:
    """Detaches, rolls up and drops the partitions before `first_kept`; writers and readers go on.

    A partition that an interrupted run left behind half detached, or detached, is dropped as well.
    """
    async with _schema_lock(connection):
        await _finish_interrupted(connection)
        days = [d for d in await existing(connection) if d < first_kept]
        for day in days:
            name = sql.Identifier("footfall", PREFIX + f"{day:%Y%m%d}")
            await connection.execute(
                sql.SQL(
                    "ALTER TABLE footfall.feature_events DETACH PARTITION {} CONCURRENTLY"
                ).format(name)
            )
            await _finish(connection, PREFIX + f"{day:%Y%m%d}")
    return days


async def summarise(connection: AsyncConnection) -> int:
    """Lets the BRIN indexes know their newest rows, as autovacuum would later; returns the ranges."""
    found = await connection.execute(
        "SELECT coalesce(sum(brin_summarize_new_values(i.indexrelid)), 0) FROM pg_index i"
        " JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid"
        " WHERE x.relam = (SELECT oid FROM pg_am WHERE amname = 'brin') AND x.relkind = 'i'"
        " AND t.relnamespace = 'footfall'::regnamespace"
    )
    row = await found.fetchone()
    return int(row[0]) if row else 0


async def _make(connection: AsyncConnection, day: dt.date) -> None:
    name = sql.Identifier("footfall", PREFIX + f"{day:%Y%m%d}")
    bounds = {
        "name": name,
        "low": sql.Literal(f"{day} 00:00:00+00"),
        "high": sql.Literal(f"{day + dt.timedelta(days=1)} 00:00:00+00"),
    }
    async with connection.transaction():
        for statement in (
            "CREATE TABLE {name} (LIKE footfall.feature_events INCLUDING ALL)",
            "ALTER TABLE {name} ADD CONSTRAINT bounds"
            " CHECK (time IS NOT NULL AND time >= {low} AND time < {high})",
            "ALTER TABLE footfall.feature_events ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})",
            "ALTER TABLE {name} DROP CONSTRAINT bounds",
        ):
            await connection.execute(sql.SQL(statement).format(**bounds))


async def _finish_interrupted(connection: AsyncConnection) -> None:
    pending = await connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'footfall.feature_events'::regclass AND i.inhdetachpending"
    )
    for (name,) in await pending.fetchall():
        await connection.execute(
            sql.SQL("ALTER TABLE footfall.feature_events DETACH PARTITION {} FINALIZE").format(
                sql.Identifier("footfall", name)
            )
        )
    loose = await connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'footfall'::regnamespace"
        " AND relkind = 'r' AND NOT relispartition AND relname ~ %s",
        [f"^{PREFIX}[0-9]{{8}}$"],
    )
    for (name,) in await loose.fetchall():
        with suppress(errors.UndefinedTable):
            await _finish(connection, name)


async def _finish(connection: AsyncConnection, name: str) -> None:
    """Rolls up a detached partition and drops it, both or neither."""
    async with connection.transaction():
        await rollups.finish(connection, name, _day(name))
        await connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("footfall", name)))


def _day(name: str) -> dt.date:
    return dt.datetime.strptime(name.removeprefix(PREFIX), "%Y%m%d").replace(tzinfo=dt.UTC).date()
