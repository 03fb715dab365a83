"""A backend that takes OTLP over gRPC, and what a subscriber sends."""

from contextlib import asynccontextmanager
from functools import partial

import grpc
import msgspec
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from footfall_exporters.contracts import Settings
from footfall_exporters.otlp import OtlpConfig

SECRET = "s3cr3t-0123456789"
EXPORT = {
    "t": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "m": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}


@asynccontextmanager
async def opened(catalog, endpoint="http://127.0.0.1:1", kind=OtlpConfig, **options):
    config = msgspec.convert({"endpoint": endpoint, "timeout": 5, **options}, kind)
    async with config.open(Settings(catalog)) as subscriber:
        yield subscriber


async def requests(catalog, sent, **options):
    """What is sent for a batch, by the official classes: trace requests, metric requests."""
    async with opened(catalog, **options) as subscriber:
        found = list(subscriber.requests(sent))
    return (
        [ExportTraceServiceRequest.FromString(r[1:]) for r in found if r[:1] == b"t"],
        [ExportMetricsServiceRequest.FromString(r[1:]) for r in found if r[:1] == b"m"],
    )


def attributes(pairs):
    return [(kv.key, getattr(kv.value, kv.value.WhichOneof("value"))) for kv in pairs]


def spans(request):
    return [
        (attributes(group.resource.attributes), span)
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


class Backend:
    """An OTLP/gRPC server. `answer`, awaited with (request, context), returns or aborts."""

    def __init__(self):
        self.received, self.metadata = [], []
        self.answer = self.taken

    async def taken(self, kind, context):
        return (ExportTraceServiceResponse if kind == "t" else ExportMetricsServiceResponse)()

    async def export(self, kind, request, context):
        self.received.append((kind, request))
        self.metadata.append(dict(context.invocation_metadata()))
        return (await self.answer(kind, context)).SerializeToString()

    def aborting(self, code, *trailers):
        async def answer(kind, context):
            await context.abort(code, f"what was sent: {SECRET}", trailers)

        self.answer = answer


@asynccontextmanager
async def backend(credentials=None, address="127.0.0.1:0"):
    server, found = grpc.aio.server(), Backend()
    for kind, method in EXPORT.items():
        service, name = method[1:].split("/")
        handler = grpc.unary_unary_rpc_method_handler(partial(found.export, kind))
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {name: handler}),)
        )
    port = (
        server.add_secure_port(address, credentials)
        if credentials
        else server.add_insecure_port(address)
    )
    found.endpoint = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield found
    finally:
        await server.stop(None)


async def send_all(catalog, sent, endpoint, **options):
    async with opened(catalog, endpoint, **options) as subscriber:
        for request in subscriber.requests(sent):
            await subscriber.send(request)
