"""A program that knows nothing of Footfall: plain opentelemetry-sdk, careless about personal data.

It watches race rooms. Its spans and its counter are named as events that the catalog declares, so they
are stored and counted; every planted value travels with them wherever OTLP has room for one, and must
be dropped by the collector.

    python -m footfall_examples.sahasrahbot.plain_otel http://127.0.0.1:4317
"""

import sys
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)

from footfall_examples.sahasrahbot import planted
from footfall_examples.sahasrahbot.planted import Planted

COMMANDS: Final = 120
FAILS_EVERY: Final = 10
EVENT: Final = "racetime.room.command"
SERVICE: Final = "race-room-watch"
Attributes = dict[str, str | int | Sequence[str]]


def main(endpoint: str) -> None:
    """Sends COMMANDS spans, as many counter increments, and what nobody declared."""
    values = planted.personal(planted.load())
    resource = Resource(_resource(values))
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, insecure=True)))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint, insecure=True))
    metrics = MeterProvider([reader], resource=resource)
    texts = [one.value for one in values]
    tracer = traces.get_tracer(texts[0], texts[1], attributes=_attributes(values))
    counter = metrics.get_meter(texts[0], texts[1]).create_counter(
        f"{EVENT}.invoke", description=texts[2]
    )
    for number in range(COMMANDS):
        counter.add(1, _attributes(values))
        _command(tracer, values, number)
    for text in texts:
        tracer.start_span(text).end()  # a name that nobody declared
    traces.shutdown()
    metrics.shutdown()


def _resource(values: Sequence[Planted]) -> Attributes:
    """Who sends: a service, its instance named after a user, and where an address and a name fit in."""
    return _attributes(values) | {
        "service.name": SERVICE,
        "service.instance.id": planted.of_kind(values, "user_name")[0],
        "service.version": planted.of_kind(values, "ip_address")[0],
        "deployment.environment.name": planted.of_kind(values, "email")[0],
    }


def _attributes(values: Sequence[Planted]) -> Attributes:
    """Every value as a text, as a number where it is one, in a list, and as a key."""
    found: Attributes = {f"{one.kind}.{one.line}": one.value for one in values}
    found |= {f"number.{o.line}": int(o.value) for o in values if o.value.isdecimal()}
    found |= {one.value: "a key" for one in values}
    return found | {"all": [one.value for one in values]}


def _command(tracer: Tracer, values: Sequence[Planted], number: int) -> None:
    """One command in a race room; it may fail, and then its span quotes everything."""
    text = values[number % len(values)].value
    name = planted.of_kind(values, "user_name")[0]
    elsewhere = SpanContext(1, 1, True, TraceFlags(1), TraceState([("user", name)]))
    attributes = _attributes(values) | {"feature.status": text, "feature.name": text}
    try:
        with tracer.start_as_current_span(
            EVENT,
            set_span_in_context(NonRecordingSpan(elsewhere)),
            attributes=attributes,
            links=[Link(elsewhere, {"who": text})],
        ) as span:
            span.add_event(text, {"message": text})
            if number % FAILS_EVERY == 0:
                span.set_attribute("error.type", f"{text}.TimeoutError")
                raise TimeoutError(text)
    except TimeoutError:
        return


if __name__ == "__main__":
    main(sys.argv[1])
