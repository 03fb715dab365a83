"""OTLP requests with a secret in every place that an allowlist may forget."""

import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from e2e.leaks.planting import PERSONAL, Place
from support.secrets import secret_logs, secret_metrics, secret_traces

SIGNALS = ("traces", "metrics", "logs")
DEFAULTS = {
    "user.id": "snowflake", "user.email": "email", "user.name": "word", "user.full_name": "word",
    "user.hash": "word", "enduser.id": "phone", "enduser.role": "word", "enduser.scope": "word",
    "device.id": "word", "client.address": "ipv4", "client.port": "number",
    "network.peer.address": "ipv6", "network.peer.port": "number",
    "net.peer.ip": "ipv4", "net.peer.name": "word", "net.peer.port": "number",
    "net.sock.peer.addr": "ipv4", "geo.locality.name": "word", "geo.location.lat": "number",
    "url.full": "url", "url.path": "path", "url.query": "word", "url.fragment": "word",
    "http.url": "url", "http.target": "path", "http.request.header.authorization": "jwt",
    "http.request.header.x-api-key": "key", "http.response.header.set-cookie": "word",
    "http.client_ip": "ipv4", "user_agent.original": "word", "http.user_agent": "word",
    "exception.message": "email", "exception.stacktrace": "word", "db.query.text": "card",
    "db.query.parameter.0": "phone", "db.statement": "email", "process.command": "path",
    "process.command_line": "word", "process.command_args": "key", "process.owner": "word",
    "host.name": "word", "host.ip": "ipv4", "host.mac": "word", "browser.document.url.full": "url",
    "feature_flag.context.id": "word", "k8s.pod.name": "word", "session.id": "word",
    "app.installation.id": "word", "message": "mention",
}  # fmt: skip
"""Attributes that senders set by default and that no catalog of the tests declares."""
RESOURCE = (
    "user.email", "host.name", "host.ip", "host.mac", "process.command_args", "process.owner",
    "k8s.pod.name", "device.id", "net.peer.ip", "client.address",
)  # fmt: skip
POISON = "poison "
"""How a note begins that the store is made to refuse."""


def request(signal: str, place: Place, word: str, *, partly: bool = False) -> bytes:
    """An encoded request whose events are all stored, or partly.

    Args:
        signal: `traces`, `metrics` or `logs`.
        place: Plants the secrets.
        word: A declared text: a span's or a record's note; for metrics, which have none, the service.
        partly: Adds declared events that are refused.
    """
    return _MAKERS[signal](place, word, partly)


def _traces(place: Place, word: str, partly: bool) -> bytes:
    made = ExportTraceServiceRequest.FromString(secret_traces(place))
    group = made.resource_spans[0]
    scope = group.scope_spans[0]
    for span in [span for span in scope.spans if span.name == "shop.gone"]:
        scope.spans.remove(span)
    _resource(place, group.resource)
    now = time.time_ns()
    times = {"start_time_unix_nano": now - 10**6, "end_time_unix_nano": now}
    span = scope.spans.add(name="shop.visit.close", **times)
    _note(span.attributes, word)
    _defaults(place, span.attributes)
    event = span.events.add(name="exception", time_unix_nano=now)
    _personal(place, event.attributes, "span event")
    _personal(place, span.links.add().attributes, "link")
    for kind in PERSONAL:
        span = scope.spans.add(name="shop.survey", **times)
        _note(span.attributes, f"a {place.of(kind, 'note')}")
        _attribute(span.attributes, "guild_id", place.of(kind, "hashed"))
        _attribute(span.attributes, "provider", place.of(kind, "enum"))
        _attribute(span.attributes, "error.type", place.of(kind, "error type"))
        scope.spans.add(name=place.of(kind, "span name"), **times)
    if partly:
        old = {"start_time_unix_nano": 1, "end_time_unix_nano": 2}
        for name, when in (("shop.gone", times), ("shop.visit.close", old)):
            span = scope.spans.add(name=name, trace_state=place.text(f"refused {name}"), **when)
            _note(span.attributes, place.text(f"refused {name} note"))
    return made.SerializeToString()


