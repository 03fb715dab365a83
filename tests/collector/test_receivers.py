import asyncio
import base64
import contextlib
import gzip
import json
import logging
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest
import pytest_asyncio
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
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
from psycopg import sql

from conftest import new_database
from footfall_collector.config.config import Config
from footfall_collector.config.schema import MAX_BYTES, GrpcConfig, HttpConfig, ServiceConfig
from footfall_collector.decoding.signals import Signal
from footfall_collector.errors import StartError
from footfall_collector.process import housekeeping
from footfall_collector.process.app import running
from footfall_collector.receivers import http as otlp_http
from footfall_collector.receivers.intake import Intake
from footfall_exporters.postgres import PostgresConfig
from footfall_processors import Batch, Hash, Loss
from support.waiting import until

DAY = 86_400 * 10**9
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
SALTS = {(Hash.STATIC, 0): b"static" * 6}


LISTENERS = {"grpc": GrpcConfig, "http": HttpConfig}


def configured(catalog, dsn, **options):
    defaults = {
        "grpc": GrpcConfig(endpoint="127.0.0.1:0"),
        "http": HttpConfig(endpoint="127.0.0.1:0"),
        "service": ServiceConfig(operator=None),
    }
    return Config(
        catalog, static_salts=SALTS, postgres=PostgresConfig(dsn=dsn), **{**defaults, **options}
    )


class Client:
    """Sends encoded requests over both protocols, each through one connection."""

    def __init__(self, collector, channel, http):
        self.collector, self.channel, self.http = collector, channel, http

    async def send(self, protocol, signal, body, *, compressed=False):
        """The decoded response; a refusal is raised as grpc.aio.AioRpcError or httpx.HTTPStatusError."""
        if protocol == "grpc":
            call = self.channel.unary_unary(METHODS[signal])
            encoding = grpc.Compression.Gzip if compressed else None
            return RESPONSES[signal].FromString(await call(body, compression=encoding))
        headers = PROTOBUF | ({"content-encoding": "gzip"} if compressed else {})
        sent = gzip.compress(body) if compressed else body
        response = await self.http.post(f"/v1/{signal}", content=sent, headers=headers)
        response.raise_for_status()
        assert response.headers["content-type"] == "application/x-protobuf"
        return RESPONSES[signal].FromString(response.content)


@contextlib.asynccontextmanager
async def connected(config, client=Client):
    """A collector, and what speaks to it: made of the collector, a gRPC channel and an HTTP client."""
    async with (
        running(config) as collector,
        grpc.aio.insecure_channel(collector.grpc) as channel,
        httpx.AsyncClient(base_url=f"http://{collector.http}", timeout=30) as http,
    ):
        yield client(collector, channel, http)


@pytest.fixture
async def client(catalog, store_database):
    async with connected(configured(catalog, store_database)) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answering(catalog, postgres_server, store_template):
    """A client of one collector, for all tests that ask for nothing but its answers."""
    with new_database(postgres_server, store_template) as dsn:
        async with connected(configured(catalog, dsn)) as client:
            yield client


answers = pytest.mark.asyncio(loop_scope="module")

both = pytest.mark.parametrize("protocol", ["grpc", "http"])
signals = pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])


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


def counts(query):
    return dict(
        query("SELECT event || '.' || action, sum(count)::int FROM reporting.usage GROUP BY 1")
    )


# What is taken


@both
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
async def test_traces_and_metrics_are_stored_and_counted(client, query, protocol, compressed):
    answer = await client.send(
        protocol, "traces", traces("shop.order", "shop.ping"), compressed=compressed
    )
    assert not answer.HasField("partial_success")
    answer = await client.send(protocol, "metrics", metrics(40), compressed=compressed)
    assert not answer.HasField("partial_success")
    assert counts(query) == {"shop.order.success": 1, "shop.ping.invoke": 41}
    assert query("SELECT event_name, duration_ms FROM reporting.events ORDER BY 1") == [
        ("shop.order.success", 83),
        ("shop.ping.invoke", 83),
    ]


@both
@signals
@answers
async def test_an_empty_request_is_a_success(answering, protocol, signal):
    assert await answering.send(protocol, signal, b"") == RESPONSES[signal]()


@signals
async def test_one_request_over_both_protocols_is_one_request(client, query, signal):
    body = one_ping(signal)
    for protocol in ("grpc", "http", "grpc"):
        await client.send(protocol, signal, body)
    assert counts(query) == {"shop.ping.invoke": 1}
    assert query("SELECT count(*) FROM footfall.ingest_batches") == [(1,)]


