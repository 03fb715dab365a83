"""OTLP by the official classes: the three signals' names, and requests that are encoded."""

import base64
import json
import time

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PROTOBUF = {"content-type": "application/x-protobuf"}
PACKAGE = "opentelemetry.proto.collector"
METHODS = {
    "traces": f"/{PACKAGE}.trace.v1.TraceService/Export",
    "metrics": f"/{PACKAGE}.metrics.v1.MetricsService/Export",
    "logs": f"/{PACKAGE}.logs.v1.LogsService/Export",
}
REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
RESPONSES = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}


def traces(*names, age=0, length=83 * 10**6, number=1, guild_id=None):
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for name in names * number:
        end = time.time_ns() - age
        span = spans.add(name=name, start_time_unix_nano=end - length, end_time_unix_nano=end)
        if guild_id is not None:
            span.attributes.add(key="guild_id").value.string_value = guild_id
    return request.SerializeToString()


def metrics(number, name="shop.ping", age=0):
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
    end = time.time_ns() - age
    metric.sum.data_points.add(as_int=number, start_time_unix_nano=end - 10**9, time_unix_nano=end)
    return request.SerializeToString()


def logs(*names, age=0, number=1):
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for name in names * number:
        records.add(event_name=name, time_unix_nano=time.time_ns() - age)
    return request.SerializeToString()


def one_ping(signal):
    return (
        {"traces": traces, "logs": logs}[signal]("shop.ping") if signal != "metrics" else metrics(1)
    )


def as_json(signal, body):
    """OTLP/JSON by protobuf's own writer, with the ids as OTLP has them."""
    message = REQUESTS[signal].FromString(body)
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    return json.dumps(with_hex_ids(document)).encode()


def with_hex_ids(value):
    if isinstance(value, list):
        return [with_hex_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    return {k: base64.b64decode(v).hex() if k in ids else with_hex_ids(v) for k, v in value.items()}
