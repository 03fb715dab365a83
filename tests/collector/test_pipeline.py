import asyncio
import contextlib
import datetime as dt
import hashlib
import hmac
import tracemalloc
from collections import Counter

import msgspec
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from footfall_collector.decoding import budget, memo, plans
from footfall_collector.decoding import spans as pipeline
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Hash, Loss, Policy
from footfall_processors.catalog import Rule
from support import reference

NOW = dt.datetime(2026, 11, 18, 0, 30, tzinfo=dt.UTC)  # a Wednesday, half an hour into the day
NOW_US = int(NOW.timestamp()) * 10**6
SECOND, MINUTE, HOUR, DAY = 10**9, 60 * 10**9, 3600 * 10**9, 86_400 * 10**9

TODAY = (NOW.date() - dt.date(1970, 1, 1)).days
WEEK = (NOW.date() - dt.date(1969, 12, 29)).days // 7
# The day before yesterday and last month have no salt; the static one is there.
SALTS = {
    (Hash.STATIC, 0): b"static" * 6,
    (Hash.DAILY, TODAY): b"today!" * 6,
    (Hash.DAILY, TODAY - 1): b"yester" * 6,
    (Hash.WEEKLY, WEEK): b"weekly" * 6,
    (Hash.WEEKLY, WEEK - 1): b"before" * 6,
    (Hash.MONTHLY, 2026 * 12 + 10): b"month!" * 6,
}


RULES = {
    "shop.order": [Rule(route="GET /orders/{id}"), Rule(route="* /files/*")],
    "shop.survey": [Rule(route="POST /orders/{id}", action="skip"), Rule(span="survey *")],
    "shop.ping": [Rule(span="GET /ping")],
}


@pytest.fixture(scope="module")
def policy(catalog):
    return Policy(catalog)


@pytest.fixture(scope="module")
def ruled(catalog):
    return with_rules(catalog)


def with_rules(catalog):
    """The catalog's policy, with rules for spans of other instrumentations."""
    events = {
        name: msgspec.structs.replace(event, match=tuple(RULES.get(name, ())))
        for name, event in catalog.events.items()
    }
    return Policy(msgspec.structs.replace(catalog, events=events))


USUAL = {}
SMALL = {
    "VALUES_PER_KEY": 2,
    "UNDECLARED_VALUES": 2,
    "MOST": 6000,
    "DAYS": 2,
    "SLICE": 3,
    "LIMIT": 2,
}


def limit(patch, limits):
    for name, value in limits.items():
        owner = {"SLICE": pipeline, "LIMIT": plans.Contexts, "DAYS": plans, "MOST": budget}.get(
            name, memo
        )
        patch.setattr(owner, name, value)


@contextlib.contextmanager
def limited(limits):
    with pytest.MonkeyPatch.context() as patch:
        limit(patch, limits)
        yield


@pytest.fixture(scope="module", params=[USUAL, SMALL], ids=["usual memos", "memos always full"])
def shared(request, policy, ruled):
    """Limits, and pipelines for all examples, with and without salts or rules: a wrong memory would show."""
    clock = lambda: NOW_US * 1000 + 999  # noqa: E731
    kinds = (policy, SALTS), (policy, {}), (ruled, SALTS)
    return request.param, [(Pipeline(rules, salts, clock), salts) for rules, salts in kinds]


def decode(pipe, body):
    return asyncio.run(pipe.traces(body))


def rows_of(batch):
    """(time, duration, shape, values) of each row."""
    return [row for rows in batch.rows for row in _each(rows)]


def events_of(batch):
    return [shape.dimension.event for _, _, shape, _ in rows_of(batch)]


def _each(rows):
    (names,) = {shape.columns for shape in rows.shapes}
    assert len(rows.values) == len(names)
    values = zip(*rows.values, strict=True) if names else [()] * len(rows.times)
    return zip(rows.times, rows.durations, rows.shapes, values, strict=True)


def as_result(batch):
    """A batch as multisets: the order of rows is of no consequence."""
    return reference.Result(Counter(rows_of(batch)), Counter(batch.counts), Counter(batch.losses))


def expected(pipe, salts, resources):
    return reference.evaluate(pipe.policy, salts, resources, NOW_US)


# What senders send: a request is told by a tape of bytes, which hypothesis draws fast and shrinks well


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