async def test_many_requests_at_once_are_all_stored(client, query):
    bodies = [traces("shop.order", age=n, number=20) for n in range(60)]
    protocols = ("grpc", "http")
    await asyncio.gather(
        *(client.send(protocols[n % 2], "traces", b) for n, b in enumerate(bodies))
    )
    assert counts(query) == {"shop.order.success": 1200}


async def test_a_body_may_come_in_pieces_of_unknown_number(client, query):
    body = gzip.compress(traces("shop.order", number=50))

    async def pieces():
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    headers = PROTOBUF | {"content-encoding": "gzip"}
    response = await client.http.post("/v1/traces", content=pieces(), headers=headers)
    assert response.status_code == 200
    assert counts(query) == {"shop.order.success": 50}


async def test_the_content_type_may_have_parameters(client, query):
    headers = {"content-type": "Application/X-Protobuf; charset=utf-8"}
    response = await client.http.post("/v1/traces", content=traces("shop.ping"), headers=headers)
    assert response.status_code == 200
    assert counts(query) == {"shop.ping.invoke": 1}


# What is partly refused


@both
async def test_what_is_declared_and_refused_is_reported_and_the_rest_is_stored(
    client, query, protocol
):
    request = ExportTraceServiceRequest()
    for body in (
        traces("shop.order", "shop.gone", "shop.gone", "http.request"),
        traces("shop.order", age=8 * DAY, number=3),
        traces("shop.order", length=-1),
    ):
        request.MergeFromString(body)
    answer = await client.send(protocol, "traces", request.SerializeToString())
    assert answer.partial_success.rejected_spans == 6
    assert answer.partial_success.error_message == (
        "expired_event: 2 (its `expires` date in the catalog has passed);"
        " malformed: 1 (could not be parsed, or ends before it starts);"
        " out_of_window: 3 (times must be within 7 days before and 5 minutes after now)"
    )
    assert counts(query) == {"shop.order.success": 1}
    assert query("SELECT losses FROM footfall.ingest_batches") == [
        ({"expired_event": 2, "malformed": 1, "out_of_window": 3, "undeclared_event": 1},)
    ]


@both
async def test_refused_data_points_are_reported(client, query, protocol):
    answer = await client.send(protocol, "metrics", metrics(5, age=8 * DAY) + metrics(3))
    assert answer.partial_success.rejected_data_points == 1
    assert "out_of_window: 1" in answer.partial_success.error_message
    assert counts(query) == {"shop.ping.invoke": 3}


@both
async def test_foreign_traffic_is_counted_and_not_complained_about(client, query, protocol):
    answer = await client.send(protocol, "traces", traces("GET /users/7", number=5))
    assert not answer.HasField("partial_success")
    answer = await client.send(protocol, "metrics", metrics(5, name="http.server.requests"))
    assert not answer.HasField("partial_success")
    assert counts(query) == {}
    assert query("SELECT signal, reason, count FROM reporting.losses ORDER BY 1") == [
        ("metrics", "undeclared_event", 1),
        ("traces", "undeclared_event", 5),
    ]


# What is refused


def details(status):
    """A google.rpc.Status's details by type."""
    found = {}
    for each in status.details:
        kind = getattr(error_details_pb2, each.TypeName().rpartition(".")[2])()
        assert each.Unpack(kind)
        found[type(kind).__name__] = kind
    return found


def status_of(response):
    """The google.rpc.Status that is the body of every refusal."""
    assert response.headers["content-type"] == "application/x-protobuf"
    return status_pb2.Status.FromString(response.content)


def trailer(error, key):
    return dict(error.trailing_metadata())[key]


@both
@signals
async def test_garbage_is_a_bad_request_and_the_connection_lives_on(
    client, query, protocol, signal
):
    garbage = b"\xff\xfe walker@example.org"
    with pytest.raises((grpc.aio.AioRpcError, httpx.HTTPStatusError)) as refusal:
        await client.send(protocol, signal, garbage)
    if protocol == "grpc":
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        status = status_pb2.Status.FromString(trailer(refusal.value, "grpc-status-details-bin"))
        assert status.message == refusal.value.details()
        assert "google.rpc.retryinfo-bin" not in dict(refusal.value.trailing_metadata())
    else:
        assert refusal.value.response.status_code == 400
        status = status_of(refusal.value.response)
    assert status.code == code_pb2.INVALID_ARGUMENT
    assert details(status)["BadRequest"].field_violations[0].field == "body"
    assert "walker" not in str(status)
    await client.send(protocol, "traces", traces("shop.ping"))
    assert counts(query) == {"shop.ping.invoke": 1}
    if protocol == "http":
        assert len(client.http._transport._pool.connections) == 1


