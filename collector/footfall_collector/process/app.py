"""The collector put together: backend → decoding → housekeeping → receivers, stopped in reverse."""

import datetime as dt
import importlib.metadata
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from starlette.routing import BaseRoute, Route

from footfall_collector.config.config import Config
from footfall_collector.config.http_api import HttpApiConfig
from footfall_collector.config.reader import STORE
from footfall_collector.config.schema import TlsConfig
from footfall_collector.process import gauges
from footfall_collector.process.api import api
from footfall_collector.process.backend import Backend, opened
from footfall_collector.process.reload import Reloading
from footfall_collector.receivers import grpc as otlp_grpc
from footfall_collector.receivers import http as otlp_http
from footfall_collector.receivers import live, operator, page, public, reports
from footfall_collector.receivers.admission import Gate
from footfall_collector.receivers.intake import Intake
from footfall_collector.receivers.operator import NotReady
from footfall_collector.security.keys import Keys, Operators
from footfall_collector.security.login import Logins
from footfall_collector.security.page_secret import PageSecret, own_secret
from footfall_collector.security.shares import Shares
from footfall_collector.security.tls import Tls
from footfall_collector.telemetry.multiprocess import Shared
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.postgres.housekeeping import NAMES
from footfall_exporters.postgres.reports.periods import Attributes

log = logging.getLogger("footfall.collector")


class Worker(NamedTuple):
    """One of several processes that are one collector.

    Attributes:
        number: From 0; the first one has the operator's listener.
        shared: Where all of them count.
    """

    number: int
    shared: Shared


@dataclass(frozen=True, slots=True)
class Running:
    """A started collector.

    Attributes:
        grpc: host:port of OTLP/gRPC, None when it is off.
        http: host:port of OTLP/HTTP, None when it is off.
        operator: host:port of the operator's listener, None when it is off or another worker has it.
        dsn: Of its database; empty for a gateway.
        lost: Gets the error after which there is no use in going on; without one, nothing.
        reload: Takes what may change from another configuration (see `Reloading`); None stands for one that
            could not be read.
    """

    grpc: str | None
    http: str | None
    operator: str | None
    dsn: str
    lost: Future[None]
    reload: Callable[[Config | None], Awaitable[bool]]


@asynccontextmanager
async def running(config: Config, worker: Worker | None = None) -> AsyncIterator[Running]:
    """Runs a collector for as long as the context lasts; at its end requests in flight are finished.

    Args:
        config: Checked.
        worker: Which of several processes this is; None for a process alone.

    Raises:
        OperatorError, psycopg.Error: it cannot start; what had been started is stopped again.
    """
    async with AsyncExitStack() as stack:
        parts = _Parts(config, stack, worker)
        yield await parts.start()
        parts.drain()


