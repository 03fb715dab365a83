"""OTLP exporters, which fail where a receiver answers that it refused all of the counters.

OpenTelemetry's own say that such an export succeeded: it must not be sent again. Counters may be, as they are
cumulative, and a receiver refuses all of an export for the one thing that its points share: a time that it
does not believe. When the clock is set right, they come again in another run (`footfall._runs`).

Source: OTLP 1.5, "Partial Success"; metrics_service.proto.
"""

from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from footfall._settings import ConfigurationError, Exporters, Settings


def exporters(settings: Settings) -> Exporters:
    """What sends, imported only here: gRPC alone takes longer to import than all the rest.

    Raises:
        ConfigurationError: OTEL_EXPORTER_OTLP_* are wrong.
    """
    endpoint = settings.endpoint
    try:
        if settings.protocol == "grpc":
            from footfall._otlp_grpc import GrpcCountersExporter, GrpcSpansExporter

            return Exporters(GrpcSpansExporter(endpoint), GrpcCountersExporter(endpoint))
        from opentelemetry.exporter.otlp.proto.http import trace_exporter

        from footfall._otlp_http import HttpCountersExporter

        base = endpoint and endpoint.rstrip("/")
        return Exporters(
            trace_exporter.OTLPSpanExporter(base and f"{base}/v1/traces"),
            HttpCountersExporter(base and f"{base}/v1/metrics"),
        )
    except ConfigurationError:
        raise
    except Exception as error:  # what they refuse: files, compression, headers
        raise ConfigurationError([f"OTEL_EXPORTER_OTLP_*: {error}"]) from error


def judged(result: MetricExportResult, data: MetricsData, rejected: int) -> MetricExportResult:
    """The result of an export of which the receiver rejected so many points."""
    sent = sum(
        len(metric.data.data_points)
        for part in data.resource_metrics
        for scope in part.scope_metrics
        for metric in scope.metrics
    )
    return MetricExportResult.FAILURE if 0 < sent <= rejected else result
