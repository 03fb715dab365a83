"""What bench/overload.py loads the collector with: so many requests in flight, always, from one process.

A request that was taken is followed by another one at once, one that was refused after a part of the time
that its sender was told to wait: these are ruder than any SDK, so that refusing is work too.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from faults.sender import retry_info

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS = 512
CHANNELS = 4
"""gRPC connections of one process; a connection may have 256 requests at a time."""
TIMEOUT = 30.0
_MARK = b"0123456789abcdef"


class Answer(NamedTuple):
    """One request's end.

    Attributes:
        at: When, by the machine's monotonic clock in seconds.
        seconds: How long it took.
        taken: Whether it was acknowledged.
        hint: Seconds until it should come again, where the answer says so.
        problem: What else it was.
    """

    at: float
    seconds: float
    taken: bool
    hint: float | None
    problem: str


Send = Callable[[bytes], Awaitable[tuple[bool, float | None, str]]]
"""A request → whether it was taken, the hint, what else it was."""


def template() -> tuple[bytes, bytes]:
    """A request of SPANS spans, cut where its first trace id makes each one another request."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "flood"
    spans = resource.scope_spans.add().spans
    now = time.time_ns()
    for number in range(SPANS):
        span = spans.add(name="faults.seen", start_time_unix_nano=now, end_time_unix_nano=now + 5)
        span.trace_id = _MARK
        for key, value in (
            ("guild_id", str(10**17 + number)),
            ("provider", ("alttpr", "smz3")[number % 2]),
            ("user.name", f"player{number}"),
            ("client.address", f"10.0.{number % 256}.1"),
            ("http.user_agent", "Mozilla/5.0 (X11; Linux x86_64) " * 2),
        ):
            span.attributes.add(key=key).value.string_value = value
    head, _, tail = request.SerializeToString().partition(_MARK)
    return head, tail


def flood(
    protocol: str, address: str, in_flight: int, seconds: float, manners: float = 0.0
) -> list[Answer]:
    """Runs in a process of its own: keeps `in_flight` senders busy for so long; all answers.

    A sender waits `manners` times what it is told to.
    """
    connect = {"grpc": over_grpc, "http": over_http}[protocol]
    return asyncio.run(_flood(connect(address, in_flight), seconds, manners))


async def _flood(
    connected: AbstractAsyncContextManager[list[Send]], seconds: float, manners: float
) -> list[Answer]:
    head, tail = template()
    end = time.monotonic() + seconds
    answers: list[Answer] = []

    async def one(send: Send) -> None:
        while time.monotonic() < end:
            body = head + os.urandom(16) + tail
            began = time.monotonic()
            result = await send(body)
            now = time.monotonic()
            answers.append(Answer(now, now - began, *result))
            if wait := manners * (result[1] or 0.0):
                await asyncio.sleep(min(wait, max(0.0, end - now)))

    async with connected as sends:
        await asyncio.gather(*map(one, sends))
    return answers


@asynccontextmanager
async def over_grpc(address: str, number: int) -> AsyncIterator[list[Send]]:
    """A way for each request in flight; they share a few connections."""
    async with AsyncExitStack() as stack:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=options))
            for _ in range(CHANNELS)
        ]
        methods: list[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = [
            channel.unary_unary(EXPORT) for channel in channels
        ]

        async def send(
            method: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]", body: bytes
        ) -> tuple[bool, float | None, str]:
            try:
                await method(body, timeout=TIMEOUT)
            except grpc.aio.AioRpcError as error:
                hint = retry_info(error.trailing_metadata() or ())
                return (
                    False,
                    hint,
                    "" if hint is not None else f"gRPC {error.code().name}: {error.details()}",
                )
            return True, None, ""

        yield [partial(send, methods[each % CHANNELS]) for each in range(number)]


@asynccontextmanager
async def over_http(address: str, number: int) -> AsyncIterator[list[Send]]:
    """A connection for each request in flight."""
    connections = [_Connection(address) for _ in range(number)]
    try:
        yield [connection.send for connection in connections]
    finally:
        for connection in connections:
            connection.close()


class _Connection:
    """HTTP/1.1, kept open as long as the server does; a library would cost more than the request."""

    def __init__(self, address: str) -> None:
        self._host, _, self._port = address.partition(":")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, body: bytes) -> tuple[bool, float | None, str]:
        """See `Send`."""
        try:
            async with asyncio.timeout(TIMEOUT):
                status, headers = await self._exchange(body)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            return False, None, f"HTTP {type(error).__name__}"
        if status == 200:
            return True, None, ""
        hint = headers.get("retry-after")
        return False, float(hint) if hint else None, "" if hint else f"HTTP {status}"

    async def _exchange(self, body: bytes) -> tuple[int, dict[str, str]]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, int(self._port))
        reader, writer = self._streams
        writer.write(
            b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        writer.write(body)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return int(first.split()[1]), headers

    def close(self) -> None:
        """Closes it; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