class _Parts:
    """What a collector consists of.

    Attributes:
        not_ready: Why no requests should be sent to it now.
    """

    def __init__(self, config: Config, stack: AsyncExitStack, worker: Worker | None) -> None:
        self._config, self._stack, self._worker = config, stack, worker
        self._enter = stack.enter_async_context
        self.not_ready = {NotReady.STARTING}
        self._tls: list[Tls] = []
        self._reloads: list[Callable[[], None]] = []
        self._backend: Backend | None = None
        self._operators = Operators(None)
        self._live = live.Live(self._dsn)
        self._gate = Gate(
            config.admission, Keys.load(config.keys_file) if config.keys_file else None
        )
        self._telemetry = Telemetry(
            importlib.metadata.version("footfall"),
            exporters=[*([STORE] if config.postgres else []), *config.subscribers],
            tasks=NAMES,
            shared=worker.shared if worker else None,
        )

    def drain(self) -> None:
        """From now on only what is in flight is finished, whichever listener stops first."""
        self.not_ready.add(NotReady.DRAINING)
        self._live.close()
        self._gate.closed = True

    async def start(self) -> Running:
        """Starts everything: what is told of it first, who may use it last."""
        operator_address = await self._serve_operator()
        backend = self._backend = await self._enter(
            opened(self._config, self._telemetry, self._certificates)
        )
        await self._enter(backend.running())
        gauges.watch_gate(self._telemetry, self._gate)
        backend.watch(self._telemetry, self._worker.shared if self._worker else None)
        ready = self._telemetry.metrics.ready
        self._telemetry.watch(ready, lambda: float(not self._why_not_ready()))
        await self._enter(self._telemetry.refreshing())
        grpc, http = await self._serve(backend)
        reloading = Reloading(
            self._config,
            self._gate,
            self._operators,
            self._reloads,
            self._tls,
            self._telemetry,
            backend,
        )
        self.not_ready.discard(NotReady.STARTING)
        self._telemetry.refresh()
        return Running(grpc, http, operator_address, backend.dsn, backend.lost, reloading.reload)

    async def _serve(self, backend: Backend) -> tuple[str | None, str | None]:
        decoding = backend.decoding
        intake = Intake(backend.consumer.consume, self._gate, self._telemetry, decoding.past)
        decoders = decoding.decoders(self._config.signals)
        shared = self._worker is not None
        grpc, http = self._config.grpc, self._config.http
        addresses: list[str | None] = [None, None]
        if grpc is not None:
            tls = self._listener("OTLP/gRPC", grpc.tls)
            addresses[0] = await self._enter(
                otlp_grpc.serve(grpc, intake, decoders, tls, shared=shared)
            )
        if http is not None:
            tls = self._listener("OTLP/HTTP", http.tls)
            routes = await api(
                self._config, intake, backend, self._gate, self._stack, self._reloads
            )
            addresses[1] = await self._enter(
                otlp_http.serve(
                    http, intake, decoders, tls, shared=shared, api=routes, public=self._pages()
                )
            )
        return addresses[0], addresses[1]

    def _pages(self) -> list[BaseRoute]:
        """What browsers may look at beside: what is published, and in development what is counted of one."""
        config, http_api = self._config.service.public, self._config.http_api
        found = public.routes(config, self._dsn) if config else []
        if self._config.development and http_api is not None:
            from footfall.web import DASHBOARD_PATH, dashboard

            page = dashboard(endpoint=f"{http_api.prefixes[0]}/summary", environment="development")
            found.append(Route(DASHBOARD_PATH, page))
        return found

    async def _serve_operator(self) -> str | None:
        config = self._config.service.operator
        if config is None:
            return None
        self._operators.keys = Keys.load(config.keys_file) if config.keys_file else None
        tls = self._listener("the operator's listener", config.tls)
        context = tls.context if tls else None
        has_keys = self._operators.keys is not None
        logins, shares = self._logins() if has_keys else (None, None)
        await self._enter(self._live.running())
        answering = self._reports()
        await self._enter(answering.running())
        return await self._enter(
            operator.serve(
                config,
                self._telemetry,
                self._why_not_ready,
                self._operators.authorised if has_keys else None,
                context,
                alive=self._is_alive,
                more=[
                    Route(reports.PATH, answering.answer, methods=["GET"]),
                    *page.routes(has_login=has_keys),
                    Route(live.PATH, self._live.answer, methods=["GET"]),
                ],
                logins=logins,
                shares=shares,
            )
        )

    def _logins(self) -> tuple[Logins, Shares | None]:
        """Signed with keys of the store; a gateway has none: it shares nothing, and logins end with it."""
        if self._config.postgres is None:
            return Logins(self._operators, own_secret()), None
        shares = Shares(PageSecret(self._dsn, "shares"))
        return Logins(self._operators, PageSecret(self._dsn, "logins")), shares

    def _reports(self) -> reports.Reports:
        """Made of the store as soon as it is open."""
        api = self._config.http_api or HttpApiConfig()
        attributes = Attributes(api.attributes.viewer, api.attributes.session)
        return reports.Reports(self._dsn, attributes)

    def _dsn(self) -> str:
        return self._backend.dsn if self._backend else ""

    def _is_alive(self) -> bool:
        """Whether another start would bring nothing that this one does not."""
        return self._backend is None or not self._backend.lost.done()

    def _why_not_ready(self) -> set[NotReady]:
        found = set(self.not_ready)
        if self._backend is not None and self._backend.is_away:
            found.add(NotReady.STORE)
        return found

    def _certificates(self) -> Mapping[str, dt.datetime]:
        """When those of the listeners end that there are by now."""
        return {tls.what: tls.expires for tls in self._tls}

    def _listener(self, what: str, config: TlsConfig | None) -> Tls | None:
        if config is None:
            return None
        self._tls.append(Tls(config, what))
        return self._tls[-1]
