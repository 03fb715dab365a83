"""OTLP exporters that tell why an export failed, and read no variable of the host's.

They fail, too, where a receiver answers that it refused all of the counters. OpenTelemetry's own say that
such an export succeeded: it must not be sent again. Counters may be, as they are cumulative, and a receiver
refuses all of an export for the one thing that its points share: a time that it does not believe. When the
clock is set right, they are sent again in another run (`footfall._recording.runs`).

Source: OTLP 1.5, "Partial Success"; metrics_service.proto.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export import SpanExporter

from footfall._destination import Destination
from footfall._settings import ConfigurationError, Exporters, Settings

_HOSTS: Final = ("OTEL_EXPORTER_OTLP_", "OTEL_PYTHON_EXPORTER_OTLP_")


def exporters(settings: Settings, timeout: float | None = None) -> Exporters:
    """What sends, imported only here: gRPC alone takes longer to import than all the rest.

    Args:
        settings: With destinations.
        timeout: Seconds that one export may take, in place of those of the destinations.

    Raises:
        ConfigurationError: a destination cannot be used.
    """
    if settings.traces is None or settings.metrics is None:
        raise ConfigurationError(["no endpoint is named"])
    traces, metrics = settings.traces, settings.metrics
    if timeout is not None:
        traces, metrics = replace(traces, timeout=timeout), replace(metrics, timeout=timeout)
    try:
        return Exporters(_spans(traces), _counters(metrics))
    except ConfigurationError:
        raise
    except (KeyError, ValueError):
        with _hosts_variables_hidden():
            return Exporters(_spans(traces), _counters(metrics))


@contextmanager
def _hosts_variables_hidden() -> Iterator[None]:
    """OpenTelemetry's exporters read some, whatever they are given, and fail where one cannot be read.

    The host's own fail by it, too, so nobody misses such a variable meanwhile.
    """
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith(_HOSTS) and not name.endswith("_CREDENTIAL_PROVIDER")
    }
    try:
        yield
    finally:
        os.environ.update(hidden)


def _spans(to: Destination) -> SpanExporter:
    if to.protocol == "grpc":
        from footfall._delivery.grpc import GrpcSpansExporter

        return GrpcSpansExporter(to)
    from footfall._delivery.http import HttpSpansExporter

    return HttpSpansExporter(to)


def _counters(to: Destination) -> MetricExporter:
    if to.protocol == "grpc":
        from footfall._delivery.grpc import GrpcCountersExporter

        return GrpcCountersExporter(to)
    from footfall._delivery.http import HttpCountersExporter

    return HttpCountersExporter(to)


def judged(result: MetricExportResult, data: MetricsData, rejected: int) -> MetricExportResult:
    """The result of an export of which the receiver rejected so many points."""
    sent = sum(
        len(metric.data.data_points)
        for part in data.resource_metrics
        for scope in part.scope_metrics
        for metric in scope.metrics
    )
    return MetricExportResult.FAILURE if 0 < sent <= rejected else result
