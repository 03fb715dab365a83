"""Housekeeping: what has to be done now and then, each task in its own rhythm (docs/housekeeping.md).

Every collector looks what is due; the one that gets the lock does it. Each run is noted in
`footfall.housekeeping`, so that any collector knows what is due and everybody sees what was done
(`reporting.housekeeping`, `footfall doctor`). A task that fails does not stop the others, and is tried
again in a minute. The tasks themselves are in tasks.py.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from footfall_exporters.faults import log_fault
from footfall_exporters.postgres import locks, salts
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.origin import marker
from footfall_exporters.postgres.tasks import (
    NAMES,
    TASKS,
    Done,
    House,
    Now,
    Task,
    make_partitions,
    make_salts,
)
from footfall_processors.hashing import Period

__all__ = ["AGAIN", "LOOK_EVERY", "NAMES", "TASKS", "House", "Housekeeper", "Ran"]

log = logging.getLogger("footfall.housekeeping")
LOOK_EVERY = 15.0
"""Seconds between two looks at what is due."""
AGAIN = 60.0
"""Seconds after which a task that failed is tried again."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a task.

    Attributes:
        task: Its name.
        ok: Whether it did what it should.
        number: Of things made or destroyed.
        outcome: A few words; of a failure its kind, never its message.
        seconds: How long it took.
        next_run: When it is due again, seconds since the Unix epoch by Postgres' clock.
    """

    task: str
    ok: bool
    number: int
    outcome: str
    seconds: float
    next_run: float


class Housekeeper:
    """Keeps one database in shape.

    Args:
        dsn: Of a database whose schema is current, as its owner.
        house: What is kept; may be replaced when the catalog changes.
        clock: This machine's, ns since the Unix epoch.
        database_clock: In place of Postgres' own, for tests.

    Attributes:
        house: What is kept.
        salts: The rotating salts in force after the last `run_due` or `prepare`, by period.
        identities: The key under which streams and spans are named, from then on.
        origin: The store's marker, after `prepare`.
    """

    def __init__(
        self,
        dsn: str,
        house: House,
        clock: Callable[[], int] = time.time_ns,
        database_clock: Callable[[], int] | None = None,
    ) -> None:
        self.house, self._dsn = house, dsn
        self._clock, self._database_clock = clock, database_clock
        self.salts: dict[Period, bytes] = {}
        self.identities: bytes | None = None
        self.origin = ""

    async def prepare(self) -> Done:
        """Makes the partitions and salts without which nothing can be stored, whoever else keeps house.

        Raises:
            psycopg.Error: Postgres refused.
        """
        async with await connect(self._dsn, HOUSEKEEPING) as connection:
            now = await self._now(connection)
            try:
                made = await make_partitions(connection, self.house, now)
            except psycopg.errors.LockNotAvailable:  # the writer makes what it needs, when it does
                log.warning("the partitions cannot be made now; housekeeping tries again")
                made = Done(0, "")
            self.salts = await make_salts(connection, self.house, now)
            self.identities = await salts.identity_key(connection)
            self.origin = await marker(connection)
        return made

    async def run_due(self, forced: Collection[str] = ()) -> list[Ran]:
        """Does what is due, unless another collector does, and takes over the salts in force.

        Args:
            forced: Tasks to be run whether due or not; the others are left alone then.

        Raises:
            psycopg.Error: Postgres does not answer. A task that fails raises nothing.
        """
        ran: list[Ran] = []
        async with await connect(self._dsn, HOUSEKEEPING) as connection:
            if await self._due(connection, forced):  # looked at again once nobody else is at it
                async with locks.alone(self._dsn, locks.HOUSE) as alone:
                    for task in await self._due(connection, forced) if alone else ():
                        ran.append(await self._run(connection, task))
            now = await self._now(connection)
            self.salts = await make_salts(connection, self.house, now)
        return ran

    async def _due(self, connection: AsyncConnection, forced: Collection[str]) -> list[Task]:
        """A task whose last run is in the future is due: the clock was set back since."""
        if forced:
            return [task for task in TASKS if task.name in forced]
        found = await connection.execute(
            "SELECT task, last_run, next_run FROM footfall.housekeeping"
        )
        known = {name: (last, due) for name, last, due in await found.fetchall()}
        now = (await self._now(connection)).database
        return [
            task
            for task in TASKS
            if task.name not in known or not known[task.name][0] <= now < known[task.name][1]
        ]

    async def _run(self, connection: AsyncConnection, task: Task) -> Ran:
        now = await self._now(connection)
        # Noted before: a task that never comes back must not keep the others from their turn.
        await _note(connection, task, now.database, None, 0.0, AGAIN, "is running")
        begun = time.monotonic()
        try:
            done = await task.work(connection, self.house, now)
        except Exception as error:  # whatever it is must not stop the others
            outcome, ok, number, wait = _failure(task.name, error), False, 0, AGAIN
        else:
            outcome, ok, number = done.outcome, True, done.number
            wait = 0.0 if done.more else task.every
        seconds = time.monotonic() - begun
        success = now.database if ok else None
        await _note(connection, task, now.database, success, seconds, wait, outcome)
        return Ran(task.name, ok, number, outcome, seconds, now.database.timestamp() + wait)

    async def _now(self, connection: AsyncConnection) -> Now:
        if self._database_clock is not None:
            database = _moment(self._database_clock())
        else:
            found = await connection.execute("SELECT clock_timestamp()")
            row = await found.fetchone()
            database = row[0] if row else _moment(self._clock())
        return Now(database, _moment(self._clock()))


async def _note(
    connection: AsyncConnection,
    task: Task,
    began: dt.datetime,
    success: dt.datetime | None,
    seconds: float,
    wait: float,
    outcome: str,
) -> None:
    await connection.execute(
        "INSERT INTO footfall.housekeeping AS h"
        " (task, every, last_run, last_success, duration_ms, next_run, outcome)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (task) DO UPDATE SET every = excluded.every,"
        " last_run = excluded.last_run, last_success = coalesce(excluded.last_success, h.last_success),"
        " duration_ms = excluded.duration_ms, next_run = excluded.next_run, outcome = excluded.outcome",
        [
            task.name,
            dt.timedelta(seconds=task.every),
            began,
            success,
            round(seconds * 1000),
            began + dt.timedelta(seconds=wait),
            outcome,
        ],
    )


def _failure(task: str, error: Exception) -> str:
    """What went wrong, by its kind; a message may quote values."""
    what = type(error).__name__
    if isinstance(error, psycopg.Error) and error.sqlstate:
        what += f" (SQLSTATE {error.sqlstate})"
    if isinstance(error, psycopg.Error):
        log.warning("the task %s failed: %s; again in a minute", task, what)
    else:
        log_fault(log, f"the task {task} failed, and is tried again in a minute", error)
    return f"failed: {what}"


def _moment(nanoseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(nanoseconds // 1000 / 1e6, dt.UTC)
