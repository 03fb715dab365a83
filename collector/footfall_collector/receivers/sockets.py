"""Opening listening sockets, and saying plainly why one cannot be opened."""

import errno
import resource
import socket

from footfall_collector.errors import StartError

MOST_CONNECTIONS, MOST_TLS = 8192, 1024
"""At a listener; an idle one takes 7 kB over HTTP, 15 kB over gRPC. And at one of HTTP with TLS, where it
takes up to 50 kB."""


def cannot_listen(endpoint: str, what: str, error: OSError | None = None) -> StartError:
    """Why a port cannot be had."""
    host, port = split(endpoint)
    if error is None:
        try:
            open_socket(endpoint, what).close()
        except StartError as found:
            return StartError(found.found, found.advice)
    number = error.errno if error else errno.EADDRINUSE
    if number == errno.EADDRINUSE:
        return StartError(
            f"{what}: port {port} on {host} is in use, perhaps by another collector",
            "stop that one, or set another endpoint",
        )
    if number == errno.EACCES:
        refused = f"{what}: port {port} may not be opened by this user"
        return StartError(refused, "use one from 1024 on")
    reason = error.strerror if error and error.strerror else "the address is not valid here"
    return StartError(f"{what}: cannot listen on {endpoint}: {reason}", "set another endpoint")


def most_connections() -> int:
    """How many connections a listener takes at once; more are closed as they come.

    A quarter of the files that the process may have open: there are three listeners, and the rest is for
    the store, the spool and subscribers.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(files // 4, MOST_CONNECTIONS)
    )


def split(endpoint: str) -> tuple[str, int]:
    """`host:port` → (host, port); an IPv6 host loses its brackets."""
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), int(port)


def open_socket(endpoint: str, what: str, *, shared: bool = False) -> socket.socket:
    """A listening TCP socket, whose connections send at once what is written to them.

    An answer's body would otherwise wait until its head is acknowledged, which clients put off for 40 ms.
    asyncio sees to that by itself, but takes what `create_server` makes for no socket of TCP.

    Args:
        endpoint: host:port.
        what: The listener, for messages.
        shared: Whether other processes of this collector listen on the same port (SO_REUSEPORT).

    Raises:
        StartError: it cannot be opened.
    """
    host, port = split(endpoint)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server(
            (host, port), family=family, backlog=1024, reuse_port=shared
        )
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # and theirs, who come in
        return listener
    except OSError as error:
        raise cannot_listen(endpoint, what, error) from None
