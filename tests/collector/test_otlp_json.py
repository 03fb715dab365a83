import asyncio
import json
import math

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.decoded import as_result
from collector.drawn import LOGS, TRACES, thorough
from collector.json_requests import groups, one_span, read, read_span, read_value
from collector.spans import NOW_US, SALTS
from collector.sums import CUMULATIVE, DELTA, KEY, Request, point
from footfall_collector.decoding import metrics, otlp_json, wire
from footfall_collector.decoding.otlp_json import patient
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Policy
from support.otlp import REQUESTS, as_json

signals = pytest.mark.parametrize("signal", REQUESTS)


@pytest.fixture(scope="module")
def pipe(ruled):
    return Pipeline(ruled, SALTS, lambda: NOW_US * 1000 + 999)


# The property: JSON means what protobuf means


@thorough
@given(body=TRACES)
def test_traces_in_json_mean_what_they_mean_in_protobuf(pipe, body):
    sent = as_json("traces", body)
    found = asyncio.run(pipe.traces(sent, groups=groups("traces", sent)))
    assert as_result(found) == as_result(asyncio.run(pipe.traces(body)))


@thorough
@given(body=LOGS)
def test_logs_in_json_mean_what_they_mean_in_protobuf(pipe, body):
    sent = as_json("logs", body)
    found = asyncio.run(pipe.logs(sent, groups=groups("logs", sent)))
    assert as_result(found) == as_result(asyncio.run(pipe.logs(body)))


NUMBERS = [0, 7, 10**12, 10**12 + 1, -1, None, 2.5, math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("temporality", [0, DELTA, CUMULATIVE])
def test_metrics_in_json_mean_what_they_mean_in_protobuf(catalog, number, temporality):
    policy = Policy(catalog)
    sent = Request(service__name="shop", service__instance__id="one", host__name="h")
    flagged = point(3)
    flagged.flags = 1
    flagged.exemplars.add(as_int=99, trace_id=b"t" * 16)
    points = [point(number, provider="smz3"), point(2, user__email="a@example.org"), flagged]
    for name in ("shop.order", "shop.order.failure", "http.server.requests", ""):
        sent.sum(*points, name=name, temporality=temporality)
        sent.sum(*points, name=name, temporality=temporality, monotonic=False)
        sent.other("gauge", *points, name=name).other("histogram", name=name)
        sent.other("summary", name=name).other("exponential_histogram", name=name)
    body = sent.message.SerializeToString()
    expected = asyncio.run(metrics.decode(policy, body, NOW_US, key=KEY))
    said = groups("metrics", as_json("metrics", body))
    assert asyncio.run(metrics.decode(policy, body, NOW_US, groups=said, key=KEY)) == expected


# What JSON may look like


@signals
@pytest.mark.parametrize("text", ["{}", '{"unknown": [1, {}]}', ' {"resourceSpans": null} \n'])
def test_a_request_may_be_empty(signal, text):
    assert read(signal, text.encode()) == REQUESTS[signal]()


@pytest.mark.parametrize("time", [1_790_000_000_123_456_789, 2**64 - 1, 0])
@pytest.mark.parametrize("form", [int, str])
def test_64_bit_integers_may_be_numbers_or_strings(time, form):
    assert read_span(endTimeUnixNano=form(time)).end_time_unix_nano == time


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0, -1, 128])
@pytest.mark.parametrize("form", [int, str])
def test_integer_values_keep_all_their_bits(number, form):
    assert read_value({"intValue": form(number)}).int_value == number


@pytest.mark.parametrize(
    ("written", "number"),
    [("Infinity", math.inf), ("-Infinity", -math.inf), ("1.5", 1.5), (2, 2.0), (1e-300, 1e-300)],
)
def test_doubles_may_be_strings(written, number):
    assert read_value({"doubleValue": written}).double_value == number


def test_a_double_may_be_no_number():
    assert math.isnan(read_value({"doubleValue": "NaN"}).double_value)


def test_false_zero_and_the_empty_text_are_values():
    assert read_value({"boolValue": False}).WhichOneof("value") == "bool_value"
    assert read_value({"intValue": "0"}).WhichOneof("value") == "int_value"
    assert read_value({"doubleValue": 0}).WhichOneof("value") == "double_value"
    assert read_value({"stringValue": ""}).WhichOneof("value") == "string_value"
    assert read_value({}).WhichOneof("value") is None


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 100_000])
def test_texts_of_any_length_and_script_are_kept(size):
    for letter in "xü漢😀":
        assert read_value({"stringValue": letter * size}).string_value == letter * size
        span = read_span(name=letter * size, attributes=[{"key": letter * size}])
        assert (span.name, span.attributes[0].key) == (letter * size, letter * size)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 1}, {}]}}, "array_value"),
        ({"arrayValue": {}}, "array_value"),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}, "kvlist_value"),
        ({"bytesValue": "AQI="}, "bytes_value"),
        ({"bytesValue": ""}, "bytes_value"),
    ],
)
def test_lists_maps_and_bytes_stay_what_they_are(value, kind):
    assert read_value(value).WhichOneof("value") == kind


@pytest.mark.parametrize("code", [0, 1, 2, 9])
def test_enums_are_integers(code):
    assert read_span(status={"code": code}).status.code == code


def test_ids_may_be_hex_of_either_case():
    for text in ("0af7651916cd43dd8448eb211c80319c", "0AF7651916CD43DD8448EB211C80319C"):
        ids = {"traceId": text, "spanId": text[:16], "parentSpanId": text[:16]}
        assert read_span(name="shop.ping", **ids).name == "shop.ping"