REQUESTS = st.binary(min_size=150, max_size=400).map(request)
# The same ones every time; bench/fuzz.py draws others, without end.
thorough = settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


# The property


@thorough
@given(body=REQUESTS)
def test_a_request_means_what_a_plain_walk_over_the_official_classes_says(shared, body):
    limits, pipelines = shared
    for pipe, salts in pipelines:
        with limited(limits):
            batch = decode(pipe, body)
        assert as_result(batch) == expected(pipe, salts, reference.official(body))
        low, high = batch.bounds or (0, 0)
        assert all(low <= time <= high for time, *_ in rows_of(batch))


@st.composite
def damaged(draw):
    """A request with some bytes changed, cut off, removed, doubled or put in."""
    body = bytearray(draw(REQUESTS))
    for _ in range(draw(st.integers(1, 3))):
        at, size = draw(st.integers(0, len(body))), draw(st.integers(1, 12))
        match draw(st.sampled_from(["change", "cut off", "remove", "repeat", "insert"])):
            case "change":
                body[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut off":
                del body[at:]
            case "remove":
                del body[at : at + size]
            case "repeat":
                body[at:at] = body[at : at + size]
            case "insert":
                body[at:at] = draw(st.binary(min_size=1, max_size=3))
    return bytes(body)


@thorough
@given(body=damaged() | st.binary(max_size=60))
def test_damaged_bytes_mean_the_same_or_are_refused_and_nothing_else_happens(shared, body):
    limits, pipelines = shared
    for pipe, salts in pipelines:
        try:
            resources = list(reference.official(body))
        except DecodeError:
            resources = None
        try:
            with limited(limits):
                found = as_result(decode(pipe, body))
        except DecodeError:
            assert resources is None
            with pytest.raises(DecodeError):
                list(reference.tolerant(body))
        else:
            if resources is None:
                resources = list(reference.tolerant(body))
            assert found == expected(pipe, salts, resources)


# By hand


def key_value(key, **kind):
    return KeyValue(key=key, value=AnyValue(**kind))


def one_span(name="shop.order", *attributes, end=NOW_US * 1000, length=83_000_000, **fields):
    return Span(
        name=name,
        start_time_unix_nano=end - length,
        end_time_unix_nano=end,
        attributes=attributes,
        **fields,
    )


def body_of(*spans, service="shop"):
    """A request of one scope; spans may be encoded already."""
    encoded = [s if isinstance(s, bytes) else s.SerializeToString() for s in spans]
    scope = b"".join(length_prefixed(2, each) for each in encoded)
    pair = key_value("service.name", string_value=service).SerializeToString()
    group = length_prefixed(1, length_prefixed(1, pair)) + length_prefixed(2, scope)
    return length_prefixed(1, group)


def length_prefixed(number, content):
    size, prefix = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*prefix, size]) + content


@pytest.fixture
def pipe(policy):
    return Pipeline(policy, SALTS, lambda: NOW_US * 1000)


def test_a_span_becomes_a_row_with_its_dimension_duration_and_hash(pipe):
    guild = key_value("guild_id", string_value="1234")
    sent = one_span(
        "shop.order", guild, key_value("provider", string_value="smz3"), status=Status(code=2)
    )
    batch = decode(pipe, body_of(sent))
    ((moment, duration, shape, values),) = rows_of(batch)
    dimension = shape.dimension
    assert (dimension.event, dimension.action, dimension.status, dimension.error_type) == (
        "shop.order",
        "failure",
        "error",
        "unexpected_error",
    )
    assert (dimension.surface, dimension.feature, dimension.service) == ("web", "order", "shop")
    assert dimension.enums == (("provider", "smz3"),)
    assert shape.columns == ("guild_id",)
    expected = hmac.digest(b"today!" * 6, b"\x00testbed\x00guild_id\x001234", "sha256")[:16]
    assert (moment, duration, values) == (NOW_US, 83, (expected,))
    assert dict(batch.counts) == {(NOW_US - 30 * 60 * 10**6, dimension): 1}
    assert (batch.losses, batch.rejected, batch.signal) == ({}, 0, "traces")


def server_span(route, method, code, *, name="GET", kind=2, **fields):
    return one_span(
        name,
        key_value("http.route", string_value=route),
        key_value("http.request.method", string_value=method),
        key_value("http.response.status_code", int_value=code),
        kind=kind,
        **fields,
    )


