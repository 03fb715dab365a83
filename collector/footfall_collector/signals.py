"""OTLP's signals: one table, by which they are configured, counted, read and answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

_PACKAGE = "opentelemetry.proto.collector"


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal.

    Attributes:
        name: As configurations and paths have it.
        items: What one thing of it is called in the names of metrics.
        service: The full name of its gRPC service, whose one method is `Export`.
        response: What a request is answered with.
        rejected: The field of its `partial_success` that says how many were not taken.
        fields: Of a request, from outside: what holds resources, scopes, and the items themselves.
    """

    name: str
    items: str
    service: str
    response: type[Message]
    rejected: str
    fields: tuple[str, str, str]


TRACES: Final = Signal(
    name="traces",
    items="spans",
    service=f"{_PACKAGE}.trace.v1.TraceService",
    response=ExportTraceServiceResponse,
    rejected="rejected_spans",
    fields=("resource_spans", "scope_spans", "spans"),
)
METRICS: Final = Signal(
    name="metrics",
    items="metric_points",
    service=f"{_PACKAGE}.metrics.v1.MetricsService",
    response=ExportMetricsServiceResponse,
    rejected="rejected_data_points",
    fields=("resource_metrics", "scope_metrics", "metrics"),
)
LOGS: Final = Signal(
    name="logs",
    items="log_records",
    service=f"{_PACKAGE}.logs.v1.LogsService",
    response=ExportLogsServiceResponse,
    rejected="rejected_log_records",
    fields=("resource_logs", "scope_logs", "log_records"),
)
SIGNALS: Final[Mapping[str, Signal]] = MappingProxyType(
    {signal.name: signal for signal in (TRACES, METRICS, LOGS)}
)
"""All of them by their names, in the order in which they are told of."""
