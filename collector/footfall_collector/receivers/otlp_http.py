"""OTLP/HTTP with protobuf bodies (OTLP specification, "OTLP/HTTP")."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from google.rpc import code_pb2, status_pb2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from footfall_collector.receivers import browser
from footfall_collector.receivers.intake import MAX_BYTES, Intake, Refusal, Signal, invalid
from footfall_collector.receivers.listen import open_socket

PROTOBUF = "application/x-protobuf"
GRACE = 5
"""Seconds that requests under way get when the server stops."""


class _Answer(Exception):  # a response raised from deep within
    def __init__(self, code: int, status: status_pb2.Status, retry_after: float | None = None):
        super().__init__(status.message)
        headers = {"retry-after": str(max(1, round(retry_after)))} if retry_after else None
        self.response = Response(status.SerializeToString(), code, headers, PROTOBUF)


@asynccontextmanager
async def serve(endpoint: str, intake: Intake, signals: Sequence[Signal]) -> AsyncIterator[str]:
    """Serves until the context ends, then lets requests under way finish; yields host:port.

    Raises:
        StartError: the port cannot be had.
    """
    listener = open_socket(endpoint, "OTLP/HTTP")
    server = _Server(
        uvicorn.Config(
            application(intake, signals),
            log_config=None,
            access_log=False,  # it would hold addresses, paths and queries
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    host, port = listener.getsockname()[:2]
    try:
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the collector as a whole."""
        yield


def application(intake: Intake, signals: Sequence[Signal]) -> Starlette:
    """The ASGI application with one route per signal, and those of the browser client."""
    routes = [*(_route(intake, signal) for signal in signals), *browser.routes()]
    return Starlette(routes=routes, exception_handlers={HTTPException: _wrong_place})


async def _wrong_place(request: Request, error: Exception) -> Response:
    """A path or method that is not served, answered as every other error is."""
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for no other
    status = status_pb2.Status(code=code_pb2.UNIMPLEMENTED, message=error.detail)
    return Response(status.SerializeToString(), error.status_code, error.headers, PROTOBUF)


def _route(intake: Intake, signal: Signal) -> Route:
    async def export(request: Request) -> Response:
        try:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != PROTOBUF:
                raise _Answer(415, invalid(f"the content type must be {PROTOBUF}"))
            body = await _body(request)
            return Response(await intake.export(signal, body), media_type=PROTOBUF)
        except _Answer as answer:
            return answer.response
        except Refusal as refusal:
            code = 400 if refusal.retry_after is None else 503
            return _Answer(code, refusal.status, refusal.retry_after).response
        except ClientDisconnect:
            return Response(status_code=400)

    return Route(f"/v1/{signal.name}", export, methods=["POST"])


async def _body(request: Request) -> bytes:
    """The decompressed body, read and inflated in steps, so that its size is bounded throughout."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity", ""):
        raise _Answer(415, invalid("the content encoding must be gzip or identity"))
    inflate = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        try:
            part = inflate.decompress(chunk, MAX_BYTES + 1 - size) if inflate else chunk
        except zlib.error:
            raise _Answer(400, invalid("the body is not valid gzip")) from None
        if inflate and inflate.unused_data:  # it would be kept, however much of it there is
            raise _Answer(400, invalid("something follows the gzip body"))
        size += len(part)
        if size > MAX_BYTES:
            message = f"the request is larger than {MAX_BYTES} bytes; send smaller batches"
            raise _Answer(413, status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message=message))
        parts.append(part)
    if inflate and not inflate.eof:
        raise _Answer(400, invalid("the gzip body is cut short"))
    return b"".join(parts)