def test_spans_of_other_instrumentations_become_the_events_that_rules_name(ruled):
    pipe = Pipeline(ruled, SALTS, lambda: NOW_US * 1000)
    spans = [
        server_span("/orders/{id}", "GET", 200),
        server_span("/orders/{id}", "GET", 403),
        server_span("/orders/{id}", "POST", 200),
        server_span("/orders/{id}", "HEAD", 200),
        server_span("/orders/{id}", "GET", 200, kind=1),  # a middleware's
        server_span("/orders/{id}", "GET", 200, kind=3),  # of a client
        server_span("/files/7", "PUT", 404),
        server_span("/files/7", "PUT", 404, status=Status(code=1)),
        one_span("survey 7", kind=3),
        one_span("GET /orders/{id} http send", kind=1),
    ]
    expected = Counter(
        {
            ("shop.order", "success", "ok"): 2,
            ("shop.order", "failure", "denied"): 1,
            ("shop.survey", "skip", "ok"): 1,
            ("shop.order", "failure", "error"): 1,
            ("shop.survey", "success", "ok"): 1,
        }
    )
    together = [decode(pipe, body_of(*spans)), decode(pipe, body_of(*reversed(spans)))]
    one_by_one = [decode(pipe, body_of(span)) for span in spans]
    for batches in ([together[0]], [together[1]], one_by_one):
        found = Counter()
        for batch in batches:
            dimensions = [shape.dimension for _, _, shape, _ in rows_of(batch)]
            found.update((d.event, d.action, d.status) for d in dimensions)
        assert found == expected
        refused = sum(batch.losses.get(Loss.UNDECLARED_EVENT, 0) for batch in batches)
        assert refused == len(spans) - expected.total()
        assert sum(sum(batch.losses.values()) for batch in batches) == refused


def test_a_path_in_place_of_a_route_goes_no_further(ruled):
    pipe = Pipeline(ruled, SALTS, lambda: NOW_US * 1000)
    sent = server_span("/files/walker", "PUT", 200, name="PUT /files/walker")
    batch = decode(
        pipe, body_of(sent, server_span("/files/walker", "walker", 200, name="survey walker"))
    )
    assert batch.size == 2
    assert "shop.order" in repr(batch)
    assert "walker" not in repr(batch)


def test_what_is_refused_is_counted_by_its_reason_and_the_rest_is_stored(pipe):
    batch = decode(
        pipe,
        body_of(
            one_span(),
            one_span("shop.gone"),
            one_span("GET /users/7", key_value("note", string_value="x")),
            one_span(end=NOW_US * 1000 - 8 * DAY),
            one_span(end=NOW_US * 1000 + HOUR),
            one_span(length=-1),
            one_span("shop.survey", key_value("feature.action", string_value="explode")),
            one_span("shop.ping", key_value("guild_id", string_value="1"), key_value("user.email")),
            one_span("shop.survey", key_value("mode", string_value="walker")),
            one_span("shop.survey", key_value("attempts", string_value="many")),
            one_span("shop.survey", *[key_value("note", string_value="a")] * 2),
        ),
    )
    assert batch.size == sum(batch.counts.values()) == 5
    assert batch.losses == {
        Loss.EXPIRED_EVENT: 1,
        Loss.UNDECLARED_EVENT: 1,
        Loss.OUT_OF_WINDOW: 2,
        Loss.MALFORMED: 1,
        Loss.UNDECLARED_ACTION: 1,
        Loss.UNDECLARED_ATTRIBUTE: 2,
        Loss.ENUM_VALUE: 1,
        Loss.WRONG_TYPE: 1,
        Loss.DUPLICATE_ATTRIBUTE: 1,
    }
    assert batch.rejected == 4


