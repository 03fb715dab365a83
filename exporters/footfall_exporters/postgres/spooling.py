"""The writer with a spool behind it: what Postgres cannot take now waits on disk and is stored later.

consume ── writer ── Postgres
└─ away ── spool (fsync) ─┐
writer ── drain ───────┘
"""

import asyncio
import hashlib
import logging
from copy import copy
from dataclasses import replace

import msgspec

from footfall_exporters.batch_codec import Decoder
from footfall_exporters.contracts import Conflict, Losses, Rejected, Unavailable
from footfall_exporters.faults import log_fault
from footfall_exporters.postgres.writer import Away, Writer
from footfall_exporters.spool import Entry, Spool
from footfall_processors import Batch, Loss

log = logging.getLogger("footfall.spool")
SPOOL = "spool"
"""In place of a signal, for what nobody can tell any more."""
DIGEST_BYTES = 16
CHUNK = 4 * 2**20
"""Bytes that are read and stored together."""


class Spooling:
    """Stores batches, or keeps them until they can be stored.

    Args:
        writer: Its `run` must be running.
        spool: Open.
        opened: Set once the database is prepared; until then everything goes to the spool.
        retry: Seconds between two attempts while Postgres is away.

    Attributes:
        away: Whether Postgres was away at the last attempt; batches go to the spool then.
    """

    def __init__(
        self, writer: Writer, spool: Spool, opened: asyncio.Event, retry: float = 1.0
    ) -> None:
        self._writer, self._spool, self._opened, self._retry = writer, spool, opened, retry
        self._decoder = Decoder()
        self._filled = asyncio.Event()
        self._filled.set()  # what was left from before
        self.away = not opened.is_set()

    async def consume(self, batch: Batch) -> Losses | None:
        """Returns when the batch is committed, or on the disk.

        Returns:
            See `Writer.consume`.

        Raises:
            Rejected: Postgres refuses its data whatever is done.
            Conflict: something else is stored, or waits, under its name.
            Unavailable: Postgres is away, and the spool has no room.
        """
        if not self.away:
            try:
                return await self._writer.consume(batch)
            except Away:
                if not self.away:
                    log.warning("Postgres is away: requests wait in the spool")
                self.away = True
                self._filled.set()
        await self._spool.put(batch)
        self._filled.set()
        return None

    async def run(self) -> None:
        """Stores what waits in the spool whenever Postgres is there; until cancelled."""
        await self._opened.wait()
        while True:
            await self._filled.wait()
            try:
                left = await self._drain()
            except Unavailable:
                left = True
            except Exception as error:  # a fault of ours must not end it
                log_fault(log, "draining the spool failed", error)
                left = True
            if left:
                await asyncio.sleep(self._retry)
                if not self._spool.batches:
                    self.away = False  # nothing to try it with: the next request shows
            else:
                self._filled.clear()

    async def _drain(self) -> bool:
        """Stores all that waits, in order; whether something had to stay."""
        position, stayed, stored = 0, False, 0
        while entries := await self._spool.first(CHUNK, position):
            position = entries[-1][0]
            results = await asyncio.gather(*map(self._store_one, entries))
            gone = [at for (at, *_), kept in zip(entries, results, strict=True) if not kept]
            await self._spool.set_aside(
                [
                    at
                    for (at, *_), kept in zip(entries, results, strict=True)
                    if isinstance(kept, _Unreadable)
                ]
            )
            # Before anything is taken out, which may fail: what comes now need not be kept any more.
            self.away = any(isinstance(kept, Away) for kept in results)
            if gone:
                await self._spool.remove(gone)
                stored += len(gone)
            if self.away:
                return True
            stayed = stayed or any(isinstance(kept, Unavailable) for kept in results)
        if stored:
            log.warning("the spool is drained: %d requests are stored", stored)
        await self._spool.refresh()
        return stayed or self.away

    async def _store_one(self, entry: Entry) -> Exception | None:
        """Why this one has to stay; None for what is stored, or refused (and counted) for good.

        What cannot be read is entered in the ledger as a loss, under its digest: once, and not at all when
        it had been stored before it was damaged.
        """
        try:
            batch, found = self._decoded(entry), None
        except msgspec.DecodeError as error:
            log.error("the spool holds what cannot be read (%s); it is set aside", error)
            batch, found = _lost(entry), _Unreadable()
        try:
            await self._writer.consume(batch)
        except Conflict:
            log.error("what waited in the spool has a name under which something else is stored")
            return found if await self._writer.refuse(batch) else Away("the store is not available")
        except Rejected:
            return found
        except Unavailable as error:
            return copy(error)  # without its traceback, which holds the batch
        return found

    def _decoded(self, entry: Entry) -> Batch:
        if entry.body is None:
            raise msgspec.DecodeError("its checksum is wrong")
        batch = self._decoder.decode(entry.body)
        if batch.digest != entry.name:
            raise msgspec.DecodeError("its digest is another one's")
        return replace(batch, digest=entry.digest, content=entry.show(batch.content))


class _Unreadable(Exception):  # what happened, not a fault of ours
    """A row that is set aside."""


def _lost(entry: Entry) -> Batch:
    """What is known of a request that cannot be read any more."""
    digest = entry.digest
    if len(digest) != DIGEST_BYTES:
        digest = hashlib.blake2b(digest, digest_size=DIGEST_BYTES).digest()
    return Batch(digest, SPOOL, losses={Loss.UNREADABLE_IN_SPOOL: 1})