@pytest.mark.parametrize("said", [2, "2", "SPAN_KIND_SERVER"])
def test_a_kind_may_be_a_number_or_a_name(said):
    assert read_span(name="shop.ping", kind=said).kind == Span.SPAN_KIND_SERVER


@pytest.mark.parametrize("written", ["2.0", "2e0", "0.2E+1", '"2.0"', '"2e0"'])
def test_a_kinds_number_may_have_any_form(written):
    body = json.dumps(one_span(name="x", kind="KIND")).replace('"KIND"', written)
    (span,) = read("traces", body.encode()).resource_spans[0].scope_spans[0].spans
    assert span.kind == Span.SPAN_KIND_SERVER


@pytest.mark.parametrize(
    "said",
    [
        None,
        0,
        99,
        -1,
        2.5,
        1e300,
        True,
        "SERVER",
        "NaN",
        "Infinity",
        "SPAN",
        {"kind": [2]},
        [2],
        "",
    ],
)
def test_a_kind_that_is_none_spoils_nothing(said):
    assert read_span(name="shop.ping", kind=said).kind == Span.SPAN_KIND_UNSPECIFIED


def test_what_nobody_reads_is_left_out():
    span = read_span(
        name="shop.ping", traceState="walker", kind=3, droppedAttributesCount=1, flags=257, new="walker",
        events=[{"name": "walker"}], links=[{"traceId": "walker"}], status={"message": "walker"},
    )  # fmt: skip
    assert b"walker" not in span.SerializeToString()


def test_fields_have_two_names_and_no_others():
    """The original ones are read as well (ProtoJSON; the OpenTelemetry Collector does the same)."""
    document = {"resource_spans": [{"scope_spans": [{"spans": [{"end_time_unix_nano": "5"}]}]}]}
    [group] = read("traces", document).resource_spans
    assert group.scope_spans[0].spans[0].end_time_unix_nano == 5
    assert read_span(end_time_unix_nano="5", EndTimeUnixNano="6").end_time_unix_nano == 5


def test_null_stands_for_what_is_left_out():
    names = ("name", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status")
    assert read_span(**dict.fromkeys(names)).attributes == []
    assert read_value(None).WhichOneof("value") is None
    assert (
        read_span(attributes=[{"key": None, "value": {"intValue": None}}]).attributes[0].key == ""
    )


# What is refused: all else costs itself (test_otlp_json_forms.py)


@signals
@pytest.mark.parametrize(
    "body",
    [
        b"\xff", b"[]", b"null", b"1", b"{", b'{"a": NaN}', b'{"a": 1} {"a": 1}', b"{'a': 1}",
        b'{"a": "\\ud8"}', b'{"a": 01}', b'{"a": +1}', b'{"a": .5}', b'{"a": 1,}', b'{"a": "\\x"}',
        "{}".encode("utf-16"), b'{"a": "\\ud800"',
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(signal, body):
    with pytest.raises(DecodeError, match="not OTLP/JSON"):
        groups(signal, body)


def test_what_usual_senders_say_is_read_without_patience(monkeypatch):
    """Otherwise it costs seven times as much."""

    async def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(patient, "groups", refuse)
    values = [
        {"arrayValue": {"values": []}},
        {"kvlistValue": {}},
        {"bytesValue": ""},
        {"intValue": "1"},
    ]
    pairs = [{"key": "k", "value": value} for value in values]
    ids = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331"}
    span = read_span(name="x", kind=2, attributes=pairs, startTimeUnixNano="1", **ids)
    assert (span.trace_id.hex(), span.kind) == (ids["traceId"], Span.SPAN_KIND_SERVER)


@pytest.mark.parametrize("parts", [{}, 5, "walker", True])
def test_what_has_no_list_of_resources_is_refused(parts):
    with pytest.raises(DecodeError, match="not OTLP/JSON"):
        groups("traces", json.dumps({"resourceSpans": parts}).encode())


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"arrayValue":{"values":['])
def test_what_is_deep_and_never_closed_is_refused(opening):
    inner = opening * 100_000
    places = (
        '{"x":' + inner,
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"value":' + inner,
    )
    for text in places:
        with pytest.raises(DecodeError, match="not OTLP/JSON"):
            groups("traces", text.encode())


@pytest.mark.parametrize(
    ("limit", "build"),
    [
        ("MOST_GROUPS", lambda n: [{}] * n),
        ("MOST_GROUPS", lambda n: [{"scopeSpans": [{}] * (n - 3)}, {"scopeSpans": [{}] * 3}]),
        ("MOST_ITEMS", lambda n: [{"scopeSpans": [{"spans": [{}]}, {"spans": [{}] * (n - 1)}]}]),
    ],
    ids=["resources", "scopes", "spans"],
)
def test_a_request_may_have_so_many_parts_and_not_one_more(monkeypatch, limit, build):
    monkeypatch.setattr(wire, limit, 7)
    read("traces", {"resourceSpans": build(7)})
    with pytest.raises(wire.TooLarge, match="more than 7 "):
        read("traces", {"resourceSpans": build(8)})


def test_others_are_served_while_a_large_request_is_read():
    """Between slices the event loop runs."""

    async def longest_wait():
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{}] * 20_000}]}]}).encode()
        reading = asyncio.create_task(otlp_json.groups("traces", body))
        turns = 0
        while not reading.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(longest_wait()) >= 10
