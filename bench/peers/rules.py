"""Does a peer of bench/peers do to a request what the rules say?"""

import hmac
import time
from concurrent import futures
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest import EXPORT, build
from peers.measure import deliver
from peers.start import ALLOWED, HASHED, SECRET, Missing, Peer, ended


def check_rules(peer: Peer, folder: Path) -> None:
    """Compares what a peer forwards of one request with what the rules make of it."""
    forwarded: list[bytes] = []

    def export(body: bytes, _: grpc.ServicerContext) -> bytes:
        forwarded.append(body)
        return b""

    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Export": grpc.unary_unary_rpc_method_handler(export)
    }
    service = EXPORT.split("/")[1]
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sent = build(0, 1)
    try:
        with ended(peer.start(folder, f"127.0.0.1:{port}")) as collector:
            deliver(collector.address, sent, 1)
            deadline = time.monotonic() + 10
            while not forwarded and time.monotonic() < deadline:
                time.sleep(0.05)
    finally:
        server.stop(None).wait()
    if _attributes(forwarded) != _redacted(_attributes(sent)):
        raise Missing("it does not forward what its rules should make of a request")


def _attributes(requests: list[bytes]) -> dict[bytes, dict[str, str]]:
    """The attributes of every span and of its resource, by span id."""
    return {
        span.span_id: {
            each.key: each.value.string_value
            for each in (*resource.resource.attributes, *span.attributes)
        }
        for encoded in requests
        for resource in ExportTraceServiceRequest.FromString(encoded).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def _redacted(spans: dict[bytes, dict[str, str]]) -> dict[bytes, dict[str, str]]:
    def hashed(value: str) -> str:
        return hmac.digest(SECRET.encode(), value.encode(), "sha256").hex()

    return {
        span_id: {
            key: hashed(value) if key == HASHED else value
            for key, value in attributes.items()
            if key in ALLOWED
        }
        for span_id, attributes in spans.items()
    }
