"""The plain program really sends what the collector has to drop; otherwise finding nothing means nothing."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from footfall_examples.sahasrahbot import planted

PROGRAM = "footfall_examples.sahasrahbot.plain_otel"
TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
METRICS = "opentelemetry.proto.collector.metrics.v1.MetricsService"


@pytest.fixture(scope="module")
def sent() -> dict[str, list[bytes]]:
    """The program's requests by service, as they arrived."""
    requests: dict[str, list[bytes]] = {TRACES: [], METRICS: []}

    def handler(service: str) -> grpc.GenericRpcHandler:
        def export(request: bytes, _: grpc.ServicerContext) -> bytes:
            requests[service].append(request)
            return b""

        method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(export)
        return grpc.method_handlers_generic_handler(service, {"Export": method})

    with ThreadPoolExecutor() as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers(tuple(handler(service) for service in requests))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        command = [sys.executable, "-m", PROGRAM, f"http://127.0.0.1:{port}"]
        subprocess.run(command, check=True, timeout=60)
        server.stop(0).wait()
    return requests


def test_every_planted_value_is_on_the_wire_in_traces_and_metrics(sent: dict) -> None:
    for service in (TRACES, METRICS):
        wire = b"".join(sent[service])
        missing = [
            one for one in planted.personal(planted.load()) if one.value.encode() not in wire
        ]
        assert missing == []


def test_values_are_wherever_a_span_has_room(sent: dict) -> None:
    texts = {one.value for one in planted.personal(planted.load())}
    parsed = [ExportTraceServiceRequest.FromString(body) for body in sent[TRACES]]
    resources = [part.resource for request in parsed for part in request.resource_spans]
    scopes = [s for r in parsed for part in r.resource_spans for s in part.scope_spans]
    spans = [span for scope in scopes for span in scope.spans]
    events = [event for span in spans for event in span.events]
    links = [link for span in spans for link in span.links]
    strings = {
        "span name": {span.name for span in spans},
        "attribute": {a.value.string_value for span in spans for a in span.attributes},
        "attribute key": {a.key for span in spans for a in span.attributes},
        "event name": {event.name for event in events},
        "event attribute": {a.value.string_value for e in events for a in e.attributes},
        "link attribute": {a.value.string_value for link in links for a in link.attributes},
        "scope name": {scope.scope.name for scope in scopes},
        "scope version": {scope.scope.version for scope in scopes},
        "scope attribute": {a.value.string_value for s in scopes for a in s.scope.attributes},
        "resource attribute": {a.value.string_value for r in resources for a in r.attributes},
        "instance": {
            a.value.string_value
            for r in resources
            for a in r.attributes
            if a.key == "service.instance.id"
        },
    }
    assert [place for place, found in strings.items() if not found & texts] == []
    assert any(t in span.status.message for span in spans for t in texts)
    assert any(t in span.trace_state for span in spans for t in texts)
    stacks = {a.value.string_value for e in events for a in e.attributes if "stacktrace" in a.key}
    assert any(t in stack for stack in stacks for t in texts)
    numbers = {a.value.int_value for span in spans for a in span.attributes}
    assert {int(text) for text in texts if text.isdecimal()} <= numbers


def test_its_counter_is_named_as_an_event_and_its_description_is_personal(sent: dict) -> None:
    parsed = [ExportMetricsServiceRequest.FromString(body) for body in sent[METRICS]]
    metrics = [
        m for r in parsed for p in r.resource_metrics for s in p.scope_metrics for m in s.metrics
    ]
    ours = [metric for metric in metrics if metric.name == "racetime.room.command.invoke"]
    assert ours[-1].sum.data_points[0].as_int == 120
    assert ours[-1].description in {one.value for one in planted.load()}


def test_it_knows_nothing_of_footfall() -> None:
    from footfall_examples.sahasrahbot import plain_otel

    source = Path(plain_otel.__file__).read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE))
    assert imported == {"sys", "collections", "typing", "opentelemetry", "footfall_examples"}
