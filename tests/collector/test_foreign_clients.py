import asyncio
import os
import subprocess
import sys

import pytest

from collector.senders import compression
from support.collectors import counts

PROGRAM = """
import logging, sys, time
import opentelemetry.exporter.otlp.proto.grpc as g, opentelemetry.exporter.otlp.proto.http as h
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

protocol, address, compression = sys.argv[1:]
if protocol == "grpc":
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    chosen = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
    options = lambda signal: dict(endpoint=f"http://{address}", insecure=True, compression=chosen)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    chosen = Compression.Gzip if compression == "gzip" else Compression.NoCompression
    options = lambda signal: dict(endpoint=f"http://{address}/v1/{signal}", compression=chosen)

spans = TracerProvider(shutdown_on_exit=False)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**options("traces"))))
meters = MeterProvider(
    [PeriodicExportingMetricReader(OTLPMetricExporter(**options("metrics")))], shutdown_on_exit=False
)
records = LoggerProvider(shutdown_on_exit=False)
records.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**options("logs"))))
tracer, counter = spans.get_tracer("t"), meters.get_meter("t").create_counter("shop.ping")
logger = records.get_logger("t")
for _ in range(4):
    with tracer.start_as_current_span("shop.order", attributes={"provider": "smz3"}):
        counter.add(5)
    meters.force_flush()
    logger.emit(LogRecord(timestamp=time.time_ns(), event_name="shop.visit.open", body="walker"))
    logger.emit(LogRecord(timestamp=time.time_ns(), body="an ordinary log line about walker"))
for each in (spans, meters, records):
    each.shutdown()
"""


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@compression
async def test_opentelemetry_python_is_stored_and_counted_exactly(
    sender, query, protocol, compressed
):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, protocol, getattr(sender.collector, protocol),
        "gzip" if compressed else "none", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"OTEL_SERVICE_NAME": "stranger"},
    )  # fmt: skip
    output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"")
    assert counts(query) == {
        "shop.order.success": 4,
        "shop.ping.invoke": 20,
        "shop.visit.open": 4,
    }
    assert query("SELECT reason, sum(count)::int FROM reporting.losses GROUP BY 1") == [
        ("undeclared_event", 4)
    ]
