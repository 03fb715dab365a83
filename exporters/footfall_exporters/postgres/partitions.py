"""Day partitions of `feature_events`: made ahead, and dropped when expired (docs/design.md, "The store").

All functions take a connection in autocommit mode. A partition is made under the schema lock, so that a
column is never added between its making and its attaching. It is detached, rolled up (rollups.py) and
dropped: between the first two nobody can store in it any more.

A reader may hold a day for hours (pg_dump, a notebook). Nothing waits for it longer than IMPATIENCE: its day
is left for later, half detached perhaps ("pending"), and is in the way of nothing but itself.
"""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection, errors, sql

from footfall_exporters.postgres import locks, replication, rollups, statistics, views
from footfall_exporters.postgres.holding import HOLDER, LOCKS, Holder

PREFIX = "feature_events_"
ATTACHING, IMPATIENCE, INSTANT = "3s", "1s", "200ms"
"""How long something waits for a lock: longer than who may be in its way; in the way of every writer."""
LINGERS_S = 1.0
"""Seconds after which nobody waits for the end of a transaction that reads a day."""
Transaction = tuple[int | None, str]
"""The process, if it has one, and the virtual id."""
_HELD = (errors.LockNotAvailable, errors.QueryCanceled, errors.ObjectNotInPrerequisiteState)
_HOLDERS = f"""
    SELECT l.virtualtransaction, {HOLDER} FROM {LOCKS}
    WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.relation IN ('footfall.feature_events'::regclass, to_regclass('footfall.' || %s))
    ORDER BY 5, 2
"""  # noqa: S608  # constants


class DayHeld(Exception):  # what it is
    """A day cannot be made anew: it is being dropped, and a reader keeps it from being gone."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What `drop` did.

    Attributes:
        days: That are gone.
        held: That readers hold, with those of them that are known; they are tried again by the next `drop`.
    """

    days: Sequence[dt.date]
    held: Mapping[dt.date, Sequence[Holder]]


@asynccontextmanager
async def _impatient(connection: AsyncConnection, patience: str) -> AsyncIterator[None]:
    """With another lock_timeout, for statements that may not be in a transaction of ours."""
    found = await connection.execute(
        "SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, false)", [patience]
    )
    before, _ = await found.fetchone() or ("0", "")
    try:
        yield
    finally:
        with suppress(psycopg.Error):
            await connection.execute("SELECT set_config('lock_timeout', %s, false)", [before])


def table(day: dt.date) -> sql.Identifier:
    """The partition of a day (UTC), whether it is there or not."""
    return sql.Identifier("footfall", _name(day))


async def existing(connection: AsyncConnection) -> dict[dt.date, str]:
    """The attached partitions by their day."""
    found = await connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'footfall.feature_events'::regclass AND NOT i.inhdetachpending"
    )
    names = [row[0] for row in await found.fetchall()]
    return {_day(name): name for name in sorted(names)}


async def ensure(connection: AsyncConnection, days: Iterable[dt.date]) -> list[dt.date]:
    """Makes the partitions of these days that are missing, and returns those it made.

    A partition is made apart and attached, which does not block writers; a check constraint spares
    the attaching its scan. What an interrupted drop left of such a day would be in the way, and goes first;
    where a reader holds that, the day is left out.

    Raises:
        errors.LockNotAvailable: somebody else changes the table.
    """
    wanted = set(days)
    if wanted <= (await existing(connection)).keys():
        return []
    made = []
    for day in sorted(wanted - (await existing(connection)).keys()):
        if await _cleared(connection, day, INSTANT):
            with suppress(errors.DuplicateTable):  # another has made it
                await _make(connection, day)
                made.append(day)
    return made


async def expired(connection: AsyncConnection, first_kept: dt.date) -> dict[dt.date, int]:
    """The partitions before `first_kept`, with the number of their rows."""
    rows: dict[dt.date, int] = {}
    for day, name in (await existing(connection)).items():
        if day < first_kept:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("footfall", name))
            counted = await (await connection.execute(query)).fetchone()
            rows[day] = counted[0] if counted else 0
    return rows


async def drop(connection: AsyncConnection, first_kept: dt.date) -> Dropped:
    """Detaches, rolls up and drops the partitions before `first_kept`; writers and readers go on.

    A partition that an interrupted run left behind half detached, or detached, is dropped as well. What a
    reader holds stays. Whoever calls it keeps house (locks.py): two at a time would be in each other's way.
    """
    gone: list[dt.date] = []
    held: dict[dt.date, Sequence[Holder]] = {}
    known: set[Transaction] = set()
    left = {_day(name) for name in (*await _pending(connection), *await _loose(connection))}
    for day in sorted(left | {d for d in await existing(connection) if d < first_kept}):
        if await _detached(connection, day, known) and await _cleared(connection, day):
            gone.append(day)
        else:
            held[day] = await holders(connection, day, known)
    return Dropped(gone, held)


async def holders(
    connection: AsyncConnection, day: dt.date, known: set[Transaction]
) -> list[Holder]:
    """Who has been reading a day, or all of them, for LINGERS_S or longer.

    Args:
        connection: In autocommit mode.
        day: It need not be attached.
        known: Transactions that were found to linger, which need not be looked at for so long again.
    """
    found = await _readers(connection, day)
    end = time.monotonic() + LINGERS_S
    while found and not found.keys() & known and time.monotonic() < end:
        await asyncio.sleep(LINGERS_S / 10)
        now = await _readers(connection, day)
        found = {reader: holder for reader, holder in now.items() if reader in found}
    if not found.keys() & known:
        known |= found.keys()
    return [holder for reader, holder in found.items() if reader in known]


