"""Requests with a secret in every place that a sender can write to, and where those are looked for."""

import base64
import time
from pathlib import Path

import psycopg
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from psycopg import sql


class Secrets:
    """Unmistakable texts and numbers, one for each place they are hidden in."""

    MARK, HIGH = "qzhidden", 7_301_944_580_117_000 >> 16

    def __init__(self):
        self.texts, self.numbers = {}, {}

    def text(self, place):
        self.texts[place] = f"{self.MARK}{len(self.texts):02}{place.replace(' ', '')}"
        return self.texts[place]

    def number(self, place):
        self.numbers[place] = (self.HIGH << 16) + len(self.numbers)
        return self.numbers[place]

    def found_in(self, content):
        """The places of those that are there, in any form."""
        if not any(mark in content for mark in [*forms(self.MARK), *forms(self.HIGH << 16)]):
            return []
        hidden = [*self.texts.items(), *self.numbers.items()]
        return [place for place, what in hidden if any(form in content for form in forms(what))]


def forms(what):
    """How a text, or a number with its low 16 bits left out, may look in a file."""
    if isinstance(what, int):
        high = what >> 16
        return [str(what)[:11].encode(), high.to_bytes(6, "little"), high.to_bytes(6, "big")]
    raw = what.encode()
    whole = raw[: len(raw) // 3 * 3]
    return [raw, raw.hex().encode(), what.encode("utf-16-le"), base64.b64encode(whole)]


def common(secrets, message, where):
    """Puts secrets into a resource and a scope."""
    resource = message.resource
    for key in ("host.name", "user.email", "service.instance.id", "process.command_line"):
        resource.attributes.add(key=key).value.string_value = secrets.text(
            f"{where} resource {key}"
        )
    resource.attributes.add(key=secrets.text(f"{where} resource key")).value.bool_value = True
    resource.attributes.add(key="service.name").value.string_value = (
        "mail " + secrets.text(f"{where} service") + "@example.org"
    )
    message.schema_url = secrets.text(f"{where} resource schema")


def scoped(secrets, scope, where):
    scope.scope.name = secrets.text(f"{where} scope name")
    scope.scope.version = secrets.text(f"{where} scope version")
    scope.scope.attributes.add(key="who").value.string_value = secrets.text(
        f"{where} scope attribute"
    )
    scope.schema_url = secrets.text(f"{where} scope schema")


def secret_traces(secrets):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    common(secrets, group, "span")
    scope = group.scope_spans.add()
    scoped(secrets, scope, "span")
    now = time.time_ns()
    times = {"start_time_unix_nano": now - 10**6, "end_time_unix_nano": now}
    scope.spans.add(name=secrets.text("span name"), **times)
    scope.spans.add(name="shop.gone", trace_state=secrets.text("refused trace state"), **times)
    span = scope.spans.add(name="shop.survey", trace_state=secrets.text("trace state"), **times)
    span.status.code, span.status.message = 2, secrets.text("status message")
    event = span.events.add(name=secrets.text("span event"), time_unix_nano=now)
    event.attributes.add(key="exception.message").value.string_value = secrets.text("exception")
    event.attributes.add(key="exception.stacktrace").value.string_value = secrets.text("stack")
    link = span.links.add(trace_state=secrets.text("link trace state"))
    link.attributes.add(key="who").value.string_value = secrets.text("link attribute")
    span.trace_id, span.span_id = secrets.text("trace id")[:16].encode(), b"s" * 8

    def put(key):
        return span.attributes.add(key=key).value

    put("user.email").string_value = secrets.text("undeclared attribute")
    put(secrets.text("attribute key")).bool_value = True
    put("visitor").string_value = secrets.text("hashed text")
    put("team_id").int_value = secrets.number("hashed number")
    put("mode").string_value = secrets.text("enum value")
    put("provider").array_value.values.add(string_value=secrets.text("array under an enum"))
    inner = put("note").kvlist_value.values.add(key=secrets.text("map key"))
    inner.value.array_value.values.add(string_value=secrets.text("nested value"))
    put("guild_id").bytes_value = secrets.text("bytes under a text").encode()
    put("attempts").string_value = secrets.text("text under a number")
    put("ratio").string_value = secrets.text("text under a float")
    put("ranked").int_value = secrets.number("number under a bool")
    put("seed").string_value = secrets.text("text under a uuid")
    put("org_id").double_value = float(secrets.number("float under a hash"))
    put("error.type").string_value = secrets.text("error type")
    put("feature.status").string_value = secrets.text("status")
    put("feature.surface").string_value = secrets.text("surface")
    span = scope.spans.add(name="shop.visit.open", **times)
    span.attributes.add(key="note").value.int_value = secrets.number("number under a text")
    span.attributes.add(key="attempts").value.int_value = secrets.number("number beyond the limit")
    span = scope.spans.add(name="shop.visit.open", **times)
    span.attributes.add(
        key="note"
    ).value.string_value = f"mail {secrets.text('text with an address')}@example.org"
    span = scope.spans.add(name="shop.visit.close", **times)
    span.attributes.add(key="note").value.string_value = "kept on purpose"
    return request.SerializeToString()


def secret_metrics(secrets):
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    common(secrets, group, "metric")
    scope = group.scope_metrics.add()
    scoped(secrets, scope, "metric")
    now = time.time_ns()
    scope.metrics.add(name=secrets.text("metric name")).sum.data_points.add(as_int=1)
    metric = scope.metrics.add(name="shop.order")
    metric.description, metric.unit = secrets.text("description"), secrets.text("unit")
    metric.metadata.add(key="who").value.string_value = secrets.text("metadata")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
    point = metric.sum.data_points.add(
        as_int=1, time_unix_nano=now, start_time_unix_nano=now - 10**9
    )
    point.attributes.add(key="user.id").value.string_value = secrets.text("metric attribute")
    point.attributes.add(key="provider").value.string_value = secrets.text("metric enum")
    point.attributes.add(key=secrets.text("metric key")).value.bool_value = True
    point.attributes.add(key="guild_id").value.string_value = secrets.text("metric hash")
    exemplar = point.exemplars.add(as_int=1, trace_id=b"t" * 16)
    exemplar.filtered_attributes.add(key="who").value.string_value = secrets.text("exemplar")
    return request.SerializeToString()


def secret_logs(secrets):
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    common(secrets, group, "log")
    scope = group.scope_logs.add()
    scoped(secrets, scope, "log")
    now = time.time_ns()
    scope.log_records.add(event_name=secrets.text("event name"), time_unix_nano=now)
    scope.log_records.add(time_unix_nano=now).attributes.add(
        key="event.name"
    ).value.string_value = secrets.text("event name attribute")
    scope.log_records.add(event_name="shop.gone").body.string_value = secrets.text("refused body")
    record = scope.log_records.add(event_name="shop.survey", time_unix_nano=now, severity_number=17)
    record.severity_text = secrets.text("severity text")
    inner = record.body.kvlist_value.values.add(key=secrets.text("body key"))
    inner.value.array_value.values.add(string_value=secrets.text("body value"))
    record.trace_id, record.span_id = secrets.text("log trace id")[:16].encode(), b"s" * 8

    def put(key):
        return record.attributes.add(key=key).value

    put("event.name").string_value = secrets.text("second event name")
    put("exception.message").string_value = secrets.text("log exception")
    put(secrets.text("log attribute key")).bool_value = True
    put("visitor").string_value = secrets.text("log hashed text")
    put("mode").string_value = secrets.text("log enum value")
    put("guild_id").bytes_value = secrets.text("log bytes under a text").encode()
    put("note").kvlist_value.values.add(key=secrets.text("log map key"))
    put("error.type").string_value = secrets.text("log error type")
    return request.SerializeToString()


def dump(dsn) -> bytes:
    """Every row of every table and view, as text."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        texts = []
        for name in tables:
            rows = connection.execute(
                sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(*name))
            )
            texts += [row for (row,) in rows]
    assert len(tables) > 15
    return "\n".join(texts).encode()


def read_all(directory: Path) -> bytes:
    return b"\n".join(p.read_bytes() for p in directory.rglob("*") if p.is_file())
