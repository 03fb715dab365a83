"""Real servers on loopback for the applications under test, and a catalog with rules for their routes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from footfall import Client
from instrumentation.servers import asgi_server, wsgi_server
from instrumentation.web.shop import PresetError, SoldOut

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
def catalog_text() -> str:
    return CATALOG


Serve = Callable[[Any], httpx.Client]


def _serve(server: Callable[[Any], AbstractContextManager[str]]) -> Iterator[Serve]:
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


@pytest.fixture
def client(connect: Callable[..., Client], received: Any) -> Client:
    """A client that knows the exceptions of the applications."""
    return connect(received.endpoint, errors={SoldOut: "sold_out", PresetError: "invalid_preset"})


@pytest.fixture
def spans() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """A provider of the application's own, and what it exports."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()
