"""Group commit: many requests, one transaction, each stored exactly once (DESIGN, "Store"; G1).

    dimensions ─ encode ─ BEGIN ─ turn ─ ledger ─ COPY events ─ counters ─ counts ─ position ─ COMMIT

Writers take turns (ADR 10): one that waits gathers more, so that its group grows with the load.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from psycopg import AsyncConnection, errors, sql

from footfall_exporters.contracts import Losses
from footfall_exporters.postgres import counters, statements
from footfall_exporters.postgres.encode import FIXED, HEADER, TRAILER, Encoder
from footfall_exporters.postgres.schema import EVENTS, columns
from footfall_exporters.postgres.session import Session
from footfall_processors import Batch, Catalog, Dimension, column_name

Late = Callable[[Callable[[Batch], bool]], Sequence[Batch]]
"""Given what tells whether a batch can be stored without another look at the database: those that can, and
have come since the group was closed."""


@dataclass(slots=True)
class _Group:
    """Each request once, whatever came twice: by its id."""

    batches: dict[int, Batch] = field(default_factory=dict)
    rows: dict[int, list[bytes]] = field(default_factory=dict)
    digests: set[bytes] = field(default_factory=set)


class GroupCommit:
    """Stores groups of batches.

    Args:
        dsn: Of a database whose schema is current.
        catalog: In force.

    Attributes:
        session: The connection.
        committed: Is told of every commit: seconds, and the batches that were new.
    """

    def __init__(self, dsn: str, catalog: Catalog) -> None:
        self.session = Session(dsn)
        self.committed: Callable[[float, Sequence[Batch]], None] | None = None
        self.use(catalog)

    def use(self, catalog: Catalog) -> None:
        """Takes another catalog, whose columns are there; the transaction under way is not touched."""
        values = [c for c in columns(catalog) if c.table == EVENTS]
        names = sql.SQL(", ").join(map(sql.Identifier, (*FIXED, *(c.name for c in values))))
        copy = sql.SQL("COPY footfall.feature_events ({}) FROM STDIN (FORMAT binary)").format(names)
        layout = {name: column_name(name, a) for name, a in catalog.attributes.items()}
        self._layout = Encoder([c.attribute for c in values], layout), copy

    async def store(self, batches: Sequence[Batch], late: Late) -> dict[bytes, Losses]:
        """Stores batches, and late ones with them; all or none.

        Returns:
            Of those that were stored before, by digest, what was dropped of them then.

        Raises:
            psycopg.Error: Postgres refused, or is away.
        """
        together = list(batches)
        try:
            return await self._transaction(together, late)
        except errors.CheckViolation:  # a day without a partition
            await self.session.make_partitions(
                t for b in together for rows in b.rows for t in rows.times
            )
            return await self._transaction(together, late)

    async def refuse(self, batch: Batch) -> None:
        """Enters a batch that can never be stored among the losses; see `store` for what is raised."""
        await statements.note_refused(await self.session.connected(), batch)

    async def _transaction(self, together: list[Batch], late: Late) -> dict[bytes, Losses]:
        connection = await self.session.connected()
        await self.session.dimensions.resolve(connection, _dimensions(together))
        encoder, copy = self._layout
        group = _Group()
        await self._encode(connection, group, together, encoder)
        begun = time.perf_counter()
        async with self.session.turn(connection):
            joining = late(self._can_join)
            together += joining
            await self._encode(connection, group, joining, encoder)
            new = await statements.enter(connection, group.batches)
            known = [b.digest for n, b in group.batches.items() if n not in new]
            before = await statements.losses_before(connection, known)
            if known and not new:  # acknowledged now: not before a standby has it
                await self.session.committed_before(connection)
            if new:
                await _copy(connection, copy, [row for number in new for row in group.rows[number]])
                await self._count(connection, {number: group.batches[number] for number in new})
        if new and self.committed is not None:
            self.committed(time.perf_counter() - begun, [group.batches[n] for n in new])
        return before

    async def _encode(
        self, connection: AsyncConnection, group: _Group, batches: Iterable[Batch], encoder: Encoder
    ) -> None:
        for batch in batches:
            if batch.digest not in group.digests:
                number = await self.session.next_id(connection)
                group.digests.add(batch.digest)
                group.batches[number] = batch
                group.rows[number] = list(
                    encoder.encode(batch, number, self.session.dimensions.ids)
                )

    async def _count(self, connection: AsyncConnection, new: dict[int, Batch]) -> None:
        """Counters, counts and the commit position."""
        counts, beyond = Counter[tuple[int, Dimension]](), Counter[tuple[int, Dimension]]()
        for batch in new.values():
            counts.update(batch.counts)
            if sum(batch.counts.values()) != batch.size:
                beyond.update(batch.beyond_rows())
        points = {number: batch.points for number, batch in new.items() if batch.points}
        if points:
            increments = await counters.merge(connection, points)
            await statements.note_baselines(connection, increments.baselines)
            counts.update(increments.counts)
            beyond.update(increments.counts)
        await statements.take_position(connection, new, self._by_key(counts), self._by_key(beyond))

    def _by_key(self, counts: Counter[tuple[int, Dimension]]) -> list[statements.Increment]:
        """Sorted, each key once."""
        merged = Counter[tuple[int, int]]()
        for (hour, dimension), number in counts.items():
            merged[hour // 1_000_000, self.session.dimensions.ids[dimension]] += number
        return sorted(
            (hour, dim, min(n, statements.MOST)) for (hour, dim), n in merged.items() if n
        )

    def _can_join(self, batch: Batch) -> bool:
        """A dimension that is not known is looked up in a transaction of its own."""
        return all(dimension in self.session.dimensions.ids for dimension in _dimensions([batch]))


def _dimensions(batches: Iterable[Batch]) -> set[Dimension]:
    batches = list(batches)
    wanted = {dimension for b in batches for _, dimension in b.counts}
    wanted.update(point.dimension for b in batches for point in b.points)
    return wanted


async def _copy(
    connection: AsyncConnection, statement: sql.Composed, rows: Sequence[bytes]
) -> None:
    if rows:
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            await copy.write(b"".join((HEADER, *rows, TRAILER)))
