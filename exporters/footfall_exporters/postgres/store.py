"""The Postgres exporter: opens a database, stores batches in it, keeps it in shape."""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import psycopg

from footfall_exporters.background import beside
from footfall_exporters.contracts import Losses, Settings, Unavailable
from footfall_exporters.embedded import EmbeddedPostgres, Supervision, default_directory
from footfall_exporters.postgres import refused, replication, roles
from footfall_exporters.postgres.absence import told, waits
from footfall_exporters.postgres.confinement import confine
from footfall_exporters.postgres.connecting import SCHEMA, connect_sync
from footfall_exporters.postgres.group_commit import Observers
from footfall_exporters.postgres.holding import SchemaBusy
from footfall_exporters.postgres.housekeeping import House, Housekeeper, Ran
from footfall_exporters.postgres.migrate import PATIENT_S, TURN_S, migrate
from footfall_exporters.postgres.publishing import PublishedConfig
from footfall_exporters.postgres.readers import ReadersConfig, admit
from footfall_exporters.postgres.schema import apply_catalog
from footfall_exporters.postgres.spooling import Spooling
from footfall_exporters.postgres.thinning import Rule
from footfall_exporters.postgres.writer import Writer
from footfall_exporters.spool import Spool, SpoolConfig
from footfall_processors import Batch, Catalog, OperatorError, window
from footfall_processors.hashing import Period

log = logging.getLogger("footfall.postgres")
RETRY_S = 1.0
"""Seconds between two attempts to prepare a database that is away, and what senders are told to wait."""
SAID_AGAIN_S = 60.0
"""Seconds after which the log says again that it is."""
STARTING_S = 5.0
"""For how long a start waits for who holds the schema, before it serves without; others start as well."""
INSTANT_S = 0.2
"""For how long an attempt between waits for a lock, in seconds: who comes after it has to wait as well."""
_WHY = f"hours of the last {window.REACH.days} days are still looked at"


class PostgresConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the store is, and for how long it keeps what.

    Attributes:
        dsn: A libpq connection string; without one, Footfall runs a Postgres of its own.
        data_directory: Where that one keeps its data.
        retention_days: Observations older than this are dropped, a day at a time.
        rollup_retention_days: Counts and losses older than this are deleted.
        session_timeout_s: After so many seconds without a sign of life a session has ended.
        event_time: To which unit `reporting.events` cuts the time of single observations.
        published: What may leave the team.
        retention: Observations that are kept for less, by product and environment.
        spool: Where batches wait while the database is away; without it, senders are told to retry.
        readers: Where a Grafana elsewhere reaches the Postgres of its own; without it, nobody does over TCP.
    """

    dsn: str | None = None
    data_directory: str | None = None
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 30
    rollup_retention_days: Annotated[
        int, msgspec.Meta(ge=window.REACH.days, le=36500, description=_WHY)
    ] = 400
    retention: tuple[Rule, ...] = ()
    session_timeout_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 3600
    event_time: Literal["second", "minute", "hour"] = "second"
    published: PublishedConfig = PublishedConfig()
    spool: SpoolConfig | None = None
    readers: ReadersConfig | None = None

    def __post_init__(self) -> None:
        longer = [rule.days for rule in self.retention if rule.days > self.retention_days]
        if longer:
            raise ValueError(
                f"`retention` keeps something for {longer[0]} days, and days are dropped after"
                f" `retention_days: {self.retention_days}`; raise that, or lower the rule"
            )

    @asynccontextmanager
    async def open(
        self, settings: Settings, observers: Observers | None = None
    ) -> AsyncIterator["Store"]:
        """Starts (without a DSN) and prepares the database, and yields its store.

        A database that is away, or whose schema is held by others, is prepared as soon as it can be; see
        `Store.opened`.

        Args:
            settings: What every exporter is opened with.
            observers: Are told what it does.

        Raises:
            EmbeddedPostgresError: the embedded Postgres could not be started.
            psycopg.Error: Postgres refused, and waiting would not change that.
            SchemaConflict: the catalog does not fit the tables that are there.
            SpoolError: the spool cannot be opened.
        """
        async with AsyncExitStack() as stack:
            supervision = Supervision()
            dsn = stack.enter_context(database(self, supervision))
            store = Store(dsn, self, settings, supervision=supervision, observers=observers)
            if self.spool is not None:
                store.spool = await stack.enter_async_context(self.spool.open())
            await stack.enter_async_context(store.opening())
            await stack.enter_async_context(beside(store.writer.run()))
            if store.spool is not None:
                store.spooling = Spooling(store.writer, store.spool, store.opened)
                await stack.enter_async_context(beside(store.spooling.run()))
            yield store


@contextmanager
def database(config: PostgresConfig, supervision: Supervision | None = None) -> Iterator[str]:
    """The DSN of the configured database; the embedded one runs at least as long as the context.

    Args:
        config: Where it is.
        supervision: Has the embedded one started again when it ends before, and is told of it.
    """
    if config.dsn:
        yield config.dsn
        return
    server = EmbeddedPostgres(
        _directory(config), listening=config.readers.listening if config.readers else None
    )
    with server as dsn:
        if supervision is not None:
            server.supervise(supervision)
        yield dsn


@contextmanager
def database_as_made(config: PostgresConfig, programs: Path | None = None) -> Iterator[str]:
    """The same, the embedded one served by the version of Postgres that made its data.

    Args:
        config: Where it is.
        programs: Where that version's programs are, if not where they usually are.
    """
    if config.dsn:
        yield config.dsn
        return
    with EmbeddedPostgres(_directory(config), as_made=True, programs=programs) as dsn:
        yield dsn


def is_made(config: PostgresConfig) -> bool:
    """Whether there is a database: the embedded one is made by the first start."""
    return bool(config.dsn) or _directory(config).exists()


def _directory(config: PostgresConfig) -> Path:
    return Path(config.data_directory) if config.data_directory else default_directory()


def prepare(
    dsn: str, settings: Settings, patience_s: float = PATIENT_S, event_time: str = "second"
) -> None:
    """Migrates the schema and adds the catalog's columns; others who hold it are waited for so long."""
    migrate(dsn, patience_s)
    with connect_sync(dsn, SCHEMA) as connection:
        apply_catalog(
            connection, settings.catalog, patience_s, event_time, settings.found_by_columns
        )
        replication.identify(connection)
        roles.grant_writer(connection)
        confine(connection)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What `Store.maintain` did."""

    partitions_made: int
    partitions_dropped: int
    salts_destroyed: int


class Store:
    """A prepared database, or one that is going to be.

    Attributes:
        opened: Set once it is prepared; nothing is stored in it before.
        supervision: Of the embedded Postgres.
        lost: Gets the reason why there is no use in going on.
        salts: The rotating salts in force, by period.
        identities: The key under which streams and spans are named; None until it is known.
        writer: The one connection that stores.
        spool: Where batches wait while Postgres is away, where there is one.
        spooling: What moves them between the two.
        origin: The store's marker, empty before it was prepared.
    """

    def __init__(
        self,
        dsn: str,
        config: PostgresConfig,
        settings: Settings,
        clock: Callable[[], int] = time.time_ns,
        supervision: Supervision | None = None,
        observers: Observers | None = None,
    ) -> None:
        self.dsn, self._config, self._settings = dsn, config, settings
        self.supervision = supervision or Supervision()
        self.opened = asyncio.Event()
        observers = observers or Observers()
        self._arrived = observers.arrived
        passed = None if clock is time.time_ns else clock
        self._keeper = Housekeeper(dsn, self._house(settings), clock, passed)
        self.salts: dict[Period, bytes] = {}
        self.identities: bytes | None = None
        self.writer = Writer(dsn, settings.catalog, observers=observers)
        self.spool: Spool | None = None
        self.spooling: Spooling | None = None
        self.origin = ""

    @property
    def lost(self) -> Future[None]:
        """Gets the error after which nothing more can be done here; without one, nothing."""
        return self.supervision.lost

    @property
    def waiting(self) -> int:
        """How many batches wait for the next transaction."""
        return self.writer.waiting

    @property
    def restarts(self) -> int:
        """How often the embedded Postgres was started again."""
        return self.supervision.restarts

    @asynccontextmanager
    async def opening(self) -> AsyncIterator[None]:
        """Prepares the database, at once or, when it is away or held by others, as soon as it can be.

        Raises:
            OperatorError, psycopg.Error: waiting would not change it.
        """
        try:
            await self._prepare(STARTING_S)
        except (psycopg.Error, OperatorError) as error:
            if not waits(error):
                raise
            self._say_waiting(error)
            async with beside(self._prepare_later(), "preparing the database"):
                yield
        else:
            yield

    async def _prepare(self, patience_s: float) -> None:
        await asyncio.to_thread(self._prepare_database, self._settings, patience_s)
        await self.maintain()
        await self._arrived()
        self.opened.set()

    def _prepare_database(self, settings: Settings, patience_s: float) -> None:
        prepare(self.dsn, settings, patience_s, self._config.event_time)
        if self._config.readers is not None:
            with connect_sync(self.dsn, SCHEMA) as connection:
                admit(connection, self._config.readers)

    async def _prepare_later(self) -> None:
        said = time.monotonic()
        while not self.opened.is_set():
            await asyncio.sleep(RETRY_S)
            again = time.monotonic() - said > SAID_AGAIN_S
            try:
                # Now and then for longer: many who read for an instant each would never let it through.
                await self._prepare(TURN_S if again else INSTANT_S)
            except (psycopg.Error, OperatorError) as error:
                if not waits(error):
                    self._lose(error)
                    return
                if again:
                    self._say_waiting(error)
                    said = time.monotonic()
        log.warning("Postgres is there, and prepared: requests are stored")

    def _lose(self, error: Exception) -> None:
        if not self.lost.done():
            self.lost.set_exception(error)

    def _say_waiting(self, error: psycopg.Error | OperatorError) -> None:
        then = "wait in the spool" if self.spool is not None else "are told to retry"
        log.error("%s: it is tried again every second, and requests %s", told(error), then)

    async def consume(self, batch: Batch) -> Losses | None:
        """See `Writer.consume`, and `Spooling.consume` where there is a spool."""
        if self.spooling is None and not self.opened.is_set():
            raise Unavailable("the store is not available", RETRY_S)
        return await (self.spooling or self.writer).consume(batch)

    async def note_refused(self, tally: Mapping[refused.Refused, int]) -> None:
        """See `refused.add`."""
        await refused.add(self.dsn, tally)

    async def use(self, catalog: Catalog) -> None:
        """Takes another catalog: adds its columns and salts, then stores what it has.

        Raises:
            SchemaConflict: it does not fit the tables that are there; the former stays in force.
            psycopg.Error: Postgres refused; the former stays in force.
        """
        settings = replace(self._settings, catalog=catalog)
        await self._prepare_in_turns(settings)
        self._settings, self._keeper.house = settings, self._house(settings)
        await self.maintain()
        self.writer.use(catalog)

    async def _prepare_in_turns(self, settings: Settings) -> None:
        """Waits for whoever holds the schema, in turns: a thread that waits could not be told to stop."""
        begun, said = time.monotonic(), False
        while True:
            try:
                await asyncio.to_thread(self._prepare_database, settings, TURN_S)
            except SchemaBusy as error:
                waited, holders = time.monotonic() - begun, error.holders
            else:
                return
            if waited > PATIENT_S:
                raise SchemaBusy(waited, holders)
            if not said:
                log.warning("the catalog waits to be taken: %s", SchemaBusy(waited, holders))
                said = True
            await asyncio.sleep(RETRY_S)

    def _house(self, settings: Settings) -> House:
        return House(
            settings.catalog,
            self._config.retention_days,
            self._config.rollup_retention_days,
            dt.timedelta(seconds=self._config.session_timeout_s),
            settings.found_by_columns,
            self._config.published,
            self._config.retention,
        )

    @property
    def is_away(self) -> bool:
        """Whether nothing can be stored now, nor kept until it can."""
        away = self.writer.away or not self.opened.is_set()
        return away and (self.spool is None or self.spool.refuses)

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
        self.origin = self._keeper.origin
        ran = {run.task: run.number for run in await self._keeper.run_due({"salts", "retention"})}
        self.salts, self.identities = self._keeper.salts, self._keeper.identities
        return Maintenance(made.number, ran.get("retention", 0), ran.get("salts", 0))
