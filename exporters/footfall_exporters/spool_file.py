"""The spool's file: made, looked through when it is opened, and moved aside when it is damaged."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from footfall_exporters.spool_recovery import recover
from footfall_exporters.spool_rows import PAGE

T = TypeVar("T")
log = logging.getLogger("footfall.spool")
FILE, LOCK = "spool.sqlite", "lock"
RESERVE, RESERVE_BYTES = "reserve", 2**19
"""A file that is given up when the disk is full: what is taken out of the spool needs a journal."""
LOCKED_S = 10.0
"""How long to wait for another worker's transaction."""
_UNREADABLE = "what its tables are"
"""Of which SQLite complains in a message that quotes it; Python cannot decode that."""
_PRAGMAS = (
    f"PRAGMA page_size = {PAGE}",
    "PRAGMA auto_vacuum = INCREMENTAL",
    # A rollback journal, kept: what is taken out needs no room that a full disk would have to find.
    "PRAGMA journal_mode = PERSIST",
    "PRAGMA synchronous = FULL",  # fsync at every commit
    "PRAGMA secure_delete = OFF",  # it journals all that is taken out; an empty spool is cut off instead
)
_TABLES = (
    "CREATE TABLE batches"
    " (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL)",
    "CREATE TABLE unreadable (id INTEGER PRIMARY KEY, digest BLOB, body BLOB)",
)
_OF_SQLITE = "CREATE TABLE sqlite_sequence(name,seq)"
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
# https://www.sqlite.org/fileformat2.html, "The Database Header": where, and what it is in every file of ours.
# A wrong one of these lets SQLite take the file for read-only, say, which is then no damage for it.
_HEADER = (
    (0, b"SQLite format 3\0"),
    (16, PAGE.to_bytes(2, "big")),
    (18, b"\1\1\0\x40\x20\x20"),  # a rollback journal, nothing reserved, fractions of a page
    (44, b"\0\0\0\4"),
    (56, b"\0\0\0\1"),  # UTF-8
    (64, b"\0\0\0\1"),  # auto_vacuum = INCREMENTAL
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in a spool.

    Attributes:
        requests: How many.
        size: Their bytes.
    """

    requests: int
    size: int


class Damaged(Exception):  # what happened, not a fault of ours
    """The file is not what was written to it; the message says where that shows."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says so, and not that the disk fails, is full, or may not be written."""
    code = getattr(error, "sqlite_errorcode", None)
    # SQLITE_CORRUPT and the others with more in their upper bits; SQLITE_IOERR_CORRUPTFS is the disk's.
    return code is not None and code & 0xFF in _DAMAGE


def waiting(directory: Path) -> Waiting | None:
    """Looks into a spool that another process may have open; None where there is no file yet.

    Raises:
        Damaged: it cannot be read.
    """
    path = directory / FILE
    if not path.exists():
        return None
    query = "SELECT count(*), coalesce(sum(length(body)), 0) FROM batches"
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            return Waiting(*connection.execute(query).fetchone())
    except sqlite3.Error as error:
        raise Damaged(type(error).__name__) from None
    except UnicodeDecodeError:
        raise Damaged(_UNREADABLE) from None


class SpoolFile:
    """The file and what lies beside it, for one thread. Worker processes share it.

    Args:
        directory: Made when it is missing.
        limit: Bytes that the file may have.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory, self._limit = directory, limit
        self._path, self._reserve = directory / FILE, directory / RESERVE
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._lock: int | None = None
        self._looked_through = False

    def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Works with the file; once more, when it was damaged, with the one that takes its place.

        Raises:
            sqlite3.Error, OSError, Damaged: the connection is closed then.
        """
        try:
            try:
                return self._do(work)
            except Damaged as damage:
                self._recover(str(damage))
                return self._do(work)
        except (sqlite3.Error, OSError, Damaged):
            self._disconnect()
            raise

    def close(self) -> None:
        """Closes everything."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def give_up_reserve(self) -> None:
        """Makes room for a journal on a full disk."""
        self._reserve.unlink(missing_ok=True)

    def keep_reserve(self) -> None:
        """Makes the reserve, where there is room for it."""
        try:
            with self._reserve.open("xb") as file:
                self._reserve.chmod(0o600)
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except FileExistsError:
            return
        except OSError:
            self._reserve.unlink(missing_ok=True)

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Works under the lock that keeps other workers from moving the file aside meanwhile."""
        with self._locked(fcntl.LOCK_SH):
            try:
                return work(self._connected())
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                raise Damaged(str(error)) from None
            except UnicodeDecodeError:
                raise Damaged(_UNREADABLE) from None

    def _recover(self, reason: str) -> None:
        """Moves the file aside, unless another worker has; the connection is a new one then."""
        before = self._inode
        self._disconnect()
        with self._locked(fcntl.LOCK_EX):
            if before in (None, _inode(self._path)):
                recover(self._path, reason, _set_up)
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
            self._connection = _opened(
                self._path, self._limit, look_through=not self._looked_through
            )
            self._inode, self._looked_through = _inode(self._path), True
            self.keep_reserve()
        return self._connection

    def _say_emptied(self) -> None:
        if self._reserve.exists() and self._path.exists() and not self._path.stat().st_size:
            log.error("the spool is a file of 0 bytes: what was in it is gone")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _opened(path: Path, most_bytes: int, *, look_through: bool) -> sqlite3.Connection:
    """A connection to the file, which is made when it is missing.

    Args:
        path: Of the file.
        most_bytes: That it may have.
        look_through: Whether all of it is checked; it takes a second for a gigabyte.

    Raises:
        Damaged: it is.
        sqlite3.Error, OSError: it cannot be opened.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except IsADirectoryError:
        raise Damaged("it is a directory") from None
    connection = sqlite3.connect(path, timeout=LOCKED_S, check_same_thread=False)
    try:
        connection.text_factory = bytes
        _check(connection, path, look_through=look_through)
        _set_up(connection)
        connection.execute(f"PRAGMA max_page_count = {most_bytes // PAGE}")
    except sqlite3.Error as error:
        connection.close()
        if is_damage(error):
            raise Damaged(str(error)) from None
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    for statement in _PRAGMAS:
        connection.execute(statement).fetchall()
    for table in _TABLES:
        connection.execute(table.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))


def _check(connection: sqlite3.Connection, path: Path, *, look_through: bool) -> None:
    query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
    try:
        # Reading takes back what a killed process had begun to write: only then the file is what it is.
        found = {sql for (sql,) in connection.execute(query)}
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # a format that it does not know
            _check_header(path)
        raise
    if not found and not path.stat().st_size:
        return  # it is new
    _check_header(path)
    if not found <= {sql.encode() for sql in (*_TABLES, _OF_SQLITE)}:
        raise Damaged("its tables")
    if look_through:
        (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if said != b"ok":
            raise Damaged(said.decode(errors="replace").splitlines()[-1])


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(100)
    for place, expected in _HEADER:
        if header[place : place + len(expected)] != expected:
            raise Damaged(f"byte {place} of its header")
