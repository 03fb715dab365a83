"""Where cleaned batches wait on disk while the store is away: SQLite, bounded, in order, each once.

A batch is in the file, and the file on the disk (fsync), when `put` returns; several that wait share one
transaction. Worker processes share the file. Each batch carries its digest, so that storing it twice, after
a crash between the two, is recognised by the ledger. Each has a checksum as well; a file that is damaged is
moved aside, and what can be read of it goes on waiting (spool_file.py).
"""

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from footfall_exporters.batch_codec import encode
from footfall_exporters.contracts import Unavailable
from footfall_exporters.spool_file import Damaged, is_damage, opened, recover
from footfall_exporters.spool_rows import seal, unseal
from footfall_processors import Batch

T = TypeVar("T")
log = logging.getLogger("footfall.spool")
FILE, LOCK = "spool.sqlite", "lock"
RESERVE, RESERVE_BYTES = "reserve", 2**19
"""A file that is given up when the disk is full: what is taken out of the spool needs a journal."""
REMOVED = 100
"""Batches that are taken out together; the journal of so many fits into the reserve."""
RETRY_AFTER = 5.0


class Entry(NamedTuple):
    """A batch that waits.

    Attributes:
        position: In the order.
        digest: Of the batch.
        body: Encoded; None when it is not what was written.
    """

    position: int
    digest: bytes
    body: bytes | None


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


class SpoolError(Exception):
    """The spool cannot be opened; the message is one line that says what to do."""


class Spool:
    """Batches on disk.

    Attributes:
        batches: How many waited when it was last looked at.
        bytes: Their size then.
        limit: Bytes that the file may have.
        refuses: Whether the last batch could not be put.
    """

    def __init__(self, config: SpoolConfig) -> None:
        self._config = config
        self.limit = config.max_mib * 2**20
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._thread = ThreadPoolExecutor(1, "spool")
        self._waiting: list[tuple[bytes, bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._looked_through = False
        self._lock: int | None = None
        self.batches = self.bytes = 0
        self.refuses = False

    async def put(self, batch: Batch) -> None:
        """Returns when the batch is on the disk, or was already.

        Raises:
            Unavailable: there is no room, or the disk fails.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch.digest, seal(encode(batch)), done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done

    async def first(self, most_bytes: int, after: int = 0) -> list[Entry]:
        """The oldest batches behind `after`, at least one where there is one.

        Raises:
            Unavailable: the disk fails.
        """

        def read(connection: sqlite3.Connection) -> list[Entry]:
            found: list[Entry] = []
            size, last = 0, after
            query = "SELECT id, digest, body FROM batches WHERE id > ? ORDER BY id"
            for position, digest, sealed in connection.execute(query, [after]):
                if position <= last:
                    raise Damaged("the order of its rows")
                last = position
                size += len(_blob(sealed))
                if found and size > most_bytes:
                    break
                found.append(Entry(position, _blob(digest), unseal(_blob(sealed))))
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
                self._keep_reserve()

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
            self._reserve.unlink(missing_ok=True)
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
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown()

    async def _write(self) -> None:
        """Writes what waits, and what comes meanwhile: a transaction for all that wait."""
        while self._waiting:
            group, self._waiting = self._waiting, []
            failure = await self._insert([(digest, body) for digest, body, _ in group])
            for _, _, done in group:
                if not done.done():
                    done.set_exception(failure) if failure else done.set_result(None)

    async def _insert(self, entries: Sequence[tuple[bytes, bytes]]) -> Unavailable | None:
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
        except Unavailable as error:
            self.refuses = True
            return error
        self.refuses = False
        self.batches += len(entries)
        self.bytes += sum(len(body) for _, body in entries)
        return None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does something with the file, in its thread; once more when it was damaged."""

        def run() -> T:
            try:
                try:
                    return self._do(work)
                except Damaged as damage:
                    self._recover(str(damage))
                    return self._do(work)
            except (sqlite3.Error, OSError, Damaged) as error:
                log.error("the spool fails: %s", _describe(error))
                self._disconnect()
                raise Unavailable(
                    "the store is away and the spool takes no more", RETRY_AFTER
                ) from None

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Works under the lock that keeps other workers from moving the file aside meanwhile."""
        with self._locked(fcntl.LOCK_SH):
            try:
                return work(self._connected())
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                raise Damaged(str(error)) from None

    def _recover(self, reason: str) -> None:
        """Moves the file aside, unless another worker has; the connection is a new one then."""
        before = self._inode
        self._disconnect()
        with self._locked(fcntl.LOCK_EX):
            if before in (None, _inode(self._path)):
                recover(self._path, reason)
        self._looked_through = False

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        if self._lock is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
            self._lock = os.open(self._directory / LOCK, flags, 0o600)
        fcntl.flock(self._lock, how)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _connected(self) -> sqlite3.Connection:
        """The connection to the file that has its name now."""
        if self._connection is not None and self._inode != _inode(self._path):
            self._disconnect()
        if self._connection is None:
            self._say_emptied()
            self._inode = _inode(self._path)
            self._connection = opened(self._path, self.limit, look_through=not self._looked_through)
            self._inode, self._looked_through = _inode(self._path), True
            self._keep_reserve()
        return self._connection

    def _say_emptied(self) -> None:
        if self._reserve.exists() and self._path.exists() and not self._path.stat().st_size:
            log.error("the spool is a file of 0 bytes: what was in it is gone")

    @property
    def _directory(self) -> Path:
        return Path(self._config.directory)

    @property
    def _path(self) -> Path:
        return self._directory / FILE

    @property
    def _reserve(self) -> Path:
        return self._directory / RESERVE

    def _keep_reserve(self) -> None:
        """Makes the reserve, where there is room for it."""
        try:
            with self._reserve.open("xb") as file:
                self._reserve.chmod(0o600)
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except FileExistsError:
            return
        except OSError:
            self._reserve.unlink(missing_ok=True)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _end(self) -> None:
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _blob(value: object) -> bytes:
    """A column as it should be; what damage made a number or NULL is nothing."""
    return value if isinstance(value, bytes) else b""


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _describe(error: Exception) -> str:
    """What SQLite or the system says; neither quotes values."""
    return (error.strerror if isinstance(error, OSError) else str(error)) or "unknown"
