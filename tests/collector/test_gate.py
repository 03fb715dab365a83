"""How much may be in flight at once, on real sockets: refused early with a hint, and recovered from."""

import asyncio
import contextlib
import gzip
import resource
import socket
import time

import grpc
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from collector.http2 import PREFACE, half_a_call
from collector.listeners import EXPORT, Store, receiving, serving
from footfall_collector.config.schema import AdmissionConfig, GrpcConfig, HttpConfig
from footfall_collector.receivers import admission as gate_module
from footfall_collector.receivers import grpc as otlp_grpc
from footfall_collector.receivers import grpc_reader, http_server, received, refusals, sockets
from footfall_collector.receivers import http as otlp_http
from footfall_collector.receivers.admission import MOST_REQUESTS, Gate
from footfall_collector.receivers.refusals import Refusal
from support.otlp import PROTOBUF
from support.waiting import until

KIB, MIB = 2**10, 2**20
ANNOUNCED = (
    b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
    b"content-length: 1000000\r\n\r\nbegun"
)
"""The begin of a request, whose end never comes."""


async def refused_over_grpc(export, body):
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await export(body)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    hint = dict(refusal.value.trailing_metadata())["google.rpc.retryinfo-bin"]
    delay: Duration = error_details_pb2.RetryInfo.FromString(hint).retry_delay
    assert delay.ToMilliseconds() > 0


async def refused_over_http(http, body, **headers):
    response = await http.post("/v1/traces", content=body, headers=PROTOBUF | headers)
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1


async def test_beyond_the_limit_requests_are_refused_with_a_hint_and_then_taken_again():
    store = Store()
    async with serving(1, store) as (gate, export, http):
        body = bytes(600 * KIB)
        first = asyncio.ensure_future(export(body))
        await store.until_waiting(1)
        assert gate.bytes == 600 * KIB
        second = asyncio.ensure_future(export(bytes(300 * KIB)))
        await store.until_waiting(2)
        await refused_over_grpc(export, body)
        await refused_over_http(http, body)
        await refused_over_http(http, gzip.compress(body), **{"content-encoding": "gzip"})
        store.open.set()
        await asyncio.gather(first, second)
        assert (gate.bytes, gate.requests) == (0, 0)
        await export(body)
        assert (await http.post("/v1/traces", content=body, headers=PROTOBUF)).status_code == 200
        assert (gate.bytes, gate.requests) == (0, 0)


async def test_at_the_limit_a_request_is_refused_before_it_is_read():
    """Its sender has announced more than it sends: whoever read it would wait."""
    store = Store()
    async with serving(1, store) as (_, export, http):
        full = asyncio.ensure_future(export(bytes(MIB)))
        await store.until_waiting(1)
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(ANNOUNCED)
        assert b"503" in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await writer.wait_closed()
        store.open.set()
        await full


async def test_a_request_alone_may_be_larger_than_the_limit():
    store = Store()
    store.open.set()
    async with serving(0.001, store) as (_, export, http):
        await export(bytes(MIB))
        answer = await http.post("/v1/traces", content=bytes(MIB), headers=PROTOBUF)
        assert answer.status_code == 200


def test_there_are_so_many_places_and_each_is_given_back_once():
    gate = Gate()
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_REQUESTS):
            stack.enter_context(gate.open())
        with pytest.raises(Refusal, match="busy"):
            gate.open()
    gate.open()
    assert (gate.requests, gate.bytes) == (0, 0)


def test_after_a_refusal_in_the_middle_the_next_are_refused_at_the_door_until_there_is_room():
    gate = Gate(AdmissionConfig(request_limit_mib=1))
    with gate.open() as first:
        first.grow(MIB - 1)
        with pytest.raises(Refusal), gate.open() as second:
            second.grow(2)
        with pytest.raises(Refusal):
            gate.open()
    with gate.open() as third:
        third.grow(MIB)


