"""What goes of sessions, and what stays: what their days came to (docs/design.md, "Rollups").

An installation is forgotten on request: its sessions, and what joins observations to it. What the totals of a
day lose by that is added to what stays of it, so that no figure changes.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql

from footfall_exporters.postgres import partitions
from footfall_exporters.postgres.sessions.following import Tracked, advance

_DAYS = """
    SELECT day, service, sessions, ended, installations, daily_active, seconds FROM footfall.session_days
"""
_TIMES = """
    SELECT (s.opened_at AT TIME ZONE 'UTC')::date, t.event, count(*), sum(t.opened)::bigint, sum(t.seconds)
    FROM footfall.session_times t JOIN footfall.sessions s USING (session) GROUP BY 1, 2
"""
_KEEP_DAYS = """
    INSERT INTO footfall.sessions_gone AS g
        (day, service, sessions, ended, installations, daily_active, seconds)
    VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (day, service) DO UPDATE SET
        sessions = g.sessions + excluded.sessions, ended = g.ended + excluded.ended,
        installations = g.installations + excluded.installations,
        daily_active = g.daily_active + excluded.daily_active, seconds = g.seconds + excluded.seconds
"""
_KEEP_TIMES = """
    INSERT INTO footfall.session_times_gone AS g (day, event, sessions, opened, seconds)
    VALUES (%s, %s, %s, %s, %s) ON CONFLICT (day, event) DO UPDATE SET
        sessions = g.sessions + excluded.sessions, opened = g.opened + excluded.opened,
        seconds = g.seconds + excluded.seconds
"""
_MARKS = "DELETE FROM footfall.session_marks WHERE session = ANY(%s)"
_OF = """
    DELETE FROM footfall.sessions WHERE installation = %s RETURNING session, opened_at, last_seen
"""
_BEFORE = """
    DELETE FROM footfall.sessions WHERE opened_at < %s RETURNING session, opened_at, last_seen
"""
_ANY_BEFORE = "SELECT FROM footfall.sessions WHERE opened_at < %s LIMIT 1"
_ATTEMPTS = 5
NEAR: Final = dt.timedelta(hours=1)
"""Before its start and after its last sign of life an observation of a session may be dated."""
Rows = Sequence[tuple[Any, ...]]


async def forget(connection: AsyncConnection, found: Tracked, installation: bytes) -> int:
    """Forgets an installation; how many sessions it had.

    Args:
        connection: In autocommit mode, as the owner.
        found: What tells sessions apart.
        installation: As it is stored, 16 bytes.

    Raises:
        psycopg.Error: Postgres refused; nothing is forgotten.
    """
    gone: Rows = ()
    for attempt in range(_ATTEMPTS):
        try:
            gone = await _forget(connection, found, installation)
            break
        except psycopg.errors.SerializationFailure:  # it was heard of meanwhile
            if attempt + 1 == _ATTEMPTS:
                raise
    if gone:  # nor on pages
        await connection.execute("VACUUM footfall.sessions, footfall.session_marks")
        first = min(opened for _, opened, _ in gone) - NEAR
        last = max(seen for _, _, seen in gone) + NEAR
        for day, name in (await partitions.existing(connection)).items():
            if first.date() <= day <= last.date():
                table = sql.Identifier("footfall", name)
                await connection.execute(sql.SQL("VACUUM {}").format(table))
    return len(gone)


async def retire(connection: AsyncConnection, first_kept: dt.date) -> int:
    """Takes away sessions that began before a day, as the observations of these days go; how many.

    Raises:
        psycopg.Error: Postgres refused.
    """
    start = dt.datetime.combine(first_kept, dt.time(), dt.UTC)
    if not await _rows(connection, _ANY_BEFORE, start):  # totals are made of all that there are
        return 0
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return len(await _take_away(connection, _BEFORE, start))


async def _forget(connection: AsyncConnection, found: Tracked, installation: bytes) -> Rows:
    async with connection.transaction():  # what is stored by now is followed first
        while (await advance(connection, found))[0]:
            pass
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        gone = await _take_away(connection, _OF, installation.hex())
        if gone:
            await _unlink(connection, found, installation, gone)
    return gone


async def _take_away(connection: AsyncConnection, delete: str, which: object) -> Rows:
    """Deletes sessions, and adds to what stays what the totals lose: both of one snapshot."""
    days, times = await _rows(connection, _DAYS), await _rows(connection, _TIMES)
    gone = await _rows(connection, delete, which)
    if gone:
        await _keep(connection, _KEEP_DAYS, days, await _rows(connection, _DAYS))
        await _keep(connection, _KEEP_TIMES, times, await _rows(connection, _TIMES))
        await connection.execute(_MARKS, [[session for session, _, _ in gone]])
    return gone


async def _keep(connection: AsyncConnection, statement: str, before: Rows, after: Rows) -> None:
    left = {row[:2]: row[2:] for row in after}
    for row in before:
        key, numbers = row[:2], row[2:]
        lost = [n - left.get(key, [0] * len(numbers))[at] for at, n in enumerate(numbers)]
        if any(lost):
            await connection.execute(statement, [*key, *lost])


async def _unlink(
    connection: AsyncConnection, found: Tracked, installation: bytes, gone: Rows
) -> None:
    """Observations stay, and belong to nobody."""
    names = [name for name in (found.session, found.installation) if name]
    statement = sql.SQL(
        "UPDATE footfall.feature_events SET {} WHERE time >= %(first)s AND time <= %(last)s"
        " AND ({} = ANY(%(sessions)s) OR {})"
    ).format(
        sql.SQL(", ").join(sql.SQL("{} = NULL").format(sql.Identifier(name)) for name in names),
        sql.Identifier(found.session),
        sql.SQL("{} = %(installation)s").format(sql.Identifier(found.installation))
        if found.installation
        else sql.SQL("false"),
    )
    parameters = {
        "first": min(opened for _, opened, _ in gone) - NEAR,
        "last": max(seen for _, _, seen in gone) + NEAR,
        "sessions": [session for session, _, _ in gone],
        "installation": installation.hex(),
    }
    await connection.execute(statement, parameters, prepare=False)


async def _rows(connection: AsyncConnection, statement: str, *parameters: object) -> Rows:
    return await (await connection.execute(statement, parameters or None)).fetchall()
