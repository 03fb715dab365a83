"""Where cleaned batches wait on disk while the store is away: SQLite, bounded, in order, each once.

A batch is in the file, and the file on the disk (fsync), when `put` returns; several that wait share one
transaction. Worker processes share the file. Each batch carries its digest, so that storing it twice, after
a crash between the two, is recognised by the ledger. Each has a checksum as well; a file that is damaged is
moved aside, and what can be read of it goes on waiting (spool_file.py, spool_recovery.py).
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from footfall_exporters import spool_key
from footfall_exporters.batch_codec import encode
from footfall_exporters.contracts import Unavailable
from footfall_exporters.spool_file import Damaged, SpoolFile
from footfall_exporters.spool_key import SpoolKey
from footfall_exporters.spool_rows import is_hidden, seal, unseal
from footfall_processors import Batch, OperatorError

T = TypeVar("T")
log = logging.getLogger("footfall.spool")
REMOVED = 100
"""Batches that are taken out together; the journal of so many fits into the reserve."""
RETRY_AFTER = 5.0


class Entry(NamedTuple):
    """A batch that waits.

    Attributes:
        position: In the order.
        digest: Of the batch.
        body: Encoded; None when it is not what was written.
        name: The digest as it stands in the file, and in the body.
    """

    position: int
    digest: bytes
    body: bytes | None
    name: bytes


class SpoolConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where batches wait, and how many.

    Attributes:
        directory: Of the file; made when it is missing, readable by its owner alone.
        max_mib: How large the file may become.
    """

    directory: str
    max_mib: Annotated[int, msgspec.Meta(ge=1, le=2**20)] = 256

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Spool"]:
        """The spool; what was left in it before is still there.

        Raises:
            SpoolError: the file cannot be opened.
        """
        spool = Spool(self)
        try:
            await spool.refresh()
        except Unavailable:
            raise SpoolError(
                f"the spool in {self.directory} cannot be opened: may this user write there, and is"
                " there room? Another directory can be set as exporters.postgres.spool.directory"
            ) from None
        try:
            yield spool
        finally:
            await spool.close()


class SpoolError(OperatorError):
    """The spool cannot be opened."""


