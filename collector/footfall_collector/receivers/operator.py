"""The operator's listener: the page, /metrics, /healthz, /readyz, /api; for who runs the collector.

On loopback it needs no key. Anywhere else, and wherever keys are configured, every request needs an
operator's key, or a login with one (guard.py).
"""

import ssl
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from footfall_collector.config.schema import OperatorConfig
from footfall_collector.errors import StartError
from footfall_collector.receivers import http_server
from footfall_collector.receivers.guard import STRANGER, Guard
from footfall_collector.receivers.login import LoginPages
from footfall_collector.receivers.sockets import split
from footfall_collector.security.hosts import Hosts, is_loopback
from footfall_collector.security.login import Logins
from footfall_collector.security.shares import Shares
from footfall_collector.telemetry.telemetry import Telemetry

GRACE = 1
"""Seconds that requests in flight get when the server stops."""


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
    logins: Logins | None = None,
    shares: Shares | None = None,
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
        logins: Of operators in browsers; they need keys.
        shares: Of links to single views; they need logins.

    Raises:
        StartError: the port cannot be had, or others could reach it and there are no keys.
    """
    if authorised is None and not is_loopback(split(config.endpoint)[0]):
        raise StartError(
            f"the operator's listener: {config.endpoint} can be reached by others",
            "set `service.operator.keys_file`, or an endpoint on 127.0.0.1",
        )
    encrypted = tls is not None or config.behind_tls
    door = LoginPages(logins, encrypted=encrypted) if logins else None
    pages = application(telemetry, status, alive, [*more, *(door.routes() if door else ())])
    app = Guard(pages, authorised, _hosts(config), door, shares)
    listening = http_server.listening(
        app, config.endpoint, "the operator's listener", grace=GRACE, tls=tls
    )
    async with listening as address:
        yield address


def _hosts(config: OperatorConfig) -> Hosts:
    """What browsers may call it."""
    also = (urlsplit(config.url or "").hostname, split(config.endpoint)[0])
    return Hosts(config.hosts, [name for name in also if name])


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
