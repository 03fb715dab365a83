"""Locks that nobody can take but who may write in the schema `footfall` (ADR 22).

An advisory lock asks for no right: whoever may connect can hold it, and with it storing, housekeeping and
migrations. Here a lock is an empty table, held in EXCLUSIVE mode until the end of a transaction. That assigns
no transaction id and keeps no snapshot, so that one which is held for weeks is not in vacuum's way.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, errors

from footfall_exporters.postgres.connecting import HOLDING, connect
from footfall_exporters.postgres.holding import PREPARED, Holder

SCHEMA, TURN, HOUSE = "lock_schema", "lock_turn", "lock_house"
"""Of whoever changes the schema, stores a group now, keeps house."""
PREFIX = "lock_"
BEAT = 15.0
"""Seconds between two signs of life of whoever holds one for long: without, Postgres ends its session."""


def taking(lock: str, *, waits: bool = True) -> str:
    """The statement that takes a lock until the transaction ends."""
    return f"LOCK TABLE footfall.{lock} IN EXCLUSIVE MODE{'' if waits else ' NOWAIT'}"


def of_subscriber(name: str) -> str:
    """The lock of whoever feeds a subscriber; its name says nothing."""
    return f"{PREFIX}follow_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def making(lock: str) -> str:
    """The statement that makes a lock, if it is not there; two at the same time may fail."""
    return f"CREATE TABLE IF NOT EXISTS footfall.{lock} ()"


async def make(connection: AsyncConnection, lock: str) -> None:
    """Makes a lock, if it is not there.

    Raises:
        psycopg.Error: Postgres refused.
    """
    with suppress(errors.DuplicateTable, errors.UniqueViolation):  # another has made it
        await connection.execute(making(lock))


@asynccontextmanager
async def alone(dsn: str, lock: str) -> AsyncIterator[bool]:
    """Whether a lock could be had at once; it is kept as long as the context lasts, in a session of its own.

    Raises:
        psycopg.Error: Postgres does not answer; also inside the context, when the lock is lost.
    """
    async with await connect(dsn, HOLDING) as connection:
        if not await taken(connection, lock):
            yield False
            return
        async with kept(connection):
            yield True


async def taken(connection: AsyncConnection, lock: str, *, waits: bool = False) -> bool:
    """Whether a lock was free, or became so within `lock_timeout`; the session is in its transaction then.

    Raises:
        psycopg.Error: Postgres does not answer, or refuses.
    """
    await connection.execute("BEGIN")
    try:
        await connection.execute(taking(lock, waits=waits))
    except errors.LockNotAvailable:
        await connection.rollback()
        return False
    return True


@asynccontextmanager
async def kept(connection: AsyncConnection) -> AsyncIterator[None]:
    """Keeps a lock that was `taken`; what is done meanwhile is cancelled when it is lost.

    Raises:
        psycopg.Error: its session has ended.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            beating = tasks.create_task(_beat(connection))
            yield
            beating.cancel()
    except BaseExceptionGroup as group:  # one of the two has failed; the other was cancelled
        error = group.exceptions[0]
        try:
            raise error from None
        finally:
            del error  # its traceback holds this frame
    with suppress(psycopg.Error):  # the lock goes with the connection
        await connection.rollback()


async def _beat(connection: AsyncConnection) -> None:
    while True:
        await asyncio.sleep(BEAT)
        await connection.execute("SELECT")


LONG_S = 30
"""Seconds after which a lock is held, or waited for, long: the longest that storing waits is 10."""
_LONG = f"""
    SELECT coalesce(c.relname, w.locktype), extract(epoch FROM clock_timestamp() - w.since)::float8,
           nullif(w.pid, 0), coalesce(a.application_name, p.gid), a.state,
           coalesce(a.xact_start, p.prepared)
    FROM (
        SELECT relation, locktype, waitstart AS since, unnest(pg_blocking_pids(pid)) AS pid
        FROM pg_locks WHERE NOT granted
        UNION
        SELECT l.relation, l.locktype, h.xact_start, l.pid FROM pg_locks l JOIN pg_stat_activity h USING (pid)
        WHERE l.granted AND l.mode = 'ExclusiveLock'
        AND l.relation IN (to_regclass('footfall.{TURN}'), to_regclass('footfall.{SCHEMA}'))
    ) AS w LEFT JOIN pg_stat_activity a ON a.pid = w.pid
    LEFT JOIN {PREPARED} ON w.pid = 0 AND (w.relation, p.virtualtransaction) IN (
        SELECT relation, virtualtransaction FROM pg_locks WHERE granted AND pid IS NULL)
    LEFT JOIN pg_class c ON c.oid = w.relation
    WHERE coalesce(a.datname, p.database) = current_database()
    AND w.since < clock_timestamp() - interval '{LONG_S} s'
    AND (c.oid IS NULL OR c.relnamespace IN (to_regnamespace('footfall'), to_regnamespace('reporting')))
    ORDER BY 2 DESC, 3
"""  # noqa: S608  # constants


def held_long(connection: psycopg.Connection) -> list[tuple[str, float, Holder]]:
    """What is waited for long, or kept from all others: its name, since how many seconds, and by whom.

    Raises:
        psycopg.Error: Postgres refused.
    """
    return [_held(row) for row in connection.execute(_LONG).fetchall()]


async def longest_s(connection: AsyncConnection) -> float:
    """For how long at most something has been waited for or kept, in seconds; 0 when nothing is for long.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = await (await connection.execute(_LONG)).fetchone()
    return float(found[1]) if found else 0.0


def _held(row: Sequence[Any]) -> tuple[str, float, Holder]:
    name, seconds, *holder = row
    return name, seconds, Holder(*holder)
