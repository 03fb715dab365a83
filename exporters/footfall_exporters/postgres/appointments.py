"""What one collector of several does at a time of day, once: who does it, and what came of it.

It is noted where the tasks of housekeeping are (`reporting.housekeeping`, `footfall doctor`), by Postgres'
clock. Whoever finds it due claims it in one statement, so that of two there is one. A claim that nobody
reports on, because its collector was killed meanwhile, is free again after `LEASE`.
"""

import datetime as dt
from collections.abc import Collection
from typing import Final

from psycopg import AsyncConnection

LEASE: Final = dt.timedelta(minutes=15)
FIRST, LONGEST = dt.timedelta(minutes=1), dt.timedelta(hours=1)
"""How long it is waited after a failure: as long as it has failed already, within these bounds."""
WAITS: Final = "waits for its first time"
DONE: Final = "sent"
_CLAIMED: Final = "is being sent"
_CLOCK: Final = "SELECT clock_timestamp()"
_PLAN: Final = """
    INSERT INTO footfall.housekeeping AS h (task, every, last_run, duration_ms, next_run, outcome)
    VALUES (%(task)s, %(every)s, clock_timestamp(), 0, %(next)s, %(waits)s)
    ON CONFLICT (task) DO UPDATE SET every = excluded.every, next_run = CASE
        WHEN coalesce(h.last_success, h.last_run) < %(last)s THEN %(last)s ELSE excluded.next_run END
    WHERE h.outcome IN (%(waits)s, %(done)s)
"""
"""As the schedule is now, and when it was done last; what is claimed, or has failed, stays as it is."""
_CLAIM: Final = """
    UPDATE footfall.housekeeping
    SET last_run = clock_timestamp(), next_run = clock_timestamp() + %(lease)s, outcome = %(claimed)s
    WHERE task = %(task)s AND next_run <= clock_timestamp() RETURNING last_run
"""
_REPORT: Final = """
    UPDATE footfall.housekeeping SET outcome = %(outcome)s, next_run = %(next)s,
        last_success = CASE WHEN %(ok)s THEN clock_timestamp() ELSE last_success END,
        duration_ms = round(1000 * extract(epoch FROM clock_timestamp() - last_run))
    WHERE task = %(task)s AND last_run = %(claim)s AND outcome = %(claimed)s
"""
_FORGET: Final = """
    DELETE FROM footfall.housekeeping WHERE starts_with(task, %(prefix)s) AND task <> ALL (%(tasks)s)
"""


async def clock(connection: AsyncConnection) -> dt.datetime:
    """Postgres' time, UTC.

    Raises:
        psycopg.Error: Postgres refused.
    """
    row = await (await connection.execute(_CLOCK)).fetchone()
    found: dt.datetime = row[0] if row else dt.datetime.now(dt.UTC)
    return found.astimezone(dt.UTC)


async def plan(
    connection: AsyncConnection,
    task: str,
    every: dt.timedelta,
    last: dt.datetime,
    following: dt.datetime,
) -> None:
    """Notes when it is due, unless it is claimed or to be tried again; at first, next time.

    Args:
        connection: As its owner, in autocommit mode.
        task: Its name.
        every: How often.
        last: When it was due last.
        following: When it is due next.

    Raises:
        psycopg.Error: Postgres refused.
    """
    said = {"task": task, "every": every, "last": last, "next": following}
    await connection.execute(_PLAN, said | {"waits": WAITS, "done": DONE})


async def claim(connection: AsyncConnection, task: str) -> dt.datetime | None:
    """Takes it on, where it is due and nobody has; when that was: with it one reports on it.

    Raises:
        psycopg.Error: Postgres refused.
    """
    said = {"task": task, "lease": LEASE, "claimed": _CLAIMED}
    row = await (await connection.execute(_CLAIM, said)).fetchone()
    return row[0] if row else None


async def report(
    connection: AsyncConnection,
    task: str,
    claimed: dt.datetime,
    outcome: str,
    due: dt.datetime,
    *,
    ok: bool,
) -> None:
    """Notes what came of a claim, and when it is due again; nothing, where another has taken it on since.

    Args:
        connection: As its owner, in autocommit mode.
        task: Its name.
        claimed: What `claim` said.
        outcome: A few words; `DONE`, or `failed` and why.
        due: When it is to be done again.
        ok: Whether it was done.

    Raises:
        psycopg.Error: Postgres refused.
    """
    said = {"task": task, "claim": claimed, "outcome": outcome, "next": due, "ok": ok}
    await connection.execute(_REPORT, said | {"claimed": _CLAIMED})


def again(now: dt.datetime, since: dt.datetime) -> dt.datetime:
    """When what failed is tried again: the waiting doubles.

    Args:
        now: When it failed.
        since: When it was due first.
    """
    return now + min(max(now - since, FIRST), LONGEST)


async def forget(connection: AsyncConnection, prefix: str, tasks: Collection[str]) -> None:
    """Forgets all that begin so, but these.

    Raises:
        psycopg.Error: Postgres refused.
    """
    await connection.execute(_FORGET, {"prefix": prefix, "tasks": list(tasks)})
