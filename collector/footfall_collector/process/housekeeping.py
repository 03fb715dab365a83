"""Housekeeping beside the receivers: looks what is due, and takes over the salts in force."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import psycopg

from footfall_collector.decoding.decoder import Decoding
from footfall_collector.subscribers.group import Subscribers
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.background import beside
from footfall_exporters.faults import log_fault
from footfall_exporters.postgres import Store, locks
from footfall_exporters.postgres.connecting import READING, connect
from footfall_exporters.postgres.housekeeping import LOOK_EVERY
from footfall_exporters.postgres.subscriptions import lags
from footfall_processors import Catalog
from footfall_processors.hashing import Period

NOTE_EVERY = 1.0
"""Seconds between two looks at whether requests were refused; Postgres is asked only when some were."""
LAST_S = 3.0
"""Seconds that the last of them may take when the collector stops."""
FIRST_LOOK = 2.0
"""Seconds after the start: requests come first."""
log = logging.getLogger("footfall.housekeeping")


class Keeping:
    """Keeps a store in shape for as long as the collector runs.

    Args:
        store: Open.
        followed: The store's subscribers.
        decoding: Is given the salts in force.
        static_salts: The operator's own.
        telemetry: Where runs are counted.
    """

    def __init__(
        self,
        store: Store,
        followed: Subscribers,
        decoding: Decoding,
        static_salts: Mapping[Period, bytes],
        telemetry: Telemetry,
    ) -> None:
        self._store, self._followed, self._decoding = store, followed, decoding
        self._static_salts, self._telemetry = static_salts, telemetry
        self._salts()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks every few seconds; Postgres may come and go."""
        async with beside(self._run()), beside(self._note_refused()):
            yield
        with suppress(psycopg.Error, TimeoutError):  # of the last second only, unless it is away
            async with asyncio.timeout(LAST_S):
                await self._note_refused_now()

    async def use(self, catalog: Catalog) -> None:
        """Takes another catalog: first those who must know it before anything is decoded under it.

        Raises:
            OperatorError, psycopg.Error: requests are decoded under the former.
        """
        await self._store.use(catalog)
        await self._followed.use(catalog)
        self._decoding.use(catalog, self._salts(), self._store.origin)

    async def _look_at_lags(self) -> None:
        """How far subscribers are behind; the same in every worker."""
        if not self._followed.followers:
            return
        async with await connect(self._store.dsn, READING) as connection:
            for lag in await lags(connection):
                self._telemetry.behind(lag)

    async def _look_at_locks(self) -> None:
        """How long somebody has kept a lock from the others; the same in every worker."""
        async with await connect(self._store.dsn, READING) as connection:
            self._telemetry.lock_held(await locks.longest_s(connection))

    async def _note_refused(self) -> None:
        """Tells the store what was refused; while it is away, the numbers wait."""
        while True:
            await asyncio.sleep(NOTE_EVERY)
            try:
                await self._note_refused_now()
            except psycopg.Error as error:
                name = type(error).__name__
                log.warning("refused requests wait to be counted in Postgres (%s)", name)
                await asyncio.sleep(LOOK_EVERY)
            except Exception as error:  # a fault of ours must not end it
                log_fault(log, "refused requests cannot be counted in Postgres", error)
                await asyncio.sleep(LOOK_EVERY)

    async def _note_refused_now(self) -> None:
        tally = self._telemetry.tally
        if counted := tally.take():
            try:
                await self._store.note_refused(counted)
            except BaseException:
                tally.put_back(counted)
                raise

    def _salts(self) -> dict[Period, bytes]:
        """The salts in force, which are counted by kind."""
        salts = {**self._static_salts, **self._store.salts}
        self._telemetry.salts(Counter(kind for kind, _ in salts))
        return salts

    def _take_over(self) -> None:
        """What requests are decoded with, as far as the store has it by now."""
        self._decoding.identities = self._store.identities
        self._decoding.use_salts(self._salts())
        self._decoding.use_origin(self._store.origin)

    async def _run(self) -> None:
        if not self._store.opened.is_set():
            await self._store.opened.wait()
            self._take_over()
        wait = FIRST_LOOK
        while True:
            await asyncio.sleep(wait)
            wait = LOOK_EVERY
            try:
                for ran in await self._store.keep_house():
                    self._telemetry.ran(ran.task, ok=ran.ok, next_run=ran.next_run)
                await self._look_at_lags()
                await self._look_at_locks()
            except psycopg.Error as error:
                log.warning("housekeeping does not reach Postgres (%s)", type(error).__name__)
            except Exception as error:  # a fault of ours must not end it
                log_fault(log, "housekeeping failed", error)
            else:
                self._take_over()
