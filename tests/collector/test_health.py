import asyncio
import time

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from footfall_collector.receivers import health

PACKAGE = "opentelemetry.proto.collector"
SERVICES = [
    f"{PACKAGE}.trace.v1.TraceService",
    f"{PACKAGE}.metrics.v1.MetricsService",
    f"{PACKAGE}.logs.v1.LogsService",
]
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


class Served:
    def __init__(self, server, found, address):
        self.server, self.health, self.address = server, found, address


@pytest.fixture
async def served():
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])

    async def export(request, context):
        return ExportTraceServiceResponse().SerializeToString()

    method = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICES[0], {"Export": method}),)
    )
    found = health.add(server, SERVICES)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Served(server, found, f"127.0.0.1:{port}")
    await server.stop(None)


@pytest.fixture
async def stub(served):
    async with grpc.aio.insecure_channel(served.address) as channel:
        yield health_pb2_grpc.HealthStub(channel)


@pytest.mark.parametrize("name", ["", *SERVICES])
async def test_each_service_and_the_server_serve_while_requests_are_welcome(served, stub, name):
    asked = HealthCheckRequest(service=name)
    assert (await stub.Check(asked)).status == NOT_SERVING
    served.health.ready(True)
    assert (await stub.Check(asked)).status == SERVING
    served.health.ready(False)
    assert (await stub.Check(asked)).status == NOT_SERVING


async def test_draining_is_for_good(served, stub):
    served.health.ready(True)
    served.health.drain()
    served.health.ready(True)
    assert (await stub.Check(HealthCheckRequest())).status == NOT_SERVING


async def test_a_service_that_is_not_there_is_not_found(stub):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Check(HealthCheckRequest(service="planted-secret"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert "planted-secret" not in refused.value.details()


async def test_those_who_watch_are_told_of_every_change_and_let_go_when_it_drains(served, stub):
    watching = stub.Watch(HealthCheckRequest(service=SERVICES[1]))
    assert (await watching.read()).status == NOT_SERVING
    served.health.ready(True)
    assert (await watching.read()).status == SERVING
    served.health.drain()
    assert (await watching.read()).status == NOT_SERVING
    assert await watching.read() is grpc.aio.EOF


async def test_a_server_that_drains_does_not_wait_for_those_who_watch(served, stub):
    watching = [stub.Watch(HealthCheckRequest()) for _ in range(5)]
    for each in watching:
        await each.read()
    served.health.drain()
    begun = time.monotonic()
    await served.server.stop(60)
    assert time.monotonic() - begun < 30


async def test_watching_what_is_not_there_ends_at_once(stub):
    watching = stub.Watch(HealthCheckRequest(service="x" * 1_000_000))
    assert (await watching.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
    assert await watching.read() is grpc.aio.EOF


async def test_the_number_of_those_who_watch_is_bounded(served, stub):
    watching = [stub.Watch(HealthCheckRequest()) for _ in range(health.MOST_WATCHERS)]
    await asyncio.gather(*(each.read() for each in watching))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Watch(HealthCheckRequest()).read()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    watching.pop().cancel()
    for _ in range(100):  # until the server has noticed
        again = stub.Watch(HealthCheckRequest())
        try:
            assert (await again.read()).status == NOT_SERVING
            break
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.02)
    else:
        pytest.fail("a place that became free was not given to another")


async def test_reflection_lists_the_services_and_describes_them(served):
    def ask():
        with grpc.insecure_channel(served.address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            listed = set(database.get_services())
            pool = DescriptorPool(database)
            described = {name: pool.FindServiceByName(name) for name in SERVICES}
            methods = {
                name: [(m.name, m.input_type.name, m.output_type.name) for m in found.methods]
                for name, found in described.items()
            }
            return listed, methods

    listed, methods = await asyncio.to_thread(ask)
    assert listed == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert methods == {
        f"{PACKAGE}.{signal.lower()}.v1.{signal.title()}Service": [
            ("Export", f"Export{signal}ServiceRequest", f"Export{signal}ServiceResponse")
        ]
        for signal in ("Trace", "Metrics", "Logs")
    }


async def test_opentelemetry_sends_through_the_same_server(served):
    def send():
        exporter = OTLPSpanExporter(served.address, insecure=True)
        with (
            TracerProvider(shutdown_on_exit=False)
            .get_tracer("t")
            .start_as_current_span("s") as span
        ):
            pass
        try:
            return exporter.export([span])
        finally:
            exporter.shutdown()

    assert await asyncio.to_thread(send) is SpanExportResult.SUCCESS
