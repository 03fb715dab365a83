"""An HTTP listener of the collector: uvicorn without its signals and logs, with limited patience."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from footfall_collector.receivers import sockets as listen
from footfall_collector.receivers.connections import Connections
from footfall_collector.receivers.handshakes import Handshake, Inner
from footfall_collector.receivers.http_in_turn import InTurn
from footfall_collector.receivers.sockets import most_connections, open_socket
from footfall_collector.receivers.strangers import PREFACE, Http2, is_tls
from footfall_collector.telemetry.instruments import Refused

HEAD_S = 10.0
"""Seconds in which a request's head must have come, counted from its first byte or the connection."""
TAKES_S = 30.0
"""Seconds in which somebody must take what waits for them; who takes nothing is given up."""
AT_ONCE, QUEUED = 64, 4096
"""Connections that are accepted in one go, before any is looked at, and that wait in the kernel."""
READ = 2**16
"""Bytes that are read of a connection before it is the next one's turn; with asyncio's 256 KiB, many that
send at full speed keep the others waiting."""
TURN_AWAY_S, TURNED_AWAY = 1.0, 32
"""Seconds in which a sender for whom there is no room may read that, and how many may at a time."""
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@asynccontextmanager
async def listening(
    app: ASGIApp,
    endpoint: str,
    what: str,
    *,
    grace: int,
    tls: ssl.SSLContext | None = None,
    shared: bool = False,
    garbage: Callable[[Refused], None] = lambda _: None,
) -> AsyncIterator[str]:
    """Serves `app` until the context ends, then lets requests in flight finish; yields host:port.

    Args:
        app: ASGI.
        endpoint: host:port; port 0 takes a free one.
        what: The listener, for messages.
        grace: Seconds that requests in flight get at the end.
        tls: Plain text without.
        shared: Whether other processes listen on the same port.
        garbage: Is called for each request that is no HTTP/1.1, with the reason.

    Raises:
        StartError: the port cannot be had.
    """
    listener = open_socket(endpoint, what, shared=shared)
    config = uvicorn.Config(
        app,
        http=InTurn,  # as `_protocols` makes them
        ws="none",
        log_config=None,
        access_log=False,  # it would hold addresses, paths and queries
        server_header=False,
        proxy_headers=False,  # whoever is at the other end would say who that is
        lifespan="off",
        timeout_graceful_shutdown=grace,
        backlog=AT_ONCE,
    )
    config.load()
    config.http_protocol_class = _protocols(garbage, tls)  # type: ignore[assignment]
    server = _Server(config)
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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(QUEUED)


def _protocols(
    garbage: Callable[[Refused], None], tls: ssl.SSLContext | None
) -> Callable[..., asyncio.BaseProtocol]:
    """Makes a connection's protocol; the connections of the listener share one count."""
    connections = Connections(
        lambda: min(most_connections(), listen.MOST_TLS) if tls else most_connections()
    )

    def protocol(**options: Any) -> asyncio.BaseProtocol:
        patient = Patient(connections, garbage, **options)
        return Handshake(asyncio.get_running_loop(), patient, tls) if tls else patient

    return protocol


class Patient(InTurn, Inner):
    """HTTP/1.1 that gives up connections which send no whole head, and those that are too many.

    uvicorn alone would keep a connection that has sent half a head, or nothing at all, for ever.

    Args:
        connections: All of the listener.
        garbage: Is called for each request that is no HTTP/1.1, with the reason.
        options: uvicorn's.
    """

    def __init__(
        self, connections: Connections, garbage: Callable[[Refused], None], **options: Any
    ) -> None:
        super().__init__(**options)
        self._all, self._garbage = connections, garbage
        self._late: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._below: asyncio.BaseTransport | None = None
        self._begun = self._is_tls = False
        self._stranger: Http2 | None = None

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP."""
        self._garbage(Refused.PROTOCOL if self._is_tls else Refused.INVALID)
        super().send_400_response(msg)

    def accepted(self, transport: asyncio.BaseTransport) -> bool:
        """Counts the connection; one for which there is no room is turned away."""
        self._below = transport
        transport.max_size = READ  # type: ignore[attr-defined]  # asyncio's, for sockets
        if self._all.enter(self):
            return True
        self._turn_away(transport)
        return False

    def give_way(self) -> None:
        """Closes the connection, whose sender has kept us waiting, for another one."""
        self._stop()
        if self.transport is not None and self._is_arriving():
            self.transport.write(BUSY)
        if isinstance(self._below, asyncio.WriteTransport):
            self._below.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock."""
        if self._below is None and not self.accepted(transport):
            return
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_S, transport.close)

    def data_received(self, data: bytes) -> None:
        """Takes what came of somebody for whom there is room, and who speaks HTTP/1.1."""
        if self in self._all.turned_away or self._is_strange(data):
            return
        former = self.cycle
        super().data_received(data)
        self._watch(former)

    def pause_writing(self) -> None:
        """Gives up who takes nothing of an answer."""
        super().pause_writing()
        if isinstance(self._below, asyncio.WriteTransport):
            self._stuck = self.loop.call_later(TAKES_S, self._below.abort)

    def resume_writing(self) -> None:
        """They have taken it."""
        self._take()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Waits for the next request, unless it has come."""
        former = self.cycle
        self._all.wait(self)
        super().on_response_complete()
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self._watch(former)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self.closed()
        if self.transport is not None:
            super().connection_lost(exc)

    def closed(self) -> None:
        """Makes room for another."""
        self._stop()
        self._take()
        self._all.leave(self)

    def _watch(self, former: RequestResponseCycle | None) -> None:
        """Starts the clock at a head's first byte, and stops it at its last."""
        if self.cycle is None or self.cycle.response_complete:
            if self._late is None:
                self._late = self.loop.call_later(HEAD_S, self.transport.close)
            return
        self._stop()
        if not self.cycle.more_body:
            self._all.work(self)
        elif self.cycle is not former:
            self._all.wait(self)

    def _is_strange(self, data: bytes) -> bool:
        """Takes what a sender has to say that speaks HTTP/2; the clock of its connection goes on."""
        if not self._begun:
            self._begun, self._is_tls = True, is_tls(data)
            if data.startswith(PREFACE):
                self._garbage(Refused.PROTOCOL)
                self._stranger, data = Http2(self.transport), data[len(PREFACE) :]
        if self._stranger is not None:
            self._stranger.feed(data)
        return self._stranger is not None

    def _is_arriving(self) -> bool:
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_started

    def _turn_away(self, transport: asyncio.BaseTransport) -> None:
        """Says when to retry; closed at once, what it has sent meanwhile would reset the answer."""
        if not isinstance(transport, asyncio.WriteTransport):
            return
        if transport.get_protocol() is not self or len(self._all.turned_away) >= TURNED_AWAY:
            transport.abort()  # a handshake would cost too much
            return
        self._all.turned_away.add(self)
        transport.write(BUSY)
        transport.write_eof()
        self._late = self.loop.call_later(TURN_AWAY_S, transport.abort)

    def _take(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
