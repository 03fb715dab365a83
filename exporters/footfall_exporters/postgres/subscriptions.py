"""How far each subscriber is, and what its backend refused for good (docs/design.md, "Subscribers").

All functions raise psycopg.Error when Postgres refuses.
"""

import datetime as dt
from dataclasses import astuple, dataclass

from psycopg import AsyncConnection

from footfall_exporters.postgres import locks
from footfall_exporters.postgres.connecting import ReadOnly
from footfall_exporters.postgres.queries import query


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a subscriber is behind the store.

    Attributes:
        name: Its id in the configuration.
        behind: Commits that it has not taken.
        age: Seconds since the oldest of them was stored; 0 when there is none.
        parked: Requests that its backend refused for good and that `footfall export` has not brought since.
    """

    name: str
    behind: int
    age: float
    parked: int


@dataclass(frozen=True, slots=True)
class Place:
    """Which of a subscriber's requests.

    Attributes:
        name: The subscriber's.
        position: Of the commit that it was made of.
        batch_id: Of the batch in that commit.
        part: Which of the batch's requests, from 0.
    """

    name: str
    position: int
    batch_id: int
    part: int


async def lags(connection: AsyncConnection) -> list[Lag]:
    """Of every subscriber that has ever followed this store, by name."""
    found = await connection.execute(query("lags"))
    return [Lag(*row) for row in await found.fetchall()]


async def register(connection: AsyncConnection, name: str) -> None:
    """Gives a new subscriber its cursor, at the end of what is stored, and its lock."""
    await locks.make(connection, locks.of_subscriber(name))
    await connection.execute(
        "INSERT INTO footfall.subscribers (name, position)"
        " SELECT %s, position FROM footfall.commit_clock ON CONFLICT (name) DO NOTHING",
        [name],
    )


async def cursor(connection: AsyncConnection, name: str) -> int:
    """The position up to which a subscriber has taken everything."""
    found = await connection.execute(
        "SELECT position FROM footfall.subscribers WHERE name = %s", [name]
    )
    row = await found.fetchone()
    return int(row[0]) if row else 0


async def advance(connection: AsyncConnection, name: str, position: int) -> None:
    """Moves a subscriber's cursor, never back: a collector that lost its lock may be late."""
    await connection.execute(
        "UPDATE footfall.subscribers SET position = %s, updated_at = clock_timestamp()"
        " WHERE name = %s AND position < %s",
        [position, name, position],
    )


async def refuse_read_only(connection: AsyncConnection) -> None:
    """A server that may not be written brings nothing new, for ever: another may be the primary by now.

    Raises:
        ReadOnly: it may not.
    """
    found = await connection.execute("SHOW transaction_read_only")
    if await found.fetchone() == ("on",):
        raise ReadOnly


async def parked(connection: AsyncConnection, name: str, position: int) -> set[Place]:
    """What of a commit was refused earlier."""
    found = await connection.execute(
        "SELECT batch_id, part FROM footfall.parked WHERE name = %s AND position = %s",
        [name, position],
    )
    return {Place(name, position, batch_id, part) for batch_id, part in await found.fetchall()}


async def park(connection: AsyncConnection, place: Place, events: int, reason: str) -> None:
    """Notes that a request was refused for good, with how many events, and why."""
    await connection.execute(
        "INSERT INTO footfall.parked (name, position, batch_id, part, events, reason)"
        " VALUES (%s, %s, %s, %s, least(%s, 2147483647), %s) ON CONFLICT"
        " (name, position, batch_id, part) DO UPDATE"
        " SET events = excluded.events, reason = excluded.reason",
        [*astuple(place), events, reason],
    )


async def unpark(connection: AsyncConnection, place: Place) -> None:
    """Forgets what was refused, since it was taken now."""
    await connection.execute(
        "DELETE FROM footfall.parked"
        " WHERE name = %s AND position = %s AND batch_id = %s AND part = %s",
        astuple(place),
    )


async def positions(
    connection: AsyncConnection, since: dt.datetime, until: dt.datetime
) -> list[int]:
    """Those of the commits of a period, in order."""
    found = await connection.execute(
        "SELECT position FROM footfall.commits WHERE committed_at >= %s AND committed_at < %s"
        " ORDER BY position",
        [since, until],
    )
    return [position for (position,) in await found.fetchall()]
