"""Gauges that are looked up: what waits, where it waits, and how much may."""

from footfall_collector.config.reader import STORE
from footfall_collector.receivers.admission import Gate
from footfall_collector.security.limits import Limiter
from footfall_collector.telemetry import multiprocess
from footfall_collector.telemetry.multiprocess import Shared
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.postgres import Store


def watch_gate(telemetry: Telemetry, gate: Gate) -> None:
    """Has `telemetry` look up at every refresh how much is in flight."""
    metrics = telemetry.metrics
    telemetry.watch(metrics.in_flight_bytes, lambda: gate.bytes)
    metrics.in_flight_limit_bytes.set(gate.limit)


def watch_limits(telemetry: Telemetry, limiter: Limiter) -> None:
    """Has `telemetry` look up at every refresh whether limits are counted in the store."""
    telemetry.watch(telemetry.metrics.limits_shared, lambda: float(not limiter.away))


def watch_store(telemetry: Telemetry, store: Store, shared: Shared | None = None) -> None:
    """Has `telemetry` look up at every refresh what waits for the store.

    Args:
        telemetry: Where.
        store: Open.
        shared: Where workers count, whose parent has the embedded Postgres.
    """
    metrics = telemetry.metrics
    telemetry.watch(metrics.queue_size.labels(STORE), lambda: store.waiting)
    telemetry.watch(
        metrics.embedded_restarts,
        lambda: multiprocess.restarts(shared.directory) if shared else store.restarts,
    )
    if (spool := store.spool) is not None:
        telemetry.watch(metrics.spool_batches, lambda: spool.batches)
        telemetry.watch(metrics.spool_bytes, lambda: spool.bytes)
        metrics.spool_limit_bytes.set(spool.limit)
