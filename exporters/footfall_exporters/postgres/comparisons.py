"""Two versions side by side, kept where there is much to compare (ADR 44); made anew by housekeeping."""

from typing import Final

from psycopg import AsyncConnection, sql

from footfall_exporters.postgres.connecting import PLANNING
from footfall_exporters.postgres.reports import releases
from footfall_exporters.postgres.reports.answering import answered_beside
from footfall_exporters.postgres.reports.asked import Asked
from footfall_exporters.postgres.reports.state import VIEWS, by_view

MANY: Final = 100
"""Rows from which on they are kept; fewer are compared when somebody asks."""
_KEEP = sql.SQL("INSERT INTO footfall.releases ({}, made_at) VALUES ({}, now())").format(
    sql.SQL(", ").join(map(sql.Identifier, releases.COLUMNS)),
    sql.SQL(", ").join([sql.Placeholder()] * len(releases.COLUMNS)),
)


async def keep(connection: AsyncConnection) -> int:
    """Compares the newest versions of all services.

    Args:
        connection: In autocommit mode, as the owner.

    Returns:
        How many rows are kept.

    Raises:
        psycopg.Error: Postgres refused; the former ones stay.
    """
    async with connection.transaction():
        for name, value in PLANNING.items():
            await connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        views = by_view(await (await connection.execute(VIEWS)).fetchall())
        rows = await answered_beside(connection, releases.compared(Asked(), views))
        kept = rows if len(rows) >= MANY else []
        await connection.execute("DELETE FROM footfall.releases")
        async with connection.cursor() as cursor:
            await cursor.executemany(_KEEP, kept)
    return len(kept)
