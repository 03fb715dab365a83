"""OTLP/HTTP with protobuf and JSON bodies (OTLP specification, "OTLP/HTTP")."""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from google.rpc import code_pb2, status_pb2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp

from footfall_collector.config import MAX_BYTES, CorsConfig
from footfall_collector.otlp_json import MOST_OBJECTS
from footfall_collector.receivers import browser, encodings
from footfall_collector.receivers.encodings import JSON, PROTOBUF, Encoding
from footfall_collector.receivers.intake import Intake, Refusal, Signal, invalid
from footfall_collector.receivers.listen import open_socket

GRACE = 5
"""Seconds that requests under way get when the server stops."""


class _Refused(Exception):  # an answer, not a fault
    def __init__(self, code: int, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.code, self.status = code, status


@asynccontextmanager
async def serve(
    endpoint: str,
    intake: Intake,
    signals: Sequence[Signal],
    max_bytes: int = MAX_BYTES,
    cors: CorsConfig | None = None,
) -> AsyncIterator[str]:
    """Serves until the context ends, then lets requests under way finish; yields host:port.

    Args:
        endpoint: host:port; port 0 takes a free one.
        intake: Takes the requests.
        signals: Which are served.
        max_bytes: Of one request's body, after decompression.
        cors: Which web pages may send; none without.

    Raises:
        StartError: the port cannot be had.
    """
    listener = open_socket(endpoint, "OTLP/HTTP")
    server = _Server(
        uvicorn.Config(
            application(intake, signals, max_bytes, cors),
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


def application(
    intake: Intake,
    signals: Sequence[Signal],
    max_bytes: int = MAX_BYTES,
    cors: CorsConfig | None = None,
) -> Starlette:
    """The ASGI application with one route per signal, and those of the browser client."""
    # A redirect to the path without its slash would send a client to whatever host it named.
    otlp: ASGIApp = Router(
        [_route(intake, signal, max_bytes) for signal in signals], redirect_slashes=False
    )
    routes = [Mount("/v1", _with_cors(otlp, cors) if cors else otlp), *browser.routes()]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _wrong_place})
    app.router.redirect_slashes = False
    return app


def _with_cors(app: ASGIApp, cors: CorsConfig) -> ASGIApp:
    """`app`, answering browsers that ask before they send (Fetch standard, "CORS protocol")."""
    any_of = "|".join(re.escape(origin).replace(r"\*", ".*") for origin in cors.allowed_origins)
    return CORSMiddleware(
        app,
        allow_origin_regex=any_of,
        allow_methods=["POST"],
        allow_headers=["content-type", "content-encoding", *cors.allowed_headers],
        expose_headers=["retry-after"],
        max_age=cors.max_age,
    )


async def _wrong_place(request: Request, error: Exception) -> Response:
    """A path or method that is not served, answered as every other error is."""
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for no other
    status = status_pb2.Status(code=code_pb2.UNIMPLEMENTED, message=error.detail)
    headers = dict(error.headers or {})
    return _answer(_encoding(request) or encodings.FALLBACK, status, error.status_code, headers)


def _route(intake: Intake, signal: Signal, max_bytes: int) -> Route:
    async def export(request: Request) -> Response:
        encoding = _encoding(request)
        if encoding is None:
            wrong = invalid(f"the content type must be {PROTOBUF} or {JSON}")
            return _answer(encodings.FALLBACK, wrong, 415)
        try:
            body = await _body(request, max_bytes)
            if encoding.media_type == JSON and body.count(b"{") > MOST_OBJECTS:
                raise _too_large(f"the request has more than {MOST_OBJECTS} objects")
            response = await intake.export(signal, body, json=encoding.media_type == JSON)
            return Response(encoding.write(response), media_type=encoding.media_type)
        except _Refused as refused:
            return _answer(encoding, refused.status, refused.code)
        except Refusal as refusal:
            if refusal.retry_after is None:
                return _answer(encoding, refusal.status, 400)
            seconds = str(max(1, round(refusal.retry_after)))
            return _answer(encoding, refusal.status, 503, {"retry-after": seconds})
        except ClientDisconnect:
            return Response(status_code=400)

    return Route(f"/{signal.name}", export, methods=["POST"])


def _encoding(request: Request) -> Encoding | None:
    return encodings.of(request.headers.get("content-type", ""))


def _answer(
    encoding: Encoding, status: status_pb2.Status, code: int, headers: dict[str, str] | None = None
) -> Response:
    return Response(encoding.write(status), code, headers, encoding.media_type)


def _too_large(what: str) -> _Refused:
    message = f"{what}; send smaller batches"
    return _Refused(413, status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message=message))


async def _body(request: Request, max_bytes: int) -> bytes:
    """The decompressed body, read and inflated in steps, so that its size is bounded throughout."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity", ""):
        raise _Refused(415, invalid("the content encoding must be gzip or identity"))
    inflate = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        try:
            part = inflate.decompress(chunk, max_bytes + 1 - size) if inflate else chunk
        except zlib.error:
            raise _Refused(400, invalid("the body is not valid gzip")) from None
        if inflate and inflate.unused_data:  # it would be kept, however much of it there is
            raise _Refused(400, invalid("something follows the gzip body"))
        size += len(part)
        if size > max_bytes:
            raise _too_large(f"the request is larger than {max_bytes} bytes")
        parts.append(part)
    if inflate and not inflate.eof:
        raise _Refused(400, invalid("the gzip body is cut short"))
    return b"".join(parts)
