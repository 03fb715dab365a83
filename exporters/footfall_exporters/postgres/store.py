"""The Postgres exporter: opens a database, stores batches in it, keeps it in shape."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from footfall_exporters.background import beside
from footfall_exporters.contracts import Losses, Settings
from footfall_exporters.embedded import EmbeddedPostgres, default_directory
from footfall_exporters.postgres import roles, salts
from footfall_exporters.postgres.connecting import SCHEMA, connect_sync
from footfall_exporters.postgres.housekeeping import House, Housekeeper, Ran
from footfall_exporters.postgres.migrate import migrate
from footfall_exporters.postgres.schema import apply_catalog
from footfall_exporters.postgres.spooling import Spooling
from footfall_exporters.postgres.writer import Writer
from footfall_exporters.spool import Spool, SpoolConfig
from footfall_processors import Batch, Catalog
from footfall_processors.hashing import Period

MINIMUM_RETENTION = salts.LATE_DAYS + 1


class PostgresConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the store is, and for how long it keeps what (A7).

    Attributes:
        dsn: A libpq connection string; without one, Footfall runs a Postgres of its own.
        data_directory: Where that one keeps its data.
        retention_days: Observations older than this are dropped, a day at a time.
        rollup_retention_days: Counts and losses older than this are deleted.
        spool: Where batches wait while the database is away; without it, senders are told to come again.
    """

    dsn: str | None = None
    data_directory: str | None = None
    retention_days: Annotated[int, msgspec.Meta(ge=MINIMUM_RETENTION, le=3650)] = 30
    rollup_retention_days: Annotated[int, msgspec.Meta(ge=MINIMUM_RETENTION, le=36500)] = 400
    spool: SpoolConfig | None = None

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["Store"]:
        """Starts (without a DSN) and prepares the database, and yields its store.

        Raises:
            EmbeddedPostgresError: the embedded Postgres could not be started.
            psycopg.Error: Postgres refused.
            SchemaConflict: the catalog does not fit the tables that are there.
            SpoolError: the spool cannot be opened.
        """
        async with AsyncExitStack() as stack:
            dsn = stack.enter_context(database(self))
            await asyncio.to_thread(prepare, dsn, settings)
            store = Store(dsn, self, settings)
            await store.maintain()
            await stack.enter_async_context(beside(store.writer.run()))
            if self.spool is not None:
                store.spool = await stack.enter_async_context(self.spool.open())
                store.spooling = Spooling(store.writer, store.spool)
                await stack.enter_async_context(beside(store.spooling.run()))
            yield store


@contextmanager
def database(config: PostgresConfig) -> Iterator[str]:
    """The DSN of the configured database; the embedded one runs at least as long as the context."""
    if config.dsn:
        yield config.dsn
        return
    directory = Path(config.data_directory) if config.data_directory else default_directory()
    with EmbeddedPostgres(directory) as dsn:
        yield dsn


def prepare(dsn: str, settings: Settings) -> None:
    """Migrates the schema and adds the catalog's columns."""
    migrate(dsn)
    with connect_sync(dsn, SCHEMA) as connection:
        apply_catalog(connection, settings.catalog)
        roles.grant_writer(connection)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What `Store.maintain` did."""

    partitions_made: int
    partitions_dropped: int
    salts_destroyed: int


class Store:
    """A prepared database.

    Attributes:
        salts: The rotating salts in force, by period.
        writer: The one connection that stores.
        spool: Where batches wait while Postgres is away, where there is one.
        spooling: What moves them between the two.
    """

    def __init__(
        self,
        dsn: str,
        config: PostgresConfig,
        settings: Settings,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.dsn, self._config = dsn, config
        passed = None if clock is time.time_ns else clock
        self._keeper = Housekeeper(dsn, self._house(settings.catalog), clock, passed)
        self.salts: dict[Period, bytes] = {}
        self.writer = Writer(dsn, settings.catalog)
        self.spool: Spool | None = None
        self.spooling: Spooling | None = None

    async def consume(self, batch: Batch) -> Losses | None:
        """See `Writer.consume`, and `Spooling.consume` where there is a spool."""
        return await (self.spooling or self.writer).consume(batch)

    async def use(self, catalog: Catalog) -> None:
        """Takes another catalog: adds its columns and salts, then stores what it has.

        Raises:
            SchemaConflict: it does not fit the tables that are there; the former stays in force.
            psycopg.Error: Postgres refused; the former stays in force.
        """
        await asyncio.to_thread(prepare, self.dsn, Settings(catalog))
        self._keeper.house = self._house(catalog)
        await self.maintain()
        self.writer.group_commit.use(catalog)

    def _house(self, catalog: Catalog) -> House:
        return House(catalog, self._config.retention_days, self._config.rollup_retention_days)

    @property
    def is_away(self) -> bool:
        """Whether nothing can be stored now, nor kept until it can."""
        return self.writer.away and self.spool is None

    async def keep_house(self) -> list[Ran]:
        """Does what is due, unless another collector does; `salts` are those in force afterwards.

        Raises:
            psycopg.Error: Postgres does not answer.
        """
        ran = await self._keeper.run_due()
        self.salts = self._keeper.salts
        return ran

    async def maintain(self) -> Maintenance:
        """What must be done before anything can be stored, and what has expired dropped.

        The rest is a `Housekeeper`'s, in its rhythm. A clock that was passed stands for Postgres' as well.

        Raises:
            psycopg.Error: Postgres refused; what was done stays done.
        """
        made = await self._keeper.prepare()
        ran = {run.task: run.number for run in await self._keeper.run_due({"salts", "retention"})}
        self.salts = self._keeper.salts
        return Maintenance(made.number, ran.get("retention", 0), ran.get("salts", 0))