@pytest.mark.parametrize(
    "broken",
    [
        one_span().SerializeToString()[:-1],
        one_span().SerializeToString() + b"\x2a\x7f",
        one_span().SerializeToString() + b"\x0b",
        b"\xff" * 12,
    ],
    ids=["cut short", "a name that is cut short", "a group without end", "no field at all"],
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_broken_span_is_counted_and_the_others_are_stored(pipe, broken, position):
    spans = [one_span(), one_span("shop.ping")]
    spans.insert(position, broken)
    batch = decode(pipe, body_of(*spans))
    assert events_of(batch) == ["shop.order", "shop.ping"]
    assert batch.losses == {Loss.MALFORMED: 1}
    assert batch.rejected == 1


def test_a_status_counts_whatever_its_message_is(pipe):
    status = length_prefixed(15, b"\x12\x02\xff\xfe\x18\x02")
    good = one_span("shop.ping").SerializeToString()
    batch = decode(pipe, body_of(good + status, good))
    assert Counter(d.status for _, d in batch.counts) == {"error": 1, "ok": 1}


def test_a_name_or_text_that_is_not_utf_8_spoils_nothing_else(pipe):
    name = length_prefixed(5, b"shop.\xff")
    bad_value = length_prefixed(
        9, length_prefixed(1, b"note") + length_prefixed(2, b"\x0a\x02\xff\xfe")
    )
    times = one_span("").SerializeToString()
    batch = decode(
        pipe,
        body_of(name + times, one_span("shop.visit.open").SerializeToString() + bad_value),
    )
    assert events_of(batch) == ["shop.visit"]
    assert batch.losses == {Loss.UNDECLARED_EVENT: 1, Loss.WRONG_TYPE: 1}


@pytest.mark.parametrize(
    "body", [b"\xff", b"\x0a", b"\x0a\x05abc", b"garbage" * 9, b"\x0a\x02\x12\x09"]
)
def test_what_is_no_request_is_refused(pipe, body):
    with pytest.raises(DecodeError):
        decode(pipe, body)


def test_an_empty_request_is_an_empty_batch(pipe):
    batch = decode(pipe, b"")
    assert (batch.rows, batch.counts, batch.losses, batch.rejected) == ([], {}, {}, 0)


def test_the_spans_of_an_instant_or_without_a_start_have_no_duration(pipe):
    instant, no_start = one_span(length=0), one_span(length=0)
    no_start.ClearField("start_time_unix_nano")
    assert [row[1] for row in rows_of(decode(pipe, body_of(instant, no_start)))] == [None, None]


def test_midnight_divides_the_salts_and_the_full_hour_divides_the_counts(pipe):
    midnight = (NOW_US - 30 * 60 * 10**6) * 1000
    guild = key_value("guild_id", string_value="1234")
    batch = decode(
        pipe,
        body_of(
            one_span("shop.order", guild, end=midnight),
            one_span("shop.order", guild, end=midnight - 1),
        ),
    )
    message = b"\x00testbed\x00guild_id\x001234"
    by_time = {moment: values for moment, _, _, values in rows_of(batch)}
    assert by_time == {
        midnight // 1000: (hmac.digest(b"today!" * 6, message, "sha256")[:16],),
        midnight // 1000 - 1: (hmac.digest(b"yester" * 6, message, "sha256")[:16],),
    }
    assert {hour for hour, _ in batch.counts} == {midnight // 1000, midnight // 1000 - 3600 * 10**6}


def test_new_salts_are_used_at_once_and_old_hashes_forgotten(policy):
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    body = body_of(one_span("shop.order", key_value("guild_id", string_value="1234")))
    ((*_, before),) = rows_of(decode(pipe, body))
    fresh = {**SALTS, (Hash.DAILY, TODAY): b"other!" * 6}
    pipe.contexts.use_salts(fresh)
    ((*_, after),) = rows_of(decode(pipe, body))
    assert after == (hmac.digest(b"other!" * 6, b"\x00testbed\x00guild_id\x001234", "sha256")[:16],)
    assert after != before


def test_the_digest_tells_requests_signals_and_senders_apart():
    known = pipeline.digest("/v1/traces", b"", b"body")
    assert known == hashlib.sha256(b"10:/v1/traces0:body").digest()[:16]
    others = {
        pipeline.digest("/v1/metrics", b"", b"body"),
        pipeline.digest("/v1/traces", b"b", b"ody"),
        pipeline.digest("/v1/traces", b"", b"body "),
        pipeline.digest("/v1/traces", b"1", b"body"),
    }
    assert len(others | {known}) == 5


@pytest.mark.parametrize("hours", [(0, 0), (0, 5, 2), (3, 200, -1, 4)], ids=str)
def test_bounds_are_the_earliest_and_the_latest_time_within_the_window(policy, hours):
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    ends = [NOW_US - hour * 3_600_000_000 - 17 * n for n, hour in enumerate(hours)]
    spans = [one_span(end=end * 1000) for end in ends]
    kept = [end for end, hour in zip(ends, hours, strict=True) if 0 <= hour < 7 * 24]
    assert decode(pipe, body_of(*spans)).bounds == (min(kept), max(kept))


async def test_a_long_request_lets_the_event_loop_run_between_slices(policy):
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    batch = await pipe.traces(body_of(*[one_span()] * 10_001))
    counting.cancel()
    assert batch.size == 10_001
    assert turns >= 5


# What a hostile sender may try


def hostile_requests():
    """Requests in which nothing repeats itself: names, keys, values, resources, messages, shapes, days."""
    for n in range(120):  # first other services and days, then always the same
        service, age = (f"service-{n}", n % 8 * DAY) if n < 60 else ("shop", 0)
        end = NOW_US * 1000 - age
        attributes = [
            key_value(f"key{n}", string_value="x"),
            key_value("k" * 200 + str(n), string_value="x"),
            key_value("http.url", string_value=f"https://shop/{n}"),
            key_value("guild_id", string_value=f"guild {n}"),
            key_value("team_id", int_value=1000 + n),
            key_value("note", string_value=f"note {n}"),
            key_value("ratio", double_value=n / 121),
            key_value("seed", string_value=f"0d6bbde3-9f1d-4b58-9f0e-{n:012}"),
            key_value("error.type", string_value=f"Error{n}"),
            key_value("feature.sample_rate", double_value=(n + 1) / 121),
            key_value("http.route", string_value=f"/files/{n}" if n % 2 else f"/users/{n}"),
            key_value("http.request.method", string_value=f"METHOD{n}"),
            key_value("http.response.status_code", int_value=n * 10),
        ]
        spans = [
            one_span("shop.survey", *attributes[n % 13 :], end=end),
            one_span(f"GET /users/{n}", *attributes[: n % 10], end=end),
            one_span(f"survey {n}", *attributes[n % 13 :], end=end, kind=n % 5),
            one_span(f"GET {n}", *attributes[10:], end=end, kind=2),
            one_span(end=end, status=Status(code=2, message=f"user {n}")),
        ]
        yield body_of(*spans, service=service)


@pytest.mark.parametrize("rules", ["policy", "ruled"])
def test_no_memo_outgrows_its_limit(request, rules, monkeypatch):
    limit(monkeypatch, SMALL)
    policy = request.getfixturevalue(rules)
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    for body in hostile_requests():
        decode(pipe, body)
        contexts = pipe.contexts
        most = SMALL["MOST"] // budget.ENTRY
        assert len(contexts.atoms) <= most + 1  # the mark is always there
        assert len(contexts.atoms._seen) <= most
        assert len(contexts.atoms._undeclared) <= most
        assert len(contexts.statuses) <= SMALL["VALUES_PER_KEY"]
        assert len(contexts._services) <= SMALL["LIMIT"]
        assert len(contexts._plans) <= SMALL["LIMIT"]
        assert len(contexts._values) <= SMALL["DAYS"]
        forms = [form for known in contexts._plans.values() for form in known._forms.values()]
        # Those of a slice are remembered before anything is forgotten: a form, and two plans for each span.
        assert sum(1 + len(form) for form in forms) <= most + 1 + 2 * SMALL["SLICE"]
        assert len(contexts.atoms.mixed) <= SMALL["VALUES_PER_KEY"]
        for day in contexts._values.values():
            assert sum(map(len, day.values())) <= most


def test_services_that_just_fit_are_not_forgotten(policy, monkeypatch):
    limit(monkeypatch, SMALL)
    monkeypatch.setattr(budget, "MOST", 10**6)
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    services = [f"service-{n}" for n in range(SMALL["LIMIT"])]
    for service in services:
        decode(pipe, body_of(one_span("shop.order"), service=service))
    before = list(pipe.contexts._plans.values())
    for service in services:
        decode(pipe, body_of(one_span("shop.order"), service=service))
    assert list(pipe.contexts._plans.values()) == before
    assert len(before) == SMALL["LIMIT"]


def test_spans_of_too_many_attributes_to_remember_leave_nothing_behind(policy, monkeypatch):
    """No plan is remembered for them, though the declared attributes are at other places each time."""
    limit(monkeypatch, SMALL)
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    many = [key_value("http.url", string_value="x")] * 300
    declared = key_value("guild_id", string_value="1"), key_value("note", string_value="x")
    for n in range(60):
        sent = one_span("shop.survey", *many[:n], declared[0], *many[n:], declared[1])
        decode(pipe, body_of(sent))
        for plans_ in pipe.contexts._plans.values():
            assert len(plans_._extracts) <= SMALL["MOST"] // plans.PLAN


def test_long_values_that_never_come_again_take_no_memory(policy):
    """Queries, stack traces and messages: what plain OpenTelemetry instrumentation sends by the megabyte."""
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)

    def feed(round_):
        for n in range(10):
            texts = [f"{round_} {n} {i} ".ljust(8192, "x") for i in range(50)]
            sent = [
                one_span(f"GET {text}", key_value("db.query.text", string_value=text))
                for text in texts
            ]
            sent += [
                one_span("shop.order", key_value("guild_id", string_value=text), key_value(text))
                for text in texts
            ]
            for each, text in zip(sent, texts + texts, strict=True):
                each.status.message = text
            decode(pipe, body_of(*sent, service=texts[0]))

    feed(0)
    tracemalloc.start()
    feed(1)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 2 * 2**20  # of 20 MB that were sent


def values_of_eight_days(n):
    """Hashed, of eight days and three periods; and as many undeclared ones, names and services."""
    for day in range(8):
        for name in ("guild_id", "player_id", "note", "seed"):
            yield (
                f"shop.order {n % 5}",
                key_value(name, string_value=f"{n} {day}".ljust(200, "x")),
                day,
            )


def test_all_memos_together_take_what_they_are_allowed(policy, monkeypatch):
    """Whatever is sent, to both kinds of senders; more of the catalog, or of its days, takes no more."""
    monkeypatch.setattr(budget, "MOST", 2**20)
    shared = budget.Budget()
    pipes = [
        Pipeline(rules, SALTS, lambda: NOW_US * 1000, shared)
        for rules in (policy, Policy(policy.catalog, relay=True))
    ]

    def feed(numbers):
        for n in numbers:
            spans = [
                one_span(
                    name, pair, key_value(f"k{n}", string_value="x"), end=NOW_US * 1000 - day * DAY
                )
                for name, pair, day in values_of_eight_days(n)
            ]
            decode(pipes[n % 2], body_of(*spans, service=f"service {n}"))

    feed(range(5))
    tracemalloc.start()
    feed(range(5, 400))
    grown, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shared.used <= 2**20
    assert grown < 1.5 * 2**20  # of 5 MB of values that differ
    assert peak < 3 * 2**20


def test_long_names_that_never_come_again_take_no_memory(policy):
    """A statement or a path as a span's name, with one span a request, or several that differ."""
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    pair = key_value("provider", string_value="smz3")
    decode(pipe, body_of(one_span("GET /", pair)))
    tracemalloc.start()
    for n in range(250):
        decode(pipe, body_of(one_span(f"SELECT {n} ".ljust(8192, "x"))))
        sent = [one_span(f"SELECT {n} {i} ".ljust(4096, "x"), pair) for i in range(2)]
        decode(pipe, body_of(*sent))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 2**20  # of 4 MB that were sent


def test_attributes_that_stand_for_their_classes_are_the_declared_ones_only(policy):
    """However many values a sender gives to an enum, and however it writes them."""
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    usual = [key_value("provider", string_value=value) for value in ("smz3", "alttpr")]
    padded = usual[0].SerializeToString() + b"\x78\x05"
    other = [key_value("provider", string_value=f"other {n}") for n in range(50)]
    elsewhere = [key_value("guild_id", string_value=f"{n}") for n in range(50)]
    for _ in range(2):
        for mixed in (usual, [*usual, *other], [*usual, *elsewhere]):
            sent = [one_span("shop.order", pair) for pair in mixed]
            body = body_of(*sent)
            assert as_result(decode(pipe, body)) == expected(pipe, SALTS, reference.official(body))
    body = body_of(
        one_span("shop.order", usual[0]),
        one_span("shop.order").SerializeToString() + b"\x4a" + bytes([len(padded)]) + padded,
    )
    assert as_result(decode(pipe, body)) == expected(pipe, SALTS, reference.official(body))
    known = pipe.contexts.atoms.usual
    assert set(known) == {pair.SerializeToString() for pair in usual}
    for plans_ in pipe.contexts._plans.values():
        for form in plans_._forms.values():
            sent = [part for key in form for part in key[form._first :] if isinstance(part, bytes)]
            assert all(part is known[part] for part in sent)  # not one of each request


def test_what_a_usual_attribute_looks_like_is_found_out_once_for_each_class(policy, monkeypatch):
    """However many names an exception has: each is `unexpected_error`, which none of them spells."""
    pipe, asked = Pipeline(policy, SALTS, lambda: NOW_US * 1000), []
    encode = memo.otlp.encoded_text
    monkeypatch.setattr(
        memo.otlp, "encoded_text", lambda *text: asked.append(text) or encode(*text)
    )
    pairs = [key_value("error.type", string_value=f"Strange{n}") for n in range(100)]
    decode(pipe, body_of(*[one_span("shop.order", pair, status=Status(code=2)) for pair in pairs]))
    assert asked == [("error.type", "unexpected_error")]


def unusual_pairs():
    """KeyValues that no encoder writes, though the encoding allows them."""
    note, guild = length_prefixed(1, b"note"), length_prefixed(1, b"guild_id")
    text = length_prefixed(2, length_prefixed(1, b"abc"))
    return {
        "the value comes before the key": text + note,
        "a second key overrides the first": note + text + guild,
        "an undeclared key is overridden": length_prefixed(1, b"http.url") + text + note,
        "a second value overrides the first": note + text + length_prefixed(2, b"\x10\x01"),
        "a second member within the value": note + length_prefixed(2, b"\x0a\x03abc\x10\x01"),
        "text that is not UTF-8": note + length_prefixed(2, length_prefixed(1, b"\xff\xfe\xfd")),
        "a value of a type to come": note + length_prefixed(2, b"\x78\x05\x0a\x01x"),
        "a value that is cut short": note + b"\x12\x05\x0a\x09abc",
        "no value": note,
        "an unknown field": note + text + b"\x78\x05",
    }  # fmt: skip


@pytest.mark.parametrize("name", unusual_pairs())
def test_an_attribute_encoded_in_an_unusual_way_means_what_it_says(pipe, name):
    body = body_of(
        one_span("shop.visit.open").SerializeToString() + length_prefixed(9, unusual_pairs()[name])
    )
    assert as_result(decode(pipe, body)) == expected(pipe, SALTS, reference.tolerant(body))


@pytest.mark.parametrize("name", unusual_pairs())
def test_what_hides_behind_a_key_of_many_values_is_declared_or_dropped(policy, monkeypatch, name):
    limit(monkeypatch, SMALL)
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    for n in range(90):  # `note` and `http.url` become keys that are recognised without their value
        pairs = [key_value(key, string_value=f"value {n}") for key in ("note", "http.url")]
        decode(pipe, body_of(one_span("shop.visit.open", *pairs)))
    body = body_of(
        one_span("shop.visit.open").SerializeToString() + length_prefixed(9, unusual_pairs()[name])
    )
    ((*_, values),) = rows_of(decode(pipe, body))
    assert set(values) <= {None, "abc", "x"}


def unusual_spans():
    """Pairs of spans that could be taken for one another when read as one message."""
    usual = one_span("shop.order", key_value("provider", string_value="smz3")).SerializeToString()
    nameless = one_span("", key_value("provider", string_value="smz3")).SerializeToString()
    name = length_prefixed(5, b"shop.ping")
    failed = length_prefixed(15, b"\x18\x02")
    return {
        "a name too few and one too many": [nameless, usual + name],
        "a name too many and one too few": [name + usual, nameless],
        "a status twice and no status": [usual + failed + failed, usual],
        "a span that swallows the start of the next": [usual + b"\x1a\x05", usual],
        "a group that the next span ends": [usual + b"\x9b\x06", b"\x9c\x06" + usual],
        "an empty attribute in place of a swallowed one": [usual + b"\x1a\x02", b"\x4a\x00" + usual],
        "a start written as packed numbers": [usual + b"\x3a\x08" + b"\x01" * 8, usual],
        "an event that is broken": [usual + length_prefixed(11, b"\xff"), usual],
    }  # fmt: skip


@pytest.mark.parametrize("name", unusual_spans())
def test_who_sends_spans_that_run_into_each_other_harms_only_their_own_counts(pipe, name):
    for batch in (decode(pipe, body_of(*unusual_spans()[name])), decode(pipe, body_of(one_span()))):
        assert batch.size == sum(batch.counts.values())
        assert as_result(batch).rows.total() + batch.losses.get(Loss.MALFORMED, 0) <= 2
    assert as_result(batch) == expected(pipe, SALTS, reference.official(body_of(one_span())))
