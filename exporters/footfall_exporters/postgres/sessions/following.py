"""What stored observations say of their sessions: read in the order of the commits, each commit once.

An observation belongs to a session if its event declares `session_id`, and the column of that holds uuids: a
random id (`type: uuid`), or a hash. Of events with the action `start` that declare it, `start`, `alive` and
`end` are the session's own; everything else is something that was done in it.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql

from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.schema import EVENTS, columns
from footfall_processors import Catalog

SESSION, INSTALLATION = "session_id", "installation_id"
"""The attributes, by the names under which the SDK sends them."""
START, END = "start", "end"
"""Actions of a session."""
COMMITS = 1000
"""That are followed at a time, in a transaction."""
TURNS = 20
"""Such portions, after which others have their turn."""
_STATE = "SELECT position, silence FROM footfall.session_state FOR UPDATE"
_COMMITS = """
    SELECT position, requests, first_time, last_time FROM footfall.commits
    WHERE position > %s ORDER BY position LIMIT %s
"""
_FOLLOWED = "UPDATE footfall.session_state SET position = %s"
_SILENT = """
    UPDATE footfall.sessions SET ended_at = last_seen + silence, ended_by = 'silence'
    FROM footfall.session_state
    WHERE ended_at IS NULL AND last_seen + silence <= coalesce(%s, clock_timestamp())
"""
_SILENCE = "UPDATE footfall.session_state SET silence = %(silence)s WHERE silence <> %(silence)s"


@dataclass(frozen=True, slots=True)
class Tracked:
    """What tells sessions apart under a catalog.

    Attributes:
        events: Whose actions are a session's own.
        session: The column.
        installation: That of the installation; None where it has none that could be used.
    """

    events: Sequence[str]
    session: str
    installation: str | None


def own_events(catalog: Catalog, session: str = SESSION) -> list[str]:
    """The events whose actions say that a session begins, goes on and ends."""
    return sorted(
        name
        for name, event in catalog.events.items()
        if START in event.actions and session in event.attributes
    )


def tracked(catalog: Catalog) -> Tracked | None:
    """How a catalog has sessions; None where it has none."""
    named = {
        column.attribute: column.name
        for column in columns(catalog)
        if column.table == EVENTS and column.sql_type == "uuid"
    }
    events = own_events(catalog)
    if not events or SESSION not in named:
        return None
    return Tracked(events, named[SESSION], named.get(INSTALLATION))


async def follow(connection: AsyncConnection, catalog: Catalog) -> tuple[int, bool]:
    """Takes over what was committed since the last time.

    Args:
        connection: In autocommit mode, as the owner.
        catalog: In force, and applied.

    Returns:
        How many sessions were heard of, and whether more is to be followed.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    found = tracked(catalog)
    if found is None:
        return 0, False
    heard = 0
    for _ in range(TURNS):
        async with connection.transaction():
            more, sessions = await advance(connection, found)
        heard += sessions
        if not more:
            return heard, False
    return heard, True


async def advance(connection: AsyncConnection, found: Tracked) -> tuple[bool, int]:
    """The next portion; whether more is left, and how many sessions were heard of.

    Args:
        connection: In a transaction, which others who follow wait for.
        found: What tells sessions apart.

    Raises:
        psycopg.Error: Postgres refused.
    """
    row = await (await connection.execute(_STATE)).fetchone()
    position = row[0] if row else 0
    commits = await (await connection.execute(_COMMITS, [position, COMMITS])).fetchall()
    if not commits:
        return False, 0
    heard = await _merge(connection, found, commits)
    await connection.execute(_FOLLOWED, [commits[-1][0]])
    return len(commits) == COMMITS, heard


async def end_silent(
    connection: AsyncConnection, silence: dt.timedelta, now: dt.datetime | None = None
) -> int:
    """Ends the sessions that were not heard of for so long; how many.

    Args:
        connection: In autocommit mode, as the owner.
        silence: For how long.
        now: In place of Postgres' clock, for tests.

    Raises:
        psycopg.Error: Postgres refused.
    """
    await connection.execute(_SILENCE, {"silence": silence})
    return (await connection.execute(_SILENT, [now])).rowcount


async def _merge(
    connection: AsyncConnection, found: Tracked, commits: Sequence[tuple[Any, ...]]
) -> int:
    dated = [commit for commit in commits if commit[2] is not None]
    if not dated:
        return 0
    session = sql.Identifier(found.session)
    installation = sql.Identifier("e", found.installation) if found.installation else sql.NULL
    statement = sql.SQL(query("sessions_follow")).format(session=session, installation=installation)
    parameters = {
        "events": list(found.events),
        "batches": [number for commit in dated for number in commit[1]],
        "first": min(commit[2] for commit in dated),
        "last": max(commit[3] for commit in dated),
    }
    # Planned anew each time: only then are partitions left out by these very times.
    row = await (await connection.execute(statement, parameters, prepare=False)).fetchone()
    return row[0] if row else 0
