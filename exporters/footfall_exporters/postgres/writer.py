"""Group commit: many requests, one transaction, each stored exactly once (DESIGN, "Store"; G1).

    queue ── take all that wait ── ledger rows ─ COPY events ─ counters ─ counts ─ commit position ── COMMIT

While one group is being committed the next one gathers, so that the group grows with the load. Whatever
goes wrong, either the whole group is stored or none of it, and every sender is told which.
"""

import asyncio
import datetime as dt
import json
import logging
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, errors, sql

from footfall_exporters.contracts import Losses, Rejected, Unavailable
from footfall_exporters.postgres import counters, discretion, partitions, roles
from footfall_exporters.postgres.dims import Dimensions
from footfall_exporters.postgres.encode import FIXED, HEADER, TRAILER, Encoder
from footfall_exporters.postgres.schema import EVENTS, columns
from footfall_processors import Batch, Catalog, Dimension, Loss, Point, column_name

log = logging.getLogger("footfall.postgres")
GROUP_ROWS = 50_000
"""Rows after which a group is full; a single larger request is a group by itself."""
TURNS = 4
"""Turns of the event loop that bring nothing new before a group is closed: requests that have arrived are
decoded first, and share its fixed costs. On an idle loop it takes some 50 µs."""
ID_BLOCK = 1024
"""Ids that one value of the sequence stands for (its INCREMENT)."""
MOST = 10**12
"""What a count can reach: sums over counts then fit in 64 bits, whatever a sender claims."""
DATA_ERRORS = ("22", "23", "54")
"""SQLSTATE classes that blame the data: sending it again would fail again."""
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


class Away(Unavailable):
    """Postgres does not answer, or cannot store anything now."""


PATIENT_S = 75.0
"""Seconds for one group, more than any statement may take: a server that hangs keeps no timeout itself."""


@dataclass(slots=True, eq=False)
class _Waiting:
    batch: Batch
    done: asyncio.Future[Losses | None]


