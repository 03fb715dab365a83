"""Group commit: many requests, one transaction, each stored exactly once (docs/design.md, "Exactly once").

    dimensions ─ encode ─ BEGIN ─ turn ─ ledger ─ COPY events ─ counters ─ counts ─ position ─ COMMIT

Writers take turns (ADR 10): one that waits gathers more, so that its group grows with the load.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import AsyncConnection, errors, sql

from footfall_exporters.postgres import counters, spans, statements
from footfall_exporters.postgres.digests import keyed
from footfall_exporters.postgres.encode import FIXED, HEADER, TRAILER, Encoder
from footfall_exporters.postgres.schema import EVENTS, columns
from footfall_exporters.postgres.session import Session
from footfall_exporters.postgres.statements import Before
from footfall_processors import Batch, Catalog, Dimension, Loss, column_name

Late = Callable[[Callable[[Batch], bool]], Sequence[Batch]]
"""Given what tells whether a batch can be stored without another look at the database: those that can, and
have come since the group was closed."""


Found = Mapping[tuple[str, Loss], int]


def _nothing(*_: object) -> None:
    """Nobody wants to know."""


async def _ready() -> None:
    """Nothing has to be done before."""


@dataclass(frozen=True, slots=True)
class Observers:
    """Who is told what a store does.

    Attributes:
        committed: Of every commit: seconds, the batches that were new, and what was lost of them that was
            found only now, by signal and reason.
        failed: Of what could not be committed.
        arrived: Is done when a database that was away at the start has come, before anything is stored.
    """

    committed: Callable[[float, Sequence[Batch], Found], None] = _nothing
    failed: Callable[[Sequence[Batch]], None] = _nothing
    arrived: Callable[[], Awaitable[None]] = _ready


@dataclass(slots=True)
class _Group:
    """Each request once, by its id; those that were sent again, by what the ledger knows them by."""

    batches: dict[int, Batch] = field(default_factory=dict)
    names: dict[int, bytes] = field(default_factory=dict)
    rows: dict[int, list[bytes]] = field(default_factory=dict)
    digests: dict[bytes, bytes] = field(default_factory=dict)
    repeats: dict[bytes, list[Batch]] = field(default_factory=dict)
    losses: Counter[tuple[str, Loss]] = field(default_factory=Counter)


class GroupCommit:
    """Stores groups of batches.

    Args:
        dsn: Of a database whose schema is current.
        catalog: In force.
        committed: As in `Observers`.

    Attributes:
        session: The connection.
    """

    def __init__(
        self,
        dsn: str,
        catalog: Catalog,
        committed: Callable[[float, Sequence[Batch], Found], None] = _nothing,
    ) -> None:
        self.session, self._committed = Session(dsn), committed
        self.use(catalog)

    def use(self, catalog: Catalog) -> None:
        """Takes another catalog, whose columns are there; the transaction in flight is not touched."""
        values = [c for c in columns(catalog) if c.table == EVENTS]
        names = sql.SQL(", ").join(map(sql.Identifier, (*FIXED, *(c.name for c in values))))
        copying = sql.SQL("COPY footfall.feature_events ({}) FROM STDIN (FORMAT binary)")
        copy = copying.format(names).as_bytes(None)
        layout = {name: column_name(name, a) for name, a in catalog.attributes.items()}
        self._layout = Encoder([c.attribute for c in values], layout), copy

    async def close(self) -> None:
        """Closes the connection; the next group makes another."""
        await self.session.close()

    async def store(self, batches: Sequence[Batch], late: Late) -> dict[bytes, Before]:
        """Stores batches, and late ones with them; all or none.

        Returns:
            What is known of those that came before, by digest.

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

    async def _transaction(self, together: list[Batch], late: Late) -> dict[bytes, Before]:
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
            new = await statements.enter(
                self.session.direct, group.batches, group.names, self._contents(group)
            )
            known = {group.names[n]: b for n, b in group.batches.items() if n not in new}
            for name, batch in known.items():
                group.repeats.setdefault(name, []).append(batch)
            before = await statements.note_repeats(connection, group.repeats)
            if new:
                await self._leave_out_known_spans(connection, group, new, encoder)
                rows = [row for number in new for row in group.rows[number]]
                if rows:
                    await self.session.direct.copy(copy, b"".join((HEADER, *rows, TRAILER)))
                await self._count(connection, group, new)
        if new:
            stored = [group.batches[number] for number in new]
            self._committed(time.perf_counter() - begun, stored, group.losses)
        found = {known[name].digest: of for name, of in before.items() if name in known}
        return self._named_now(group, new) | found

    def says_otherwise(self, batch: Batch, before: Before | None) -> bool:
        """Whether what came before under a batch's name is something else."""
        said = before.content if before and batch.content else None
        return said is not None and said != keyed(self.session.key, batch.content)

    def _contents(self, group: _Group) -> dict[int, bytes]:
        """What their contents are known by, of those whose senders named them."""
        named = {number: batch.content for number, batch in group.batches.items() if batch.content}
        return {number: keyed(self.session.key, content) for number, content in named.items()}

    def _named_now(self, group: _Group, new: Iterable[int]) -> dict[bytes, Before]:
        """What is stored now under names that may be there twice."""
        contents = self._contents(group)
        return {group.batches[n].digest: Before(None, contents[n]) for n in new if n in contents}

    async def _leave_out_known_spans(
        self, connection: AsyncConnection, group: _Group, new: Iterable[int], encoder: Encoder
    ) -> None:
        shortened = await spans.keep_new(connection, {n: group.batches[n] for n in new})
        for number, batch in shortened.items():
            left_out = group.batches[number].size - batch.size
            group.losses[batch.signal, Loss.DUPLICATE_SPAN] += left_out
            group.batches[number] = batch
            group.rows[number] = list(encoder.encode(batch, number, self.session.dimensions.ids))

    async def _encode(
        self, connection: AsyncConnection, group: _Group, batches: Iterable[Batch], encoder: Encoder
    ) -> None:
        for batch in batches:
            if name := group.digests.get(batch.digest):
                group.repeats.setdefault(name, []).append(batch)
            else:
                number = await self.session.next_id(connection)
                name = group.digests[batch.digest] = keyed(self.session.key, batch.digest)
                group.batches[number], group.names[number] = batch, name
                group.rows[number] = list(
                    encoder.encode(batch, number, self.session.dimensions.ids)
                )

    async def _count(self, connection: AsyncConnection, group: _Group, ids: Iterable[int]) -> None:
        """Counters, counts and the commit position."""
        new = {number: group.batches[number] for number in ids}
        counts, beyond = Counter[tuple[int, Dimension]](), Counter[tuple[int, Dimension]]()
        for batch in new.values():
            counts.update(batch.counts)
            if sum(batch.counts.values()) != batch.size:
                beyond.update(batch.beyond_rows())
        points = {number: batch.points for number, batch in new.items() if batch.points}
        if points:
            increments = await counters.merge(connection, points)
            await statements.note_losses(connection, increments.losses)
            for number, losses in increments.losses.items():
                for reason, times in losses.items():
                    group.losses[new[number].signal, reason] += times
            counts.update(increments.counts)
            beyond.update(increments.counts)
        numbers = self._by_key(counts), self._by_key(beyond)
        await statements.take_position(self.session.direct, new, *numbers)

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
