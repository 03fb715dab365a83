"""Statements of a transaction, over libpq itself: half of the CPU time of psycopg's cursors (ADR 27, ADR 46).

Their parameters and what they give are text. psycopg may use the connection as well, before and after.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import AsyncConnection, errors, pq

PIECE: Final = 2**18
"""Bytes that libpq is given at once, which keeps room for the most that it ever had."""
_FAILED: Final = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
Row = tuple[bytes | None, ...]


class Direct:
    """A connection's statements, each of which is prepared when it is first asked.

    Whoever is cancelled while Postgres answers leaves the connection closed: nobody could tell whose answer
    comes next.

    Args:
        connection: In autocommit mode; one thing at a time is asked over it.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._libpq = connection.pgconn
        self._names: dict[str, bytes] = {}

    async def ask(self, statement: str, *parameters: str | None) -> list[Row]:
        """The rows that a statement gives, whose parameters are $1, $2, ...; all of it is ASCII.

        Raises:
            psycopg.Error: Postgres refused, or is away.
        """
        name = self._names.get(statement) or await self._prepared(statement)
        given = [each if each is None else each.encode() for each in parameters]
        self._libpq.send_query_prepared(name, given)
        [result] = await self._results()
        value, columns = result.get_value, range(result.nfields)
        return [tuple(value(row, n) for n in columns) for row in range(result.ntuples)]

    async def run(self, script: bytes) -> Sequence[pq.abc.PGresult]:
        """The result of each statement of a script, in one round trip.

        Raises:
            psycopg.Error: Postgres refused, or is away.
        """
        self._libpq.send_query(script)
        return await self._results()

    async def copy(self, statement: bytes, data: bytes) -> None:
        """COPY ... FROM STDIN.

        Raises:
            psycopg.Error: Postgres refused, or is away.
        """
        self._libpq.send_query(statement)
        await self._results()
        with self._or_closed():
            for at in range(0, len(data), PIECE):
                self._libpq.put_copy_data(data[at : at + PIECE])
                await self._sent()
            self._libpq.put_copy_end()
        await self._results()

    async def _prepared(self, statement: str) -> bytes:
        name = b"footfall_%d" % len(self._names)
        self._libpq.send_prepare(name, statement.encode())
        await self._results()
        self._names[statement] = name
        return name

    async def _results(self) -> list[pq.abc.PGresult]:
        """All that is answered; where data is awaited then, up to there."""
        found: list[pq.abc.PGresult] = []
        with self._or_closed():
            await self._sent()
            while not found or found[-1].status != pq.ExecStatus.COPY_IN:
                while self._libpq.is_busy():
                    await self._ready()
                result = self._libpq.get_result()
                if result is None:
                    break
                found.append(result)
        for each in found:
            if each.status in _FAILED:
                raise errors.error_from_result(each)
        if not found:
            raise psycopg.OperationalError("the connection has ended")
        return found

    async def _sent(self) -> None:
        while self._libpq.flush():
            await self._ready(room=True)

    @contextmanager
    def _or_closed(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._libpq.finish()
            raise

    async def _ready(self, *, room: bool = False) -> None:
        """Takes in what has come; also waits for room to send, and no longer."""
        loop, socket = asyncio.get_running_loop(), self._libpq.socket
        ready = loop.create_future()
        loop.add_reader(socket, _tell, ready)
        if room:
            loop.add_writer(socket, _tell, ready)
        try:
            await ready
        finally:
            loop.remove_reader(socket)
            if room:
                loop.remove_writer(socket)
        self._libpq.consume_input()


def _tell(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
