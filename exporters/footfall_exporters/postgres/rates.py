"""What senders have sent in their present minute, counted once for all collectors of a store (ADR 27).

A sender's minute begins with its first request and ends a minute later, by Postgres' clock. The tables are
unlogged: a crash of Postgres empties them, and every minute begins anew.
"""

import hashlib
from collections.abc import Callable, Mapping

import psycopg
from psycopg import AsyncConnection

from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres import discretion, roles
from footfall_exporters.postgres.connecting import COUNTING, connect
from footfall_exporters.postgres.prepared import Prepared, int8, int8s, keys
from footfall_processors import OperatorError

MINUTE_MS = 60_000
_NOW = "coalesce($1::bigint, (extract(epoch FROM statement_timestamp()) * 1000)::bigint)"
_GOES_ON = (
    f"r.ends_ms BETWEEN excluded.ends_ms - {MINUTE_MS} + 1 AND excluded.ends_ms + {MINUTE_MS}"
)
"""Who has waited for another is late by its own time, so that a minute may end later than one from now; one
that ends later still is of a clock that was set back."""
_ADD = f"""
    INSERT INTO footfall.rate_windows AS r (sender, ends_ms, used)
    SELECT sender, {_NOW} + {MINUTE_MS}, weight FROM unnest($2::bytea[], $3::bigint[]) AS s (sender, weight)
    ORDER BY sender
    ON CONFLICT (sender) DO UPDATE SET
        ends_ms = CASE WHEN {_GOES_ON} THEN r.ends_ms ELSE excluded.ends_ms END,
        used = CASE WHEN {_GOES_ON} THEN r.used + excluded.used ELSE excluded.used END
    RETURNING sender, used, ends_ms - {_NOW}
"""  # noqa: S608  # constants
"""Sorted: two who add at the same time wait for each other, never in a ring."""
_MAKE_KEY = """
    INSERT INTO footfall.rate_key (key)
    SELECT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) ON CONFLICT DO NOTHING
"""
_FORGET = f"""
    DELETE FROM footfall.rate_windows WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM footfall.rate_windows
        WHERE ends_ms NOT BETWEEN %(now)s AND %(now)s + {2 * MINUTE_MS} FOR UPDATE SKIP LOCKED))
"""  # noqa: S608  # constants
"""It waits for nobody, so that it is in no ring either."""


class Rates:
    """The counts of one store, over a connection of their own.

    Args:
        dsn: Of a database whose schema is current.
        clock: Milliseconds since the Unix epoch in place of Postgres' own, for tests.
    """

    def __init__(self, dsn: str, clock: Callable[[], int] | None = None) -> None:
        self._dsn, self._clock = dsn, clock
        self._connection: AsyncConnection | None = None
        self._add: Prepared | None = None

    async def open(self) -> bytes:
        """Connects, anew if it was connected.

        Returns:
            The key under which all collectors of this store know senders.

        Raises:
            Unavailable: Postgres is away, or refuses.
        """
        await self.close()
        try:
            self._connection = connection = await connect(self._dsn, COUNTING)
            key = await _key(connection)  # which the writer may not read
            await discretion.quiet(connection)
            await roles.become_writer(connection)
            self._add = Prepared(connection)
            await self._add.prepare(_ADD)
        except (psycopg.Error, OperatorError) as error:
            await self.close()
            raise Unavailable(type(error).__name__) from None
        return key

    async def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._add is not None:
            self._add.close()
            self._add = None
        if self._connection is not None:
            await self._connection.close()

    async def add(self, weights: Mapping[bytes, int]) -> dict[bytes, tuple[int, float]]:
        """Adds what senders have sent, in one statement.

        Args:
            weights: By sender: 16 bytes under the key.

        Returns:
            By sender: the weight of its present minute, what was just added among it, and the seconds until
            that ends.

        Raises:
            Unavailable: Postgres does not answer, or there is no connection; it may have been added.
        """
        if self._add is None:
            raise Unavailable("not connected")
        now = self._clock() if self._clock else None
        try:
            rows = await self._add.ask(int8(now), keys(weights), int8s(weights.values()))
        except psycopg.Error as error:
            raise Unavailable(type(error).__name__) from None
        return {
            sender: (int.from_bytes(used), int.from_bytes(left) / 1000)
            for sender, used, left in rows
        }


class Senders:
    """What senders of one kind are known by: BLAKE2b under a key, 16 bytes.

    Args:
        key: Of the store, or of this process.
        kind: What they are, so that a user and an address of the same bytes are two.
    """

    def __init__(self, key: bytes, kind: str) -> None:
        self._keyed = hashlib.blake2b(digest_size=16, key=key, person=kind.encode())

    def known_as(self, sender: bytes) -> bytes:
        """What this one is known by."""
        keyed = self._keyed.copy()  # half of the time that it takes from the key on
        keyed.update(sender)
        return keyed.digest()


async def forget(connection: AsyncConnection, now_ms: int) -> int:
    """Deletes minutes that have ended, with what is left of them on their pages; how many.

    Args:
        connection: In autocommit mode, as the owner.
        now_ms: Milliseconds since the Unix epoch.

    Raises:
        psycopg.Error: Postgres refused.
    """
    gone = (await connection.execute(_FORGET, {"now": now_ms})).rowcount
    if gone:
        await connection.execute("VACUUM footfall.rate_windows")
    return gone


async def _key(connection: AsyncConnection) -> bytes:
    await connection.execute(_MAKE_KEY)
    found = await connection.execute("SELECT key FROM footfall.rate_key")
    [(key,)] = await found.fetchall()
    return bytes(key)
