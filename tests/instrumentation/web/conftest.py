"""Real servers on loopback for the applications under test, and a catalog with rules for their routes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx
import pytest
import uvicorn

CATALOG = """
product: shop
error_types: [bad_request, sold_out]
attributes:
  status_class: {type: enum, values: [1xx, 2xx, 3xx, 4xx, 5xx]}
events:
  seed.get:
    surface: api
    feature: seed
    match: [{route: "GET /seeds/{id}"}, {route: "GET /seeds/<int:id>"}, {route: "GET /seeds/<int:id>/"}]
  seed.answer:
    surface: api
    feature: answer
    attributes: [status_class]
    match: [{route: "* /answer/{status}"}, {route: "* /answer/<int:status>"}]
  seed.raise:
    surface: api
    feature: raise
    match: [{route: "GET /raise/{kind}"}, {route: "GET /raise/<kind>"}]
  seed.stream:
    surface: api
    feature: stream
    match: [{route: "GET /stream"}]
  seed.slow:
    surface: api
    feature: slow
    match: [{route: "GET /slow"}]
  seed.made: {surface: api, feature: made}
  seed.inner: {surface: api, feature: inner}
  login.done:
    surface: web
    feature: login
    actions: [callback, failure]
    match: [{route: "GET /callback", action: callback}]
  admin.page:
    surface: web
    feature: admin
    match: [{route: "GET /admin/*"}]
  room.join:
    surface: web
    feature: room
    match: [{route: "GET /rooms/{name}"}]
  shop.item:
    surface: api
    feature: item
    match: [{route: "GET /shops/{shop}/items/{item}"}]
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """The file of the catalog above."""
    path = tmp_path / "events.yaml"
    path.write_text(CATALOG)
    return path


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


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = False


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def wsgi_server(app: Any) -> Iterator[str]:
    """Serves a WSGI application with the standard library's server; yields its URL."""
    with make_server("127.0.0.1", 0, app, _Threads, _Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


Serve = Callable[[Any], httpx.Client]


def _serve(server: Callable[[Any], Any]) -> Iterator[Serve]:
    with ExitStack() as stack:

        def serve(app: Any) -> httpx.Client:
            url = stack.enter_context(server(app))
            # A new connection for each request: servers close the one on which an application raised.
            limits = httpx.Limits(max_keepalive_connections=0)
            return stack.enter_context(
                httpx.Client(base_url=url, trust_env=False, timeout=10, limits=limits, verify=False)
            )

        yield serve


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves ASGI applications; returns an HTTP client of each."""
    yield from _serve(asgi_server)


@pytest.fixture
def serve_wsgi() -> Iterator[Serve]:
    """Serves WSGI applications; returns an HTTP client of each."""
    yield from _serve(wsgi_server)


@pytest.fixture(name="asgi_server")
def asgi_server_() -> Callable[[Any], Any]:
    """The context manager above."""
    return asgi_server
