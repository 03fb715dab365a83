"""A collector on loopback that counts what programs and servers, processes of their own, send."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Sink:
    """What arrived.

    Attributes:
        spans: How many observations.
        address: Its URL.
    """

    def __init__(self) -> None:
        self.spans = 0
        self.address = ""
        self._invokes: dict[tuple[str, str], int] = {}

    @property
    def invokes(self) -> int:
        """How many uses were counted: the last value of each instance's counters."""
        return sum(self._invokes.values())

    def has(self, number: int) -> bool:
        """Whether so many uses have arrived, as spans and as counts."""
        return self.spans == number == self.invokes

    def traces(self, body: bytes, _: object) -> bytes:
        """Takes a request."""
        request = ExportTraceServiceRequest.FromString(body)
        self.spans += sum(len(s.spans) for part in request.resource_spans for s in part.scope_spans)
        return b""

    def metrics(self, body: bytes, _: object) -> bytes:
        """Takes a request."""
        for part in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            about = {a.key: a.value.string_value for a in part.resource.attributes}
            for metric in (m for scope in part.scope_metrics for m in scope.metrics):
                if metric.name == "shop.order":
                    key = about["service.instance.id"], metric.name
                    self._invokes[key] = sum(point.as_int for point in metric.sum.data_points)
        return b""


@contextmanager
def receiving() -> Iterator[Sink]:
    """A sink, as long as the block lasts."""
    sink, proto = Sink(), "opentelemetry.proto.collector"
    handlers = [
        grpc.method_handlers_generic_handler(
            name, {"Export": grpc.unary_unary_rpc_method_handler(take)}
        )
        for name, take in (
            (f"{proto}.trace.v1.TraceService", sink.traces),
            (f"{proto}.metrics.v1.MetricsService", sink.metrics),
        )
    ]
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers, options=[("grpc.so_reuseport", 0)])
        sink.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield sink
        finally:
            server.stop(None).wait()
