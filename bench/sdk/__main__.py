"""What `footfall.feature()` costs its host, beside a bare OpenTelemetry span and counter.

Both sides hand each span to a BatchSpanProcessor whose exporter throws it away, with the same three
attributes, and both are timed until the last span has left the queue. `feature()` does more: it
checks every attribute against the catalog, counts the start of the use, and keeps the tally against
which the store is compared. The five runs alternate; the medians are compared. What a call costs while
telemetry is off is the least of many short runs, over an empty loop: the rest is the machine's noise.

Then, in the same run and in turns, the same use by others: plain OpenTelemetry, and posthog, sentry-sdk,
logfire and a statsd client if they were installed (`sdk_/`). Nothing of it leaves the machine.

Get the peers: python bench/sdk.py --install      (once)
Run:           make bench BENCH=sdk               (options: python bench/sdk.py --help)

It ends with exit code 1 when a limit is missed.
"""

import argparse
import json
import os
import statistics
import sys
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
from rich.console import Console

from footfall import Client, Exporters
from sdk_ import compare, install
from sdk_.libraries import CATALOG, EVENT

RUNS, CALLS, QUEUE = 5, 20_000, 32_768
SHORT_RUNS, SHORT_CALLS = 500, 1_000
RATIO_LIMIT, DISABLED_LIMIT = 1.5, 0.5
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


def main() -> int:
    """Installs the peers; or measures, prints tables and one line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--install", action="store_true", help="get the peers, once, and stop")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each peer; 0 for no peers")
    parser.add_argument("--json", action="store_true", help="print the peers' figures as JSON too")
    options = parser.parse_args()
    if options.install:
        return int(not install.install())
    for name in [n for n in os.environ if n.startswith(("OTEL_", "TELEMETRY_"))]:
        del os.environ[name]
    feature_us, bare_us, off_us = measure()
    print(
        "µs per call, three attributes    " + "".join(f"{f'run {n + 1}':>8}" for n in range(RUNS))
    )
    for name, runs in (("feature()", feature_us), ("bare span and counter", bare_us)):
        print(f"{name:<33}" + "".join(f"{run:8.2f}" for run in runs))
    print(f"{'feature() while off':<33}{off_us:8.2f}   (limit {DISABLED_LIMIT})\n")
    feature, bare = statistics.median(feature_us), statistics.median(bare_us)
    result = {
        "feature_us": round(feature, 2),
        "bare_us": round(bare, 2),
        "feature_ratio": round(feature / bare, 3),
        "disabled_us": round(off_us, 3),
    }
    print(json.dumps(result))
    if options.rounds:
        console = Console()
        peers = compare.measure(options.rounds, console)
        compare.show(console, peers, options.rounds)
        if options.json:
            print(json.dumps(result | {"peers": peers}))
    return int(feature / bare > RATIO_LIMIT or off_us > DISABLED_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