class Writer:
    """Stores batches through one connection.

    Args:
        dsn: Of a database whose schema is current.
        catalog: In force.
        reconnect: Seconds to wait before the next attempt, and what senders are told to wait.

    Attributes:
        away: Whether Postgres was away at the last attempt.
        committed: Is told of every commit: seconds, and the batches that were new.
        failed: Is told of what could not be committed.
    """

    def __init__(self, dsn: str, catalog: Catalog, reconnect: float = 1.0) -> None:
        self._dsn, self._reconnect = dsn, reconnect
        self._dimensions = Dimensions()
        self._ids: list[int] = []
        self._queue: deque[_Waiting] = deque()
        self._filled = asyncio.Event()
        self._connection: AsyncConnection | None = None
        self.away = False
        self.committed: Callable[[float, Sequence[Batch]], None] | None = None
        self.failed: Callable[[Sequence[Batch]], None] | None = None
        self.use(catalog)

    @property
    def waiting(self) -> int:
        """How many batches wait for the next transaction."""
        return len(self._queue)

    def use(self, catalog: Catalog) -> None:
        """Takes another catalog, whose columns are there; the transaction under way is not touched."""
        values = [c for c in columns(catalog) if c.table == EVENTS]
        names = sql.SQL(", ").join(map(sql.Identifier, (*FIXED, *(c.name for c in values))))
        copy = sql.SQL("COPY footfall.feature_events ({}) FROM STDIN (FORMAT binary)").format(names)
        layout = {name: column_name(name, a) for name, a in catalog.attributes.items()}
        self._layout = Encoder([c.attribute for c in values], layout), copy

    async def consume(self, batch: Batch) -> Losses | None:
        """Returns when the batch is committed, or was before (a retry).

        Returns:
            What of it was dropped when it was committed before; None when it is now.

        Raises:
            Rejected: Postgres refuses its data whatever is done.
            Unavailable: it is not stored, or nobody can tell: send it again.
        """
        waiting = _Waiting(batch, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._filled.set()
        try:
            return await waiting.done
        except asyncio.CancelledError:
            # Its sender has left: it must not be kept behind admission's back.
            with suppress(ValueError):
                self._queue.remove(waiting)
            raise

    async def run(self) -> None:
        """Commits groups until cancelled; what still waits then is refused."""
        try:
            while True:
                await self._commit(await self._gather())
        finally:
            while self._queue:
                _fail(self._queue.popleft(), Unavailable("shutting down"))
            if self._connection is not None:
                await self._connection.close()

    async def _gather(self) -> list[_Waiting]:
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        group = [self._queue.popleft()]
        rows = group[0].batch.size
        turns = 0
        while rows < GROUP_ROWS and turns < TURNS:
            if not self._queue:
                await asyncio.sleep(0)
                turns += 1
            else:
                group.append(self._queue.popleft())
                rows += group[-1].batch.size
                turns = 0
        return group

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        """Commits a group and answers everyone in it."""
        try:
            async with asyncio.timeout(PATIENT_S):
                before = await self._store([waiting.batch for waiting in group])
            self.away = False
        except asyncio.CancelledError:
            for waiting in group:
                _fail(waiting, Unavailable("shutting down"))
            raise
        except (psycopg.Error, TimeoutError) as error:
            blames_data = (getattr(error, "sqlstate", None) or "").startswith(DATA_ERRORS)
            if blames_data and len(group) > 1:
                await self._one_by_one(group)
                return
            log.error("commit refused: %s", _describe(error))
            if self.failed is not None:
                self.failed([waiting.batch for waiting in group])
            self.away = not blames_data
            failure: Exception = self._away()
            if blames_data and await self._refused(group[0].batch):
                failure = Rejected("the store refuses this data")
            for waiting in group:
                _fail(waiting, failure)
        except Exception as error:  # a fault of ours must not end the loop, nor lose what was sent
            if len(group) > 1:
                await self._one_by_one(group)
                return
            # Where it happened, not its message: that may quote values.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("commit failed: %s\n%s", type(error).__name__, where)
            for waiting in group:
                _fail(waiting, Unavailable("the store has failed", self._reconnect))
        else:
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_result(before.get(waiting.batch.digest))

    async def _refused(self, batch: Batch) -> bool:
        """Enters a batch that can never be stored among the losses; whether that was possible."""
        number = sum(batch.counts.values()) + len(batch.points)
        try:
            connection = await self._connected()
            await connection.execute(
                "INSERT INTO footfall.losses_daily AS d VALUES"
                " ((now() AT TIME ZONE 'UTC')::date, %s, %s, %s) ON CONFLICT (day, signal, reason)"
                " DO UPDATE SET count = d.count + excluded.count",
                [batch.signal, Loss.REFUSED_BY_STORE, number],
            )
        except psycopg.Error:
            return False
        return True

    async def _one_by_one(self, group: Sequence[_Waiting]) -> None:
        """Commits each by itself, so that only the one at fault is refused."""
        try:
            for waiting in group:
                await self._commit([waiting])
        finally:  # cancelled: whoever has no answer yet is told to come again
            for waiting in group:
                _fail(waiting, Unavailable("shutting down"))

    async def _store(self, batches: Sequence[Batch]) -> dict[bytes, Losses]:
        connection = await self._connected()
        try:
            return await self._transaction(connection, batches)
        except errors.CheckViolation:  # a day without a partition
            await self._make_partitions(batches)
            return await self._transaction(connection, batches)

    async def _transaction(
        self, connection: AsyncConnection, batches: Sequence[Batch]
    ) -> dict[bytes, Losses]:
        """Stores batches; of those that were stored before, what was dropped of them then."""
        wanted = {dimension for b in batches for _, dimension in b.counts}
        wanted.update(point.dimension for b in batches for point in b.points)
        await self._dimensions.resolve(connection, wanted)
        distinct: dict[bytes, Batch] = {}
        for batch in batches:
            distinct.setdefault(batch.digest, batch)
        numbered = {await self._next_id(connection): batch for batch in distinct.values()}
        encoder, copy_statement = self._layout
        encoded = {
            number: list(encoder.encode(batch, number, self._dimensions.ids))
            for number, batch in numbered.items()
        }
        begun = time.perf_counter()
        async with connection.transaction():
            new = await self._enter(connection, numbered)
            before = await self._losses_before(
                connection, [b.digest for n, b in numbered.items() if n not in new]
            )
            if not new:
                return before
            rows = [row for number in new for row in encoded[number]]
            if rows:
                async with connection.cursor() as cursor, cursor.copy(copy_statement) as copy:
                    await copy.write(b"".join((HEADER, *rows, TRAILER)))
            counts, beyond = Counter[tuple[int, Dimension]](), Counter[tuple[int, Dimension]]()
            for number in new:
                batch = numbered[number]
                counts.update(batch.counts)
                if sum(batch.counts.values()) != batch.size:
                    beyond.update(batch.beyond_rows())
            points = {n: numbered[n].points for n in new if numbered[n].points}
            if points:
                increments = await self._count(connection, points)
                counts.update(increments)
                beyond.update(increments)
            await self._add_counts(connection, counts)
            await self._take_position(connection, {n: numbered[n] for n in new}, beyond)
        if self.committed is not None:
            self.committed(time.perf_counter() - begun, [numbered[n] for n in new])
        return before

    async def _losses_before(
        self, connection: AsyncConnection, digests: Sequence[bytes]
    ) -> dict[bytes, Losses]:
        """What the ledger says of requests that it knew already.

        By now they may be decoded otherwise, when a clock or the catalog was mended: what was refused then is
        not stored, and its sender must be told so, not that all is well.
        """
        if not digests:
            return {}
        found = await connection.execute(
            "SELECT digest, losses FROM footfall.ingest_batches WHERE digest = ANY(%s::uuid[])",
            [[digest.hex() for digest in digests]],
        )
        return {
            digest.bytes: {Loss(reason): number for reason, number in losses.items()}
            for digest, losses in await found.fetchall()
        }

    async def _enter(self, connection: AsyncConnection, batches: dict[int, Batch]) -> list[int]:
        """Enters requests in the ledger; returns the ids of those that were not there, in order."""
        ordered = sorted(batches.items(), key=lambda item: item[1].digest)
        found = await connection.execute(
            "INSERT INTO footfall.ingest_batches (id, digest, signal, accepted, losses)"
            " SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::integer[], %s::jsonb[])"
            " AS b (id, digest, signal, accepted, losses) ORDER BY digest"
            " ON CONFLICT (digest) DO NOTHING RETURNING id",
            [
                [number for number, _ in ordered],
                [batch.digest.hex() for _, batch in ordered],
                [batch.signal for _, batch in ordered],
                [batch.size + len(batch.points) for _, batch in ordered],
                [json.dumps(dict(batch.losses)) for _, batch in ordered],
            ],
        )
        return sorted(row[0] for row in await found.fetchall())

    async def _count(
        self, connection: AsyncConnection, points: Mapping[int, Sequence[Point]]
    ) -> Counter[tuple[int, Dimension]]:
        increments = await counters.merge(connection, points)
        for number, baselines in increments.baselines.items():
            await connection.execute(
                "UPDATE footfall.ingest_batches SET losses = losses || %s::jsonb WHERE id = %s",
                [json.dumps({Loss.COUNTER_BASELINE: baselines}), number],
            )
        return increments.counts

    async def _add_counts(
        self, connection: AsyncConnection, counts: Counter[tuple[int, Dimension]]
    ) -> None:
        """Upserts last and in key order: collectors that overlap wait for each other, never in a ring."""
        ordered = self._by_key(counts)
        if ordered:
            await connection.execute(
                "INSERT INTO footfall.feature_counts AS c (hour, dim_id, count)"
                " SELECT to_timestamp(hour), dim, n"
                " FROM unnest(%s::bigint[], %s::integer[], %s::bigint[]) AS t (hour, dim, n)"
                " ORDER BY hour, dim"
                " ON CONFLICT (hour, dim_id) DO UPDATE"
                " SET count = least(c.count + excluded.count, %s)",
                [*map(_array, zip(*ordered, strict=True)), MOST],
            )

    def _by_key(self, counts: Counter[tuple[int, Dimension]]) -> list[tuple[int, int, int]]:
        """(hour in seconds since the Unix epoch, dimension's id, number), sorted, each key once."""
        merged = Counter[tuple[int, int]]()
        for (hour, dimension), number in counts.items():
            merged[hour // 1_000_000, self._dimensions.ids[dimension]] += number
        return sorted((hour, dim, min(n, MOST)) for (hour, dim), n in merged.items() if n)

    async def _take_position(
        self,
        connection: AsyncConnection,
        batches: Mapping[int, Batch],
        beyond: Counter[tuple[int, Dimension]],
    ) -> None:
        """The last statement before COMMIT: what subscribers follow, gapless and in commit order."""
        times = [t for b in batches.values() for rows in b.rows for t in _ends(rows.times)]
        increments = self._by_key(beyond)
        hours, dims, numbers = zip(*increments, strict=True) if increments else ((), (), ())
        await connection.execute(
            "WITH next AS (UPDATE footfall.commit_clock SET position = position + 1"
            " RETURNING position) INSERT INTO footfall.commits"
            " (position, batch_ids, first_time, last_time, count_hours, count_dims, count_values)"
            " SELECT position, %s, to_timestamp(%s), to_timestamp(%s), %s, %s, %s FROM next",
            [
                _array(list(batches)),
                min(times) // 1_000_000 if times else None,
                max(times) // 1_000_000 + 1 if times else None,
                *map(_array, (hours, dims, numbers)),
            ],
        )

    async def _next_id(self, connection: AsyncConnection) -> int:
        if not self._ids:
            found = await connection.execute("SELECT nextval('footfall.batch_ids')")
            row = await found.fetchone()
            first = int(row[0]) if row else 0
            self._ids = list(range(first + ID_BLOCK - 1, first - 1, -1))
        return self._ids.pop()

    async def _make_partitions(self, batches: Sequence[Batch]) -> None:
        days = {t // 86_400_000_000 for b in batches for rows in b.rows for t in rows.times}
        async with await AsyncConnection.connect(
            self._dsn, autocommit=True, options=OPTIONS, **PATIENCE
        ) as connection:
            await partitions.ensure(
                connection, [dt.date(1970, 1, 1) + dt.timedelta(days=day) for day in days]
            )

    async def _connected(self) -> AsyncConnection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            # Another server may answer, or the same one restored: nothing is known of it.
            self._dimensions.ids.clear()
            self._ids.clear()
            self._connection = await self._connect()
        return self._connection

    async def _connect(self) -> AsyncConnection:
        """A connection of which the server logs nothing, with the rights of a writer only."""
        connection = await AsyncConnection.connect(
            self._dsn, autocommit=True, options=OPTIONS, **PATIENCE
        )
        try:
            await discretion.quiet(connection)  # which the writer may not
            await roles.become_writer(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    def _away(self) -> "Away":
        return Away("the store is not available", self._reconnect)


def _array(numbers: Sequence[int]) -> str:
    """Postgres' text form of an array; psycopg's adapter looks at every element by itself."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _ends(times: Sequence[int]) -> tuple[int, int]:
    return min(times), max(times)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)


def _describe(error: psycopg.Error | TimeoutError) -> str:
    """An error without the values that Postgres quotes in its message."""
    return f"{type(error).__name__} (SQLSTATE {getattr(error, 'sqlstate', None)})"
