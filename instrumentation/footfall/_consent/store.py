"""The bounded SQLite file of `local` mode, in which what would be sent is kept on this machine.

A row is one request, in the very bytes that the OTLP exporters would have sent. Counters are cumulative,
so of a process only the latest request about them is kept. Connections live for one request each: several
processes share the file, and a fork inherits none.
"""

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from footfall._consent.forgetting import Forms
from footfall._consent.state import give_to_owner, make_folder, remove_database
from footfall._log import log

REQUESTS = 2_000
"""Requests that are kept; beyond them the oldest go."""
SIZE = 16 << 20
"""Bytes of requests that are kept."""
PATIENCE = 2.0
"""Seconds to wait for another process that is writing."""

Signal = Literal["traces", "metrics"]
_VERSION = 1
_TABLES = f"""
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, signal TEXT NOT NULL, items INTEGER NOT NULL,
    instance TEXT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS dropped (
    signal TEXT PRIMARY KEY, requests INTEGER NOT NULL, items INTEGER NOT NULL);
PRAGMA user_version = {_VERSION};
"""
_EXCESS = """
SELECT id, signal, items FROM (
    SELECT id, signal, items, row_number() OVER newest AS requests, sum(length(body)) OVER newest AS size
    FROM requests WINDOW newest AS (ORDER BY id DESC))
WHERE requests > ? OR size > ?
"""
_DROP = """
INSERT INTO dropped VALUES (?, 1, ?)
ON CONFLICT (signal) DO UPDATE SET requests = requests + 1, items = items + excluded.items
"""


class Request(NamedTuple):
    """One request as it was kept.

    Attributes:
        time: When it would have been sent, Unix time in seconds.
        signal: `traces` or `metrics`.
        body: An ExportTraceServiceRequest or ExportMetricsServiceRequest.
    """

    time: float
    signal: Signal
    body: bytes


class Dropped(NamedTuple):
    """What was pushed out by later requests.

    Attributes:
        signal: `traces` or `metrics`.
        requests: How many requests.
        items: How many spans, or points of counters, were in them.
    """

    signal: Signal
    requests: int
    items: int


class LocalStore:
    """The file. Nothing here raises; what cannot be kept is lost.

    It is made at once, and not again when it is gone later: then the user revoked their consent, or
    deleted it. A file that is corrupt is begun anew.

    Args:
        path: Its place; None where the user has no home.
        requests: How many requests are kept.
        size: How many bytes of them.
    """

    def __init__(self, path: Path | None, requests: int = REQUESTS, size: int = SIZE) -> None:
        self._path = path
        self._limits = (requests, size)
        self._made = False
        with suppress(sqlite3.Error, OSError):
            self._make()

    def keep(self, signal: Signal, body: bytes, items: int, instance: str | None = None) -> bool:
        """Keeps a request.

        Args:
            signal: `traces` or `metrics`.
            body: Its bytes.
            items: How many spans or points are in it.
            instance: The process whose counters these are; its earlier request is replaced.

        Returns:
            Whether it was kept.
        """
        row = (time.time(), signal, items, instance, body)
        try:
            try:
                self._write(row)
            except sqlite3.DatabaseError as error:
                if self._path is None or not _corrupt(error):
                    raise
                remove_database(self._path)
                self._made = False
                self._write(row)
        except (sqlite3.Error, OSError) as error:
            log.debug("%s in the local store", type(error).__name__)
            return False
        return True

    def _make(self) -> None:
        if self._path is None:
            raise FileNotFoundError
        make_folder(self._path.parent, parents=2)
        if not self._path.exists():
            self._path.touch(0o600)
            give_to_owner(self._path)
        with closing(_open(self._path)) as database:
            _log_ahead(database)
            database.executescript(_TABLES)
        self._made = True

    def _write(self, row: tuple[Any, ...]) -> None:
        if not self._made:
            self._make()
        assert self._path is not None  # noqa: S101  # _make() raised otherwise
        with closing(_open(self._path)) as database, database:
            # A user's disk is not woken for this; after a power failure a file may begin anew.
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM requests WHERE instance = ?", (row[3],))
            database.execute(
                "INSERT INTO requests (time, signal, items, instance, body) VALUES (?, ?, ?, ?, ?)",
                row,
            )
            for number, signal, items in database.execute(_EXCESS, self._limits).fetchall():
                database.execute("DELETE FROM requests WHERE id = ?", (number,))
                database.execute(_DROP, (signal, items))


def forget(path: Path, forgotten: Forms) -> bool:
    """Takes forgotten ids out of what is kept; what cannot be searched goes as a whole.

    Returns:
        Whether they are gone.
    """
    try:
        with closing(_open(path)) as database:
            _rewrite(database, forgotten)
            database.execute("VACUUM")  # what was deleted is still in the file before it
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (sqlite3.Error, OSError, DecodeError):
        return remove_database(path)
    return True


def _rewrite(database: sqlite3.Connection, forgotten: Forms) -> None:
    database.execute("BEGIN IMMEDIATE")
    kept = database.execute("SELECT id, body FROM requests WHERE signal = 'traces'").fetchall()
    for number, body in kept:
        request = ExportTraceServiceRequest.FromString(body)
        for span in (s for r in request.resource_spans for p in r.scope_spans for s in p.spans):
            stay = [a for a in span.attributes if not _is_forgotten(a, forgotten)]
            if len(stay) < len(span.attributes):
                del span.attributes[:]
                span.attributes.extend(stay)
        if (cleaned := request.SerializeToString()) != body:
            database.execute("UPDATE requests SET body = ? WHERE id = ?", (cleaned, number))
    database.execute("COMMIT")


def _is_forgotten(attribute: KeyValue, forgotten: Forms) -> bool:
    value = attribute.value.string_value
    return any(value in forgotten.get(name, ()) for name in (attribute.key, ""))


def read(path: Path) -> tuple[list[Request], list[Dropped]]:
    """What the file holds, oldest first, and what was pushed out of it.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    with closing(_open(path)) as database:
        database.execute("BEGIN")  # both from one moment
        kept = database.execute("SELECT time, signal, body FROM requests ORDER BY id").fetchall()
        gone = database.execute("SELECT * FROM dropped ORDER BY signal DESC").fetchall()
    return [Request(*row) for row in kept], [Dropped(*row) for row in gone]


def _open(path: Path) -> sqlite3.Connection:
    """A connection to a file that exists and whose layout is known; it commits by itself."""
    address = f"{path.absolute().as_uri()}?mode=rw"
    database = sqlite3.connect(address, timeout=PATIENCE, uri=True, isolation_level=None)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise sqlite3.NotSupportedError("this file is of a later Footfall")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _log_ahead(database: sqlite3.Connection) -> None:
    """Sets the journal's mode; SQLite does not wait by itself for a process that is about to do so too."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _corrupt(error: sqlite3.DatabaseError) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's primary result code; 0 without."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
