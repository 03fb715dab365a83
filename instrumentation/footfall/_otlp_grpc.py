"""The exporter of counters over gRPC; see `footfall._otlp`."""

from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from footfall._otlp import judged
from footfall._otlp_forked import Deferred


class GrpcSpansExporter(Deferred, OTLPSpanExporter):
    """OpenTelemetry's."""


class GrpcCountersExporter(Deferred, OTLPMetricExporter):
    """OpenTelemetry's, with an eye on the answers."""

    _rejected = 0

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Exports once; it is never called concurrently."""
        self._rejected = 0
        result = super().export(metrics_data, timeout_millis, **kwargs)
        return judged(result, metrics_data, self._rejected)

    def _initialize_channel_and_stub(self) -> None:
        """Makes a connection, the first or another; there is no public place to read answers."""
        super()._initialize_channel_and_stub()
        client: Any = self._client
        if client is None:  # not yet
            return
        send = client.Export

        def export(**call: Any) -> Any:
            answer = send(**call)
            self._rejected = answer.partial_success.rejected_data_points
            return answer

        client.Export = export
