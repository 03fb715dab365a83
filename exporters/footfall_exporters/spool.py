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
from footfall_exporters.batch_codec import content_of, encode
from footfall_exporters.contracts import Conflict, Unavailable
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
        show: Gives back what is hidden in the body.
    """

    position: int
    digest: bytes
    body: bytes | None
    name: bytes
    show: Callable[[bytes], bytes]


class _Put(NamedTuple):
    """A batch on its way to the disk: its name and its content as they stand there, itself, who waits."""

    name: bytes
    content: bytes
    sealed: bytes
    done: asyncio.Future[None]


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
        self._waiting: list[_Put] = []
        self._writing: asyncio.Task[None] | None = None
        self.batches = self.bytes = 0
        self.refuses = False

    async def put(self, batch: Batch) -> None:
        """Returns when the batch is on the disk, or was already.

        Raises:
            Conflict: something else waits under its name.
            Unavailable: there is no room, or the disk fails.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        key = await self._known_key()
        name, content = key.hide(batch.digest), key.hide(batch.content)
        sealed = seal(encode(replace(batch, digest=name, content=content)))
        self._waiting.append(_Put(name, content, sealed, done))
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
                show = key.show if is_hidden(sealed) else bytes
                found.append(Entry(position, show(name), unseal(sealed), name, show))
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
            written = await self._insert(group)
            for put in group:
                if put.done.done():
                    continue
                if written is None:
                    put.done.set_exception(_no_more())
                elif put in written:
                    put.done.set_result(None)
                else:
                    put.done.set_exception(Conflict("this name was given to something else"))

    async def _insert(self, puts: Sequence[_Put]) -> list[_Put] | None:
        """Writes batches; those that are on the disk then, None where that was not possible."""

        def insert(connection: sqlite3.Connection) -> list[_Put]:
            with connection:
                return [put for put in puts if _insert(connection, put)]

        try:
            written = await self._run(insert)
        except Unavailable:
            self.refuses = True
            return None
        self.refuses = False
        self.batches += len(written)
        self.bytes += sum(len(put.sealed) for put in written)
        return written

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


def _insert(connection: sqlite3.Connection, put: _Put) -> bool:
    """Writes a batch; whether what is there under its name then says the same.

    One that is there already is written again where it was damaged; one that its sender has named stays.
    """
    if put.content:
        query = "SELECT body FROM batches WHERE digest = ?"
        row = connection.execute(query, [put.name]).fetchone()
        found = content_of(unseal(_blob(row[0])) or b"") if row else b""
        if found:
            return found == put.content
    connection.execute(
        "INSERT INTO batches (digest, body) VALUES (?, ?) ON CONFLICT (digest)"
        " DO UPDATE SET body = excluded.body WHERE body IS NOT excluded.body",
        [put.name, put.sealed],
    )
    return True


def _blob(value: object) -> bytes:
    """A column as it should be; what damage made a number or NULL is nothing."""
    return value if isinstance(value, bytes) else b""


def _describe(error: Exception) -> str:
    """What SQLite or the system says; neither quotes values."""
    return (error.strerror if isinstance(error, OSError) else str(error)) or "unknown"
