"""A use with three attributes by `feature()`, by a bare span and counter, and while telemetry is off."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from footfall import Client, Exporters
from sdk.libraries import CATALOG, EVENT

RUNS, CALLS, QUEUE = 5, 20_000, 32_768
SHORT_RUNS, SHORT_CALLS = 500, 1_000

GUILDS = [str(10**17 + number) for number in range(1_000)] * (CALLS // 1_000)


class Spans(SpanExporter):
    """Counts spans and throws them away."""

    def __init__(self) -> None:
        self.number = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Counts them."""
        self.number += len(spans)
        return SpanExportResult.SUCCESS


class Metrics(MetricExporter):
    """Throws counters away."""

    def export(self, metrics_data: MetricsData, *_: Any, **__: Any) -> MetricExportResult:
        """Does nothing."""
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        """Does nothing."""
        return True

    def shutdown(self, timeout_millis: float = 0, **_: Any) -> None:
        """Does nothing."""


def microseconds(work: Callable[[], None]) -> float:
    """What one call of CALLS costs."""
    before = time.perf_counter()
    work()
    return (time.perf_counter() - before) / CALLS * 1e6


def footfall_run(client: Client) -> None:
    """CALLS uses."""
    feature = client.feature
    for guild in GUILDS:
        with feature(EVENT, provider="smz3", preset="open", guild_id=guild):
            pass
    client.flush()


def bare_run(tracers: TracerProvider, meters: MeterProvider) -> None:
    """CALLS spans, and a counter's increment for each."""
    tracer, counter = tracers.get_tracer("bench"), meters.get_meter("bench").create_counter(EVENT)
    for guild in GUILDS:
        attributes = {"provider": "smz3", "preset": "open", "guild_id": guild}
        counter.add(1, attributes)
        with tracer.start_as_current_span(EVENT, attributes=attributes):
            pass
    tracers.force_flush()


def disabled(feature: Callable[..., Any]) -> tuple[float, float]:
    """µs of the fastest loop over calls while telemetry is off, and of the fastest empty loop."""
    clock, calls = time.perf_counter, range(SHORT_CALLS)
    used, empty = [], []
    for _ in range(SHORT_RUNS):
        start = clock()
        for _ in calls:
            with feature(EVENT, provider="smz3", preset="open", guild_id="100000000000000000"):
                pass
        middle = clock()
        for _ in calls:
            pass
        used.append(middle - start)
        empty.append(clock() - middle)
    return min(used) / SHORT_CALLS * 1e6, min(empty) / SHORT_CALLS * 1e6


def configured(catalog: str, spans: Spans, directory: str) -> Client:
    """A client with room for a whole run, so that every use travels as a span."""
    path = Path(directory, "events.yaml")
    path.write_text(catalog, encoding="utf-8")
    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = str(QUEUE)
    client = Client(strict=True)
    client.configure(path, enabled=True, exporters=Exporters(spans, Metrics()))
    return client


def measure() -> tuple[list[float], list[float], float]:
    """µs per call of each run of `feature()` and of the bare ones, and of `feature()` while off."""
    ours, theirs = Spans(), Spans()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(theirs, max_queue_size=QUEUE))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    feature_us, bare_us, off = [], [], []
    with tempfile.TemporaryDirectory() as directory:
        client = configured(CATALOG, ours, directory)
        assert client.recorder is not None, "the benchmark's own catalog is good"
        for _ in range(RUNS):
            feature_us.append(microseconds(lambda: footfall_run(client)))
            bare_us.append(microseconds(lambda: bare_run(tracers, meters)))
            off.append(disabled(Client().feature))
        assert client.recorder.counters.dropped() == {}, "every use was sent"
        assert client.recorder.plans[EVENT].emitted == 2 * RUNS * CALLS, "invokes and outcomes"
        assert ours.number == theirs.number == RUNS * CALLS
        client.shutdown()
    tracers.shutdown()
    meters.shutdown()
    used, empty = zip(*off, strict=True)
    return feature_us, bare_us, min(used) - min(empty)
