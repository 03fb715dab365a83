"""The one connection that stores: patient, quiet, with a writer's rights only."""

import datetime as dt
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection

from footfall_exporters.postgres import discretion, partitions, roles
from footfall_exporters.postgres.dims import Dimensions

TURN = int.from_bytes(b"FootTurn", "big")
"""Key of the advisory lock of whoever stores a group now."""
_BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock({TURN})"
ID_BLOCK = 1024
"""Ids that one value of the sequence stands for (its INCREMENT)."""
DAY_US = 86_400 * 10**6
OPTIONS = (
    "-c synchronous_commit=on -c lock_timeout=10s -c statement_timeout=60s"
    f" -c idle_in_transaction_session_timeout=60s -c timezone=UTC {discretion.OPTIONS}"
)
PATIENCE: dict[str, Any] = {
    "application_name": "footfall",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "tcp_user_timeout": 30_000,
}
"""A Postgres that stops answering is given up after half a minute, not after the kernel's two hours."""


class Session:
    """A connection that is made anew when it is lost.

    Args:
        dsn: Of a database whose schema is current.

    Attributes:
        dimensions: The ids of this database that are known.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: AsyncConnection | None = None
        self._ids: list[int] = []
        self.dimensions = Dimensions()

    async def connected(self) -> AsyncConnection:
        """The connection, in autocommit mode.

        Raises:
            psycopg.Error: Postgres cannot be reached.
        """
        if self._connection is None or self._connection.closed or self._connection.broken:
            # Another server may answer, or the same one restored: nothing is known of it.
            self.dimensions.ids.clear()
            self._ids.clear()
            self._connection = await self._connect()
        return self._connection

    async def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._connection is not None:
            await self._connection.close()

    async def next_id(self, connection: AsyncConnection) -> int:
        """An id for a batch that no other has."""
        if not self._ids:
            found = await connection.execute("SELECT nextval('footfall.batch_ids')")
            row = await found.fetchone()
            first = int(row[0]) if row else 0
            self._ids = list(range(first + ID_BLOCK - 1, first - 1, -1))
        return self._ids.pop()

    async def make_partitions(self, times: Iterable[int]) -> None:
        """Makes the partitions of some times (µs since the Unix epoch), as the owner."""
        days = {time // DAY_US for time in times}
        async with await self._open() as connection:
            await partitions.ensure(
                connection, [dt.date(1970, 1, 1) + dt.timedelta(days=day) for day in days]
            )

    async def _open(self) -> AsyncConnection:
        return await AsyncConnection.connect(
            self._dsn, autocommit=True, options=OPTIONS, **PATIENCE
        )

    async def _connect(self) -> AsyncConnection:
        """A connection of which the server logs nothing, with the rights of a writer only."""
        connection = await self._open()
        try:
            await discretion.quiet(connection)  # which the writer may not
            await roles.become_writer(connection)
        except BaseException:
            await connection.close()
            raise
        return connection


@asynccontextmanager
async def turn(connection: AsyncConnection) -> AsyncIterator[None]:
    """A transaction in which no other writer stores a group (ADR 10).

    psycopg's own would begin with a round trip that brings nothing.

    Args:
        connection: In autocommit mode, outside of a transaction.

    Raises:
        psycopg.errors.LockNotAvailable: the others did not end within `lock_timeout`.
    """
    try:
        await connection.execute(_BEGIN)
        yield
        await connection.execute("COMMIT")
    except BaseException:
        with suppress(psycopg.Error):  # it is broken, then there is nothing to take back
            await connection.rollback()
        raise