def _metrics(place: Place, word: str, partly: bool) -> bytes:
    made = ExportMetricsServiceRequest.FromString(secret_metrics(place))
    group = made.resource_metrics[0]
    _resource(place, group.resource)
    now = time.time_ns()
    kept = made.resource_metrics.add()
    _attribute(kept.resource.attributes, "service.name", word)
    _attribute(kept.resource.attributes, "service.instance.id", place.text("instance of a kept"))
    metric = kept.scope_metrics.add().metrics.add(name="shop.order")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 1
    point = metric.sum.data_points.add(as_int=1, start_time_unix_nano=now - 9, time_unix_nano=now)
    _defaults(place, point.attributes)
    exemplar = point.exemplars.add(as_int=1, time_unix_nano=now)
    _personal(place, exemplar.filtered_attributes, "exemplar")
    metrics = group.scope_metrics[0].metrics
    for kind in PERSONAL:
        metric = metrics.add(name="shop.order", description=place.of(kind, "description"))
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
        point = metric.sum.data_points.add(
            as_int=1, start_time_unix_nano=now - 10**9, time_unix_nano=now
        )
        for key in ("provider", "guild_id", "error.type", "feature.action"):
            _attribute(point.attributes, key, place.of(kind, key))
        metrics.add(name=place.of(kind, "metric name")).gauge.data_points.add(as_int=1)
    _own(place, metrics, now)
    if partly:
        metric = metrics.add(name="shop.order", unit=place.text("refused unit"))
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 1
        point = metric.sum.data_points.add(as_int=1, start_time_unix_nano=1, time_unix_nano=2)
        _attribute(point.attributes, "provider", place.text("refused enum"))
    return made.SerializeToString()


def _own(place: Place, metrics, now: int) -> None:
    """The SDK's own counters, which name events and reasons; and kinds that are not counted."""
    for name, key in (("footfall.emitted", "emitted_event"), ("footfall.dropped", "drop_reason")):
        metric = metrics.add(name=name)
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 1
        point = metric.sum.data_points.add(
            as_int=1, start_time_unix_nano=now - 9, time_unix_nano=now
        )
        _attribute(point.attributes, key, place.text(f"{name} {key}"))
    for kind in ("gauge", "histogram", "exponential_histogram", "summary"):
        metric = metrics.add(name="shop.ping", unit=place.text(f"unit of a {kind}"))
        point = getattr(metric, kind).data_points.add(time_unix_nano=now)
        _attribute(point.attributes, "provider", place.text(f"attribute of a {kind}"))


def _logs(place: Place, word: str, partly: bool) -> bytes:
    made = ExportLogsServiceRequest.FromString(secret_logs(place))
    group = made.resource_logs[0]
    records = group.scope_logs[0].log_records
    for record in [record for record in records if record.event_name == "shop.gone"]:
        records.remove(record)
    _resource(place, group.resource)
    now = time.time_ns()
    record = records.add(event_name="shop.visit.close", time_unix_nano=now)
    _note(record.attributes, word)
    _defaults(place, record.attributes)
    _personal(place, record.body.kvlist_value.values, "body")
    for kind in PERSONAL:
        record = records.add(event_name="shop.survey", time_unix_nano=now)
        record.body.string_value = place.of(kind, "body")
        _note(record.attributes, f"a {place.of(kind, 'note')}")
        _attribute(record.attributes, "guild_id", place.of(kind, "hashed"))
        _attribute(record.attributes, "mode", place.of(kind, "enum"))
        records.add(time_unix_nano=now).body.string_value = place.of(kind, "body of a plain line")
    if partly:
        record = records.add(event_name="shop.gone", severity_text=place.text("refused severity"))
        _note(record.attributes, place.text("refused note"))
    return made.SerializeToString()


_MAKERS = {"traces": _traces, "metrics": _metrics, "logs": _logs}


def filler(spans: int, word: str) -> bytes:
    """A request that is large once it is cleaned."""
    made = ExportTraceServiceRequest()
    scope, now = made.resource_spans.add().scope_spans.add(), time.time_ns()
    span = scope.spans.add(name="shop.visit.close", end_time_unix_nano=now)
    span.start_time_unix_nano = now
    _note(span.attributes, word)
    scope.spans.extend([span] * (spans - 1))
    return made.SerializeToString()


def _resource(place: Place, resource) -> None:
    for key in RESOURCE:
        _attribute(resource.attributes, key, place.of(DEFAULTS[key], f"resource {key}"))
    _attribute(resource.attributes, "service.version", place.of("ipv4", "service.version"))
    _attribute(resource.attributes, "deployment.environment.name", place.of("email", "environment"))


def _defaults(place: Place, attributes) -> None:
    for key, kind in DEFAULTS.items():
        _attribute(attributes, key, place.number(key) if kind == "number" else place.of(kind, key))


def _personal(place: Place, attributes, name: str) -> None:
    """An attribute of each kind."""
    for kind in PERSONAL:
        _attribute(attributes, f"a {kind}", place.of(kind, f"attribute of a {name}"))


def _note(attributes, text: str) -> None:
    _attribute(attributes, "note", text)


def _attribute(attributes, key: str, value: str | int) -> None:
    added = attributes.add(key=key).value
    if isinstance(value, int):
        added.int_value = value
    else:
        added.string_value = value
