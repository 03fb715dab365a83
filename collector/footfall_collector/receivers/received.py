"""How much a TCP connection has received, as the kernel counts it (tcp(7), TCP_INFO; linux/tcp.h)."""

import os
import socket
import sys
import time
from contextlib import suppress
from urllib.parse import unquote

_TCP_INFO = 11
_BYTES_RECEIVED = slice(128, 136)
"""Of struct tcp_info: tcpi_bytes_received, since Linux 4.1."""
_MAPPED = "::ffff:"
"""How an IPv4 address begins that comes to an IPv6 socket (RFC 4291, section 2.5.5.2)."""
_Peer = tuple[str, int]


class Connections:
    """This process's connections, found by their peers among its open files.

    gRPC opens its sockets itself, and names a connection by its peer alone.
    """

    def __init__(self) -> None:
        self._files: dict[_Peer, int] = {}
        self._next_search = 0.0

    def received(self, peer: str) -> int | None:
        """Bytes that a connection has received since it was made; None where that is not known (yet).

        Args:
            peer: As gRPC writes it, `ipv4:192.0.2.1:4711`.
        """
        wanted = _parsed(peer)
        file = self._files.get(wanted)
        if file is None:
            return None
        with suppress(OSError):
            connection = _borrowed(file)
            try:
                if (
                    _normal(connection.getpeername()) == wanted
                ):  # the file's number may be another's now
                    return _bytes_received(connection)
            finally:
                connection.detach()
        del self._files[wanted]
        return None

    def search(self) -> None:
        """Finds the connections that there are now; not too often, because each takes microseconds."""
        begun = time.monotonic()
        if begun < self._next_search or sys.platform != "linux":
            return
        self._files = {
            peer: file
            for file in map(int, os.listdir("/proc/self/fd"))
            if (peer := _peer(file)) is not None
        }
        now = time.monotonic()
        self._next_search = now + 50 * (now - begun)


def _parsed(peer: str) -> _Peer:
    _, _, address = unquote(peer).partition(":")
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port) if port.isdecimal() else 0


def _normal(address: tuple[str, int]) -> _Peer:
    return address[0].removeprefix(_MAPPED), address[1]


def _borrowed(file: int) -> socket.socket:
    """A socket object of a file that is not ours to close: it has to be detached."""
    return socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 0, fileno=file)


def _peer(file: int) -> _Peer | None:
    try:
        connection = _borrowed(file)
    except OSError:
        return None
    try:
        address = connection.getpeername()
        return _normal(address) if isinstance(address, tuple) else None
    except OSError:  # no socket, or one that is not connected
        return None
    finally:
        connection.detach()


def _bytes_received(connection: socket.socket) -> int | None:
    found = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_RECEIVED.stop)
    counted = found[_BYTES_RECEIVED]
    return int.from_bytes(counted, sys.byteorder) if len(counted) == 8 else None
