"""What was stored, read back in the order of the commits (docs/design.md, "Subscribers").

    commits after a position ── ledger ── rows, found by batch and time ── one `Batch` a request
                             └─ increments ── one further `Batch` of signal metrics

A commit read twice gives the same batches, so that what is sent for it can be recognised. What retention
has deleted meanwhile is left out and counted. Events of surface `footfall` (the SDK's own tallies) are part
of the stream: a relay needs them for its completeness figure; whoever has no use for them skips them.
"""

import datetime as dt
import hashlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby, repeat
from struct import unpack
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from footfall_exporters.postgres.encode import EPOCH_US
from footfall_exporters.postgres.origin import marker
from footfall_exporters.postgres.schema import EVENTS, Column, columns
from footfall_processors import Batch, Catalog, Dimension, Rows, Shape
from footfall_processors.batch import HOUR_US

PORTION = 5000
"""Rows that are read at a time; a single larger request is read by itself."""
INCREMENTS = 0
"""In place of a batch's id: the increments of a commit."""
_ROW = ("batch_id", "ordinal", "time", "dim_id", "duration_ms", "sample_rate", "quantity")
_DIMENSION = tuple(field.name for field in fields(Dimension) if field.name != "enums")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ORDINAL, _TIME, _DIM, _DURATION, _RATE, _QUANTITY = range(1, len(_ROW))


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction of the store.

    Attributes:
        position: Gapless, in commit order.
        batch_ids: The requests that it stored.
        first_time: Of its observations, rounded down; None when it has none.
        last_time: Rounded up.
        window: In which time it was counted, µs since the Unix epoch: from where the one before ends.
        increments: (hour in seconds since the Unix epoch, dimension's id, occurrences) beyond them.
    """

    position: int
    batch_ids: Sequence[int]
    first_time: dt.datetime | None
    last_time: dt.datetime | None
    window: tuple[int, int]
    increments: Sequence[tuple[int, int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Stored(Batch):
    """A batch read back, whose rows need not be complete.

    Attributes:
        ordinals: For each row the position that it had in the request: it keeps its event id.
    """

    ordinals: Sequence[int] = ()

    def event_id(self, ordinal: int) -> uuid.UUID:
        """As of the request: `ordinal` is the row's position among those that are left."""
        return Batch.event_id(self, self.ordinals[ordinal])


class Stream:
    """The commits of a store, read through one connection.

    Attributes:
        gone: Commits of which something had been deleted before it was read.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        catalog: Catalog,
        present: Iterable[Column],
        origin: str = "",
    ) -> None:
        self._connection, self._catalog, self.gone = connection, catalog, 0
        self._origin = origin
        there = list(present)
        self._values = [c for c in there if c.table == EVENTS]
        self._enums = [c for c in there if c.table != EVENTS]
        self._at = {c.attribute: len(_ROW) + n for n, c in enumerate(self._values)}
        self._dimensions: dict[int, Dimension | None] = {}
        self._shapes: dict[tuple[int, float, int], Shape | None] = {}

    @classmethod
    async def open(cls, connection: AsyncConnection, catalog: Catalog) -> "Stream":
        """The stream as a catalog sees it: what it does not declare (any more) is left out.

        Args:
            connection: In autocommit mode.
            catalog: In force.

        Raises:
            psycopg.Error: Postgres refused, or was never migrated.
        """
        found = await connection.execute(
            "SELECT attrelid::regclass::text, attname FROM pg_attribute"
            " WHERE attnum > 0 AND NOT attisdropped AND attrelid IN"
            " ('footfall.feature_dims'::regclass, 'footfall.feature_events'::regclass)"
        )
        there = {(table.removeprefix("footfall."), name) for table, name in await found.fetchall()}
        present = [c for c in columns(catalog) if (c.table, c.name) in there]
        return cls(connection, catalog, present, await marker(connection))

    async def end(self) -> int:
        """The position of the last commit; 0 before the first.

        Raises:
            psycopg.Error: Postgres refused.
        """
        found = await self._connection.execute("SELECT position FROM footfall.commit_clock")
        row = await found.fetchone()
        return int(row[0]) if row else 0

    async def after(self, position: int) -> Commit | None:
        """The next commit after a position, or None yet.

        Raises:
            psycopg.Error: Postgres refused.
        """
        found = await self._connection.execute(
            "SELECT position, requests, first_time, last_time,"
            " coalesce(counted_from, committed_at - interval '1 millisecond'),"
            " coalesce(counted_to, committed_at), count_hours, count_dims, count_values"
            " FROM footfall.commits WHERE position > %s ORDER BY position LIMIT 1",
            [position],
        )
        row = await found.fetchone()
        if row is None:
            return None
        self.gone += row[0] - position - 1
        window = _microseconds(row[4]), _microseconds(row[5])
        increments = list(zip(*row[6:], strict=True))
        return Commit(row[0], row[1], row[2], row[3], window, increments)

    async def batches(self, commit: Commit) -> AsyncIterator[tuple[int, Batch]]:
        """The batches of a commit with their ids; its increments last, as `INCREMENTS`.

        Raises:
            psycopg.Error: Postgres refused.
        """
        ledger = await self._ledger(commit.batch_ids)
        left = [number for number in commit.batch_ids if number in ledger]
        whole = len(left) == len(commit.batch_ids)
        for portion in _portions(left, ledger):
            rows = await self._rows(commit, portion)
            await self._know({row[_DIM] for row in rows})
            by_batch = {number: list(of) for number, of in groupby(rows, key=lambda row: row[0])}
            for number in portion:
                digest, signal, accepted = ledger[number]
                found = by_batch.pop(number, [])
                whole &= signal == "metrics" or len(found) == accepted
                if found:
                    yield number, self._batch(digest, signal, found)
        if commit.increments and len(left) == len(commit.batch_ids):
            yield INCREMENTS, await self._increments(commit, [ledger[n][0] for n in left])
        self.gone += not whole

    async def _ledger(self, ids: Sequence[int]) -> dict[int, tuple[bytes, str, int]]:
        """(what it is sent under, signal, accepted) by batch, of those that the ledger still has."""
        found = await self._connection.execute(
            "SELECT id, coalesce(sent_as, digest), signal, accepted FROM footfall.ingest_batches"
            " WHERE id = ANY(%s::bigint[])",
            [list(ids)],
        )
        return {
            n: (digest.bytes, signal, size) for n, digest, signal, size in await found.fetchall()
        }

    async def _rows(self, commit: Commit, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        """The rows of some batches, in the order of their ordinals; the times choose the partitions."""
        if commit.first_time is None:
            return []
        names = sql.SQL(", ").join(map(sql.Identifier, (*_ROW, *(c.name for c in self._values))))
        query = sql.SQL(
            "SELECT {} FROM footfall.feature_events WHERE batch_id = ANY(%s::bigint[])"
            " AND time >= %s AND time <= %s ORDER BY batch_id, ordinal"
        ).format(names)
        async with self._connection.cursor(binary=True) as cursor:
            cursor.adapters.register_loader("timestamptz", _Microseconds)
            cursor.adapters.register_loader("uuid", _Bytes)
            # Planned anew each time: only then are partitions left out by these very times.
            await cursor.execute(
                query, [list(ids), commit.first_time, commit.last_time], prepare=False
            )
            return await cursor.fetchall()

    async def _know(self, ids: Iterable[int]) -> None:
        """Makes `_dimensions` hold these; None stands for an event that the catalog does not declare."""
        new = [number for number in ids if number not in self._dimensions]
        if not new:
            return
        names = ("id", *_DIMENSION, *(c.name for c in self._enums))
        query = sql.SQL("SELECT {} FROM footfall.feature_dims WHERE id = ANY(%s::integer[])")
        found = await self._connection.execute(
            query.format(sql.SQL(", ").join(map(sql.Identifier, names))), [new]
        )
        for number, *values in await found.fetchall():
            self._dimensions[number] = self._dimension(values)

    def _dimension(self, values: Sequence[Any]) -> Dimension | None:
        size = len(_DIMENSION)
        event = self._catalog.events.get(values[0])
        if event is None:
            return None
        sent = zip((c.attribute for c in self._enums), values[size:], strict=True)
        declared = self._catalog.enums(event)
        enums = sorted((k, v) for k, v in sent if v is not None and k in declared)
        fixed = dict(zip(_DIMENSION, values[:size], strict=True))
        return Dimension(**fixed, enums=tuple(enums))

    def _shape(self, row: Sequence[Any]) -> Shape | None:
        key = (row[_DIM], row[_RATE], row[_QUANTITY])
        if key not in self._shapes:
            dimension = self._dimensions.get(row[_DIM])
            event = self._catalog.events[dimension.event] if dimension else None
            self._shapes[key] = (
                # The column is a `real`; rates are thousandths.
                Shape(dimension, round(row[_RATE], 3), self._catalog.columns(event), row[_QUANTITY])
                if dimension and event
                else None
            )
        return self._shapes[key]

    def _batch(self, digest: bytes, signal: str, rows: Sequence[tuple[Any, ...]]) -> Stored:
        shaped = [(shape, row) for row in rows if (shape := self._shape(row)) is not None]
        counts = Counter[tuple[int, Dimension]]()
        for shape, row in shaped:
            counts[row[_TIME] // HOUR_US * HOUR_US, shape.dimension] += shape.quantity
        return Stored(
            digest=digest,
            signal=signal,
            rows=list(self._alike(shaped)),
            counts=counts,
            ordinals=[row[_ORDINAL] for _, row in shaped],
            origin=self._origin,
        )

    def _alike(self, shaped: Sequence[tuple[Shape, tuple[Any, ...]]]) -> Iterator[Rows]:
        """Neighbours with the same attributes, as columns: as they were stored."""
        for names, group in groupby(shaped, key=lambda pair: pair[0].columns):
            shapes, rows = zip(*group, strict=True)
            found = list(zip(*rows, strict=True))
            missing = list(repeat(None, len(rows)))
            at = [self._at.get(name) for name in names]
            values = [missing if n is None else found[n] for n in at]
            yield Rows(found[_TIME], found[_DURATION], shapes, values)

    async def _increments(self, commit: Commit, digests: Sequence[bytes]) -> Batch:
        """Named by what was stored, not by the position: another store's commit is another batch."""
        await self._know({dim for _, dim, _ in commit.increments})
        counts = Counter[tuple[int, Dimension]]()
        for hour, number, occurrences in commit.increments:
            dimension = self._dimensions[number]
            if dimension is not None:
                counts[hour * 1_000_000, dimension] += occurrences
        named = hashlib.sha256(b"footfall increments\0" + b"".join(digests)).digest()[:16]
        return Batch(
            digest=named,
            signal="metrics",
            counts=counts,
            window=commit.window,
            origin=self._origin,
        )


def _portions(
    ids: Sequence[int], ledger: Mapping[int, tuple[bytes, str, int]]
) -> Iterator[list[int]]:
    """Batches in order, as many together as have at most PORTION rows."""
    portion: list[int] = []
    size = 0
    for number in ids:
        rows = ledger[number][2]
        if portion and size + rows > PORTION:
            yield portion
            portion, size = [], 0
        portion.append(number)
        size += rows
    if portion:
        yield portion


def _microseconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


class _Microseconds(Loader):
    """A timestamptz as µs since the Unix epoch."""

    format = Format.BINARY

    def load(self, data: Buffer) -> int:
        return int(unpack(">q", data)[0]) + EPOCH_US


class _Bytes(Loader):
    """A uuid as its 16 bytes."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)
