"""An HTTP listener of the collector: uvicorn without its signals and logs, with limited patience."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from footfall_collector.receivers.listen import most_connections, open_socket

HEAD_S = 10.0
"""Seconds in which a request's head must have come, counted from its first byte or the connection."""


@asynccontextmanager
async def listening(
    app: ASGIApp,
    endpoint: str,
    what: str,
    *,
    grace: int,
    tls: ssl.SSLContext | None = None,
    shared: bool = False,
    garbage: Callable[[], None] = lambda: None,
) -> AsyncIterator[str]:
    """Serves `app` until the context ends, then lets requests under way finish; yields host:port.

    Args:
        app: ASGI.
        endpoint: host:port; port 0 takes a free one.
        what: The listener, for messages.
        grace: Seconds that requests under way get at the end.
        tls: Plain text without.
        shared: Whether other processes listen on the same port.
        garbage: Is called for each request that is no HTTP.

    Raises:
        StartError: the port cannot be had.
    """
    listener = open_socket(endpoint, what, shared=shared)
    config = uvicorn.Config(
        _by_path(app),
        http=type("Patient", (Patient,), {"garbage": staticmethod(garbage)}),
        ws="none",
        log_config=None,
        access_log=False,  # it would hold addresses, paths and queries
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=grace,
    )
    config.load()
    config.ssl = tls
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    host, port = listener.getsockname()[:2]
    try:
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


def _by_path(app: ASGIApp) -> ASGIApp:
    """Takes requests in absolute form too, as one for a proxy has it (RFC 9112, section 3.2.2)."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith("/"):
            _, _, rest = scope["path"].partition("://")
            scope["path"] = "/" + rest.partition("/")[2]
            scope["raw_path"] = scope["path"].encode()
        await app(scope, receive, send)

    return served


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the collector as a whole."""
        yield


class Patient(H11Protocol):
    """HTTP/1.1 that gives up connections which send no whole head, and those that are too many.

    uvicorn alone would keep a connection that has sent half a head, or nothing at all, for ever.
    """

    _late: asyncio.TimerHandle | None = None
    garbage: Callable[[], None]

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP."""
        self.garbage()
        super().send_400_response(msg)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
            return
        self._late = self.loop.call_later(HEAD_S, transport.close)

    def data_received(self, data: bytes) -> None:
        """Starts the clock at a head's first byte, and stops it at its last."""
        super().data_received(data)
        reading_head = self.cycle is None or self.cycle.response_complete
        if not reading_head:
            self._stop()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop()
        super().connection_lost(exc)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
