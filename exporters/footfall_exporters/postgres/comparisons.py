"""Two versions side by side, kept where there is much to compare (ADR 44); made anew by housekeeping."""

from typing import Any, Final

from psycopg import AsyncConnection, sql

from footfall_exporters.postgres.connecting import PLANNING
from footfall_exporters.postgres.reports import releases
from footfall_exporters.postgres.reports.answering import answered_beside
from footfall_exporters.postgres.reports.asked import Asked
from footfall_exporters.postgres.reports.state import VIEWS, by_view

MANY: Final = 100
"""Rows from which on they are kept; fewer are compared when somebody asks."""
MOST: Final = 4
"""Environments of which they are: those with most to compare."""
_ROWS: Final = """
    SELECT count(*) + count(DISTINCT service)
    FROM (SELECT DISTINCT service, event FROM footfall.feature_dims WHERE service_version IS NOT NULL) AS of
"""
"""No comparison has more: an event has one of a service, and all together another."""
_ENVIRONMENTS: Final = """
    SELECT environment FROM footfall.feature_dims WHERE environment <> ''
    GROUP BY environment ORDER BY count(*) DESC, environment LIMIT %s
"""
_KEEP = sql.SQL(
    "INSERT INTO footfall.releases (environment, {}, made_at) VALUES (%s, {}, now())"
).format(
    sql.SQL(", ").join(map(sql.Identifier, releases.COLUMNS)),
    sql.SQL(", ").join([sql.Placeholder()] * len(releases.COLUMNS)),
)


async def keep(connection: AsyncConnection) -> int:
    """Compares the newest versions of all services, in all environments together and in each.

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
        [[most]] = await (await connection.execute(_ROWS)).fetchall()
        named = await (await connection.execute(_ENVIRONMENTS, [MOST])).fetchall()
        kept: list[tuple[Any, ...]] = []
        for name in ("", *(name for (name,) in named)) if most >= MANY else ():
            asked = Asked(where={"environment": [name]} if name else {})
            rows = await answered_beside(connection, releases.compared(asked, views))
            if len(rows) >= MANY:
                kept += ((name, *row) for row in rows)
        await connection.execute("DELETE FROM footfall.releases")
        async with connection.cursor() as cursor:
            await cursor.executemany(_KEEP, kept)
    return len(kept)
