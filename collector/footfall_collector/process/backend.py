"""What is behind the receivers, a store or a gateway's next hops: opened, used and closed alike."""

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    nullcontext,
)
from functools import partial
from typing import Protocol

from footfall_collector.config.config import Config
from footfall_collector.config.reader import STORE
from footfall_collector.decoding.decoder import Decoding
from footfall_collector.process import gauges
from footfall_collector.process.alerts import Alerts, Certificates
from footfall_collector.process.digests import Digests
from footfall_collector.process.housekeeping import Keeping
from footfall_collector.subscribers.gateway import Hops, gateway_keys
from footfall_collector.subscribers.group import Subscribers, subscribers
from footfall_collector.telemetry.multiprocess import Shared
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.contracts import Consumer
from footfall_exporters.embedded import default_directory
from footfall_exporters.postgres import Observers, PostgresConfig, Store
from footfall_processors import Catalog, Hash, window
from footfall_processors.hashing import STATIC_PERIOD, Period


class Backend(Protocol):
    """Where batches go, and what decodes them under the catalog in force.

    Attributes:
        consumer: Takes batches.
        decoding: Makes them of requests.
        dsn: Of the store's database; empty without one.
        lost: Gets the error after which there is no use in going on; without one, nothing.
    """

    consumer: Consumer
    decoding: Decoding
    dsn: str
    lost: Future[None]

    @property
    def is_away(self) -> bool:
        """Whether nothing can be taken now, nor kept until it can."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """What has to go on beside the receivers."""

    async def use(self, catalog: Catalog) -> None:
        """Takes another catalog.

        Raises:
            OperatorError, psycopg.Error: requests are decoded under the former.
        """

    def watch(self, telemetry: Telemetry, shared: Shared | None) -> None:
        """Has `telemetry` look up what waits here; workers count where they share it."""


def opened(
    config: Config, telemetry: Telemetry, certificates: Certificates = dict
) -> AbstractAsyncContextManager[Backend]:
    """The backend that a configuration names.

    Args:
        config: Checked.
        telemetry: Where it counts.
        certificates: When those of the collector's listeners end.

    Raises:
        OperatorError, psycopg.Error: it cannot be had.
    """
    if config.postgres is None:
        return _gateway(config)
    return _store(config, config.postgres, telemetry, certificates)


class _StoreBackend:
    def __init__(
        self,
        store: Store,
        decoding: Decoding,
        keeping: Keeping,
        *others: AbstractAsyncContextManager[None],
    ) -> None:
        self.consumer: Consumer = store
        self.decoding, self.dsn, self.lost = decoding, store.dsn, store.lost
        self._store, self._keeping, self._others = store, keeping, others

    @property
    def is_away(self) -> bool:
        return self._store.is_away

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for each in (*self._others, self._keeping.running()):
                await stack.enter_async_context(each)
            yield

    async def use(self, catalog: Catalog) -> None:
        await self._keeping.use(catalog)

    def watch(self, telemetry: Telemetry, shared: Shared | None) -> None:
        gauges.watch_store(telemetry, self._store, shared)


class _GatewayBackend:
    is_away = False

    def __init__(self, hops: Hops, decoding: Decoding, salts: Mapping[Period, bytes]) -> None:
        self.consumer: Consumer = hops.gateway
        self.decoding, self.dsn, self.lost = decoding, "", Future[None]()
        self._hops, self._salts = hops, salts

    def running(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def use(self, catalog: Catalog) -> None:
        await self._hops.use(catalog)
        self.decoding.use(catalog, self._salts, self._hops.origin)

    def watch(self, telemetry: Telemetry, shared: Shared | None) -> None:
        """Nothing waits."""


@asynccontextmanager
async def _store(
    config: Config, postgres: PostgresConfig, telemetry: Telemetry, certificates: Certificates
) -> AsyncIterator[Backend]:
    """The store, its housekeeping, and those who follow it."""
    followed: Subscribers | None = None

    async def arrived() -> None:
        if followed is not None:
            await followed.register()

    observers = Observers(telemetry.committed, partial(telemetry.send_failed, STORE), arrived)
    async with postgres.open(config.settings, observers) as store:
        decoding = Decoding(
            config.catalog,
            {**config.static_salts, **store.salts},
            store.origin,
            store.identities,
            spans=config.deduplicate_spans,
            past=window.past(postgres.retention_days),
        )
        async with subscribers(
            config.subscribers, store.dsn, config.catalog, telemetry
        ) as followed:
            keeping = Keeping(store, followed, decoding, config.static_salts, telemetry)
            digests = Digests(store.dsn, config.digest)
            operator = config.service.operator
            alerts = Alerts(
                store.dsn, config.alerts, certificates, url=operator.url if operator else None
            )
            others = digests.running(), alerts.running()
            yield _StoreBackend(store, decoding, keeping, *others)


@asynccontextmanager
async def _gateway(config: Config) -> AsyncIterator[Backend]:
    """The next hops, when there is no store."""
    salt = config.static_salts.get((Hash.STATIC, STATIC_PERIOD))
    keys = gateway_keys(salt, default_directory().parent)
    async with aclosing(Hops(config.subscribers, keys)) as hops:
        await hops.use(config.catalog)
        decoding = Decoding(config.catalog, config.static_salts, hops.origin, keys.identities)
        yield _GatewayBackend(hops, decoding, config.static_salts)
