"""Gauges that are looked up: what waits, where it waits, and how much may."""

from footfall_collector.receivers.admission import Gate
from footfall_collector.telemetry import multiprocess
from footfall_collector.telemetry.multiprocess import Shared
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.postgres import Store


def watch(
    telemetry: Telemetry, gate: Gate, store: Store | None, shared: Shared | None = None
) -> None:
    """Has `telemetry` look these up at every refresh.

    Args:
        telemetry: Where.
        gate: Who may come in.
        store: None for a gateway.
        shared: Where workers count, whose parent has the embedded Postgres.
    """
    metrics = telemetry.metrics
    telemetry.watch(metrics.in_flight_bytes, lambda: gate.bytes)
    metrics.in_flight_limit_bytes.set(gate.limit)
    if store is None:
        return
    telemetry.watch(metrics.queue_size.labels("postgres"), lambda: store.writer.waiting)
    telemetry.watch(
        metrics.embedded_restarts,
        lambda: multiprocess.restarts(shared.directory) if shared else store.supervision.restarts,
    )
    if (spool := store.spool) is not None:
        telemetry.watch(metrics.spool_batches, lambda: spool.batches)
        telemetry.watch(metrics.spool_bytes, lambda: spool.bytes)
        metrics.spool_limit_bytes.set(spool.limit)
