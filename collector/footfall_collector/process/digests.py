"""Sends the digest when it is due, once, whichever collector of a store that is (R-number A10)."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import psycopg

from footfall_collector.config.digest import DigestConfig
from footfall_exporters import notify
from footfall_exporters.background import beside
from footfall_exporters.faults import log_fault
from footfall_exporters.notify import Target
from footfall_exporters.postgres import READING, connect_sync
from footfall_exporters.postgres import appointments as booked
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.reports.digest import digest
from footfall_processors.notice import Notice

LOOK_EVERY = 15.0
"""Seconds between two looks at whether it is due."""
PREFIX = "digest to "
"""And the target's name: what it is called among the tasks of housekeeping."""
_USE = replace(READING, name="footfall digest", statement="60s")
log = logging.getLogger("footfall.digest")


class Digests:
    """Sends one store's digest.

    Args:
        dsn: Of the store, as its owner.
        config: When and to whom; None: nobody is sent any.
    """

    def __init__(self, dsn: str, config: DigestConfig | None) -> None:
        self._dsn, self._config = dsn, config
        self._targets = notify.targets(config.targets) if config else {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks every few seconds whether it is due; Postgres may come and go."""
        async with beside(self._run()):
            yield

    async def _run(self) -> None:
        forgotten = False
        while True:
            try:
                if not forgotten:
                    await self._forget()
                    forgotten = True
                if self._config is None:
                    return
                await self.look(self._config)
            except psycopg.Error as error:
                log.warning("the digest waits for Postgres (%s)", type(error).__name__)
            except Exception as error:  # a fault of ours must not end it
                log_fault(log, "the digest cannot be sent", error)
            await asyncio.sleep(LOOK_EVERY)

    async def _forget(self) -> None:
        """What former configurations sent to is not overdue for ever."""
        async with await connect(self._dsn, HOUSEKEEPING) as connection:
            await booked.forget(connection, PREFIX, [f"{PREFIX}{name}" for name in self._targets])

    async def look(self, config: DigestConfig) -> None:
        """Sends what is due and nobody else sends.

        Raises:
            psycopg.Error: Postgres does not answer.
        """
        for name, target in self._targets.items():
            task = f"{PREFIX}{name}"
            async with await connect(self._dsn, HOUSEKEEPING) as connection:
                now = await booked.clock(connection)
                last, following = config.last_due(now), config.next_due(now)
                await booked.plan(connection, task, config.period, last, following)
                claimed = await booked.claim(connection, task)
            if claimed is not None:
                await _to_its_end(self._send(config, name, target, claimed))

    async def _send(
        self, config: DigestConfig, name: str, target: Target, claimed: dt.datetime
    ) -> None:
        """Sends it, of the days before it was due, and notes what came of it."""
        due = config.last_due(claimed)
        outcome = await self._outcome(config, target, due)
        async with await connect(self._dsn, HOUSEKEEPING) as connection:
            now = await booked.clock(connection)
            ok = outcome == booked.DONE
            following = config.next_due(now)
            after = following if ok else min(booked.again(now, due), following)
            await booked.report(connection, f"{PREFIX}{name}", claimed, outcome, after, ok=ok)
        if ok:
            log.info("the digest was sent to %s", name)
        else:
            log.warning("the digest was not sent to %s: %s; it is tried again", name, outcome)

    async def _outcome(self, config: DigestConfig, target: Target, due: dt.datetime) -> str:
        try:
            notice = await asyncio.to_thread(self._read, config, due)
            taken = await asyncio.to_thread(target.send, notice)
        except Exception as error:  # whatever it is, it is tried again
            return f"failed ({type(error).__name__})"
        return booked.DONE if taken else "failed (the target did not take it)"

    def _read(self, config: DigestConfig, due: dt.datetime) -> Notice:
        with closing(connect_sync(self._dsn, _USE)) as connection:
            return digest(connection, config.every, due)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Also when the collector stops: what is on its way cannot be called back, and is noted."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
