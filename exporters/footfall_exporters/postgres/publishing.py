"""What may leave the team: days that are closed, in one grain, small cells folded, each day once (ADR 36).

A *cell* is what was used of one event on one day (UTC). One that fewer than k distinct groups or actors stand
behind is folded into the day's *other*; where they are too few even together, they are left out. Nothing else
is published, every sum is one of these figures, and no figure moves afterwards: so nothing can be subtracted.
"""

import datetime as dt
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from psycopg import AsyncConnection, IsolationLevel, sql

from footfall_exporters.postgres.groups import BUDGET, PARENT, SETTLED
from footfall_processors import Catalog

OTHER = ""
"""The event in whose place small ones stand together."""
_DAY = dt.timedelta(days=1)
_MIRROR = """
    WITH wanted AS (SELECT unnest(%(products)s::text[]) AS product), gone AS (
        DELETE FROM footfall.publishing WHERE product <> ALL (%(products)s::text[])
    ) INSERT INTO footfall.publishing AS p SELECT product, %(k)s FROM wanted
    ON CONFLICT (product) DO UPDATE SET k = excluded.k WHERE p.k <> excluded.k
"""
_OPEN = """
    SELECT c.day, p.product FROM (
        SELECT DISTINCT (hour AT TIME ZONE 'UTC')::date AS day FROM footfall.feature_counts
        WHERE hour >= %(since)s AND hour < %(until)s
    ) AS c CROSS JOIN unnest(%(products)s::text[]) AS p (product)
    WHERE NOT EXISTS (
        SELECT FROM footfall.published_days d WHERE (d.day, d.product) = (c.day, p.product)
    ) AND NOT EXISTS (SELECT FROM footfall.dropped_days d WHERE d.day = c.day)
    AND NOT EXISTS (SELECT FROM footfall.thinned t WHERE t.day = c.day)
    AND NOT EXISTS (
        SELECT FROM footfall.published f JOIN footfall.catalog_events o USING (product)
        JOIN footfall.catalog_events e ON e.event = o.event AND e.declared AND e.product = p.product
        WHERE f.day = c.day AND f.product <> p.product
        AND (f.event = e.event OR f.event = %(other)s AND f.product <> ALL (%(products)s::text[]))
    ) ORDER BY 1, 2
"""
"""What was published of a product that is called otherwise now, or has lost an event to this one, is not
folded anew: the two would say who was erased between them."""
_PLANNED = "SET LOCAL work_mem = '64MB'; SET LOCAL enable_nestloop = off"
"""Of a hashed column Postgres knows no statistics: it would expect few values, and spill to disk."""
_BEGINNINGS = ("invoke", "start")
_ENDED = sql.SQL("(d.action <> ALL (%(beginnings)s) OR d.event = ANY(%(begun)s))")
"""A use counts when it ends, but of events that have nothing else than beginnings."""
_USES = """
    SELECT d.event, sum(c.count)::bigint
    FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
    WHERE c.hour >= %(start)s AND c.hour < %(end)s AND d.event = ANY(%(events)s)
    AND {ended} GROUP BY 1 HAVING sum(c.count) > 0
"""
_BEHIND = """
    SELECT event, count(*) FROM (
        SELECT DISTINCT {cell} AS event, e.{column}
        FROM footfall.{table} e JOIN footfall.feature_dims d ON d.id = e.dim_id
        WHERE e.time >= %(start)s AND e.time < %(end)s AND e.{column} IS NOT NULL
        AND d.event = ANY(%(events)s) AND {ended}
    ) AS each GROUP BY 1
"""
_HASHED = """
    SELECT attribute, column_name, EXISTS (
        SELECT FROM footfall.salt_log l
        WHERE l.kind = c.hash AND l.period = footfall.salt_period(c.hash, %(day)s)
        HAVING count(*) FILTER (WHERE made_at > %(start)s)
               + max(CASE WHEN made_at <= %(start)s THEN 1 ELSE 0 END) > 1
    ) OR coalesce(hash_changed_at > %(start)s, false) AS is_void
    FROM footfall.catalog_columns c WHERE table_name = %(table)s AND hash IS NOT NULL ORDER BY 1
"""
"""Void where more than one salt, or kind of it, was in force since the day began: one might count twice."""


class PublishedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may leave the team.

    Attributes:
        products: Whose uses are published; nothing is without.
        k: Figures that fewer distinct groups or actors stand behind are folded.
    """

    products: tuple[str, ...] = ()
    k: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 5


@dataclass(frozen=True, slots=True)
class PublishedDays:
    """What a call has done.

    Attributes:
        number: Days of products that were published.
        more: Whether some are left, because it took long.
    """

    number: int
    more: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """What was used of one event, or of several together.

    Attributes:
        uses: How often.
        behind: How many distinct values each hashed attribute has that is known of, or should be.
    """

    uses: int
    behind: Mapping[str, int]

    @property
    def fewest(self) -> int:
        """How many groups or actors are behind it at least, whatever they are told apart by.

        An event that tells nobody apart stands for as many as it has uses.
        """
        return min(self.behind.values(), default=self.uses)


async def publish(
    connection: AsyncConnection,
    catalog: Catalog,
    config: PublishedConfig,
    since: dt.datetime,
    now: dt.datetime,
) -> PublishedDays:
    """Publishes the days that have settled and were not published yet, each for good.

    Args:
        connection: In autocommit mode.
        catalog: In force: what it does not declare is not published.
        config: Of which products.
        since: Days that began before are left alone.
        now: The days that ended SETTLED before it have settled.

    Returns:
        How many days, of all products, and whether some are left.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    products = sorted(set(config.products) & set(catalog.products))
    await connection.execute(_MIRROR, {"products": products, "k": config.k})
    if not products:
        return PublishedDays(0, more=False)
    until = (now - SETTLED).replace(hour=0, minute=0, second=0, microsecond=0)
    known = {"products": products, "since": since, "until": until, "other": OTHER}
    begun, done = time.monotonic(), 0
    days = await (await connection.execute(_OPEN, known)).fetchall()
    for day, product in days:
        if time.monotonic() - begun > BUDGET:
            break
        await _publish_day(connection, catalog, product, day, config.k)
        done += 1
    return PublishedDays(done, done < len(days))


async def _publish_day(
    connection: AsyncConnection, catalog: Catalog, product: str, day: dt.date, k: int
) -> None:
    """In one snapshot: who is erased meanwhile is in all of it."""
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    try:
        async with connection.transaction():
            await connection.execute(_PLANNED)
            shown = await _folded(_Day(connection, catalog, day), product, k)
            await connection.execute(
                "INSERT INTO footfall.published_days (day, product, k) VALUES (%s, %s, %s)",
                [day, product, k],
            )
            await connection.execute(
                "INSERT INTO footfall.published (day, product, event, count)"
                " SELECT %s, %s, event, uses FROM unnest(%s::text[], %s::bigint[]) AS s (event, uses)",
                [day, product, list(shown), list(shown.values())],
            )
    finally:
        await connection.set_isolation_level(None)


async def _folded(looked_at: "_Day", product: str, k: int) -> Mapping[str, int]:
    """What is shown of a day: the uses of each event that enough are behind, and of the others together."""
    declared = [e for e, owner in looked_at.catalog.owners.items() if owner == product]
    cells = await looked_at.cells(declared)
    shown = {event: cell.uses for event, cell in cells.items() if cell.fewest >= k}
    small = sorted(cells.keys() - shown.keys())
    if small:
        other = await looked_at.together(small, sum(cells[event].uses for event in small))
        # Two that are too few even together are told nobody: not even that there was something.
        if other.fewest >= k:
            shown[OTHER] = other.uses
    return shown


@dataclass(frozen=True, slots=True)
class _Day:
    """A day (UTC) of the store, in a transaction that sees one state of it."""

    connection: AsyncConnection
    catalog: Catalog
    day: dt.date

    async def cells(self, events: Collection[str]) -> Mapping[str, Cell]:
        """Those of events, where there was any use."""
        query = sql.SQL(_USES).format(ended=_ENDED)
        found = await self.connection.execute(query, self._known(events))
        uses: dict[str, int] = dict(await found.fetchall())
        behind = await self._behind(sorted(uses), sql.SQL("d.event"))
        return {
            event: Cell(number, self._fewest_of([event], behind.get(event, {})))
            for event, number in uses.items()
        }

    async def together(self, events: Sequence[str], uses: int) -> Cell:
        """That of several events together."""
        behind = await self._behind(events, sql.Literal(OTHER))
        return Cell(uses, self._fewest_of(events, behind.get(OTHER, {})))

    def _fewest_of(self, events: Sequence[str], known: Mapping[str, int]) -> Mapping[str, int]:
        """Also 0 for what an event should say of whom it is, and no observation does."""
        hashed = (
            name
            for event in events
            for name in self.catalog.events[event].attributes
            if self.catalog.attributes[name].hash is not None
        )
        return {**dict.fromkeys(hashed, 0), **known}

    async def _behind(
        self, events: Sequence[str], cell: sql.Composable
    ) -> Mapping[str, Mapping[str, int]]:
        """Of each cell how many distinct values its hashed attributes have; 0 where a salt was lost."""
        behind: dict[str, dict[str, int]] = {}
        found = await self.connection.execute(_HASHED, self._known(events) | {"table": PARENT})
        for attribute, column, is_void in await found.fetchall():
            names = {"column": sql.Identifier(column), "table": sql.Identifier(PARENT)}
            query = sql.SQL(_BEHIND).format(cell=cell, ended=_ENDED, **names)
            distinct = await self.connection.execute(query, self._known(events))
            for event, number in await distinct.fetchall():
                behind.setdefault(event, {})[attribute] = 0 if is_void else number
        return behind

    def _known(self, events: Collection[str]) -> dict[str, object]:
        start = dt.datetime.combine(self.day, dt.time(), dt.UTC)
        known = {"day": self.day, "start": start, "end": start + _DAY, "events": list(events)}
        begun = [e for e in events if set(self.catalog.events[e].actions) <= set(_BEGINNINGS)]
        return {**known, "beginnings": list(_BEGINNINGS), "begun": begun}
