"""What can be read of a damaged spool is put into a new file, which takes its place by a rename.

At any moment one of the two has all that could be read. The damaged one stays beside it, for whoever wants
to see more.
"""

import datetime as dt
import errno
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from footfall_exporters.spool_rows import Row, rows, unseal

log = logging.getLogger("footfall.spool")
_BESIDE = ("-journal", "-wal", "-shm")


def recover(path: Path, reason: str, set_up: Callable[[sqlite3.Connection], None]) -> None:
    """Moves a damaged file aside; what can be read of it is in the new one. Nobody else may have it open.

    Args:
        path: Of the file.
        reason: For the log.
        set_up: Makes the tables of a new file.

    Raises:
        sqlite3.Error, OSError: the disk is full, or fails; the damaged file is where it was.
    """
    new = path.with_name(f"{path.name}.new")
    _remove(new)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(new)) as connection:
            set_up(connection)
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
    if path.is_file():
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
        broken = suppress(sqlite3.Error, UnicodeDecodeError)  # of a message that quotes the damage
        with broken, closing(sqlite3.connect(path)) as connection:
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
