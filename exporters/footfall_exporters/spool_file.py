"""The spool's file: made, looked through when it is opened, and moved aside when it is damaged.

What can be read of a damaged file is put into a new one, which takes its place by a rename: at any moment
one of the two has all that could be read. The damaged one stays beside it, for whoever wants to see more.
"""

import datetime as dt
import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from footfall_exporters.spool_rows import PAGE, Row, rows, unseal

log = logging.getLogger("footfall.spool")
LOCKED_S = 10.0
"""How long to wait for another worker's transaction."""
_PRAGMAS = (
    f"PRAGMA page_size = {PAGE}",
    "PRAGMA auto_vacuum = INCREMENTAL",
    # A rollback journal, kept: what is taken out needs no room that a full disk would have to find.
    "PRAGMA journal_mode = PERSIST",
    "PRAGMA synchronous = FULL",  # fsync at every commit
    "PRAGMA secure_delete = OFF",  # it journals all that is taken out; an empty spool is cut off instead
    "CREATE TABLE IF NOT EXISTS batches"
    " (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS unreadable (id INTEGER PRIMARY KEY, digest BLOB, body BLOB)",
)
_COLUMNS = ("id", "digest", "body")
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
_BESIDE = ("-journal", "-wal", "-shm")
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


class Damaged(Exception):  # what happened, not a fault of ours
    """The file is not what was written to it; the message says where that shows."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says so, and not that the disk fails, is full, or may not be written."""
    code = getattr(error, "sqlite_errorcode", None)
    # SQLITE_CORRUPT and the others with more in their upper bits; SQLITE_IOERR_CORRUPTFS is the disk's.
    return code is not None and code & 0xFF in _DAMAGE


def opened(path: Path, most_bytes: int, *, look_through: bool) -> sqlite3.Connection:
    """A connection to the file, which is made when it is missing.

    Args:
        path: Of the file.
        most_bytes: That it may have.
        look_through: Whether all of it is checked; it takes a second for a gigabyte.

    Raises:
        Damaged: it is.
        sqlite3.Error, OSError: it cannot be opened.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
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


def _check(connection: sqlite3.Connection, path: Path, *, look_through: bool) -> None:
    # Reading takes back what a killed process had begun to write: only then the file is what it is.
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    with path.open("rb") as file:
        header = file.read(100)
    if not header and tables == (0,):
        return  # it is new
    for place, expected in _HEADER:
        if header[place : place + len(expected)] != expected:
            raise Damaged(f"byte {place} of its header")
    found = [name.decode() for _, name, *_ in connection.execute("PRAGMA table_info(batches)")]
    if found and tuple(found) != _COLUMNS:
        raise Damaged("its columns")
    if look_through:
        (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if said != b"ok":
            raise Damaged(said.decode(errors="replace").splitlines()[-1])


def recover(path: Path, reason: str) -> None:
    """Moves a damaged file aside; what can be read of it is in the new one. Nobody else may have it open.

    Raises:
        sqlite3.Error, OSError: the disk is full, or fails; the damaged file is where it was.
    """
    new = path.with_name(f"{path.name}.new")
    _remove(new)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(new)) as connection:
            _set_up(connection)
            kept = _copy(path, connection)
        for suffix in _BESIDE:
            new.with_name(new.name + suffix).unlink(missing_ok=True)
        aside = _put_in_place(new, path)
    except BaseException:
        _remove(new)
        raise
    log.error(
        "the spool was damaged (%s): it is moved aside as %s, and %d requests that could be read are kept",
        reason,
        aside.name,
        kept,
    )


def _copy(path: Path, connection: sqlite3.Connection) -> int:
    """Puts all rows into a new file, those that are damaged behind the others; how many are whole."""
    with connection:
        for row in _all(path):
            if unseal(row.sealed) is not None:
                _keep(connection, row)
        (kept,) = connection.execute("SELECT count(*) FROM batches").fetchone()
        for row in _all(path):
            if unseal(row.sealed) is None:
                _keep(connection, row._replace(id=0))
    return int(kept)


def _all(path: Path) -> Iterator[Row]:
    yield from _by_sqlite(path)
    yield from rows(path)


def _keep(connection: sqlite3.Connection, row: Row) -> None:
    """In its place, or at the end where another row has that; once, by its digest."""
    for position in (row.id if row.id > 0 else None, None):
        done = connection.execute(
            "INSERT OR IGNORE INTO batches VALUES (?, ?, ?)", [position, *row[1:]]
        )
        if done.rowcount:
            return


def _by_sqlite(path: Path) -> Iterator[Row]:
    """The rows that SQLite gets at, from both ends: a page that is wrongly said to be free is one of its."""
    query = "SELECT id, digest, body FROM batches NOT INDEXED ORDER BY id"
    for order in ("", " DESC"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
            connection.text_factory = bytes
            for position, digest, body in connection.execute(query + order):
                if isinstance(digest, bytes) and isinstance(body, bytes):
                    yield Row(position, digest, body)


def _put_in_place(new: Path, path: Path) -> Path:
    """Replaces the damaged file by the new one; returns where the damaged one is now."""
    aside = _aside(path)
    try:
        os.link(path, aside)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        path.rename(aside)  # a file system without links
    for suffix in _BESIDE:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return aside


def _aside(path: Path) -> Path:
    """A name that nothing has."""
    now = dt.datetime.now(dt.UTC)
    first = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}")
    name, number = first, 1
    while name.exists():
        number += 1
        name = first.with_name(f"{first.name}-{number}")
    return name


def _remove(path: Path) -> None:
    for suffix in ("", *_BESIDE):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