@both
async def test_noise_on_the_port_disturbs_nobody(client, query, protocol):
    host, port = getattr(client.collector, protocol).split(":")
    for noise in (
        b"\x00" * 64,
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\nBroken\r\n\r\n",
        b"",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            writer.write(noise)
            await writer.drain()
            if noise:
                await asyncio.wait_for(reader.read(100), 10)
            writer.close()
            await writer.wait_closed()
    await client.send(protocol, "traces", traces("shop.ping"))
    assert counts(query) == {"shop.ping.invoke": 1}


CONTENT_TYPES = "the content type must be application/x-protobuf or application/json"


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({"content-type": "text/plain"}, 415, CONTENT_TYPES),
        ({}, 415, CONTENT_TYPES),
        (
            PROTOBUF | {"content-encoding": "br"},
            415,
            "the content encoding must be identity or one of gzip, deflate, zstd",
        ),
        (PROTOBUF | {"content-encoding": "gzip"}, 400, "the body is not valid gzip"),
    ],
    ids=["text", "no content type", "brotli", "not gzip"],
)
@answers
async def test_a_body_that_cannot_be_read_is_refused_plainly(answering, headers, code, message):
    response = await answering.http.post("/v1/traces", content=b"not gzip at all", headers=headers)
    assert response.status_code == code
    assert status_of(response).message == message


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@answers
async def test_another_method_is_not_allowed(answering, method):
    response = await answering.http.request(method, "/v1/traces", headers=PROTOBUF)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert status_of(response).code == code_pb2.UNIMPLEMENTED


@pytest.mark.parametrize("path", ["/", "/v1/profiles", "/v1/traces/", "/walker@example.org"])
@answers
async def test_another_path_is_not_found(answering, path):
    response = await answering.http.post(path, content=b"", headers=PROTOBUF)
    assert response.status_code == 404
    assert "walker" not in str(status_of(response))


@answers
async def test_a_service_that_is_not_offered_is_unimplemented(answering):
    call = answering.channel.unary_unary(f"/{PACKAGE}.profiles.v1.ProfilesService/Export")
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call(b"")
    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "a gzip bomb"])
@both
async def test_a_request_beyond_the_limit_is_refused_and_the_next_is_taken(
    client, query, protocol, compressed
):
    """The limit counts what comes out of the compression."""
    with pytest.raises((grpc.aio.AioRpcError, httpx.HTTPStatusError)) as refusal:
        await client.send(protocol, "traces", bytes(MAX_BYTES + 1), compressed=compressed)
    if protocol == "grpc":
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "google.rpc.retryinfo-bin" not in dict(refusal.value.trailing_metadata())
    else:
        assert refusal.value.response.status_code == 413
        assert status_of(refusal.value.response).code == code_pb2.RESOURCE_EXHAUSTED
        assert "retry-after" not in refusal.value.response.headers
    await client.send(protocol, "traces", traces("shop.ping"))
    assert counts(query) == {"shop.ping.invoke": 1}


