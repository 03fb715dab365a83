"""`local` mode: what would be sent is kept on this machine (`footfall._consent.store`), and never sent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from footfall._consent.store import LocalStore
from footfall._guard import at_debug, guarded
from footfall._settings import Exporters
from footfall_processors import names


class LocalSpanExporter(SpanExporter):
    """Keeps spans in the file instead of sending them."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._stopped = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keeps what the OTLP exporter would have sent as one request."""
        with guarded(at_debug("the local exporter of spans")):
            if not self._stopped:
                body = encode_spans(spans).SerializeToString()
                if self._store.keep("traces", body, len(spans)):
                    return SpanExportResult.SUCCESS
        return SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True

    def shutdown(self) -> None:
        """Keeps nothing any more."""
        self._stopped = True


class LocalMetricExporter(MetricExporter):
    """Keeps counters in the file instead of sending them."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__()
        self._store = store
        self._stopped = False

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Keeps what the OTLP exporter would have sent as one request, in place of the last one."""
        with guarded(at_debug("the local exporter of counters")):
            if not self._stopped and self._keep(metrics_data):
                return MetricExportResult.SUCCESS
        return MetricExportResult.FAILURE

    def _keep(self, data: MetricsData) -> bool:
        instances = [
            part.resource.attributes.get(names.SERVICE_INSTANCE) for part in data.resource_metrics
        ]
        points = sum(
            len(metric.data.data_points)
            for part in data.resource_metrics
            for scope in part.scope_metrics
            for metric in scope.metrics
        )
        body = encode_metrics(data).SerializeToString()
        return not points or self._store.keep("metrics", body, points, str(instances[0]))

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Keeps nothing any more."""
        self._stopped = True


def exporters(path: Path | None) -> Exporters:
    """What a client is given in `local` mode in place of OTLP exporters (`Consent.store`)."""
    store = LocalStore(path)
    return Exporters(LocalSpanExporter(store), LocalMetricExporter(store))
