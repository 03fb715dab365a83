"""The operator's listener: the page, /metrics, /healthz, /readyz, /api; for who runs the collector.

On loopback it needs no key, and then refuses requests that name another host: a web page could make its
visitor's browser send them (DNS rebinding). Anywhere else, and wherever keys are configured, every request
needs an operator's key; probes without one can ask gRPC health instead (receivers/health.py).
"""

import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from footfall_collector.config.schema import OperatorConfig
from footfall_collector.errors import StartError
from footfall_collector.receivers import http_server
from footfall_collector.receivers.sockets import split
from footfall_collector.security.keys import bearer
from footfall_collector.telemetry.telemetry import Telemetry

GRACE = 1
"""Seconds that requests in flight get when the server stops."""
HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


class NotReady(StrEnum):
    """Why no requests should be sent here now."""

    STARTING = "starting"
    STORE = "store_unreachable"
    DRAINING = "draining"


ADVICE = {
    NotReady.STARTING: "wait; if it stays, read the collector's log",
    NotReady.STORE: "Postgres is away and nothing can be spooled; start it, or check the DSN",
    NotReady.DRAINING: "the collector is stopping; send to another one",
}


@asynccontextmanager
async def serve(
    config: OperatorConfig,
    telemetry: Telemetry,
    status: Callable[[], Collection[NotReady]],
    authorised: Callable[[str | None], bool] | None = None,
    tls: ssl.SSLContext | None = None,
    alive: Callable[[], bool] = lambda: True,
    more: Sequence[Route] = (),
) -> AsyncIterator[str]:
    """Serves until the context ends; yields host:port.

    Args:
        config: Where.
        telemetry: What /metrics shows.
        status: Why the collector is not ready; empty when it is.
        authorised: Whether a bearer token (None without one) is an operator's; None when there are no keys.
        tls: Plain text without.
        alive: Whether a restart of the process would not help.
        more: What is served beside, to the same people.

    Raises:
        StartError: the port cannot be had, or others could reach it and there are no keys.
    """
    if authorised is None and not _is_loopback(split(config.endpoint)[0]):
        raise StartError(
            f"the operator's listener: {config.endpoint} can be reached by others",
            "set `service.operator.keys_file`, or an endpoint on 127.0.0.1",
        )
    app = _Guard(application(telemetry, status, alive, more), authorised)
    listening = http_server.listening(
        app, config.endpoint, "the operator's listener", grace=GRACE, tls=tls
    )
    async with listening as address:
        yield address


def application(
    telemetry: Telemetry,
    status: Callable[[], Collection[NotReady]],
    alive: Callable[[], bool],
    more: Sequence[Route] = (),
) -> Starlette:
    """The pages, without the guard."""

    async def metrics(request: Request) -> Response:
        # Of what Prometheus offers to take, nothing but the name is looked at: our names need no escaping.
        wanted = "application/openmetrics-text" in request.headers.get("accept", "")
        content = telemetry.scrape(as_openmetrics=wanted)
        kind = OPENMETRICS if wanted else CONTENT_TYPE_PLAIN_0_0_4
        return Response(content, headers={"content-type": kind})

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": alive()}, 200 if alive() else 503)

    async def readyz(request: Request) -> Response:
        found = sorted(status())
        said: dict[str, Any] = {"ready": not found}
        if not request.scope.get(STRANGER):
            why = [{"reason": reason, "advice": ADVICE[reason]} for reason in found]
            said |= {"reasons": why}
        return JSONResponse(said, 503 if found else 200)

    pages = {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz}
    routes = [Route(path, page, methods=["GET"]) for path, page in pages.items()]
    app = Starlette(routes=[*routes, *more], exception_handlers={HTTPException: _no_page})
    app.router.redirect_slashes = False
    return app


async def _no_page(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for no other
    text = "there are / (a page), /metrics, /healthz, /readyz, /api/reports/NAME and /api/live, for GET"
    return PlainTextResponse(text, error.status_code, error.headers)


PROBES = ("/healthz", "/readyz")
"""Whether it lives, and is ready, is said without a key, as over gRPC: what asks (Docker, Kubernetes, load
balancers) has none. Why it is not ready, operators are told."""
STRANGER = "footfall.stranger"
"""In the scope of such a request."""


class _Guard:
    """Lets in who may, and adds the security headers to every answer that has none of its own."""

    def __init__(self, app: ASGIApp, authorised: Callable[[str | None], bool] | None) -> None:
        self._app, self._authorised = app, authorised

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                added = [each for each in HEADERS.items() if each[0] not in own]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        if refusal is not None and self._authorised is not None and scope["path"] in PROBES:
            scope[STRANGER], refusal = True, None
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, headers: Headers) -> Response | None:
        if self._authorised is not None:
            if self._authorised(bearer(headers.get("authorization"))):
                return None
            text = "send an operator's key as `Authorization: Bearer ...` (`footfall keys new --operator`)"
            return PlainTextResponse(text, 401, {"www-authenticate": "Bearer"})
        named = headers.get("host", "")
        # What the browser that may be asking believes that it talks to.
        host = named[1 : named.find("]")] if named.startswith("[") else named.partition(":")[0]
        if _is_loopback(host):
            return None
        return PlainTextResponse("the Host header must name this machine, e.g. localhost", 421)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
