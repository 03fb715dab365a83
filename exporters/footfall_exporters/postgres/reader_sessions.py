"""Sessions of the reader that are kept from one question to the next.

A session costs more than most questions: Postgres starts a process, which reads its catalog anew for each
view, and plans each statement for the first time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final, TypeVar

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from footfall_exporters.postgres.asking import become_reader
from footfall_exporters.postgres.connecting import READING, connect_sync
from footfall_processors import OperatorError

AT_ONCE: Final = 2
"""As many are kept as are asked at the same time."""
IDLE_S: Final = 60
"""So long one waits for the next question, before Postgres ends it."""
OLDEST_S: Final = 600.0
"""A session of Postgres remembers all that it ever looked at."""
AGAIN_S: Final = 1.0
"""What fails after longer is not asked again: it would take as long."""
_USE = replace(READING, name="footfall api", lock="5s", statement="60s", idle=f"{IDLE_S}s")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Reader:
    dsn: str
    connection: Connection
    since: float


class ReaderSessions:
    """Asks what any reader of `reporting` may ask, and changes nothing. Several threads may ask at once."""

    def __init__(self) -> None:
        self._kept: list[_Reader] = []
        self._lock, self._is_closed = Lock(), False

    def ask(self, dsn: str, question: Callable[[Connection], T]) -> T:
        """The answer.

        A session that was kept may be of no use any more: Postgres was started again, a migration made the
        views anew, the reader's role was made anew. What fails in it at once is asked once more in a new one.

        Args:
            dsn: Of the store.
            question: It is given a session in autocommit mode; asked twice it must answer the same.

        Raises:
            NotAllowed: the store's owner may not become the reader.
            Unsuitable, psycopg.Error: see `connect_sync`; or what the question raises.
        """
        kept = self._take(dsn)
        if kept is not None:
            began = time.monotonic()
            try:
                return self._asked(kept, question)
            except psycopg.Error:
                if time.monotonic() - began > AGAIN_S:
                    raise
        return self._asked(self._new(dsn), question)

    def close(self) -> None:
        """Closes what is kept, and keeps nothing any more."""
        with self._lock:
            self._is_closed = True
            kept, self._kept = self._kept, []
        for each in kept:
            each.connection.close()

    def _take(self, dsn: str) -> _Reader | None:
        """One that was kept for this store; others are closed."""
        found, others = None, []
        with self._lock:
            while self._kept and found is None:
                kept = self._kept.pop()
                if kept.dsn == dsn and time.monotonic() - kept.since < OLDEST_S:
                    found = kept
                else:
                    others.append(kept)
        for each in others:
            each.connection.close()
        return found

    @staticmethod
    def _new(dsn: str) -> _Reader:
        connection = connect_sync(dsn, _USE)
        try:
            become_reader(connection)
        except BaseException:
            connection.close()
            raise
        return _Reader(dsn, connection, time.monotonic())

    def _asked(self, reader: _Reader, question: Callable[[Connection], T]) -> T:
        """Keeps the session, unless something went wrong in it."""
        try:
            answer = question(reader.connection)
        except OperatorError:  # the question was wrong
            self._keep(reader)
            raise
        except BaseException:
            reader.connection.close()
            raise
        self._keep(reader)
        return answer

    def _keep(self, reader: _Reader) -> None:
        with self._lock:
            if (
                reader.connection.info.transaction_status == TransactionStatus.IDLE
                and len(self._kept) < AT_ONCE
                and not self._is_closed
            ):
                self._kept.append(reader)
                return
        reader.connection.close()
