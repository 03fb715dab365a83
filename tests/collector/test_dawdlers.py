import asyncio
import contextlib
import resource
import socket
import time

import grpc
import httpx
import pytest

from collector.http2 import PREFACE, half_a_call
from collector.listeners import (
    ANNOUNCED,
    EXPORT,
    KIB,
    MIB,
    Store,
    receiving,
    refused_over_grpc,
    serving,
)
from footfall_collector.config.schema import AdmissionConfig, GrpcConfig, HttpConfig
from footfall_collector.receivers import admission as gate_module
from footfall_collector.receivers import bodies, grpc_reader, http_server, received, sockets
from footfall_collector.receivers import grpc as otlp_grpc
from footfall_collector.receivers import http as otlp_http
from footfall_collector.receivers.admission import Gate
from support.otlp import PROTOBUF
from support.waiting import until


async def closes(address, *pieces, every=0.0):
    """Sends pieces, and says after how many seconds the collector has closed the connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    begun = time.monotonic()
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(every)
        answer = await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        answer = b""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return time.monotonic() - begun, answer


@pytest.fixture
async def web(monkeypatch):
    monkeypatch.setattr(http_server, "HEAD_S", 0.5)
    monkeypatch.setattr(bodies, "FIRST_S", 0.5)
    monkeypatch.setattr(bodies, "CHUNK_S", 0.5)
    monkeypatch.setattr(bodies, "BODY_S", 1.5)
    monkeypatch.setattr(bodies, "UNREAD_S", 0.5)
    store = Store()
    store.open.set()
    async with serving(1, store) as (_, _, http):
        yield f"{http.base_url.host}:{http.base_url.port}"


HEAD = (
    b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
    b"content-length: 100\r\n\r\n"
)


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"POST /v1/tra",),
        (b"POST /v1/traces HTTP/1.1\r\n", *[b"x: y\r\n"] * 40),
        (HEAD + bytes(100), b"POST /v1"),
    ],
    ids=["nothing", "half a line", "a line now and then", "half a second head"],
)
async def test_a_connection_that_never_sends_a_whole_head_is_closed(web, pieces):
    seconds, _ = await closes(web, *pieces, every=0.05)
    assert seconds < 15


@pytest.mark.parametrize("every", [0.0, 0.1], ids=["stops", "drips"])
async def test_a_body_that_does_not_arrive_is_refused_to_be_sent_again(web, every):
    head = HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    _, answer = await closes(web, head, *[b"x"] * 20, every=every)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after" in answer


async def test_a_flood_of_headers_is_refused(web):
    _, answer = await closes(
        web, b"POST /v1/traces HTTP/1.1\r\n", *[b"x: " + bytes(b"y" * 1000) + b"\r\n"] * 200
    )
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


@pytest.fixture
def files():
    """As many open files as are allowed, like the collector; how many those are, 16,384 at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 16_384 if hard == resource.RLIM_INFINITY else min(hard, 16_384)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    yield most
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(stack, address, number, greeting=b""):
    """As many connections, open until the stack is unwound."""
    host, _, port = address.rpartition(":")
    for _ in range(number):
        connection = socket.create_connection((host, int(port)))
        stack.enter_context(connection).sendall(greeting)


