"""OTLP over gRPC; see `footfall._delivery.otlp`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import grpc._channel  # gRPC does so when it is used: on a thread beside greenlets, which must not
import grpc.experimental
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from footfall._delivery.forked import Deferred
from footfall._delivery.otlp import judged
from footfall._delivery.reasons import Failure
from footfall._destination import Destination


class _Headers(dict[str, str]):
    """True also when there are none: otherwise OpenTelemetry would take the host's."""

    def __bool__(self) -> bool:
        return True


def _options(to: Destination) -> Mapping[str, Any]:
    """Everything that OpenTelemetry's exporters would read from the environment."""
    secure = to.endpoint.startswith("https:")
    compressed = to.compression == "gzip"
    return {
        "endpoint": to.endpoint,
        "insecure": not secure,
        "credentials": _credentials(to) if secure else None,
        "headers": _Headers(to.headers),
        "timeout": to.timeout,
        "compression": grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression,
    }


def _credentials(to: Destination) -> grpc.ChannelCredentials | None:
    if not to.own and "OTEL_PYTHON_EXPORTER_OTLP_GRPC_CREDENTIAL_PROVIDER" in os.environ:
        return None  # OpenTelemetry asks it

    def read(path: str) -> bytes | None:
        return Path(path).read_bytes() if path else None

    return grpc.ssl_channel_credentials(
        read(to.certificate), read(to.client_key), read(to.client_certificate)
    )


class _Watched:
    """Keeps how the last request ended: there is no public place to read answers.

    Attributes:
        destination: Where requests go.
        failure: Why the last one failed; None when it did not.
    """

    destination: Destination
    failure: Failure | None = None
    rejected = 0

    def _initialize_channel_and_stub(self) -> None:
        """Makes a connection, the first or another."""
        super()._initialize_channel_and_stub()  # type: ignore[misc]  # OTLPExporterMixin's
        client: Any = self._client  # type: ignore[attr-defined]
        send = client.Export

        def export(**call: Any) -> Any:
            try:
                answer = send(**call)
            except grpc.RpcError as error:
                self.failure = _failure(error)
                raise
            self.failure = None
            self.rejected = getattr(answer.partial_success, "rejected_data_points", 0)
            return answer

        client.Export = export


def _failure(error: Any) -> Failure:
    code = error.code()
    # It is cancelled by whoever ends an export that takes too long.
    late = code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
    return Failure(code.name, late)


class GrpcSpansExporter(Deferred, _Watched, OTLPSpanExporter):
    """OpenTelemetry's, with an eye on the answers."""

    def __init__(self, to: Destination) -> None:
        self.destination = to
        super().__init__(**_options(to))


class GrpcCountersExporter(Deferred, _Watched, OTLPMetricExporter):
    """The same for counters."""

    def __init__(self, to: Destination) -> None:
        self.destination = to
        super().__init__(**_options(to))

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Exports once; it is never called concurrently."""
        self.rejected = 0
        result = super().export(metrics_data, timeout_millis, **kwargs)
        return judged(result, metrics_data, self.rejected)
