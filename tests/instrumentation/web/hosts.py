"""The telemetry of an application of its own, all in memory."""

import json
import time
from dataclasses import dataclass, field

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

VARYING = ("net.peer.port", "client.port", "_timestamp")


@dataclass
class Host:
    """A host's telemetry, all in memory."""

    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    hooks: list = field(default_factory=list)

    def __post_init__(self):
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.providers = {"tracer_provider": self.tracers, "meter_provider": self.meters}

    def hook(self, name):
        return lambda span, *_: self.hooks.append((name, span.name))

    def exported(self, port):
        """Everything, but for what each run has of its own: ids, times and ports."""
        text = json.dumps([self._spans(), self._metrics(), self.hooks])
        return json.loads(text.replace(port, "4242"))

    def settled(self, port):
        """The same, once it changes no more: sizes are recorded after a request has ended otherwise."""
        before, now = None, self.exported(port)
        while now != before:
            time.sleep(0.05)
            before, now = now, self.exported(port)
        return now

    def _spans(self):
        finished = self.spans.get_finished_spans()
        names = {span.context.span_id: span.name for span in finished}
        found = [
            [
                span.name,
                str(span.kind),
                names.get(span.parent.span_id) if span.parent else None,
                span.status.status_code.name,
                span.instrumentation_scope.name,
                sorted((k, str(v)) for k, v in span.attributes.items() if not k.endswith(VARYING)),
                [(e.name, e.attributes.get("exception.type")) for e in span.events],
            ]
            for span in finished
        ]
        return sorted(found, key=repr)

    def _metrics(self):
        data = self.reader.get_metrics_data()
        found = [
            [metric.name, sorted(point.attributes.items(), key=str), getattr(point, "count", 0)]
            for part in (data.resource_metrics if data else ())
            for scope in part.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]
        return sorted(found, key=repr)
