"""Signs of life of the HTTP API's sessions: known to all collectors of a store as soon as they are answered.

Those that come together are one transaction, as requests are (writer.py).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection

from footfall_exporters.contracts import Unavailable
from footfall_exporters.faults import log_fault
from footfall_exporters.postgres import discretion, roles
from footfall_exporters.postgres.connecting import SIGNING, connect

log = logging.getLogger("footfall.postgres")
K = TypeVar("K")
T = TypeVar("T")
PATIENCE_S = 5.0
"""Seconds after which nobody is kept waiting for Postgres any longer."""
AGAIN_S = 1.0
"""Seconds before the next attempt, and what is said to whoever asks."""
_NOW = "coalesce(to_timestamp(%(now)s::float8 / 1000), clock_timestamp())"
_OPEN = f"""
    INSERT INTO footfall.sessions (session, installation, service, opened_at, last_seen, opened)
    SELECT session, installation, service, {_NOW}, {_NOW}, true
    FROM unnest(%(sessions)s::uuid[], %(installations)s::uuid[], %(services)s::text[])
        AS s (session, installation, service)
"""  # noqa: S608  # constants
_SIGN = f"""
    WITH alive AS (
        SELECT session FROM footfall.sessions, footfall.session_state
        WHERE session = ANY(%(sessions)s::uuid[]) AND ended_at IS NULL AND last_seen + silence > {_NOW}
        ORDER BY session FOR UPDATE OF sessions
    ) UPDATE footfall.sessions s SET last_seen = greatest(s.last_seen, {_NOW})
    FROM alive WHERE s.session = alive.session RETURNING uuid_send(s.session)
"""  # noqa: S608  # constants
_END = f"""
    WITH alive AS (
        SELECT session FROM footfall.sessions, footfall.session_state
        WHERE session = ANY(%(sessions)s::uuid[]) AND ended_at IS NULL AND last_seen + silence > {_NOW}
        ORDER BY session FOR UPDATE OF sessions
    ) UPDATE footfall.sessions s
    SET last_seen = greatest(s.last_seen, {_NOW}), ended_at = greatest(s.last_seen, {_NOW}), ended_by = 'call'
    FROM alive WHERE s.session = alive.session
    RETURNING uuid_send(s.session), extract(epoch FROM s.ended_at - s.opened_at)::float8
"""  # noqa: S608  # constants
"""Sorted: two who write at the same time wait for each other, never in a ring."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A session that begins.

    Attributes:
        session: As it is stored, 16 bytes.
        installation: The same; None where nobody keeps it.
        service: That it is a session of.
    """

    session: bytes
    installation: bytes | None
    service: str | None


@dataclass(slots=True)
class _Waiting:
    openings: dict[Opening, asyncio.Future[None]] = field(default_factory=dict)
    signs: dict[bytes, asyncio.Future[bool]] = field(default_factory=dict)
    ends: dict[bytes, asyncio.Future[float | None]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.openings or self.signs or self.ends)

    def fail(self, error: Unavailable) -> None:
        every: Iterable[asyncio.Future[Any]] = (
            *self.openings.values(),
            *self.signs.values(),
            *self.ends.values(),
        )
        for answer in every:
            if not answer.done():
                answer.set_exception(copy(error))


class Signs:
    """The sessions of one store, over a connection of their own; `run` must be running.

    Args:
        dsn: Of a database whose schema is current.
        clock: Milliseconds since the Unix epoch in place of Postgres' own, for tests.
    """

    def __init__(self, dsn: str, clock: Callable[[], int] | None = None) -> None:
        self._dsn, self._clock = dsn, clock
        self._connection: AsyncConnection | None = None
        self._waiting, self._filled = _Waiting(), asyncio.Event()
        self._away = False

    async def open(self, opening: Opening) -> None:
        """Begins a session.

        Raises:
            Unavailable: Postgres is away, or late; it has not begun, or nobody can tell.
        """
        await self._asked(self._waiting.openings, opening)

    async def sign(self, session: bytes) -> bool:
        """A sign of life; whether the session goes on.

        Raises:
            Unavailable: Postgres is away.
        """
        return await self._asked(self._waiting.signs, session)

    async def end(self, session: bytes) -> float | None:
        """Ends a session; how many seconds it took, or None if it had ended.

        Raises:
            Unavailable: Postgres is away; it may have ended.
        """
        return await self._asked(self._waiting.ends, session)

    async def run(self) -> None:
        """Asks the store; until cancelled."""
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                waiting, self._waiting = self._waiting, _Waiting()
                await self._answer(waiting)
        finally:
            self._waiting.fail(Unavailable("shutting down"))
            if self._connection is not None:
                await self._connection.close()

    async def _asked(self, waiting: dict[K, asyncio.Future[T]], what: K) -> T:
        if (answer := waiting.get(what)) is None:
            answer = waiting[what] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(_seen)  # whoever asked may have left
            self._filled.set()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.shield(answer)
        except TimeoutError:  # and nobody asks for it any more, if it still waits
            waiting.pop(what, None)
            raise Unavailable("sessions are not written in time", AGAIN_S) from None

    async def _answer(self, waiting: _Waiting) -> None:
        try:
            connection = await self._connected()
            async with connection.transaction():
                went_on, ended = await self._written(connection, waiting)
        except asyncio.CancelledError:
            waiting.fail(Unavailable("shutting down"))
            raise
        except psycopg.Error as error:
            await self._fail(waiting, type(error).__name__)
        except Exception as error:  # a fault of ours must not end the loop
            log_fault(log, "sessions cannot be written", error)
            await self._fail(waiting, "a fault")
        else:
            self._away = False
            for opened in waiting.openings.values():
                _set(opened, None)
            for session, answer in waiting.signs.items():
                _set(answer, session in went_on)
            for session, end in waiting.ends.items():
                _set(end, ended.get(session))

    async def _written(
        self, connection: AsyncConnection, waiting: _Waiting
    ) -> tuple[set[bytes], Mapping[bytes, float]]:
        now = self._clock() if self._clock else None
        if waiting.openings:
            parameters = {
                "sessions": [each.session.hex() for each in waiting.openings],
                "installations": [
                    each.installation and each.installation.hex() for each in waiting.openings
                ],
                "services": [each.service for each in waiting.openings],
                "now": now,
            }
            await connection.execute(_OPEN, parameters)
        went_on = await _sessions(connection, _SIGN, waiting.signs, now)
        ended = await _sessions(connection, _END, waiting.ends, now)
        return {bytes(row[0]) for row in went_on}, {bytes(row[0]): row[1] for row in ended}

    async def _fail(self, waiting: _Waiting, why: str) -> None:
        if not self._away:
            log.warning("sessions cannot be written (%s); requests of theirs are refused", why)
        self._away = True
        waiting.fail(Unavailable("sessions cannot be written now", AGAIN_S))
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            connection = await connect(self._dsn, SIGNING)
            try:
                await discretion.quiet(connection)
                await roles.become_writer(connection)
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection


async def _sessions(
    connection: AsyncConnection, statement: str, sessions: Mapping[bytes, object], now: int | None
) -> list[tuple[Any, ...]]:
    if not sessions:
        return []
    parameters = {"sessions": [each.hex() for each in sessions], "now": now}
    return await (await connection.execute(statement, parameters)).fetchall()


def _seen(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()


def _set(answer: asyncio.Future[Any], value: object) -> None:
    if not answer.done():
        answer.set_result(value)
