"""Real OTLP receivers on loopback that keep the bytes of every request, and clients that send to them."""

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from footfall import Client
from instrumentation.servers import serving
from support.waiting import happens

CATALOG = """
product: shop
error_types: [out_of_stock]
attributes:
  guild_id: {type: string, hash: daily}
  user_id: {type: int, hash: static}
  provider: {type: enum, values: [alttpr, smz3]}
  preset: {type: enum, values: [open, standard]}
  items: {type: int, min: 0, max: 100}
  weight: {type: float}
  gift: {type: bool}
  order_id: {type: uuid}
  note: {type: string, max_length: 40}
events:
  shop.order:
    surface: web
    feature: order
    attributes: [guild_id, user_id, provider, preset, items, weight, gift, order_id, note]
  shop.visit: {surface: web, feature: visit, actions: [visit], attributes: [provider]}
  shop.press: {surface: web, feature: press, actions: [invoke], attributes: [provider]}
  shop.lamp: {surface: web, feature: lamp, actions: ["lit", "out"]}
  shop.half: {surface: web, feature: half, sample_rate: 0.5, attributes: [provider]}
"""


@dataclass
class Received:
    """What a receiver was sent, and how it is to answer: with this status, or this message."""

    traces: list[bytes] = field(default_factory=list)
    metrics: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: grpc.StatusCode | int | None = None
    answer: bytes = b""
    hold: threading.Event = field(default_factory=threading.Event)
    held: bool = False
    endpoint: str = ""

    @property
    def bytes(self) -> bytes:
        return b"".join(self.traces + self.metrics)

    def resource_spans(self) -> list[Any]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.traces]
        return [part for request in requests for part in request.resource_spans]

    def spans(self) -> list[Any]:
        return [
            s for part in self.resource_spans() for scope in part.scope_spans for s in scope.spans
        ]

    def observations(self) -> list[dict[str, Any]]:
        """The attributes of every span, with its name."""
        return [{"event": s.name, **values(s.attributes)} for s in self.spans()]

    def resource_metrics(self) -> list[Any]:
        requests = [ExportMetricsServiceRequest.FromString(body) for body in self.metrics]
        return [part for request in requests for part in request.resource_metrics]

    def counts(self) -> Counter[tuple[tuple[str, Any], ...]]:
        """The last value of every cumulative series: (("event", name), sorted attributes...) → value."""
        last: Counter[tuple[tuple[str, Any], ...]] = Counter()
        for part in self.resource_metrics():
            for metric in (m for scope in part.scope_metrics for m in scope.metrics):
                assert metric.sum.is_monotonic
                assert metric.sum.aggregation_temporality == 2, "cumulative"
                for point in metric.sum.data_points:
                    key = (("event", metric.name), *sorted(values(point.attributes).items()))
                    assert point.as_int >= last[key], "a cumulative counter never falls"
                    last[key] = point.as_int
        return last

    def count(self, event: str, **labels: str) -> int:
        """The sum of an event's series that have these attributes (`_` stands for a dot)."""
        wanted = {("event", event), *((name.replace("_", "."), v) for name, v in labels.items())}
        return sum(number for key, number in self.counts().items() if wanted <= set(key))

    def emitted(self) -> dict[str, int]:
        """`footfall.emitted` by event."""
        own = {dict(k).get("emitted_event"): n for k, n in self.counts().items()}
        return {name: number for name, number in own.items() if name}

    def dropped(self) -> dict[str, int]:
        """`footfall.dropped` by reason."""
        own = {dict(k).get("drop_reason"): n for k, n in self.counts().items()}
        return {name: number for name, number in own.items() if name}

    def _answer(self) -> None:
        if self.held:
            self.hold.wait(30)


def values(attributes: Any) -> dict[str, Any]:
    """OTLP key-values as a dict; a repeated key fails."""
    found = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}
    assert len(found) == len(attributes)
    return found


@pytest.fixture
def received() -> Iterator[Received]:
    """A gRPC receiver."""
    box = Received()

    def method(requests: list[bytes]) -> grpc.RpcMethodHandler:
        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            box._answer()
            if isinstance(box.status, grpc.StatusCode):
                context.abort(box.status, "no")
            requests.append(request)
            box.headers.append({str(k): str(v) for k, v in context.invocation_metadata()})
            return box.answer

        return grpc.unary_unary_rpc_method_handler(handle)

    proto = "opentelemetry.proto.collector"
    handlers = [
        grpc.method_handlers_generic_handler(name, {"Export": method(requests)})
        for name, requests in (
            (f"{proto}.trace.v1.TraceService", box.traces),
            (f"{proto}.metrics.v1.MetricsService", box.metrics),
        )
    ]
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers, options=[("grpc.so_reuseport", 0)])
        box.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield box
        box.hold.set()
        server.stop(None).wait()


@pytest.fixture
def received_http() -> Iterator[Received]:
    """An HTTP receiver (protobuf)."""
    box = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box._answer()
            status = box.status if isinstance(box.status, int) else 200
            if status == 200:
                {"/v1/traces": box.traces, "/v1/metrics": box.metrics}[self.path].append(body)
                box.headers.append({k.lower(): v for k, v in self.headers.items()})
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(box.answer)))
            self.end_headers()
            self.wfile.write(box.answer)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with serving(server) as box.endpoint:
        yield box
        box.hold.set()


@pytest.fixture
def catalog_text() -> str:
    """The catalog above; folders and modules have others of their own."""
    return CATALOG


@pytest.fixture
def catalog(tmp_path: Path, catalog_text: str) -> Path:
    """The file of the catalog."""
    path = tmp_path / "events.yaml"
    path.write_text(catalog_text)
    return path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine takes part, nor what an exporter logged in another test.

    OpenTelemetry's exporters log the same template once in 20 seconds.
    """
    for kind in ("grpc.exporter", "http.trace_exporter", "http.metric_exporter"):
        for each in logging.getLogger(f"opentelemetry.exporter.otlp.proto.{kind}").filters:
            vars(each).pop("last_log", None)
    for name in list(os.environ):
        if name.startswith(("OTEL_", "TELEMETRY_", "FOOTFALL_", "DO_NOT_TRACK")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_client_stays() -> Iterator[None]:
    """Whichever a test leaves would go on sending, and trying again, beside the tests that follow."""
    before = set(threading.enumerate())
    yield
    assert happens(
        lambda: not [t for t in threading.enumerate() if t.name == "footfall" and t not in before]
    )


@pytest.fixture
def connect(
    catalog: Path, received: Received, received_http: Received
) -> Iterator[Callable[..., Client]]:
    """Makes clients that send to an endpoint; strict, so that an error of Footfall fails the test.

    They are closed before the receivers, which is why it asks for those.
    """
    clients = []

    def make(endpoint: str, *, strict: bool = True, **options: Any) -> Client:
        client = Client(strict=strict)
        clients.append(client)
        client.configure(catalog, endpoint, enabled=True, **options)
        assert client.recorder is not None
        return client

    yield make
    for client in clients:
        client.shutdown(0.2)


@pytest.fixture
def client(connect: Callable[..., Client], received: Received) -> Client:
    """A client of the gRPC receiver."""
    return connect(received.endpoint)
