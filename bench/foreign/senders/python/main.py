"""A program with the OpenTelemetry SDK for Python, or with Footfall's, set up by OpenTelemetry's variables.

See ../README.md for what every sender does. The first argument says which SDK; then come the rate and, for
Footfall's, the catalog.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

TICKS_PER_SECOND = 10
PROVIDERS = ("smr", "smz3")
Use = Callable[[str, str], None]


def say(what: str, value: Any) -> None:
    """One line of the journal."""
    print(json.dumps({what: value}), flush=True)


class _Complaints(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say("error", record.getMessage())


def opentelemetry() -> tuple[Use, Callable[[], object]]:
    """What makes a span and an increment, and what shuts the SDK down."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    spans, metrics = _exporters()
    tracing = TracerProvider()
    tracing.add_span_processor(BatchSpanProcessor(spans))
    metering = MeterProvider([PeriodicExportingMetricReader(metrics)])
    tracer = tracing.get_tracer("stranger")
    counter = metering.get_meter("stranger").create_counter("foreign.counted")

    def use(provider: str, page: str) -> None:
        attributes = {"provider": provider, "page": page}
        tracer.start_span("foreign.seen", attributes=attributes).end()
        counter.add(1, attributes)

    def shutdown() -> None:
        tracing.shutdown()
        metering.shutdown()

    return use, shutdown


def _exporters() -> tuple[Any, Any]:
    if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(), OTLPMetricExporter()
    from opentelemetry.exporter.otlp.proto.http import metric_exporter, trace_exporter

    return trace_exporter.OTLPSpanExporter(), metric_exporter.OTLPMetricExporter()


def own() -> tuple[Use, Callable[[], object]]:
    """The same with Footfall's SDK, which knows no undeclared attribute."""
    import footfall

    footfall.configure(catalog=sys.argv[3], enabled=True)

    def use(provider: str, _: str) -> None:
        footfall.event("foreign.seen", provider=provider)
        footfall.count("foreign.counted", provider=provider)

    return use, lambda: footfall.shutdown()


def work(use: Use, rate: int, ended: threading.Event) -> None:
    """Goes on until the input ends, and says after each tick what it has made so far."""
    made = 0
    while not ended.wait(1 / TICKS_PER_SECOND):
        for _ in range(rate // TICKS_PER_SECOND):
            use(PROVIDERS[made % 2], f"/{made % 20}")
            made += 1
        say("made", made)


def main() -> None:
    """Ready, work, done."""
    logging.getLogger().addHandler(_Complaints(logging.WARNING))
    use, shutdown = {"opentelemetry": opentelemetry, "footfall": own}[sys.argv[1]]()
    ended = threading.Event()
    worker = threading.Thread(target=work, args=(use, int(sys.argv[2]), ended))
    say("ready", True)
    sys.stdin.readline()
    worker.start()
    sys.stdin.read()
    ended.set()
    worker.join()
    shutdown()
    say("done", True)


if __name__ == "__main__":
    main()
