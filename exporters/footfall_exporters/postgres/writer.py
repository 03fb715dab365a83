"""Requests wait in a queue and are stored in groups; every sender is told what became of its own.

While one group is being committed the next one gathers, so that the group grows with the load. Whatever
goes wrong, either the whole group is stored or none of it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass

import psycopg

from footfall_exporters.contracts import Conflict, Losses, Rejected, Unavailable
from footfall_exporters.faults import log_fault
from footfall_exporters.postgres.group_commit import GroupCommit, Late, Observers
from footfall_exporters.postgres.partitions import DayHeld
from footfall_exporters.postgres.sequences import gave_twice
from footfall_exporters.postgres.statements import Before
from footfall_processors import Batch, Catalog

log = logging.getLogger("footfall.postgres")
GROUP_ROWS = 16_384
"""Rows after which a group is full; a single larger request is a group by itself. Larger ones save nothing
more, and take memory."""
TURNS = 12
"""Turns of the event loop that bring nothing new before a group is closed: requests that have arrived are
decoded first, and share its fixed costs. On an idle loop it takes some 150 µs; fewer make half the groups."""
DATA_ERRORS = ("22", "23", "54")
"""SQLSTATE classes that blame the data: sending it again would fail again."""
DAY_HELD_S = 30.0
"""Seconds that the sender of a day that a reader holds is told to wait."""
PATIENT_S = 75.0
"""Seconds for one group, more than any statement may take: a server that hangs keeps no timeout itself."""


class Away(Unavailable):
    """Postgres does not answer, or cannot store anything now."""


@dataclass(slots=True, eq=False)
class _Waiting:
    batch: Batch
    done: asyncio.Future[Losses | None]


class Writer:
    """Stores batches through one connection.

    Args:
        dsn: Of a database whose schema is current.
        catalog: In force.
        reconnect: Seconds to wait before the next attempt, and what senders are told to wait.
        observers: Are told of commits, and of attempts that failed.

    Attributes:
        group_commit: What stores the groups.
        away: Whether Postgres was away at the last attempt.
    """

    def __init__(
        self,
        dsn: str,
        catalog: Catalog,
        reconnect: float = 1.0,
        observers: Observers | None = None,
    ) -> None:
        observers = observers or Observers()
        self.group_commit = GroupCommit(dsn, catalog, observers.committed)
        self._failed, self._reconnect = observers.failed, reconnect
        self._queue: deque[_Waiting] = deque()
        self._filled = asyncio.Event()
        self.away = False

    @property
    def waiting(self) -> int:
        """How many batches wait for the next transaction."""
        return len(self._queue)

    def use(self, catalog: Catalog) -> None:
        """See `GroupCommit.use`."""
        self.group_commit.use(catalog)

    async def consume(self, batch: Batch) -> Losses | None:
        """Returns when the batch is committed, or was before (a retry).

        Returns:
            What of it was dropped when it was committed before; None when it is now.

        Raises:
            Rejected: Postgres refuses its data whatever is done.
            Conflict: something else was stored under its name.
            Unavailable: it is not stored, or nobody can tell: send it again.
        """
        waiting = _Waiting(batch, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._filled.set()
        try:
            return await waiting.done
        except asyncio.CancelledError:
            # Its sender has left: it must not be kept behind admission's back.
            with suppress(ValueError):
                self._queue.remove(waiting)
            raise
        finally:
            del waiting  # its error would keep this frame, and the batch, through its traceback

    async def run(self) -> None:
        """Commits groups until cancelled; what still waits then is refused."""
        try:
            while True:
                group = await self._gather()
                await self._commit(group, self._joining(group))
        finally:
            _fail(self._queue, Unavailable("shutting down"))
            self._queue.clear()
            await self.group_commit.close()

    async def _gather(self) -> list[_Waiting]:
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        group = [self._queue.popleft()]
        rows = _rows(group[0].batch)
        turns = 0
        while rows < GROUP_ROWS and turns < TURNS:
            if not self._queue:
                await asyncio.sleep(0)
                turns += 1
            else:
                group.append(self._queue.popleft())
                rows += _rows(group[-1].batch)
                turns = 0
        return group

    def _joining(self, group: list[_Waiting]) -> Late:
        """Adds to a group, once, what came while it waited for its turn."""

        def late(can_join: Callable[[Batch], bool]) -> list[Batch]:
            closed, rows = len(group), sum(_rows(waiting.batch) for waiting in group)
            while self._queue and rows < GROUP_ROWS and can_join(self._queue[0].batch):
                group.append(self._queue.popleft())
                rows += _rows(group[-1].batch)
            return [waiting.batch for waiting in group[closed:]]

        return late

    async def _commit(self, group: Sequence[_Waiting], late: Late) -> None:
        """Commits a group and answers everyone in it."""
        try:
            async with asyncio.timeout(PATIENT_S):
                before = await self.group_commit.store([w.batch for w in group], late)
        except asyncio.CancelledError:
            _fail(group, Unavailable("shutting down"))
            raise
        except DayHeld as error:  # in the way of that day alone
            if len(group) > 1:
                await self._one_by_one(group)
            else:
                log.warning("a request is not stored: %s", error)
                _fail(group, Unavailable("a day of this request is being dropped", DAY_HELD_S))
        except (psycopg.Error, TimeoutError) as error:
            of_data = (getattr(error, "sqlstate", None) or "").startswith(DATA_ERRORS)
            blames_data = of_data and not gave_twice(error)  # another session gives others
            if blames_data and len(group) > 1:
                await self._one_by_one(group)
            else:
                await self._not_stored(group, error, blames_data)
        except Exception as error:  # a fault of ours must not end the loop, nor lose what was sent
            if len(group) > 1:
                await self._one_by_one(group)
                return
            log_fault(log, "commit failed", error)
            _fail(group, Unavailable("the store has failed", self._reconnect))
        else:
            self.away = False
            for waiting in group:
                if not waiting.done.done():
                    self._answer(waiting, before.get(waiting.batch.digest))

    def _answer(self, waiting: _Waiting, before: Before | None) -> None:
        if self.group_commit.says_otherwise(waiting.batch, before):
            waiting.done.set_exception(Conflict("this name was given to something else"))
        else:
            waiting.done.set_result(before.losses if before else None)

    async def _one_by_one(self, group: Sequence[_Waiting]) -> None:
        """Commits each by itself, so that only the one at fault is refused."""
        try:
            for waiting in group:
                await self._commit([waiting], lambda _: [])
        finally:  # cancelled: whoever has no answer yet is told to retry
            _fail(group, Unavailable("shutting down"))

    async def _not_stored(
        self, group: Sequence[_Waiting], error: psycopg.Error | TimeoutError, blames_data: bool
    ) -> None:
        log.error("commit refused: %s", _describe(error))
        self._failed([waiting.batch for waiting in group])
        self.away = not blames_data
        if not blames_data:  # this one may have become a standby: another may do better
            await self.group_commit.close()
        if blames_data and await self.refuse(group[0].batch):
            _fail(group, Rejected("the store refuses this data"))
        else:
            _fail(group, Away("the store is not available", self._reconnect))

    async def refuse(self, batch: Batch) -> bool:
        """Enters a batch that can never be stored among the losses; whether that was possible."""
        try:
            await self.group_commit.refuse(batch)
        except psycopg.Error:
            return False
        return True


def _rows(batch: Batch) -> int:
    """How many rows it writes: observations, and states of counters."""
    return batch.size + len(batch.points)


def _fail(group: Iterable[_Waiting], error: Rejected | Unavailable) -> None:
    """Tells whoever has no answer yet; each gets an error of its own, which goes with its request."""
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(copy(error))


def _describe(error: psycopg.Error | TimeoutError) -> str:
    """An error without the values that Postgres quotes in its message."""
    return f"{type(error).__name__} (SQLSTATE {getattr(error, 'sqlstate', None)})"
