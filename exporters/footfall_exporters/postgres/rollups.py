"""What outlives the observations of a day that is dropped: durations (latency.py) and groups (groups.py)."""

import datetime as dt

from psycopg import AsyncConnection

from footfall_exporters.postgres import groups, latency


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
    await groups.finish(connection, table, day)
    await connection.execute(
        "INSERT INTO footfall.dropped_days (day) VALUES (%s) ON CONFLICT DO NOTHING", [day]
    )
    await connection.execute("DELETE FROM footfall.thinned WHERE day = %s", [day])
