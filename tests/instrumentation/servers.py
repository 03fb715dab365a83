"""Servers on loopback, each in a thread of its own, for as long as a `with` block lasts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn


@contextmanager
def serving(server: BaseServer) -> Iterator[str]:
    """Serves with a server of the standard library; yields its URL."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = False


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def wsgi_server(app: Any) -> Iterator[str]:
    """Serves a WSGI application with the standard library's server; yields its URL."""
    with serving(make_server("127.0.0.1", 0, app, _Threads, _Silent)) as url:
        yield url


@contextmanager
def asgi_server(app: Any) -> Iterator[str]:
    """Serves an ASGI application with uvicorn; yields its URL."""
    config = uvicorn.Config(
        app, port=0, log_config=None, access_log=False, loop="asyncio", ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    ready = threading.Event()
    startup = server.startup

    async def started(*args: Any, **kwargs: Any) -> None:
        await startup(*args, **kwargs)
        ready.set()

    server.startup = started  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert ready.wait(10)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