def test_the_door_is_shut_for_a_moment_only_however_long_another_takes(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(gate_module.time, "monotonic", lambda: clock[0])
    gate = Gate(AdmissionConfig(request_limit_mib=1))
    with gate.open() as slow:
        slow.grow(10)
        with pytest.raises(Refusal), gate.open() as large:
            large.grow(MIB)
        clock[0] += 1
        with gate.open() as small:
            small.grow(10)


async def test_who_finds_no_room_is_told_so_after_a_pause(monkeypatch):
    """Over both protocols; a malformed request is answered at once."""
    monkeypatch.setattr(gate_module, "PAUSE_S", 1.0)
    gate = Gate(AdmissionConfig(request_limit_mib=1))
    config = HttpConfig(endpoint="127.0.0.1:0"), GrpcConfig(endpoint="127.0.0.1:0")
    loop = asyncio.get_running_loop()
    with gate.open("other") as full:
        async with (
            receiving(Store(), gate, otlp_http.serve, config[0]) as web,
            receiving(Store(), gate, otlp_grpc.serve, config[1]) as rpc,
            httpx.AsyncClient() as http,
            grpc.aio.insecure_channel(rpc) as channel,
        ):
            url = f"http://{web}/v1/traces"
            begun = loop.time()
            assert (await http.post(url, content=b"", headers={})).status_code == 415
            assert loop.time() - begun < 1.0
            full.grow(2 * MIB)
            begun = loop.time()
            answer = asyncio.ensure_future(http.post(url, content=b"", headers=PROTOBUF))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(EXPORT)(b"x")
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert (await answer).status_code == 503
            assert loop.time() - begun >= 1.0


async def test_no_more_are_kept_waiting_for_an_answer_than_have_places(monkeypatch):
    monkeypatch.setattr(gate_module, "MOST_REQUESTS", 3)
    monkeypatch.setattr(gate_module, "PAUSE_S", 60)
    gate, busy = Gate(), refusals.overloaded().answer
    pausing = [asyncio.ensure_future(gate.pause(busy)) for _ in range(5)]
    done, waiting = await asyncio.wait(pausing, timeout=0.2)
    assert (len(done), len(waiting)) == (2, 3)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    again = asyncio.ensure_future(gate.pause(busy))
    assert await asyncio.wait([again], timeout=0.1) == (set(), {again})
    again.cancel()


async def test_for_lack_of_a_place_who_has_been_arriving_for_a_quarter_of_a_second_gives_way(
    monkeypatch,
):
    monkeypatch.setattr(gate_module, "MOST_REQUESTS", 1)
    gate = Gate()
    with gate.open("slow") as slow:
        arriving = asyncio.ensure_future(slow.receive(asyncio.Event().wait()))
        await asyncio.sleep(0)
        with pytest.raises(Refusal):
            gate.open("another")
        await asyncio.sleep(0.3)
        with gate.open("another"), pytest.raises(Refusal):
            await arriving
        assert gate.requests == 0


def test_a_stopping_collector_lets_nobody_in():
    gate = Gate()
    gate.closed = True
    with pytest.raises(Refusal, match="stopping") as refused:
        gate.open()
    assert refused.value.answer.http == 503
    assert refused.value.answer.retry_after


async def test_what_a_request_held_is_given_back_when_its_sender_leaves():
    store = Store()
    async with serving(1, store) as (gate, export, http):
        task = asyncio.ensure_future(export(bytes(900 * KIB)))
        await store.until_waiting(1)
        task.cancel()
        _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(ANNOUNCED)
        await until(lambda: gate.requests)
        writer.close()
        await writer.wait_closed()
        await until(lambda: not gate.requests)
        assert gate.bytes == 0
        store.open.set()


# Senders that dawdle


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
    monkeypatch.setattr(otlp_http, "CHUNK_S", 0.5)
    monkeypatch.setattr(otlp_http, "BODY_S", 1.5)
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
    _, answer = await closes(web, HEAD, *[b"x"] * 20, every=every)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after" in answer


async def test_a_flood_of_headers_is_refused(web):
    _, answer = await closes(
        web, b"POST /v1/traces HTTP/1.1\r\n", *[b"x: " + bytes(b"y" * 1000) + b"\r\n"] * 200
    )
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("target", ["http://collector.example{}", "HTTP://[::1]:4318{}?x=1", "{}"])
async def test_a_request_in_absolute_form_is_taken(web, target):
    # RFC 9112, section 3.2.2: a server must accept it.
    head = f"POST {target.format('/v1/traces')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    rest = "Content-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
    _, answer = await closes(web, (head + rest).encode())
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("target", ["http://collector.example", "walker", "*", "http:"])
async def test_a_target_that_names_nothing_here_is_not_found(web, target):
    request = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    _, answer = await closes(web, request.encode())
    assert answer.startswith(b"HTTP/1.1 404 ")


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
        async with httpx.AsyncClient() as http:
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
    async with httpx.AsyncClient() as http:
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
        async with httpx.AsyncClient() as http:
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
    async with httpx.AsyncClient(timeout=30) as http:
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
