"""The attacks: each runs in a process of its own until its time is over, as hard as one core allows."""

import asyncio
import gzip
import os
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MIB = 2**20
DAY_NS = 86_400 * 10**9
HEAD = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/{}\r\n{}\r\n\r\n"
Attack = Callable[[str, str, float], Awaitable[None]]
"""gRPC's address, HTTP's, and until when (monotonic, seconds)."""


def run(name: str, rpc: str, web: str, seconds: float) -> None:
    """One attack, in a process of its own."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(ATTACKS[name](rpc, web, time.monotonic() + seconds))


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def _again(
    end: float, number: int, once: Callable[[], Awaitable[None]], pause: float = 0.01
) -> None:
    """So many at a time, each again and again, after a pause."""

    async def one() -> None:
        while time.monotonic() < end:
            with suppress(OSError, EOFError, grpc.RpcError, TimeoutError):
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + 10):
                    await once()
            await asyncio.sleep(pause)

    with suppress(TimeoutError):
        async with asyncio.timeout(end - time.monotonic()):
            await asyncio.gather(*(one() for _ in range(number)))


def _posts(media_type: str, body: bytes, coding: str = "") -> Attack:
    """The same body, three at a time."""
    more = f"content-length: {len(body)}" + (f"\r\ncontent-encoding: {coding}" if coding else "")
    message = HEAD.format(media_type, more).encode() + body

    async def attack(rpc: str, web: str, end: float) -> None:
        async def once() -> None:
            reader, writer = await _connect(web)
            try:
                writer.write(message)
                await reader.readuntil(b"\r\n\r\n")
            finally:
                writer.close()

        await _again(end, 3, once)

    return attack


async def nothing(rpc: str, web: str, end: float) -> None:
    """For comparison: what the honest sender finds on this machine."""
    await asyncio.sleep(end - time.monotonic())


async def invalid_protobuf(rpc: str, web: str, end: float) -> None:
    """64 kB of gzip, each of which holds 63 MiB that are no OTLP."""
    body = gzip.compress(b"\x0a\xff\xff\xff\x7f" + bytes(63 * MIB), 9)
    await _posts("x-protobuf", body, "gzip")(rpc, web, end)


async def invalid_json(rpc: str, web: str, end: float) -> None:
    """The same in JSON."""
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"null," * (12 * MIB) + b"null]}]}]}"
    await _posts("json", gzip.compress(body, 9), "gzip")(rpc, web, end)


async def dense_json(rpc: str, web: str, end: float) -> None:
    """A megabyte of spans that are empty objects, of which each takes forty times its size in memory."""
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * (MIB // 3) + b"{}]}]}]}"
    await _posts("json", gzip.compress(body, 9), "gzip")(rpc, web, end)


async def dense_protobuf(rpc: str, web: str, end: float) -> None:
    """A million spans of two bytes."""
    spans = b"\x12\x00" * 1_000_000
    for tag in b"\x12\x0a":
        spans = bytes([tag]) + _varint(len(spans)) + spans
    await _posts("x-protobuf", gzip.compress(spans, 9), "gzip")(rpc, web, end)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def _calls(size: int, number: int) -> Attack:
    """So many bytes over gRPC that are no OTLP, several at a time: gRPC has each three times at the end."""
    body = b"\x0a\xff\xff\xff\x7f" + bytes(size - 5)
    options = [("grpc.max_send_message_length", -1)]

    async def attack(rpc: str, web: str, end: float) -> None:
        async with grpc.aio.insecure_channel(rpc, options=options) as channel:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT)

            async def once() -> None:
                await call(body, timeout=10)

            await _again(end, number, once)

    return attack


def _values(day: int) -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    at = time.time_ns() - day * DAY_NS
    for _ in range(500):
        span = spans.add(name="faults.seen", start_time_unix_nano=at, end_time_unix_nano=at)
        for key in ("guild_id", "url.query", os.urandom(4).hex()):
            span.attributes.add(key=key).value.string_value = os.urandom(100).hex()
    return request.SerializeToString()


async def many_values(rpc: str, web: str, end: float) -> None:
    """Valid data of which no value comes twice, on each of seven days."""
    async with grpc.aio.insecure_channel(rpc) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT)
        day = 0

        async def once() -> None:
            nonlocal day
            day = (day + 1) % 7
            await call(_values(day), timeout=10)

        await _again(end, 2, once)


def _holding(number: int, *pieces: bytes, rest: bytes = b"", over_grpc: bool = False) -> Attack:
    """So many connections: each sends pieces, then `rest` every two seconds, and comes again when closed."""

    async def attack(rpc: str, web: str, end: float) -> None:
        async def once() -> None:
            reader, writer = await _connect(rpc if over_grpc else web)
            try:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                while time.monotonic() < end:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(2):
                            if not await reader.read(4096):
                                return
                    writer.write(rest)
            finally:
                writer.close()

        await _again(end, number, once)

    return attack


async def cancelled_streams(rpc: str, web: str, end: float) -> None:
    """GRPC calls that are cancelled as soon as they have begun."""
    async with grpc.aio.insecure_channel(rpc) as channel:
        method: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(EXPORT)

        async def once() -> None:
            call = method()
            await call.write(b"\x0a")
            call.cancel()

        await _again(end, 50, once)


def _frame(kind: int, flags: int = 0, stream: int = 0, content: bytes = b"") -> bytes:
    """RFC 9113, section 4.1."""
    return (
        len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content
    )


def _call(size: int, sent: int) -> bytes:
    """A gRPC call of a message of `size` bytes, of which the first ones come (RFC 7541, section 6.2.2)."""
    headers = (
        (":method", "POST"), (":scheme", "http"), (":path", EXPORT), (":authority", "x"),
        ("content-type", "application/grpc"), ("te", "trailers"),
    )  # fmt: skip
    head = b"".join(
        b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in header)
        for header in headers
    )
    begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4) + _frame(1, 4, 1, head)
    content = b"\0" + size.to_bytes(4, "big") + bytes(sent) if sent else b""
    return begin + b"".join(
        _frame(0, 0, 1, content[at : at + 16_000]) for at in range(0, len(content), 16_000)
    )


CHUNKED = HEAD.format("x-protobuf", "transfer-encoding: chunked").encode()
LARGE = HEAD.format("x-protobuf", f"content-length: {60 * MIB}").encode()
BYTE = b"1\r\n\x0a\r\n"
ATTACKS: dict[str, Attack] = {
    "none": nothing,
    "invalid protobuf": invalid_protobuf,
    "invalid JSON": invalid_json,
    "dense JSON": dense_json,
    "dense protobuf": dense_protobuf,
    "invalid gRPC": _calls(16 * MIB, 4),
    "too large gRPC": _calls(60 * MIB, 2),
    "many values": many_values,
    "silent calls": _holding(400, _call(0, 0), over_grpc=True),
    "stalled calls": _holding(100, _call(15 * MIB, 60_000), over_grpc=True),
    "dribbling bodies": _holding(1500, CHUNKED + BYTE, rest=BYTE),
    "stalled bodies": _holding(30, LARGE, bytes(8 * MIB), rest=b"\0"),
    "half a head": _holding(1500, b"POST /v1/tra", rest=b"c"),
    "cancelled streams": cancelled_streams,
    "half-open TLS": _holding(3000),
}
TLS = {"half-open TLS"}
"""Those for which OTLP/HTTP speaks TLS."""
