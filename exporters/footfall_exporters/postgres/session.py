"""The one connection that stores: patient, quiet, with a writer's rights only."""

import datetime as dt
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus

from footfall_exporters.postgres import digests, discretion, locks, partitions, roles, sequences
from footfall_exporters.postgres.connecting import MARK, PARTITIONS, WRITING, connect, shared
from footfall_exporters.postgres.dims import Dimensions
from footfall_exporters.postgres.direct import Direct
from footfall_processors.batch import DAY_US

_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED;"
    f" SELECT current_setting('{MARK}', true), set_config('synchronous_commit', '{{level}}', true)"
)
_TAKE_TURN = f"; {locks.taking(locks.TURN)}"
ID_BLOCK = 1024
"""Ids that one value of the sequence stands for (its INCREMENT)."""


class Unconfirmed(psycopg.OperationalError):
    """A COMMIT whose outcome nobody can tell, such as one that no synchronous standby has confirmed."""


class Session:
    """A connection that is made anew when it is lost.

    Args:
        dsn: Of a database whose schema is current.

    Attributes:
        direct: What the hot path asks the present connection by.
        dimensions: The ids of this database that are known.
        key: Under which its ledger knows requests; empty before the first connection.
    """

    direct: Direct

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: AsyncConnection | None = None
        self._ids: list[int] = []
        self._begin, self._take_turn, self._mark = "", b"", ""
        self._warned = False
        self.dimensions = Dimensions()
        self.key = b""

    async def connected(self) -> AsyncConnection:
        """The connection, in autocommit mode.

        Raises:
            psycopg.Error: Postgres cannot be reached, or may not be written.
        """
        if self._connection is None or self._connection.closed or self._connection.broken:
            # Another server may answer, or the same one restored: nothing is known of it.
            self.dimensions.ids.clear()
            self._ids.clear()
            self._connection = await self._connect()
        return self._connection

    async def close(self) -> None:
        """Closes the connection, if there is one: the next attempt makes another, perhaps elsewhere."""
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
        """Makes the partitions of some times (µs since the Unix epoch), as the owner.

        Raises:
            DayHeld: a reader keeps one of these days from being made anew.
            psycopg.Error: Postgres refused.
        """
        days = {dt.date(1970, 1, 1) + dt.timedelta(days=time // DAY_US) for time in times}
        async with await connect(self._dsn, PARTITIONS) as connection:
            await partitions.ensure(connection, days)
            if held := sorted(days - (await partitions.existing(connection)).keys()):
                raise partitions.DayHeld(f"{held[0]} is being dropped, and a reader holds it")

    @asynccontextmanager
    async def turn(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """A transaction in which no other writer stores a group (ADR 10), and whose commit is on disk.

        psycopg's own would begin with a round trip that brings nothing. What must hold is said in it: what
        was set on the session may be gone behind a pooler.

        Args:
            connection: `connected`, outside of a transaction.

        Raises:
            psycopg.errors.LockNotAvailable: the others did not end within `lock_timeout`.
            Unsuitable: somebody else had this session in between.
            Unconfirmed: the outcome of the COMMIT is not known.
        """
        try:
            begun = await self.direct.run(self._take_turn)
            if (begun[1].get_value(0, 0) or b"").decode() != self._mark:
                raise shared()
            yield
            await self._commit()
        except BaseException:
            with suppress(psycopg.Error):  # it is broken, then there is nothing to take back
                await self._roll_back(connection)
            raise

    async def _roll_back(self, connection: AsyncConnection) -> None:
        """Unlike psycopg's, which has the server forget all prepared statements, `direct`'s as well."""
        if connection.pgconn.transaction_status != TransactionStatus.IDLE:
            await self.direct.run(b"ROLLBACK")

    async def _commit(self) -> None:
        self._warned = False
        [done] = await self.direct.run(b"COMMIT")
        if self._warned or done.command_status != b"COMMIT":
            raise Unconfirmed("COMMIT ended with a warning")

    async def in_force(self, names: Iterable[str]) -> dict[str, str]:
        """Settings as they are inside a transaction that stores; what is not to be seen is left out."""
        connection = await self.connected()
        await connection.execute(self._begin)
        found = await connection.execute(
            "SELECT name, current_setting(name, true) FROM unnest(%s::text[]) AS s (name)"
            " WHERE current_setting(name, true) IS NOT NULL",
            [list(names)],
        )
        settings: dict[str, str] = dict(await found.fetchall())
        await self._roll_back(connection)
        return settings

    async def _connect(self) -> AsyncConnection:
        """A connection of which the server logs nothing, with the rights of a writer only."""
        connection = await connect(self._dsn, WRITING)
        try:
            self.key = await digests.request_key(connection)  # which the writer may not
            await sequences.catch_up(connection)  # nor this
            await discretion.quiet(connection)  # nor that
            await roles.become_writer(connection)
            found = await connection.execute(
                "SELECT current_setting('synchronous_commit'), current_setting(%s)", [MARK]
            )
            level, self._mark = await found.fetchone() or ("on", "")
        except BaseException:
            await connection.close()
            raise
        self._begin = _BEGIN.format(level=level)
        self._take_turn = (self._begin + _TAKE_TURN).encode()
        self.direct = Direct(connection)
        connection.add_notice_handler(self._noticed)
        return connection

    def _noticed(self, diagnostic: Diagnostic) -> None:
        self._warned = self._warned or diagnostic.severity_nonlocalized == "WARNING"
