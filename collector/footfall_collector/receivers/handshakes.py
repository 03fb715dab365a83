"""TLS for connections that are counted before their handshake, and take little memory while they are idle."""

import asyncio
import ssl
from abc import ABC, abstractmethod
from asyncio.sslproto import SSLProtocol

HANDSHAKE_S, GOODBYE_S = 5, 5
"""Seconds in which a handshake must be done, and the end of a connection."""


class Inner(asyncio.Protocol, ABC):
    """What is spoken within TLS."""

    @abstractmethod
    def accepted(self, transport: asyncio.BaseTransport) -> bool:
        """Is asked before the handshake whether there is room for the connection."""

    @abstractmethod
    def closed(self) -> None:
        """Is told when the connection has ended, whether there was a handshake or not."""


class Handshake(SSLProtocol):
    """A connection with TLS.

    `loop.create_server(ssl=...)` makes the same, but says nothing of a connection until its handshake is
    done, waits for that for a minute, and gives each connection a buffer of 256 KiB.

    Args:
        inner: What is spoken within TLS.
        context: The listener's.
    """

    max_size = 2**13  # bytes

    def __init__(
        self, loop: asyncio.AbstractEventLoop, inner: Inner, context: ssl.SSLContext
    ) -> None:
        super().__init__(
            loop,
            inner,
            context,
            None,  # type: ignore[arg-type]  # nobody waits for it
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=GOODBYE_S,
        )
        self._inner = inner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins the handshake."""
        if self._inner.accepted(transport):
            super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Ends what is spoken within."""
        self._inner.closed()
        super().connection_lost(exc)
