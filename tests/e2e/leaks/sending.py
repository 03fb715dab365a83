"""Three ways to send, and every byte that comes back."""

import asyncio
import gzip
import struct
from collections import defaultdict
from collections.abc import Iterator
from functools import cache, lru_cache

import grpc
import httpx

from e2e.leaks.planting import Book, Place
from support.otlp import METHODS, RESPONSES, as_json

WAYS = ("grpc", "protobuf", "json")
SENDER = "127.183.141.207"
"""Where HTTP requests come from: an address that nobody else has."""
SILENCE = 0.5
"""Seconds in which something would have come back."""
TYPES = {"protobuf": "application/x-protobuf", "json": "application/json"}


class Senders:
    """Sends to one collector.

    Attributes:
        answers: What came back, by situation, way and signal.
        codes: How each was answered: a gRPC code's name, an HTTP status, or PARTIAL.
    """

    def __init__(self, rpc: str, http: str, operator: str, key: str, book: Book) -> None:
        self.rpc, self.http, self.operator, self.key, self.book = rpc, http, operator, key, book
        self.answers: dict[str, bytes] = {}
        self.codes: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )
        agent = Place(book, "gRPC channel").text("user agent")
        self._options = [("grpc.primary_user_agent", agent), ("grpc.use_local_subchannel_pool", 1)]

    async def send(
        self,
        situation: str,
        way: str,
        signal: str,
        body: bytes,
        *,
        key: str | None = None,
        encoded: bool = False,
        compressed: bool = False,
        **headers: str,
    ) -> str:
        """Sends a request over a connection of its own, so that any worker may get it.

        Args:
            situation: Under which the answer is kept.
            way: `grpc`, `protobuf` or `json`.
            signal: `traces`, `metrics` or `logs`.
            body: Encoded protobuf.
            key: In place of the valid one.
            encoded: Whether `body` is what is sent, instead.
            compressed: Sends it with gzip.
            headers: In place of others; underscores stand for hyphens.

        Returns:
            As in `codes`.
        """
        if way == "json" and not encoded:
            body = _as_json(signal, body)
        planted = {"authorization": f"Bearer {key or self.key}"}
        planted |= self._headers(situation, way, signal)
        planted |= {name.replace("_", "-"): value for name, value in headers.items()}
        if way == "grpc":
            code = await self._call(situation, signal, body, planted, compressed)
        else:
            path = f"/v1/{signal}?token={planted['x-query']}"
            if compressed:
                body, planted["content-encoding"] = gzip.compress(body), "gzip"
            planted = {"content-type": TYPES[way], **planted}
            response = await self.post(f"{situation} / {way} / {signal}", path, body, planted)
            code = str(response.status_code)
            if code == "200" and b"artial" in _decoded(response, signal):
                code = "PARTIAL"
        self.codes[situation][way, signal].add(code)
        return code

    @cache  # noqa: B019  # it lives as long as the test
    def _headers(self, situation: str, way: str, signal: str) -> dict[str, str]:
        """The same for all requests of a situation; also what is said in the path."""
        return dict(_headers(Place(self.book, situation, way, signal, "header")))

    async def call(self, name: str, method: str, body: bytes, metadata, compression=None) -> str:
        """A gRPC call; its code's name."""
        async with grpc.aio.insecure_channel(self.rpc, options=self._options) as channel:
            call = channel.unary_unary(method)(
                body, metadata=[*metadata.items()], compression=compression, timeout=30
            )
            parts = [repr(await call.initial_metadata())]
            parts += [repr(await call.trailing_metadata()), str(await call.details())]
            code = (await call.code()).name
            answer = await call if code == "OK" else b""
        self._keep(name, "\n".join([code, *parts]).encode() + b"\n" + answer)
        return code if not answer else "PARTIAL"

    async def _call(self, situation, signal, body, metadata, compressed) -> str:
        name = f"{situation} / grpc / {signal}"
        del metadata["user-agent"]  # the channel has one
        metadata["x-user-bin"] = Place(self.book, name).text("binary metadata").encode()
        compression = grpc.Compression.Gzip if compressed else None
        return await self.call(name, METHODS[signal], body, metadata, compression)

    async def post(
        self, name: str, path: str, content, headers, *, method: str = "POST", base: str = ""
    ) -> httpx.Response:
        transport = httpx.AsyncHTTPTransport(local_address=SENDER, verify=False)
        async with httpx.AsyncClient(
            base_url=f"http://{base or self.http}", transport=transport, timeout=30
        ) as client:
            response = await client.request(method, path, content=content, headers=headers)
        head = "\n".join(f"{name}: {value}" for name, value in response.headers.multi_items())
        self._keep(name, f"{response.status_code}\n{head}\n\n".encode() + response.content)
        return response

    async def raw(self, name: str, address: str, data: bytes, until: bytes | None = None) -> bytes:
        """What comes back for these very bytes: all until the end, or some silence.

        Args:
            name: Under which it is kept.
            address: host:port.
            data: What is sent.
            until: What is waited for.
        """
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, port, local_addr=(SENDER, 0))
        answer = b""
        try:
            writer.write(data)
            await writer.drain()
            while until is None or until not in answer:
                piece = await asyncio.wait_for(reader.read(65536), SILENCE if until is None else 3)
                if not piece:
                    break
                answer += piece
        except (TimeoutError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
        self._keep(name, answer)
        return answer

    def _keep(self, name: str, answer: bytes) -> None:
        # Between two answers there must be nothing that makes one text of both.
        self.answers[name] = self.answers.get(name, b"") + answer + b"\0\n"


_as_json = lru_cache(as_json)


def _headers(place: Place) -> Iterator[tuple[str, str]]:
    """What clients, browsers and proxies say of a sender; all of it lower case, as gRPC wants it."""
    yield "user-agent", place.text("user-agent")
    yield "cookie", f"session={place.text('cookie')}"
    yield "referer", place.of("url", "referer")
    yield "x-forwarded-for", place.of("ipv4", "x-forwarded-for")
    yield "forwarded", f'for="[{place.of("ipv6", "forwarded")}]"'
    yield "from", place.of("email", "from")
    yield "x-api-key", place.of("key", "x-api-key")
    yield "traceparent", f"00-{place.text('traceparent')}-{place.text('parent')}-01"
    yield "tracestate", f"vendor={place.text('tracestate')}"
    yield "baggage", f"user={place.text('baggage')}"
    yield "x-query", place.text("query")


def _decoded(response: httpx.Response, signal: str) -> bytes:
    """Something with `artial` in it when there is a partial success."""
    if response.headers["content-type"] == TYPES["json"]:
        return response.content
    return str(RESPONSES[signal].FromString(response.content)).encode()


def http2_call(method: str, metadata: dict[str, str], message: bytes, *, compressed: bool) -> bytes:
    """A gRPC request as no client library sends it (RFC 9113; RFC 7541, 6.2.2; gRPC over HTTP/2).

    Args:
        method: Its path.
        metadata: Headers beside those that must be.
        message: The content, framed here.
        compressed: What the frame says of it.
    """
    head = {":method": "POST", ":scheme": "http", ":path": method, ":authority": "localhost"}
    head |= {"content-type": "application/grpc", "te": "trailers"} | metadata
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in head.items())
    framed = struct.pack(">?I", compressed, len(message)) + message
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + _frame(4, 0, 0, b"")
        + _frame(1, 4, 1, block)  # HEADERS, END_HEADERS
        + _frame(0, 1, 1, framed)  # DATA, END_STREAM
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(text: str) -> bytes:
    """A string literal (RFC 7541, 5.2), without Huffman coding."""
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()