class Spool:
    """Batches on disk.

    Attributes:
        batches: How many waited when it was last looked at.
        bytes: Their size then.
        limit: Bytes that the file may have.
        refuses: Whether the last batch could not be put.
    """

    def __init__(self, config: SpoolConfig) -> None:
        self.limit = config.max_mib * 2**20
        self._directory = Path(config.directory)
        self._file = SpoolFile(self._directory, self.limit)
        self._key: SpoolKey | None = None
        self._thread = ThreadPoolExecutor(1, "spool")
        self._waiting: list[tuple[bytes, bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self.batches = self.bytes = 0
        self.refuses = False

    async def put(self, batch: Batch) -> None:
        """Returns when the batch is on the disk, or was already.

        Raises:
            Unavailable: there is no room, or the disk fails.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        name = (await self._known_key()).hide(batch.digest)
        self._waiting.append((name, seal(encode(replace(batch, digest=name))), done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        try:
            await done
        finally:
            del done  # its error would keep this frame, and the batch, through its traceback

    async def first(self, most_bytes: int, after: int = 0) -> list[Entry]:
        """The oldest batches behind `after`, at least one where there is one.

        Raises:
            Unavailable: the disk fails.
        """
        key = await self._known_key()

        def read(connection: sqlite3.Connection) -> list[Entry]:
            found: list[Entry] = []
            size, last = 0, after
            query = "SELECT id, digest, body FROM batches WHERE id > ? ORDER BY id"
            for position, name, body in connection.execute(query, [after]):
                if position <= last:
                    raise Damaged("the order of its rows")
                last, name, sealed = position, _blob(name), _blob(body)
                size += len(sealed)
                if found and size > most_bytes:
                    break
                digest = key.show(name) if is_hidden(sealed) else name
                found.append(Entry(position, digest, unseal(sealed), name))
            return found

        return await self._run(read)

    async def remove(self, positions: Sequence[int]) -> None:
        """Forgets batches that are stored elsewhere by now.

        Raises:
            Unavailable: the disk fails.
        """

        def delete(connection: sqlite3.Connection) -> None:
            for start in range(0, len(positions), REMOVED):
                self._delete(connection, positions[start : start + REMOVED])
            if connection.execute("SELECT NOT EXISTS (SELECT 1 FROM batches)").fetchone() == (1,):
                connection.executescript("PRAGMA incremental_vacuum")  # execute() frees one page
                self._file.keep_reserve()

        await self._run(delete)
        await self.refresh()

    async def set_aside(self, positions: Sequence[int]) -> None:
        """Takes out of the way what cannot be read; it stays in the table `unreadable`.

        Raises:
            Unavailable: the disk fails.
        """
        if not positions:
            return

        def move(connection: sqlite3.Connection) -> None:
            with connection:
                for position in positions:
                    connection.execute(
                        "INSERT INTO unreadable (digest, body)"
                        " SELECT digest, body FROM batches WHERE id = ?",
                        [position],
                    )
                    connection.execute("DELETE FROM batches WHERE id = ?", [position])

        await self._run(move)
        await self.refresh()

    def _delete(self, connection: sqlite3.Connection, positions: Sequence[int]) -> None:
        """Removes some batches; on a full disk the reserve makes room for the journal of that."""

        def delete() -> None:
            with connection:
                connection.executemany(
                    "DELETE FROM batches WHERE id = ?", [(p,) for p in positions]
                )

        try:
            delete()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
                raise
            self._file.give_up_reserve()
            delete()

    async def refresh(self) -> None:
        """Looks how much waits.

        Raises:
            Unavailable: the disk fails.
        """
        query = "SELECT count(*), coalesce(sum(length(body)), 0) FROM batches"
        self.batches, self.bytes = await self._run(lambda c: c.execute(query).fetchone())

    async def close(self) -> None:
        """Finishes what is being written, and closes the file."""
        if self._writing is not None:
            await self._writing
        await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
        self._thread.shutdown()

    async def _known_key(self) -> SpoolKey:
        """The key, read once from beside the file.

        Raises:
            Unavailable: the disk fails.
        """
        if self._key is None:
            directory = self._directory
            self._key = await self._run(lambda _: spool_key.load(directory))
        return self._key

    async def _write(self) -> None:
        """Writes what waits, and what comes meanwhile: a transaction for all that wait."""
        while self._waiting:
            group, self._waiting = self._waiting, []
            written = await self._insert([(digest, body) for digest, body, _ in group])
            for _, _, done in group:
                if not done.done():
                    done.set_result(None) if written else done.set_exception(_no_more())

    async def _insert(self, entries: Sequence[tuple[bytes, bytes]]) -> bool:
        """Writes batches; whether that was possible."""

        def insert(connection: sqlite3.Connection) -> None:
            with connection:
                # One that is there already is written again where it was damaged.
                connection.executemany(
                    "INSERT INTO batches (digest, body) VALUES (?, ?) ON CONFLICT (digest)"
                    " DO UPDATE SET body = excluded.body WHERE body IS NOT excluded.body",
                    entries,
                )

        try:
            await self._run(insert)
        except Unavailable:
            self.refuses = True
            return False
        self.refuses = False
        self.batches += len(entries)
        self.bytes += sum(len(body) for _, body in entries)
        return True

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does something with the file, in its thread."""

        def run() -> T:
            try:
                return self._file.do(work)
            except (sqlite3.Error, OSError, Damaged) as error:
                # With every request, when the disk is full: the collector's log writes one a minute.
                log.error("the spool fails: %s", _describe(error), extra={"tick": 60.0, "most": 1})
                raise _no_more() from None

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)


def _no_more() -> Unavailable:
    return Unavailable("the store is away and the spool takes no more", RETRY_AFTER)


def _blob(value: object) -> bytes:
    """A column as it should be; what damage made a number or NULL is nothing."""
    return value if isinstance(value, bytes) else b""


def _describe(error: Exception) -> str:
    """What SQLite or the system says; neither quotes values."""
    return (error.strerror if isinstance(error, OSError) else str(error)) or "unknown"