async def _readers(connection: AsyncConnection, day: dt.date) -> dict[Transaction, Holder]:
    found = await connection.execute(_HOLDERS, [_name(day)])
    return {(who[0], turn): Holder(*who) for turn, *who in await found.fetchall()}


async def _detached(connection: AsyncConnection, day: dt.date, known: set[Transaction]) -> bool:
    """Detaches a day, if it is attached; False when a reader is in the way.

    Only one partition of a table may be pending. While a reader holds one, others are detached in the plain
    way, under a lock that no reader and no writer shares: at once, or not now.
    """
    if day not in await existing(connection):
        return True
    if await holders(connection, day, known):
        return False
    pending = await _pending(connection)
    statement = sql.SQL("ALTER TABLE footfall.feature_events DETACH PARTITION {}{}").format(
        table(day), sql.SQL("" if pending else " CONCURRENTLY")
    )
    try:
        async with _impatient(connection, INSTANT if pending else IMPATIENCE):
            await connection.execute(statement)
    except _HELD:
        return False
    return True


async def _cleared(connection: AsyncConnection, day: dt.date, patience: str = IMPATIENCE) -> bool:
    """Finishes the drop of a day that is pending or detached; False when a reader is in the way."""
    name = _name(day)
    try:
        if name in await _pending(connection):
            async with _impatient(connection, patience):
                await connection.execute(
                    sql.SQL(
                        "ALTER TABLE footfall.feature_events DETACH PARTITION {} FINALIZE"
                    ).format(table(day))
                )
        if name in await _loose(connection):
            with suppress(errors.UndefinedTable):  # another has dropped it
                await _finish(connection, day, patience)
    except _HELD:
        return False
    return True


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
    bounds = {
        "name": table(day),
        "low": sql.Literal(f"{day} 00:00:00+00"),
        "high": sql.Literal(f"{day + dt.timedelta(days=1)} 00:00:00+00"),
        "shown": _shown(day),
        "index": sql.Identifier(f"{_name(day)}_seconds"),
        "cut": views.created_at(sql.Identifier("time"), "second"),
    }
    async with connection.transaction():
        for statement in (
            locks.taking(locks.SCHEMA),
            f"SET LOCAL lock_timeout = '{ATTACHING}'",
            "CREATE TABLE {name} (LIKE footfall.feature_events INCLUDING ALL)",
            f"ALTER TABLE {{name}} {replication.IDENTIFIED}",
            # By the time that `reporting` shows: who asks for the newest reads no whole day.
            "CREATE INDEX {index} ON {name} USING brin ({cut}) WITH (autosummarize = on)",
            statistics.SILENCE,  # LIKE copies no targets, and expressions have statistics of their own
            "ALTER TABLE {name} ADD CONSTRAINT bounds"
            " CHECK (time IS NOT NULL AND time >= {low} AND time < {high})",
            "ALTER TABLE {name} ADD CONSTRAINT shown CHECK ({shown})",
            "ALTER TABLE footfall.feature_events ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})",
            "ALTER TABLE {name} DROP CONSTRAINT bounds",
        ):
            text = (
                statement
                if statement is statistics.SILENCE
                else sql.SQL(statement).format(**bounds)
            )
            await connection.execute(text)


def _shown(day: dt.date) -> sql.Composed:
    """What a day's bounds imply of times as `reporting` shows them, which the planner does not see."""
    time, low, high = sql.Identifier("time"), f"{day} 00:00:00+00", f"{day} 23:59:59+00"
    within = sql.SQL("{} BETWEEN {} AND {}").format
    cut = [within(views.created_at(time, step), low, high) for step in views.STEPS]
    same_day = sql.SQL("{} = {}").format(views.day_bucket(time), f"{day}")
    return sql.SQL(" AND ").join([same_day, *cut])


async def _pending(connection: AsyncConnection) -> list[str]:
    """The partitions that are half detached: one at most, as Postgres has it."""
    found = await connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'footfall.feature_events'::regclass AND i.inhdetachpending"
    )
    return [name for (name,) in await found.fetchall()]


async def _loose(connection: AsyncConnection) -> list[str]:
    """The partitions that are detached, and not dropped."""
    found = await connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'footfall'::regnamespace"
        " AND relkind = 'r' AND NOT relispartition AND relname ~ %s",
        [f"^{PREFIX}[0-9]{{8}}$"],
    )
    return [name for (name,) in await found.fetchall()]


async def _finish(connection: AsyncConnection, day: dt.date, patience: str) -> None:
    """Rolls up a detached partition and drops it, both or neither; one of several that try."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = '{patience}'")
        await connection.execute(
            sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table(day))
        )
        await rollups.finish(connection, _name(day), day)
        await connection.execute(sql.SQL("DROP TABLE {}").format(table(day)))


def _name(day: dt.date) -> str:
    return f"{PREFIX}{day:%Y%m%d}"


def _day(name: str) -> dt.date:
    return dt.datetime.strptime(name.removeprefix(PREFIX), "%Y%m%d").replace(tzinfo=dt.UTC).date()
