"""Requests that hypothesis draws: each is told by a tape of bytes, which it draws fast and shrinks well."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from collector.spans import DAY, HOUR, MINUTE, NOW_US, SECOND


class Tape:
    """Choices read off bytes; when they run out the first, simplest, option is chosen."""

    def __init__(self, tape):
        self._tape = iter(tape)

    def number(self, below):
        return next(self._tape, 0) % below

    def choice(self, options):
        return options[self.number(len(options))]

    def flag(self, of=2):
        """True once in so many times."""
        return self.number(of) == of - 1


KEYS = [
    "guild_id", "team_id", "org_id", "visitor", "provider", "mode", "attempts", "ratio", "ranked", "note",
    "seed", "duration_ms", "feature.action", "feature.status", "feature.surface", "feature.sample_rate",
    "visitorId", "status", "metrics.attempts", "kind", "gift",
    "error.type", "http.url", "user.email", "enduser.id", "http.response.status_code", "http.status_code",
]  # fmt: skip
ROUTES = [
    "/orders/{id}",
    "orders/{id}",
    "GET /orders/{id}",
    "/files/1",
    "/files/2",
    "/nothing",
    "",
    "/" * 300,
]
METHODS = ["GET", "POST", "HEAD", "_OTHER"]
LONG_KEYS = ["", "k" * 127, "k" * 128, "k" * 300]
TEXTS = [
    "alttpr", "smz3", "zurück", "open", "guild-1", "guild-2", "success", "failure", "skip", "ok", "denied",
    "timeout", "out_of_stock", "TimeoutError", "", "mail me: walker@example.org", "x" * 130, "y" * 20_000,
    "caf\u00e9", "cafe\u0301", "nul \x00 inside", "0d6bbde3-9f1d-4b58-9f0e-0c4a7c1c0e39",
]  # fmt: skip
INTS = [0, 1, 7, 200, 403, 404, 500, 5000, -1, 2**31, 2**63 - 1, -(2**63)]
FLOATS = [0.0, 0.25, 1.0, -7.5, 1e300, 5e-324, float("nan"), float("inf"), -0.0]
NAMES = [
    "shop.survey", "shop.order", "shop.ping", "shop.visit", "shop.gone", "shop.order.success",
    "shop.order.failure", "shop.order.nothing", "shop.survey.skip", "shop.visit.open", "GET /users/7",
    "footfall.emitted", "naïve", "", "survey 1", "survey 2", "GET /ping", "GET /orders/{id}",
]  # fmt: skip
AGES = [
    0, 1, SECOND, 29 * MINUTE, 30 * MINUTE, 30 * MINUTE + 1, 31 * MINUTE, HOUR, 2 * HOUR, DAY, 2 * DAY,
    5 * DAY, 7 * DAY, 7 * DAY + 999, 7 * DAY + 1000, 8 * DAY, -SECOND, -5 * MINUTE, -5 * MINUTE - 1, -HOUR,
]  # fmt: skip
LENGTHS = [
    0, 1, 499_999, 500_000, 1_499_999, 1_500_000, 83 * 10**6, 599_999 * 10**6, 600_001 * 10**6, DAY, -1,
]  # fmt: skip
KINDS = [[2], [1, 2, 3], [1], [0], [0, 2], [9]]
STATUSES = [
    Status(), Status(code=1), Status(code=2), Status(code=2, message="disk of walker full"), Status(code=9),
]  # fmt: skip
RESOURCES = [
    [],
    [("service.name", "shop"), ("service.version", "1.2.3")],
    [("service.name", "shop"), ("deployment.environment", "test"), ("host.name", "walkers-pc")],
    [("service.name", "walker@example.org"), ("deployment.environment.name", "not good")],
    [("service.name", "first"), ("service.name", "second")],
]


def value(tape, depth=0):
    match tape.number(9 if depth < 2 else 6):
        case 0:
            return AnyValue(string_value=tape.choice(TEXTS))
        case 1:
            return AnyValue(string_value=f"member-{tape.number(40)}")
        case 2:
            return AnyValue(int_value=tape.choice([*INTS, 200 + tape.number(90)]))
        case 3:
            return AnyValue(double_value=tape.choice(FLOATS))
        case 4:
            return AnyValue(bool_value=tape.flag())
        case 5:
            return AnyValue()
        case 6:
            return AnyValue(bytes_value=b"walker")
        case 7:
            items = [value(tape, depth + 1) for _ in range(tape.number(3))]
            return AnyValue(array_value=ArrayValue(values=items))
        case _:
            items = [
                KeyValue(key="note", value=value(tape, depth + 1)) for _ in range(tape.number(3))
            ]
            return AnyValue(kvlist_value=KeyValueList(values=items))


def attribute(tape):
    match tape.number(14):
        case 8:
            route = AnyValue(string_value=tape.choice(ROUTES))
            return KeyValue(key="http.route", value=route if tape.number(9) else value(tape))
        case 9:
            key = tape.choice(["http.request.method", "http.method"])
            return KeyValue(key=key, value=AnyValue(string_value=tape.choice(METHODS)))
        case 10:
            return KeyValue(key=tape.choice([*LONG_KEYS, f"k{tape.number(99)}"]), value=value(tape))
        case 11:
            return tape.choice(
                [KeyValue(key="note"), KeyValue(value=AnyValue(int_value=1)), KeyValue()]
            )
        case _:
            return KeyValue(key=tape.choice(KEYS), value=value(tape))


def span(tape):
    end = NOW_US * 1000 - tape.choice(AGES) if not tape.flag(10) else tape.choice([1, 2**64 - 1])
    start = min(max(end - tape.choice(LENGTHS), 1), 2**64 - 1)
    missing = tape.choice(["nothing"] * 12 + ["start", "end", "both"])
    found = Span(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name=tape.choice(NAMES),
        start_time_unix_nano=0 if missing in ("start", "both") else start,
        end_time_unix_nano=0 if missing in ("end", "both") else end,
        attributes=[attribute(tape) for _ in range(tape.number(7))],
    )
    if tape.flag(4):
        found.MergeFrom(Span(trace_state="vendor=walker", flags=257, dropped_attributes_count=3))
        found.events.add(name="exception").attributes.add(key="exception.message")
        found.links.add(trace_id=b"l" * 16)
    return found


def scope(tape):
    # Some spans of a scope with a status or a kind, all of them or none: the reader treats these differently.
    spans = [span(tape) for _ in range(tape.choice([1, 2, 4, 8, 0]))]
    often, kinds = tape.choice([0, 1, 2]), tape.choice(KINDS)
    for each in spans:
        if often and tape.flag(often):
            each.status.CopyFrom(tape.choice(STATUSES))
        each.kind = tape.choice(kinds)
    found = ScopeSpans(spans=spans)
    if tape.flag():
        found.MergeFrom(
            ScopeSpans(scope=InstrumentationScope(name="walker"), schema_url="https://w")
        )
    return found


def resource(tape):
    pairs = tape.choice(RESOURCES)
    found = ResourceSpans(scope_spans=[scope(tape) for _ in range(tape.choice([1, 2, 0, 3]))])
    for key, text in pairs:
        found.resource.attributes.add(key=key).value.string_value = text
    return found


def request(tape):
    tape = Tape(tape)
    return ExportTraceServiceRequest(
        resource_spans=[resource(tape) for _ in range(tape.choice([1, 2, 3, 0]))]
    ).SerializeToString()


# The same ones every time; bench/fuzz draws others, without end.
thorough = settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def drawn_record(tape):
    time = NOW_US * 1000 - tape.choice(AGES)
    found = LogRecord(
        severity_number=tape.choice([0, 1, 9, 16, 17, 18, 24, 25, -1]),
        attributes=[attribute(tape) for _ in range(tape.number(6))],
    )
    if not tape.flag(6):
        found.time_unix_nano = time
    if tape.flag():
        found.observed_time_unix_nano = time + SECOND
    if tape.flag():
        found.event_name = tape.choice(NAMES)
    for _ in range(tape.choice([0, 0, 1, 2])):
        named = AnyValue(string_value=tape.choice(NAMES))
        said = named if not tape.flag(5) else value(tape)
        found.attributes.insert(tape.number(3), KeyValue(key="event.name", value=said))
    if tape.flag(3):
        found.body.string_value, found.severity_text = "walker", "walker"
        found.trace_id, found.span_id, found.flags = b"t" * 16, b"s" * 8, 1
        found.dropped_attributes_count = 3
    return found


def drawn_request(tape):
    tape = Tape(tape)
    body = ExportLogsServiceRequest()
    for _ in range(tape.choice([1, 2, 0])):
        group = body.resource_logs.add()
        for key, text in tape.choice(RESOURCES):
            group.resource.attributes.add(key=key).value.string_value = text
        for _ in range(tape.choice([1, 2, 0])):
            found = [drawn_record(tape) for _ in range(tape.choice([1, 2, 4, 0]))]
            group.scope_logs.add(log_records=found)
    return body.SerializeToString()


TAPES = st.binary(min_size=150, max_size=400)
TRACES, LOGS = TAPES.map(request), TAPES.map(drawn_request)
