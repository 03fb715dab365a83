"""Whether a Collector in front sends what was not taken again as the same bytes: what the ledger rests on."""

import hashlib
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from faults.processes import until
from foreign.guide import Front
from foreign.processes import address
from foreign.sender import Sender

BATCHED_S = 7.0
"""The guide batches for 5 s."""
REFUSED_S = 3.0
QUIET_S = 10.0


class Sink(grpc.GenericRpcHandler):
    """An OTLP/gRPC receiver that refuses everything until it is told to take it.

    Attributes:
        refused: How often each body was refused, by digest.
        taken: How often each was taken.
        spans: How often each span was in a body that was taken.
    """

    def __init__(self) -> None:
        self.refused: dict[bytes, int] = {}
        self.taken: dict[bytes, int] = {}
        self.spans: dict[bytes, int] = {}
        self.takes, self.last = False, time.monotonic()
        self.address = address()
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers((self,))
        self.server.add_insecure_port(self.address)

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """Every method is an export."""
        export = self._spans if "Trace" in details.method else self._other
        return grpc.unary_unary_rpc_method_handler(export)

    def _spans(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        answer = self._other(body, context)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans[span.span_id] = self.spans.get(span.span_id, 0) + 1
        return answer

    def _other(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        digest, self.last = hashlib.sha256(body).digest(), time.monotonic()
        seen = self.taken if self.takes else self.refused
        seen[digest] = seen.get(digest, 0) + 1
        if not self.takes:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return b""

    def wait_until_quiet(self) -> None:
        """Returns when nothing has come for a while."""
        self.last = time.monotonic()
        until("all was taken", lambda: time.monotonic() - self.last > QUIET_S, 120, 0.5)


def faults(retries: dict[str, int], batching: str) -> list[str]:
    """What contradicts the guide: a loss; and where the Collector batches before it queues, other bytes."""
    found = []
    if retries["spans_taken"] != retries["spans_made"]:
        found.append("the Collector has lost spans that were refused")
    if batching == "processor" and retries["sent_again_as_they_were"] != retries["bodies_refused"]:
        found.append("the Collector sends what was refused again as other bytes")
    if batching == "processor" and retries["spans_taken_twice"]:
        found.append("the Collector sends spans twice")
    return found


def observe(
    folder: Path, batching: str, catalog: Path, step: Callable[[str], None], seconds: float
) -> dict[str, int]:
    """Lets requests be refused, kills the Collector, starts it again, and takes what comes.

    Returns:
        What became of the bodies that were refused and of the spans that a sender made.
    """
    folder.mkdir()
    sink = Sink()
    sink.server.start()
    front = Front(folder, sink.address, batching)
    sender = None
    try:
        front.start()
        sender = Sender("own", "grpc", front.grpc, catalog, rate=200)
        sender.wait_until_ready()
        step("what is refused is sent again")
        sender.go()
        time.sleep(seconds)
        sender.end()
        sender.wait()
        until("requests are refused", lambda: len(sink.refused) > 1)
        time.sleep(BATCHED_S)
        before = set(sink.refused)
        front.kill()
        front.start()
        time.sleep(REFUSED_S)
        sink.takes = True
        sink.wait_until_quiet()
    finally:
        if sender:
            sender.stop()
        front.stop()
        sink.server.stop(0)
    return {
        "bodies_refused": len(before),
        "sent_again_as_they_were": len(before & set(sink.taken)),
        "spans_made": sender.total,
        "spans_taken": len(sink.spans),
        "spans_taken_twice": sum(number > 1 for number in sink.spans.values()),
    }