async def test_thousands_of_silent_connections_do_not_keep_others_out(files, web):
    with contextlib.ExitStack() as stack:
        connect(stack, web, files // 8)
        async with httpx.AsyncClient(timeout=60, verify=False) as http:
            answer = await http.post(f"http://{web}/v1/traces", content=b"", headers=PROTOBUF)
        assert answer.status_code == 200


async def test_thousands_of_idle_grpc_connections_do_not_keep_others_out(files):
    config = GrpcConfig(endpoint="127.0.0.1:0")
    store = Store()
    store.open.set()
    with contextlib.ExitStack() as stack:
        async with receiving(store, Gate(), otlp_grpc.serve, config) as address:
            connect(stack, address, files // 8, PREFACE)
            async with grpc.aio.insecure_channel(address) as channel:
                assert await channel.unary_unary(EXPORT)(b"") == b""


async def by_grpc(address):
    async with grpc.aio.insecure_channel(address) as channel:
        return await channel.unary_unary(EXPORT)(b"") == b""


async def by_http(address):
    async with httpx.AsyncClient(timeout=60, verify=False) as http:
        answer = await http.post(f"http://{address}/v1/traces", content=b"", headers=PROTOBUF)
    return answer.status_code == 200


async def test_grpc_connections_beyond_the_most_are_closed_as_they_come_and_then_taken_again(
    monkeypatch,
):
    monkeypatch.setattr(sockets, "MOST_CONNECTIONS", 3)
    store, config = Store(), GrpcConfig(endpoint="127.0.0.1:0")
    store.open.set()
    async with receiving(store, Gate(), otlp_grpc.serve, config) as address:
        with contextlib.ExitStack() as stack:
            connect(stack, address, 2)
            assert await by_grpc(address)
            async with asyncio.timeout(10):
                while await _taken(by_grpc, address):
                    connect(stack, address, 1)
                    await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            while not await _taken(by_grpc, address):  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.05)


async def _taken(send, address):
    try:
        return await send(address)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:  # on which clients try again
            raise
        return False


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v1/tra", ANNOUNCED], ids=["nothing", "a head", "a body"]
)
async def test_who_keeps_http_waiting_gives_way_to_others(monkeypatch, sent):
    monkeypatch.setattr(sockets, "MOST_CONNECTIONS", 3)
    store, config = Store(), HttpConfig(endpoint="127.0.0.1:0")
    store.open.set()
    async with receiving(store, Gate(), otlp_http.serve, config) as address:
        with contextlib.ExitStack() as stack:
            for _ in range(6):
                connect(stack, address, 2, sent)
                assert await by_http(address)


async def test_a_body_that_gives_way_is_answered_to_be_sent_again(monkeypatch):
    monkeypatch.setattr(sockets, "MOST_CONNECTIONS", 1)
    store, config = Store(), HttpConfig(endpoint="127.0.0.1:0")
    store.open.set()
    async with receiving(store, Gate(), otlp_http.serve, config) as address:
        first = asyncio.ensure_future(closes(address, ANNOUNCED))
        await asyncio.sleep(0.2)
        assert await by_http(address)
        _, answer = await first
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in answer


async def test_a_connection_for_which_there_is_no_room_is_told_when_to_come_again(monkeypatch):
    monkeypatch.setattr(sockets, "MOST_CONNECTIONS", 2)
    store, config = Store(), HttpConfig(endpoint="127.0.0.1:0")
    async with receiving(store, Gate(), otlp_http.serve, config) as address:
        busy = [asyncio.ensure_future(by_http(address)) for _ in range(2)]
        await store.until_waiting(2)
        async with httpx.AsyncClient(timeout=60, verify=False) as http:
            url, body = f"http://{address}/v1/traces", bytes(300 * KIB)
            for _ in range(3):
                answer = await http.post(url, content=body, headers=PROTOBUF)
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) >= 1
        store.open.set()
        assert await asyncio.gather(*busy) == [True, True]
        assert await by_http(address)


