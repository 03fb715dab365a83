"""An HTTP/1.1 server on loopback that answers as it is told, well or badly."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    sent: bytes
    """The body as it came."""

    @property
    def body(self) -> bytes:
        return (
            gzip.decompress(self.sent) if "content-encoding" in self.headers else bytes(self.sent)
        )


Reply = bytes | Callable[[asyncio.StreamWriter], object]
"""Bytes that are written; or what is awaited, and does with the connection what it likes. b"" hangs up."""


@dataclass
class Server:
    """Attributes: `answer` makes the reply to a request; `requests` are those that came."""

    url: str = ""
    answer: Callable[[Request], Reply] = lambda _: OK
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def script(self, *replies: Reply) -> None:
        """Answers with these, and with OK when they are used up."""
        left = list(replies)
        self.answer = lambda _: left.pop(0) if left else OK


def status(code: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Server]:
    server = Server()
    tasks = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        tasks.add(task)
        try:
            while request := await _read(reader):
                server.requests.append(request)
                reply = server.answer(request)
                if not isinstance(reply, bytes):
                    await reply(writer)
                    return
                writer.write(reply)
                await writer.drain()
                if not reply:
                    return
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()
            tasks.discard(task)

    listener = await asyncio.start_server(connected, "127.0.0.1", port, ssl=tls)
    scheme = "https" if tls else "http"
    server.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    named = (line.split(":", 1) for line in lines)
    headers = {name.lower(): value.strip() for name, value in named}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)
