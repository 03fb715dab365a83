import asyncio
import hashlib
import hmac
from collections import Counter

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from collector.decoded import (
    SMALL,
    SOURCES,
    USUAL,
    as_result,
    decode,
    events_of,
    expected,
    limited,
    rows_of,
    with_sources,
)
from collector.drawn import TRACES, thorough
from collector.spans import (
    DAY,
    HOUR,
    NOW_US,
    SALTS,
    TODAY,
    body_of,
    key_value,
    length_prefixed,
    one_span,
)
from footfall_collector.decoding import spans as pipeline
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Hash, Loss
from support import reference


def clock():
    return NOW_US * 1000 + 999


@pytest.fixture(scope="module", params=[USUAL, SMALL], ids=["usual memos", "memos always full"])
def shared(request, policy, ruled):
    """Limits, and pipelines for all examples, with and without salts, rules or other keys: a wrong memory
    would show."""
    kinds = (policy, SALTS), (policy, {}), (ruled, SALTS), (with_sources(ruled), SALTS)
    return request.param, [(Pipeline(rules, salts, clock), salts) for rules, salts in kinds]


@pytest.fixture(scope="module", params=[USUAL, SMALL], ids=["usual memos", "memos always full"])
def renamed(request, policy):
    """Limits, and pipelines of one catalog, with other keys and without."""
    pipes = with_sources(policy), with_sources(policy, {})
    return request.param, *(Pipeline(rules, SALTS, clock) for rules in pipes)


# The property


@thorough
@given(body=TRACES)
def test_a_request_means_what_a_plain_walk_over_the_official_classes_says(shared, body):
    limits, pipelines = shared
    for pipe, salts in pipelines:
        with limited(limits):
            batch = decode(pipe, body)
        assert as_result(batch) == expected(pipe, salts, reference.official(body))
        low, high = batch.bounds or (0, 0)
        assert all(low <= time <= high for time, *_ in rows_of(batch))


@thorough
@given(body=TRACES)
def test_what_comes_under_another_key_is_what_its_name_says(renamed, body):
    limits, pipe, plain = renamed
    with limited(limits):
        found, same = decode(pipe, body), decode(plain, under_their_names(body))
    assert said(found) == said(same)


def said(batch):
    """A batch in words: two pipelines have no objects in common."""
    result = as_result(batch)
    words = [Counter(map(repr, part.elements())) for part in (result.rows, result.counts)]
    return *words, result.losses


def test_a_choice_under_another_key_is_recognised_as_fast_as_under_its_name(policy):
    pipe = Pipeline(with_sources(policy, {"mode": "modus"}), SALTS, clock)
    said = [key_value(key, string_value="open") for key in ("mode", "modus")]
    decode(pipe, body_of(*(one_span("shop.survey", each) for each in said)))
    assert {each.SerializeToString() for each in said} <= pipe.contexts.atoms.usual.keys()


def under_their_names(body):
    """A request whose attributes have their names; those that had them come first."""
    request = ExportTraceServiceRequest.FromString(body)
    for span in (s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans):
        names = {source: name for name, source in SOURCES.items()}
        names["kind"] = "gift" if span.name == "shop.ping" else "provider"
        found = sorted(span.attributes, key=lambda each: each.key in names)
        for each in found:
            each.key = names.get(each.key, each.key)
        del span.attributes[:]
        span.attributes.extend(found)
    return request.SerializeToString()


@st.composite
def damaged(draw):
    """A request with some bytes changed, cut off, removed, doubled or put in."""
    body = bytearray(draw(TRACES))
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