def test_a_listener_takes_a_quarter_of_the_files(monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
        assert sockets.most_connections() == 250
        monkeypatch.setattr(sockets, "MOST_CONNECTIONS", 100)
        assert sockets.most_connections() == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_of_a_grpc_request_that_arrives_slowly_is_counted_what_has_come():
    gate = Gate(AdmissionConfig(request_limit_mib=128))
    async with receiving(
        Store(), gate, otlp_grpc.serve, GrpcConfig(endpoint="127.0.0.1:0")
    ) as address:
        async with half_a_call(address, 14 * MIB, sent=50_000), half_a_call(address, 0, sent=0):
            await until(lambda: gate.bytes)
            assert gate.requests == 2
            assert 50_000 <= gate.bytes / grpc_reader.COPIES < 60_000
        await until(lambda: (gate.requests, gate.bytes) == (0, 0))


async def test_what_the_kernel_does_not_say_counts_as_the_largest(monkeypatch):
    monkeypatch.setattr(received.Connections, "received", lambda *_: None)
    gate = Gate()
    async with arriving_never(gate):
        await until(lambda: gate.bytes == 16 * MIB)


async def test_silent_grpc_calls_keep_nobody_out(monkeypatch):
    store, gate = Store(), Gate(AdmissionConfig(request_limit_mib=1))
    store.open.set()
    monkeypatch.setattr(gate_module, "MOST_REQUESTS", 20)
    async with contextlib.AsyncExitStack() as stack:
        config = GrpcConfig(endpoint="127.0.0.1:0")
        address = await stack.enter_async_context(receiving(store, gate, otlp_grpc.serve, config))
        for _ in range(19):
            await stack.enter_async_context(half_a_call(address, 0, sent=0))
        await until(lambda: gate.requests == 19)
        await asyncio.sleep(2 * grpc_reader.QUICK_S)
        async with grpc.aio.insecure_channel(address) as channel:
            for _ in range(5):
                assert await channel.unary_unary(EXPORT)(bytes(500 * KIB)) == b""


@contextlib.asynccontextmanager
async def arriving_never(gate):
    """A gRPC call whose request does not come."""

    async def never():
        await asyncio.Event().wait()
        yield b""

    config = GrpcConfig(endpoint="127.0.0.1:0")
    async with (
        receiving(Store(), gate, otlp_grpc.serve, config) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield channel.stream_unary(EXPORT)(never(), timeout=20)


@pytest.mark.parametrize("limit", ["SILENT_S", "READ_S"])
async def test_a_grpc_request_that_never_arrives_is_given_up_to_be_sent_again(monkeypatch, limit):
    monkeypatch.setattr(grpc_reader, limit, 0.2)
    gate = Gate()
    async with arriving_never(gate) as call:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "google.rpc.retryinfo-bin" in dict(refused.value.trailing_metadata())
        assert (gate.requests, gate.bytes) == (0, 0)


async def test_a_grpc_sender_that_leaves_in_the_middle_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(grpc_reader, "QUICK_S", 0.05)
    gate = Gate()
    async with arriving_never(gate) as call:
        await until(lambda: gate.requests)
        call.cancel()
        await until(lambda: (gate.requests, gate.bytes) == (0, 0))


async def test_a_stopping_server_tells_who_still_waits_to_come_again(monkeypatch):
    monkeypatch.setattr(otlp_http, "GRACE", 1)
    store, config = Store(), HttpConfig(endpoint="127.0.0.1:0")
    async with httpx.AsyncClient(timeout=30, verify=False) as http:
        async with receiving(store, Gate(), otlp_http.serve, config) as address:
            url = f"http://{address}/v1/traces"
            post = asyncio.ensure_future(http.post(url, content=b"", headers=PROTOBUF))
            await store.until_waiting(1)
        answer = await post
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_stopping_server_tells_grpc_callers_to_come_again(monkeypatch):
    """A call that core cancels is CANCELLED, as if its sender had wanted that."""
    monkeypatch.setattr(otlp_grpc, "GRACE", 0.3)
    store, config = Store(), GrpcConfig(endpoint="127.0.0.1:0")
    async with contextlib.AsyncExitStack() as clients:
        async with receiving(store, Gate(), otlp_grpc.serve, config) as address:
            channel = await clients.enter_async_context(grpc.aio.insecure_channel(address))
            export = channel.unary_unary(EXPORT)
            answer = asyncio.ensure_future(refused_over_grpc(export, b""))
            await store.until_waiting(1)
        await answer
