"""The Postgres exporter: opens a database, stores batches in it, keeps it in shape."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import psycopg
from psycopg import AsyncConnection

from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres, default_directory
from footfall_exporters.postgres import partitions, salts
from footfall_exporters.postgres.migrate import migrate
from footfall_exporters.postgres.retention import forget
from footfall_exporters.postgres.schema import apply_catalog
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Batch
from footfall_processors.hashing import Period

AHEAD_DAYS = 3
MINIMUM_RETENTION = salts.LATE_DAYS + 1


class PostgresConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the store is, and for how long it keeps what (A7).

    Attributes:
        dsn: A libpq connection string; without one, Footfall runs a Postgres of its own.
        data_directory: Where that one keeps its data.
        retention_days: Observations older than this are dropped, a day at a time.
        rollup_retention_days: Counts and losses older than this are deleted.
    """

    dsn: str | None = None
    data_directory: str | None = None
    retention_days: Annotated[int, msgspec.Meta(ge=MINIMUM_RETENTION, le=3650)] = 30
    rollup_retention_days: Annotated[int, msgspec.Meta(ge=MINIMUM_RETENTION, le=36500)] = 400

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["Store"]:
        """Starts (without a DSN) and prepares the database, and yields its store.

        Raises:
            EmbeddedPostgresError: the embedded Postgres could not be started.
            psycopg.Error: Postgres refused.
            SchemaConflict: the catalog does not fit the tables that are there.
        """
        with database(self) as dsn:
            await asyncio.to_thread(prepare, dsn, settings)
            store = Store(dsn, self, settings)
            await store.maintain()
            writing = asyncio.create_task(store.writer.run())
            try:
                yield store
            finally:
                writing.cancel()
                with suppress(asyncio.CancelledError):
                    await writing


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
    with psycopg.connect(dsn, autocommit=True) as connection:
        apply_catalog(connection, settings.catalog)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What one round of housekeeping did."""

    partitions_made: int
    partitions_dropped: int
    salts_destroyed: int


class Store:
    """A prepared database.

    Attributes:
        salts: The rotating salts in force, by period.
        writer: The one connection that stores.
    """

    def __init__(
        self,
        dsn: str,
        config: PostgresConfig,
        settings: Settings,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.dsn, self._config, self._catalog, self._clock = dsn, config, settings.catalog, clock
        self.salts: dict[Period, bytes] = {}
        self.writer = Writer(dsn, settings.catalog)

    async def consume(self, batch: Batch) -> None:
        """See `Writer.consume`."""
        await self.writer.consume(batch)

    async def maintain(self) -> Maintenance:
        """One round: partitions ahead, salts made and destroyed, what has expired dropped.

        Raises:
            psycopg.Error: Postgres refused; what was done stays done.
        """
        now_us = self._clock() // 1000
        today = dt.datetime.fromtimestamp(now_us / 1e6, dt.UTC).date()
        days = [today + dt.timedelta(days=n) for n in range(-salts.LATE_DAYS, AHEAD_DAYS + 1)]
        periods = salts.needed(self._catalog, now_us)
        async with await AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            made = await partitions.ensure(connection, days)
            destroyed = await salts.destroy(connection, periods)
            self.salts = await salts.make(connection, periods)
            first_kept = today - dt.timedelta(days=self._config.retention_days)
            dropped = await partitions.drop(connection, first_kept)
            await forget(connection, self._config.rollup_retention_days)
        return Maintenance(len(made), len(dropped), destroyed)
