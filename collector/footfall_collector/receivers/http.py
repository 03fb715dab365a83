"""OTLP/HTTP with protobuf and JSON bodies (OTLP specification, "OTLP/HTTP")."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from google.rpc import code_pb2, status_pb2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp

from footfall_collector.config.schema import HttpConfig
from footfall_collector.decoding.decoder import Decoder
from footfall_collector.receivers import (
    bodies,
    browser,
    cors,
    decompression,
    encodings,
    http_server,
    refusals,
)
from footfall_collector.receivers.api.table import Table
from footfall_collector.receivers.cors import signal_of
from footfall_collector.receivers.encodings import JSON, PROTOBUF, Encoding
from footfall_collector.receivers.intake import Intake
from footfall_collector.receivers.refusals import Answer, Refusal
from footfall_collector.security.tls import Tls
from footfall_collector.telemetry import telemetry
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.trace_context import HEADER, TraceContext, current

GRACE = 5
"""Seconds that requests in flight get when the server stops."""


@asynccontextmanager
async def serve(
    config: HttpConfig,
    intake: Intake,
    decoders: Sequence[Decoder],
    tls: Tls | None = None,
    *,
    shared: bool = False,
    api: Sequence[Route] = (),
    public: Sequence[BaseRoute] = (),
) -> AsyncIterator[str]:
    """Serves until the context ends, then lets requests in flight finish; yields host:port.

    Args:
        config: Where, how large a request may be, and which web pages may send.
        intake: Takes the requests.
        decoders: Of the signals that are served.
        tls: The listener's; plain text without.
        shared: Whether other processes listen on the same port.
        api: The routes of the HTTP API.
        public: What anybody may look at.

    Raises:
        StartError: the port cannot be had.
    """
    app = application(config, intake, decoders, api, public)
    context = tls.context if tls else None
    listening = http_server.listening(
        app,
        config.endpoint,
        "OTLP/HTTP",
        grace=GRACE,
        tls=context,
        shared=shared,
        garbage=lambda reason: intake.telemetry.refused(reason, "http"),
    )
    async with listening as address:
        yield address


def application(
    config: HttpConfig,
    intake: Intake,
    decoders: Sequence[Decoder],
    api: Sequence[Route] = (),
    public: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """The ASGI application: the signals' routes, the browser client's, the HTTP API's, and `public`."""
    # A redirect to the path without its slash would send a client to whatever host it named.
    otlp: ASGIApp = Router(
        [_route(intake, decoder, config.max_request_body_size) for decoder in decoders],
        redirect_slashes=False,
    )
    if config.cors:
        otlp = cors.Pages(otlp, config.cors, intake.telemetry)
    routes = [
        Mount("/v1", otlp),
        *browser.routes(),
        *api,
        *public,
    ]  # the API's for their methods alone
    app = Starlette(
        routes=routes, exception_handlers={HTTPException: _wrong_place(intake.telemetry)}
    )
    app.router.redirect_slashes = False
    return Table(api, app, lambda posts: _for_pages(posts, config, intake)) if api else app


def _for_pages(posts: ASGIApp, config: HttpConfig, intake: Intake) -> ASGIApp:
    """The HTTP API, for pages elsewhere as well where some may send."""
    if not config.cors:
        return posts
    headers = ["idempotency-key", "footfall-receipt", "footfall-receipt-token"]
    methods = ["GET", "POST", "DELETE"]
    return cors.Pages(posts, config.cors, intake.telemetry, headers, methods)


def _wrong_place(
    counting: telemetry.Telemetry,
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answers a path or method that is not served as every other error is, and counts it."""

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for no other
        counting.refused(Refused.PATH, "http", signal_of(request.url.path))
        status = status_pb2.Status(code=code_pb2.UNIMPLEMENTED, message=error.detail)
        headers = dict(error.headers or {})
        encoding = _encoding(request) or encodings.FALLBACK
        return _response(encoding, status, error.status_code, headers)

    return answer


def _route(intake: Intake, decoder: Decoder, max_bytes: int) -> Route:
    async def export(request: Request) -> Response:
        with intake.telemetry.request(decoder.signal.name, "http") as seen:
            encoding = _encoding(request) or encodings.FALLBACK
            try:
                return await _export(intake, decoder, request, max_bytes, seen)
            except Refusal as refusal:
                answer = refusal.answer
            except asyncio.CancelledError:
                # A stopping server waits no longer; uvicorn would answer 500, which loses the data.
                answer = refusals.unavailable("the collector is stopping", 1.0).answer
            except ClientDisconnect:
                seen.refused(Refused.GONE, 499)
                return Response(status_code=400)
            seen.refused(answer.reason, answer.http, answer.key)
            with suppress(asyncio.CancelledError):
                await intake.gate.pause(answer)
                await bodies.read_away(request)
            return _response(encoding, answer.status, answer.http, _headers(answer))

    return Route(f"/{decoder.signal.name}", export, methods=["POST"])


async def _export(
    intake: Intake, decoder: Decoder, request: Request, max_bytes: int, seen: telemetry.Request
) -> Response:
    current.set(TraceContext(request.headers.get(HEADER)))
    key = intake.gate.key(request.headers.get("authorization"))
    seen.key = key.name if key else ""
    encoding = _encoding(request)
    if encoding is None:
        message = f"the content type must be {PROTOBUF} or {JSON}"
        raise refusals.invalid(message, 415, Refused.MEDIA_TYPE)
    json = encoding.media_type == JSON
    # Not the address: whole offices share one.
    with intake.gate.open(key.id if key else request.scope["client"]) as passage:
        body = await passage.receive(bodies.read(request, max_bytes, passage))
        response = await intake.export(decoder, body, seen, key=key, json=json, take=passage.grow)
        return Response(encoding.write(response), media_type=encoding.media_type)


def _encoding(request: Request) -> Encoding | None:
    page = request.scope.get(cors.PAGE, False)
    return encodings.of(request.headers.get("content-type", ""), page=page)


def _headers(answer: Answer) -> dict[str, str]:
    if answer.reason is Refused.KEY:
        return {"www-authenticate": "Bearer"}
    if answer.reason is Refused.ENCODING:  # RFC 9110, sections 15.5.16 and 12.5.1
        return {"accept-encoding": decompression.ACCEPTED}
    if answer.reason is Refused.MEDIA_TYPE:
        return {"accept": f"{PROTOBUF}, {JSON}"}
    if answer.retry_after is None:
        return {}
    return {"retry-after": str(max(1, round(answer.retry_after)))}


def _response(
    encoding: Encoding, status: status_pb2.Status, code: int, headers: dict[str, str] | None = None
) -> Response:
    return Response(encoding.write(status), code, headers, encoding.media_type)
