import asyncio
import subprocess
import sys

from support.collectors import counts

PROGRAM = """
import sys
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
import opentelemetry.exporter.otlp.proto.grpc.metric_exporter as grpc_metrics
import opentelemetry.exporter.otlp.proto.grpc.trace_exporter as grpc_traces
import opentelemetry.exporter.otlp.proto.http.metric_exporter as http_metrics
import opentelemetry.exporter.otlp.proto.http.trace_exporter as http_traces

grpc, http = sys.argv[1:]
resource = Resource.create({"service.name": "stranger"})
for span_exporter, metric_exporter in (
    (
        grpc_traces.OTLPSpanExporter(endpoint=f"http://{grpc}", insecure=True),
        grpc_metrics.OTLPMetricExporter(endpoint=f"http://{grpc}", insecure=True),
    ),
    (
        http_traces.OTLPSpanExporter(endpoint=f"http://{http}/v1/traces"),
        http_metrics.OTLPMetricExporter(endpoint=f"http://{http}/v1/metrics"),
    ),
):
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(span_exporter))
    meters = MeterProvider([PeriodicExportingMetricReader(metric_exporter)], resource=resource)
    tracer, counter = traces.get_tracer("stranger"), meters.get_meter("stranger").create_counter("shop.ping")
    for _ in range(3):
        with tracer.start_as_current_span("shop.order", attributes={"provider": "smz3", "guild_id": "17"}):
            counter.add(5, {"user.id": "walker"})
    try:
        with tracer.start_as_current_span("shop.order.failure"):
            raise ValueError("walker@example.org")
    except ValueError:
        pass
    with tracer.start_as_current_span("GET /users/7"):
        pass
    traces.shutdown()
    meters.force_flush()
    meters.shutdown()
"""


async def test_a_program_of_the_plain_opentelemetry_sdk_is_stored_and_counted(client, query):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", PROGRAM, client.collector.grpc, client.collector.http,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"")
    assert counts(query) == {
        "shop.order.success": 6,
        "shop.order.failure": 2,
        "shop.ping.invoke": 30,
    }
    assert query(
        "SELECT event_name, service, provider, status, count(*), bool_and(duration_ms >= 0)"
        " FROM reporting.events GROUP BY 1, 2, 3, 4 ORDER BY 1"
    ) == [
        ("shop.order.failure", "stranger", None, "error", 2, True),
        ("shop.order.success", "stranger", "smz3", "ok", 6, True),
    ]
    assert query("SELECT count(DISTINCT guild_hash) FROM footfall.feature_events") == [(1,)]
