import asyncio
import contextlib
import gzip
import zlib

import grpc
import httpx
import pytest
import pytest_asyncio
from google.rpc import code_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.listeners import http_before
from collector.spans import DAY
from conftest import new_database
from footfall_collector.config.schema import MAX_BYTES
from support.collectors import (
    both,
    configured,
    connected,
    counts,
    details,
    signals,
    status_of,
    trailer,
)
from support.otlp import PACKAGE, PROTOBUF, RESPONSES, metrics, one_ping, traces


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answering(catalog, postgres_server, store_template):
    """A client of one collector, for all tests that ask for nothing but its answers."""
    with new_database(postgres_server, store_template) as dsn:
        async with connected(configured(catalog, dsn)) as client:
            yield client


answers = pytest.mark.asyncio(loop_scope="module")


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
        http_before(lambda batch: asyncio.sleep(0), max_request_body_size=10_000) as address,
        httpx.AsyncClient(base_url=f"http://{address}", verify=False) as http,
    ):
        response = await http.post("/v1/traces", content=bomb, headers=headers)
    assert response.status_code == 413
    assert sum(sizes) == 10_001
