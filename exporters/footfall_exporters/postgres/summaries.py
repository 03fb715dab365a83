"""What was counted of one pseudonym, asked as the writer over a few connections (R-number B2)."""

import asyncio
import datetime as dt
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection, sql

from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres import discretion, roles
from footfall_exporters.postgres.connecting import SUMMARIES, connect
from footfall_exporters.postgres.finding import name_of
from footfall_exporters.postgres.prepared import Prepared, uuids
from footfall_processors import OperatorError

CONNECTIONS = 2
"""At most, for each process: a viewer with very many events holds up one of them."""
PATIENCE_S = 3.0
"""After which whoever asks is told to come again."""
_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Postgres' own."""


@dataclass(slots=True)
class _Asking:
    connection: AsyncConnection
    statement: Prepared

    async def close(self) -> None:
        self.statement.close()
        await self.connection.close()


class Summaries:
    """Asks for the counts of single pseudonyms.

    Args:
        dsn: Of a database that was prepared to find by this column.
        column: In which the pseudonyms are.
    """

    def __init__(self, dsn: str, column: str) -> None:
        self._dsn, self._column = dsn, column
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._free: list[_Asking] = []

    async def counts(self, pseudonyms: Sequence[bytes], since: dt.datetime) -> dict[str, int]:
        """By event what is stored of these pseudonyms, where that is not nothing.

        Args:
            pseudonyms: 16 bytes each.
            since: Older observations do not count.

        Raises:
            Unavailable: Postgres does not answer, or not in time.
        """
        try:
            async with asyncio.timeout(PATIENCE_S), self._asking() as asking:
                time = (since - _EPOCH) // dt.timedelta(microseconds=1)
                rows = await asking.statement.ask(uuids(pseudonyms), time.to_bytes(8, signed=True))
        except (psycopg.Error, OperatorError, TimeoutError) as error:
            raise Unavailable(type(error).__name__) from None
        return {event.decode(): struct.unpack("!q", number)[0] for event, number in rows}

    async def aclose(self) -> None:
        """Closes the connections that nobody uses."""
        while self._free:
            await self._free.pop().close()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[_Asking]:
        """A connection for one question; after one that failed it is of no use any more."""
        async with self._places:
            asking = self._take() or await self._connect()
            try:
                yield asking
            except BaseException:
                await asking.close()
                raise
            self._free.append(asking)

    def _take(self) -> _Asking | None:
        """A connection of before that has not ended since."""
        while self._free and self._free[-1].connection.closed:
            self._free.pop().statement.close()
        return self._free.pop() if self._free else None

    async def _connect(self) -> _Asking:
        connection = await connect(self._dsn, SUMMARIES)
        try:
            await discretion.quiet(connection)
            await roles.become_writer(connection)
            function = sql.Identifier("footfall", name_of(self._column))
            asking = _Asking(connection, Prepared(connection))
            query = sql.SQL("SELECT event, number FROM {}($1, $2)").format(function)
            await asking.statement.prepare(query.as_string(None))
        except BaseException:
            await connection.close()
            raise
        return asking