async def test_the_size_is_bounded_while_a_bomb_goes_off(monkeypatch):
    """Of a body that would inflate a thousandfold no more than the limit is ever held."""
    sizes = []
    inflate = zlib.decompressobj

    class Watched:
        def __init__(self, **options):
            self._inflate = inflate(**options)

        def decompress(self, *arguments):
            part = self._inflate.decompress(*arguments)
            sizes.append(len(part))
            return part

        def __getattr__(self, name):
            return getattr(self._inflate, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    bomb, headers = gzip.compress(bytes(10**7)), PROTOBUF | {"content-encoding": "gzip"}
    async with (
        serving(lambda batch: asyncio.sleep(0), max_request_body_size=10_000) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as http,
    ):
        response = await http.post("/v1/traces", content=bomb, headers=headers)
    assert response.status_code == 413
    assert sum(sizes) == 10_001


# When the store is away


@both
@signals
async def test_while_postgres_is_stopped_senders_are_told_to_retry_and_then_stored_once(
    catalog, own_server, own_database, protocol, signal
):
    body = one_ping(signal)
    async with connected(configured(catalog, own_database)) as client:
        await client.send(protocol, "traces", traces("shop.order"))
        own_server.stop()
        with pytest.raises((grpc.aio.AioRpcError, httpx.HTTPStatusError)) as refusal:
            await client.send(protocol, signal, body)
        if protocol == "grpc":
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            status = status_pb2.Status.FromString(trailer(refusal.value, "grpc-status-details-bin"))
            hint = error_details_pb2.RetryInfo.FromString(
                trailer(refusal.value, "google.rpc.retryinfo-bin")
            )
            assert details(status)["RetryInfo"] == hint
        else:
            response = refusal.value.response
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            status = status_of(response)
            hint = details(status)["RetryInfo"]
        assert status.code == code_pb2.UNAVAILABLE
        assert hint.retry_delay.ToMilliseconds() > 0
        own_server.start()
        for _ in range(2):
            await client.send(protocol, signal, body)
    with psycopg.connect(own_database) as connection:
        found = counts(lambda statement: connection.execute(statement).fetchall())
    assert found == {"shop.order.success": 1, "shop.ping.invoke": 1}


@contextlib.asynccontextmanager
async def serving(consume, **options):
    """OTLP/HTTP before a store that behaves as the test wants."""

    async def decode(body, key, groups, take):
        return Batch(digest=body[:16].ljust(16), signal="traces")

    signal = Signal("traces", "none", ExportTraceServiceResponse, decode)
    async with otlp_http.serve(
        HttpConfig(endpoint="127.0.0.1:0", **options), Intake(consume), [signal]
    ) as address:
        yield address


async def test_an_error_that_nobody_foresaw_is_answered_as_retryable_and_logged_without_its_message(
    caplog,
):
    async def consume(batch):
        raise LookupError(batch.digest.decode())

    async with (
        serving(consume) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as http,
    ):
        response = await http.post("/v1/traces", content=b"walker@example.org", headers=PROTOBUF)
    assert response.status_code == 503
    assert "retry-after" in response.headers
    assert "LookupError" in caplog.text
    assert "in consume" in caplog.text  # where it happened
    assert "walker" not in caplog.text + response.text


async def test_a_retry_is_told_what_was_refused_the_first_time():
    async def known(batch):
        return {Loss.OUT_OF_WINDOW: 3, Loss.ENUM_VALUE: 1}

    async with (
        serving(known) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as http,
    ):
        response = await http.post("/v1/traces", content=b"", headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(response.content).partial_success
    assert partial.rejected_spans == 3
    assert partial.error_message.startswith("out_of_window: 3 ")


# Start and stop


@both
@pytest.mark.parametrize("family", ["in use", "unknown host"])
async def test_a_port_that_cannot_be_had_is_named_with_what_to_do(
    catalog, store_database, protocol, family
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        endpoint = f"127.0.0.1:{port}" if family == "in use" else f"no-such-host.invalid:{port}"
        listener = LISTENERS[protocol](endpoint=endpoint)
        with pytest.raises(StartError) as error:
            async with running(configured(catalog, store_database, **{protocol: listener})):
                pass
    name = {"grpc": "OTLP/gRPC", "http": "OTLP/HTTP"}[protocol]
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)
    if family == "in use":
        assert f"port {port} on 127.0.0.1 is in use" in str(error.value)
    assert "set another endpoint" in str(error.value)


async def test_a_second_collector_does_not_share_the_ports_of_the_first(
    client, catalog, store_database
):
    for protocol in ("grpc", "http"):
        endpoint = getattr(client.collector, protocol)
        listener = LISTENERS[protocol](endpoint=endpoint)
        with pytest.raises(StartError, match="in use"):
            async with running(configured(catalog, store_database, **{protocol: listener})):
                pass


async def test_protocols_and_signals_can_be_switched_off(catalog, store_database):
    config = configured(catalog, store_database, grpc=None, signals=("metrics",))
    async with running(config) as collector, httpx.AsyncClient() as http:
        assert collector.grpc is None
        url = f"http://{collector.http}/v1"
        assert (await http.post(f"{url}/metrics", content=b"", headers=PROTOBUF)).status_code == 200
        assert (await http.post(f"{url}/traces", content=b"", headers=PROTOBUF)).status_code == 404


@both
async def test_requests_under_way_are_finished_when_the_collector_stops(
    catalog, store_database, query, protocol
):
    stop = asyncio.Event()
    ready = asyncio.get_running_loop().create_future()

    async def collect():
        async with running(configured(catalog, store_database)) as collector:
            ready.set_result(collector)
            await stop.wait()

    collecting = asyncio.create_task(collect())
    collector = await ready
    async with (
        grpc.aio.insecure_channel(collector.grpc) as channel,
        httpx.AsyncClient(base_url=f"http://{collector.http}") as http,
    ):
        client = Client(collector, channel, http)
        with psycopg.connect(store_database) as blocker:
            blocker.execute("LOCK TABLE footfall.feature_counts IN EXCLUSIVE MODE")
            sending = asyncio.create_task(client.send(protocol, "traces", traces("shop.ping")))
            await until(lambda: query(BLOCKED) == [(1,)])
            stop.set()
            await asyncio.sleep(0.2)
            assert not sending.done()
            assert not collecting.done()
        assert not (await sending).HasField("partial_success")
    await collecting
    assert counts(query) == {"shop.ping.invoke": 1}


BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def test_housekeeping_goes_on_after_a_failure(
    catalog, own_server, own_database, monkeypatch, caplog
):
    monkeypatch.setattr(housekeeping, "FIRST_LOOK", 0.05)
    monkeypatch.setattr(housekeeping, "LOOK_EVERY", 0.05)

    def salts():
        with psycopg.connect(own_database) as connection:
            return connection.execute(
                "SELECT salt FROM footfall.salts ORDER BY kind, period"
            ).fetchall()

    def guilds():
        with psycopg.connect(own_database) as connection:
            statement = "SELECT count(DISTINCT guild_hash) FROM footfall.feature_events"
            return connection.execute(statement).fetchone()

    async with connected(configured(catalog, own_database)) as client:
        await client.send("grpc", "traces", traces("shop.order", guild_id="17"))
        own_server.stop()
        await until(lambda: "housekeeping does not reach Postgres" in caplog.text)
        own_server.start()
        before = salts()
        with psycopg.connect(own_database) as connection:
            connection.execute("DELETE FROM footfall.salts")  # as a crash of Postgres would
        await until(lambda: len(salts()) == len(before))
        assert not set(salts()) & set(before)
        async with asyncio.timeout(20):
            while guilds() != (2,):  # it uses the new ones after the round that made them
                with contextlib.suppress(grpc.aio.AioRpcError):  # its session ended with the server
                    await client.send("grpc", "traces", traces("shop.order", guild_id="17"))


# Strangers


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


# Secrets


class Secrets:
    """Unmistakable texts and numbers, one for each place they are hidden in."""

    MARK, HIGH = "qzhidden", 7_301_944_580_117_000 >> 16

    def __init__(self):
        self.texts, self.numbers = {}, {}

    def text(self, place):
        self.texts[place] = f"{self.MARK}{len(self.texts):02}{place.replace(' ', '')}"
        return self.texts[place]

    def number(self, place):
        self.numbers[place] = (self.HIGH << 16) + len(self.numbers)
        return self.numbers[place]

    def found_in(self, content):
        """The places of those that are there, in any form."""
        if not any(mark in content for mark in [*_forms(self.MARK), *_forms(self.HIGH << 16)]):
            return []
        hidden = [*self.texts.items(), *self.numbers.items()]
        return [place for place, what in hidden if any(form in content for form in _forms(what))]


def _forms(what):
    """How a text, or a number with its low 16 bits left out, may look in a file."""
    if isinstance(what, int):
        high = what >> 16
        return [str(what)[:11].encode(), high.to_bytes(6, "little"), high.to_bytes(6, "big")]
    raw = what.encode()
    whole = raw[: len(raw) // 3 * 3]
    return [raw, raw.hex().encode(), what.encode("utf-16-le"), base64.b64encode(whole)]


def common(secrets, message, where):
    """Puts secrets into a resource and a scope."""
    resource = message.resource
    for key in ("host.name", "user.email", "service.instance.id", "process.command_line"):
        resource.attributes.add(key=key).value.string_value = secrets.text(
            f"{where} resource {key}"
        )
    resource.attributes.add(key=secrets.text(f"{where} resource key")).value.bool_value = True
    resource.attributes.add(key="service.name").value.string_value = (
        "mail " + secrets.text(f"{where} service") + "@example.org"
    )
    message.schema_url = secrets.text(f"{where} resource schema")


def scoped(secrets, scope, where):
    scope.scope.name = secrets.text(f"{where} scope name")
    scope.scope.version = secrets.text(f"{where} scope version")
    scope.scope.attributes.add(key="who").value.string_value = secrets.text(
        f"{where} scope attribute"
    )
    scope.schema_url = secrets.text(f"{where} scope schema")


def secret_traces(secrets):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    common(secrets, group, "span")
    scope = group.scope_spans.add()
    scoped(secrets, scope, "span")
    now = time.time_ns()
    times = {"start_time_unix_nano": now - 10**6, "end_time_unix_nano": now}
    scope.spans.add(name=secrets.text("span name"), **times)
    scope.spans.add(name="shop.gone", trace_state=secrets.text("refused trace state"), **times)
    span = scope.spans.add(name="shop.survey", trace_state=secrets.text("trace state"), **times)
    span.status.code, span.status.message = 2, secrets.text("status message")
    event = span.events.add(name=secrets.text("span event"), time_unix_nano=now)
    event.attributes.add(key="exception.message").value.string_value = secrets.text("exception")
    event.attributes.add(key="exception.stacktrace").value.string_value = secrets.text("stack")
    link = span.links.add(trace_state=secrets.text("link trace state"))
    link.attributes.add(key="who").value.string_value = secrets.text("link attribute")
    span.trace_id, span.span_id = secrets.text("trace id")[:16].encode(), b"s" * 8

    def put(key):
        return span.attributes.add(key=key).value

    put("user.email").string_value = secrets.text("undeclared attribute")
    put(secrets.text("attribute key")).bool_value = True
    put("visitor").string_value = secrets.text("hashed text")
    put("team_id").int_value = secrets.number("hashed number")
    put("mode").string_value = secrets.text("enum value")
    put("provider").array_value.values.add(string_value=secrets.text("array under an enum"))
    inner = put("note").kvlist_value.values.add(key=secrets.text("map key"))
    inner.value.array_value.values.add(string_value=secrets.text("nested value"))
    put("guild_id").bytes_value = secrets.text("bytes under a text").encode()
    put("attempts").string_value = secrets.text("text under a number")
    put("ratio").string_value = secrets.text("text under a float")
    put("ranked").int_value = secrets.number("number under a bool")
    put("seed").string_value = secrets.text("text under a uuid")
    put("org_id").double_value = float(secrets.number("float under a hash"))
    put("error.type").string_value = secrets.text("error type")
    put("feature.status").string_value = secrets.text("status")
    put("feature.surface").string_value = secrets.text("surface")
    span = scope.spans.add(name="shop.visit.open", **times)
    span.attributes.add(key="note").value.int_value = secrets.number("number under a text")
    span.attributes.add(key="attempts").value.int_value = secrets.number("number beyond the limit")
    span = scope.spans.add(name="shop.visit.open", **times)
    span.attributes.add(
        key="note"
    ).value.string_value = f"mail {secrets.text('text with an address')}@example.org"
    span = scope.spans.add(name="shop.visit.close", **times)
    span.attributes.add(key="note").value.string_value = "kept on purpose"
    return request.SerializeToString()


def secret_metrics(secrets):
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    common(secrets, group, "metric")
    scope = group.scope_metrics.add()
    scoped(secrets, scope, "metric")
    now = time.time_ns()
    scope.metrics.add(name=secrets.text("metric name")).sum.data_points.add(as_int=1)
    metric = scope.metrics.add(name="shop.order")
    metric.description, metric.unit = secrets.text("description"), secrets.text("unit")
    metric.metadata.add(key="who").value.string_value = secrets.text("metadata")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
    point = metric.sum.data_points.add(
        as_int=1, time_unix_nano=now, start_time_unix_nano=now - 10**9
    )
    point.attributes.add(key="user.id").value.string_value = secrets.text("metric attribute")
    point.attributes.add(key="provider").value.string_value = secrets.text("metric enum")
    point.attributes.add(key=secrets.text("metric key")).value.bool_value = True
    point.attributes.add(key="guild_id").value.string_value = secrets.text("metric hash")
    exemplar = point.exemplars.add(as_int=1, trace_id=b"t" * 16)
    exemplar.filtered_attributes.add(key="who").value.string_value = secrets.text("exemplar")
    return request.SerializeToString()


def secret_logs(secrets):
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    common(secrets, group, "log")
    scope = group.scope_logs.add()
    scoped(secrets, scope, "log")
    now = time.time_ns()
    scope.log_records.add(event_name=secrets.text("event name"), time_unix_nano=now)
    scope.log_records.add(time_unix_nano=now).attributes.add(
        key="event.name"
    ).value.string_value = secrets.text("event name attribute")
    scope.log_records.add(event_name="shop.gone").body.string_value = secrets.text("refused body")
    record = scope.log_records.add(event_name="shop.survey", time_unix_nano=now, severity_number=17)
    record.severity_text = secrets.text("severity text")
    inner = record.body.kvlist_value.values.add(key=secrets.text("body key"))
    inner.value.array_value.values.add(string_value=secrets.text("body value"))
    record.trace_id, record.span_id = secrets.text("log trace id")[:16].encode(), b"s" * 8

    def put(key):
        return record.attributes.add(key=key).value

    put("event.name").string_value = secrets.text("second event name")
    put("exception.message").string_value = secrets.text("log exception")
    put(secrets.text("log attribute key")).bool_value = True
    put("visitor").string_value = secrets.text("log hashed text")
    put("mode").string_value = secrets.text("log enum value")
    put("guild_id").bytes_value = secrets.text("log bytes under a text").encode()
    put("note").kvlist_value.values.add(key=secrets.text("log map key"))
    put("error.type").string_value = secrets.text("log error type")
    return request.SerializeToString()


async def test_secrets_in_every_place_are_neither_stored_nor_logged_nor_answered(
    catalog, own_server, own_database, caplog, capfd
):
    caplog.set_level(logging.DEBUG, "footfall")
    caplog.set_level(logging.INFO, "uvicorn")
    secrets, answers = Secrets(), []
    headers = {
        "user-agent": secrets.text("user agent"),
        "authorization": f"Bearer {secrets.text('token')}",
    }
    async with connected(configured(catalog, own_database)) as client:
        for signal, make in (
            ("traces", secret_traces),
            ("metrics", secret_metrics),
            ("logs", secret_logs),
        ):
            body = make(secrets)
            call = client.channel.unary_unary(METHODS[signal])
            metadata = [("x-user", secrets.text("grpc metadata"))]
            answers.append(await call(body, metadata=metadata))
            for content in (body, secrets.text("garbage").encode() + b"\xff", make(secrets)):
                path = f"/v1/{signal}?token={secrets.text('query')}"
                response = await client.http.post(path, content=content, headers=PROTOBUF | headers)
                answers.append(response.content)
            garbage = f'{{"resourceSpans": "{secrets.text("json garbage")}"}}'
            for content in (as_json(signal, make(secrets)), garbage.encode(), b"{"):
                sent = headers | {"content-type": "application/json"}
                response = await client.http.post(path, content=content, headers=sent)
                answers.append(response.content)
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await call(secrets.text("grpc garbage").encode() + b"\xff")
            answers.append(str(refusal.value.trailing_metadata()).encode())
        response = await client.http.get(f"/{secrets.text('path')}", headers=headers)
        answers.append(response.content)
    tables = dump(own_database)
    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    own_server.stop()
    files = read_all(own_server.log_file.parent)
    output = capfd.readouterr()
    logs = f"{caplog.text}{output.out}{output.err}".encode()

    kept = b"kept on purpose"  # what is looked for is found
    assert kept in tables
    assert kept in files
    for place, hidden in [*secrets.texts.items(), *secrets.numbers.items()]:
        assert all(secrets.found_in(form) for form in _forms(hidden)), place
    assert len(secrets.texts) > 85
    found = {"tables": tables, "files": files, "logs": logs, "answers": b"".join(answers)}
    leaks = [(name, secrets.found_in(content)) for name, content in found.items()]
    assert leaks == [("tables", []), ("files", []), ("logs", []), ("answers", [])]


def as_json(signal, body):
    """The request in JSON; the ids are of no account."""
    request = REQUESTS[signal].FromString(body)
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    return json.dumps(document).encode()


def dump(dsn) -> bytes:
    """Every row of every table and view, as text."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        texts = []
        for name in tables:
            rows = connection.execute(
                sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(*name))
            )
            texts += [row for (row,) in rows]
    assert len(tables) > 15
    return "\n".join(texts).encode()


def read_all(directory: Path) -> bytes:
    return b"\n".join(p.read_bytes() for p in directory.rglob("*") if p.is_file())
