"""The collector put together: exporters → pipeline → housekeeping → receivers, stopped in reverse."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import psycopg
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from footfall_collector import metrics
from footfall_collector.config import Config
from footfall_collector.pipeline import Pipeline
from footfall_collector.receivers import otlp_grpc, otlp_http
from footfall_collector.receivers.intake import Intake, Signal
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import Store
from footfall_processors import Batch, Policy

log = logging.getLogger("footfall.collector")
MAINTAIN_EVERY = 3600.0
RETRY_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A started collector.

    Attributes:
        grpc: host:port of OTLP/gRPC, None when it is off.
        http: host:port of OTLP/HTTP, None when it is off.
        dsn: Of its database.
    """

    grpc: str | None
    http: str | None
    dsn: str


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """Runs a collector for as long as the context lasts; at its end requests under way are finished.

    Raises:
        StartError, EmbeddedPostgresError, SchemaConflict, psycopg.Error: it cannot start; what had been
            started is stopped again.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(config.postgres.open(Settings(config.catalog)))
        policy = Policy(config.catalog)
        pipeline = Pipeline(policy, {**config.static_salts, **store.salts})
        await stack.enter_async_context(_housekeeping(config, store, pipeline))
        intake = Intake(store.consume)
        signals = [s for s in _signals(policy, pipeline) if s.name in config.signals]
        grpc = http = None
        if config.grpc is not None:
            serving = otlp_grpc.serve(config.grpc, intake, signals, config.grpc_max_bytes)
            grpc = await stack.enter_async_context(serving)
        if config.http is not None:
            limit, cors = config.http_max_bytes, config.cors
            listening = otlp_http.serve(config.http, intake, signals, limit, cors)
            http = await stack.enter_async_context(listening)
        yield Running(grpc, http, store.dsn)


def _signals(policy: Policy, pipeline: Pipeline) -> list[Signal]:
    async def decode_metrics(body: bytes) -> Batch:
        return metrics.decode(policy, body, time.time_ns() // 1000)

    package = "opentelemetry.proto.collector"
    return [
        Signal(
            "traces",
            f"{package}.trace.v1.TraceService",
            ExportTraceServiceResponse,
            pipeline.traces,
        ),
        Signal(
            "metrics",
            f"{package}.metrics.v1.MetricsService",
            ExportMetricsServiceResponse,
            decode_metrics,
        ),
        Signal(
            "logs",
            f"{package}.logs.v1.LogsService",
            ExportLogsServiceResponse,
            pipeline.logs,
        ),
    ]


@asynccontextmanager
async def _housekeeping(config: Config, store: Store, pipeline: Pipeline) -> AsyncIterator[None]:
    """Keeps the store in shape every hour; after a failure it tries again in a minute."""

    async def loop() -> None:
        wait = MAINTAIN_EVERY
        while True:
            await asyncio.sleep(wait)
            try:
                await store.maintain()
                pipeline.contexts.use_salts({**config.static_salts, **store.salts})
                wait = MAINTAIN_EVERY
            except psycopg.Error as error:
                log.warning("housekeeping failed (%s); again in a minute", type(error).__name__)
                wait = RETRY_AFTER

    task = asyncio.create_task(loop())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
