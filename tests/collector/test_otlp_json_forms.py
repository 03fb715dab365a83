"""OTLP/JSON in every form that ProtoJSON permits, and with what is wrong: an odd part costs itself.

Expected values come from protobuf: the same message is written as JSON by a writer of its own, which follows
the official descriptors and draws a form for every field, and is read in protobuf's encoding.
"""

import asyncio
import contextlib
import json
import math

import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from collector.decoded import as_result
from collector.drawn import LOGS, TRACES, thorough
from collector.json_requests import groups, one_span, read, read_span, read_value
from collector.json_writer import Writer, written
from collector.spans import NOW_US, SALTS
from collector.sums import CUMULATIVE, DELTA, KEY, Request, point
from footfall_collector.decoding import metrics, otlp_json, wire
from footfall_collector.decoding.otlp_json import patient
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Loss, Policy
from support.otlp import REQUESTS


@pytest.fixture(scope="module")
def pipe(ruled):
    return Pipeline(ruled, SALTS, lambda: NOW_US * 1000 + 999)


# The property: whatever the form, JSON means what protobuf means

seeds = st.integers(0, 2**32)


@thorough
@given(body=TRACES, seed=seeds)
def test_traces_in_any_form_mean_what_they_mean_in_protobuf(pipe, body, seed):
    sent = written("traces", body, seed)
    found = asyncio.run(pipe.traces(sent, groups=groups("traces", sent)))
    assert as_result(found) == as_result(asyncio.run(pipe.traces(body)))


@thorough
@given(body=LOGS, seed=seeds)
def test_logs_in_any_form_mean_what_they_mean_in_protobuf(pipe, body, seed):
    sent = written("logs", body, seed)
    found = asyncio.run(pipe.logs(sent, groups=groups("logs", sent)))
    assert as_result(found) == as_result(asyncio.run(pipe.logs(body)))


@thorough
@given(
    numbers=st.lists(st.sampled_from([0, 7, 10**12, -1, None, 2.5, math.nan, math.inf])),
    temporality=st.sampled_from([0, DELTA, CUMULATIVE]),
    seed=seeds,
)
def test_metrics_in_any_form_mean_what_they_mean_in_protobuf(catalog, numbers, temporality, seed):
    policy = Policy(catalog)
    request = Request(service__name="shop", service__instance__id="one")
    points = [
        point(number, provider="smz3", time=NOW_US * 1000 + n) for n, number in enumerate(numbers)
    ]
    request.sum(*points, name="shop.order", temporality=temporality)
    request.other("gauge", *points).other("histogram").other("exponential_histogram")
    body = request.message.SerializeToString()
    said = groups("metrics", written("metrics", body, seed))
    expected = asyncio.run(metrics.decode(policy, body, NOW_US, key=KEY))
    assert asyncio.run(metrics.decode(policy, body, NOW_US, groups=said, key=KEY)) == expected


@pytest.mark.parametrize("seed", range(20))
def test_the_writer_writes_what_the_official_parser_reads(seed):
    """It must not permit itself more than ProtoJSON does; ids are hexadecimal in OTLP, left out here."""
    sent = Request(service__name="shop").sum(point(7, provider="smz3")).message
    document = Writer(seed).message(sent)
    parsed = json_format.ParseDict(document, REQUESTS["metrics"](), ignore_unknown_fields=True)
    assert parsed == sent


# One odd value costs itself


def losses(pipe, signal, document):
    """What is stored, and what was lost, of a request."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    batch = asyncio.run(getattr(pipe, signal)(body, groups=groups(signal, body)))
    return batch.size, dict(batch.losses)


def spans(*odd, **fields):
    """Three spans, of which the second has fields of its own."""
    good = {"name": "shop.ping", "endTimeUnixNano": str(NOW_US * 1000)}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [good, *(odd or [good | fields]), good]}]}]}


def records(**fields):
    good = {"eventName": "shop.ping", "timeUnixNano": str(NOW_US * 1000)}
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [good, good | fields, good]}]}]}


ODD_PAIRS = [
    None, 5, "x", [], {"key": 1}, {"key": "page", "value": "plain"}, {"key": "page", "value": []},
    {"key": "page", "value": {"intValue": 2**63}}, {"key": "page", "value": {"intValue": "1.5"}},
    {"key": "page", "value": {"intValue": True}}, {"key": "page", "value": {"stringValue": 5}},
    {"key": "page", "value": {"stringValue": "cut \ud83d"}}, {"key": "cut \udc00"},
    {"key": "page", "value": {"arrayValue": []}}, {"key": "page", "value": {"doubleValue": "many"}},
    {"key": "page", "value": {"boolValue": "maybe"}}, {"key": "page", "value": {"intValue": "1" * 5000}},
    {"key": "page", "value": {"intValue": "1e999999999"}}, {"key": "page", "value": {"bytesValue": 7}},
]  # fmt: skip


@pytest.mark.parametrize("pair", ODD_PAIRS)
def test_an_odd_attribute_costs_itself(pipe, pair):
    lost = {Loss.UNDECLARED_ATTRIBUTE: 1}
    assert losses(pipe, "traces", spans(attributes=[pair])) == (3, lost)
    assert losses(pipe, "logs", records(attributes=[pair])) == (3, lost)


@pytest.mark.parametrize("value", [{"intValue": 2**63}, {"stringValue": "\ud83d"}, "plain", 7])
def test_an_odd_value_of_a_declared_attribute_is_of_the_wrong_type(pipe, value):
    document = spans(name="shop.survey", attributes=[{"key": "note", "value": value}])
    assert losses(pipe, "traces", document) == (3, {Loss.WRONG_TYPE: 1})


@pytest.mark.parametrize(
    "odd", [rb"\ud83d", rb"\uDE00\ud83D", b"\xff", rb"\\\ud83d", rb"\ud83dx\ude00"]
)
@pytest.mark.parametrize("place", ["body", "kind", "traceState", "new", "scope", "spanId"])
def test_text_that_is_no_unicode_costs_nothing_where_nobody_reads_it(pipe, odd, place):
    body = json.dumps(spans(**{place: "XXXX"})).encode().replace(b"XXXX", odd)
    assert losses(pipe, "traces", body) == (3, {})


@pytest.mark.parametrize(
    "written", [r"\ud83d\ude00", r"\\ud83d", r"\\\\ud83d \n \" \u00e9 \ud83d\ude00", "\U0001f600"]
)
def test_what_only_looks_like_half_a_letter_is_read_beside_one_that_is(written):
    body = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"%s"}, {"name":"\\ud83d"}]}]}]}'
    [group] = read("traces", (body % written).encode()).resource_spans
    good, odd = group.scope_spans[0].spans
    assert (good.name, odd.name) == (json.loads(f'"{written}"'), "\ufffd")


@pytest.mark.parametrize("name", ["cut \ud83d", "\udc00"])
def test_an_event_whose_name_is_no_text_is_not_declared(pipe, name):
    assert losses(pipe, "traces", spans(name=name)) == (2, {Loss.UNDECLARED_EVENT: 1})
    assert losses(pipe, "logs", records(eventName=name)) == (2, {Loss.UNDECLARED_EVENT: 1})


@pytest.mark.parametrize(
    ("signal", "fields"),
    [
        ("traces", {"kind": "SPAN_KIND_NEW"}), ("traces", {"kind": [1]}), ("traces", {"flags": "x"}),
        ("traces", {"traceId": 7}), ("traces", {"events": 5}), ("traces", {"links": "none"}),
        ("traces", {"status": {"code": "STATUS_CODE_NEW"}}), ("traces", {"status": {"message": 5}}),
        ("traces", {"droppedAttributesCount": 1e99}), ("traces", {"new": {"x": "\ud800"}}),
        ("logs", {"severityNumber": "SEVERITY_NUMBER_INFO"}), ("logs", {"severityNumber": "LOUD"}),
        ("logs", {"severityText": 5}), ("logs", {"body": "plain"}), ("logs", {"traceId": None}),
        ("logs", {"body": {"stringValue": "\ud83d"}}), ("logs", {"observedTimeUnixNano": None}),
    ],
)  # fmt: skip
def test_what_is_odd_where_nobody_reads_it_costs_nothing(pipe, signal, fields):
    document = {"traces": spans, "logs": records}[signal](**fields)
    assert losses(pipe, signal, document) == (3, {})


@pytest.mark.parametrize("name", ["STATUS_CODE_ERROR", 2, "2", 2.0])
def test_a_status_may_be_said_by_name_or_number(pipe, name):
    body = json.dumps(spans(status={"code": name})).encode()
    batch = asyncio.run(pipe.traces(body, groups=groups("traces", body)))
    assert sorted(d.status for _, d in batch.counts) == ["error", "ok"]


@pytest.mark.parametrize("level", ["SEVERITY_NUMBER_ERROR", 17, "17"])
def test_a_severity_may_be_said_by_name_or_number(pipe, level):
    body = json.dumps(records(severityNumber=level)).encode()
    batch = asyncio.run(pipe.logs(body, groups=groups("logs", body)))
    assert sorted(d.status for _, d in batch.counts) == ["error", "ok"]


# One odd record costs itself


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 5}, {"name": {}}, {"endTimeUnixNano": -1}, {"endTimeUnixNano": 2**64},
        {"endTimeUnixNano": "1" * 10_000}, {"endTimeUnixNano": "soon"}, {"endTimeUnixNano": 1.5},
        {"endTimeUnixNano": "0x10"}, {"endTimeUnixNano": "1e30"}, {"endTimeUnixNano": " 5"},
        {"status": {"code": 2**40}}, {"status": 2}, {"status": {"code": [2]}}, {"attributes": {}},
        {"attributes": "x"}, {"endTimeUnixNano": True}, {"endTimeUnixNano": []},
    ],
)  # fmt: skip
def test_a_span_with_a_field_of_another_type_costs_itself(pipe, fields):
    assert losses(pipe, "traces", spans(**fields)) == (2, {Loss.MALFORMED: 1})


@pytest.mark.parametrize("odd", [None, 5, "x", [], True, [{}]])
def test_what_is_no_span_costs_itself(pipe, odd):
    assert losses(pipe, "traces", spans(odd)) == (2, {Loss.MALFORMED: 1})


@pytest.mark.parametrize(
    "fields", [{"timeUnixNano": "soon"}, {"eventName": 5}, {"severityNumber": 2**40}]
)
def test_a_record_with_a_field_of_another_type_costs_itself(pipe, fields):
    assert losses(pipe, "logs", records(**fields)) == (2, {Loss.MALFORMED: 1})


@pytest.mark.parametrize("resource", [5, "x", {"attributes": 5}, {"attributes": [None]}])
def test_a_resource_that_cannot_be_read_has_no_attributes(pipe, resource):
    document = spans()
    document["resourceSpans"][0]["resource"] = resource
    assert losses(pipe, "traces", document) == (3, {})


def counted(catalog, document):
    body = json.dumps(document).encode()
    batch = asyncio.run(
        metrics.decode(Policy(catalog), body, NOW_US, groups=groups("metrics", body), key=KEY)
    )
    return sum(batch.counts.values()), dict(batch.losses)


def deltas(*odd, **fields):
    good = {"asInt": "3", "timeUnixNano": str(NOW_US * 1000)}
    points = [good, *(odd or [good | fields]), good]
    total = {"aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA", "isMonotonic": True}
    metric = {"name": "shop.ping", "sum": total | {"dataPoints": points}}
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}


@pytest.mark.parametrize("pair", ODD_PAIRS)
def test_an_odd_attribute_of_a_point_costs_itself(catalog, pair):
    lost = {Loss.UNDECLARED_ATTRIBUTE: 1}
    assert counted(catalog, deltas(attributes=[pair])) == (9, lost)


@pytest.mark.parametrize(
    "fields",
    [
        {"asInt": "many"}, {"asInt": 2**63}, {"asInt": 1.5}, {"timeUnixNano": -1}, {"flags": 2**40},
        {"timeUnixNano": "now"}, {"attributes": 5}, {"asInt": None, "asDouble": "1e400"},
        {"asInt": None, "asDouble": "many"},
    ],
)  # fmt: skip
def test_an_odd_point_costs_itself(catalog, fields):
    assert counted(catalog, deltas(**fields)) == (6, {Loss.MALFORMED: 1})


@pytest.mark.parametrize("odd", [None, 5, "x", []])
def test_what_is_no_point_costs_itself(catalog, odd):
    assert counted(catalog, deltas(odd)) == (6, {Loss.MALFORMED: 1})


@pytest.mark.parametrize("fields", [{"exemplars": 5}, {"description": [1]}, {"unit": "\ud800"}])
def test_what_is_odd_in_a_point_where_nobody_reads_it_costs_nothing(catalog, fields):
    assert counted(catalog, deltas(**fields)) == (9, {})


# Earlier forms


@pytest.mark.parametrize(
    "names", [("instrumentationLibrarySpans", "spans"), ("instrumentation_library_spans", "spans")]
)
def test_scopes_under_their_earlier_name_are_read_where_there_are_no_others(pipe, names):
    scopes, items = names
    document = spans()
    [group] = document["resourceSpans"]
    group[scopes] = [
        {"instrumentationLibrary": {"name": "x"}, items: group.pop("scopeSpans")[0]["spans"]}
    ]
    assert losses(pipe, "traces", document) == (3, {})
    group["scopeSpans"] = spans()["resourceSpans"][0]["scopeSpans"]
    assert losses(pipe, "traces", document) == (3, {})


def test_log_records_under_their_earlier_name_are_read(pipe):
    document = records()
    [group] = document["resourceLogs"]
    group["instrumentationLibraryLogs"] = [{"logs": group.pop("scopeLogs")[0]["logRecords"]}]
    assert losses(pipe, "logs", document) == (3, {})


def test_scopes_in_their_earlier_field_are_read_in_protobuf(pipe):
    """Field 1000 of ResourceSpans; who sets both fields sends the same twice (comments of OTLP 0.15)."""
    body = json.dumps(spans()).encode()
    encoded = read("traces", body).resource_spans[0].scope_spans[0].SerializeToString()
    size = len(encoded)
    earlier = b"\xc2\x3e" + bytes([size & 127 | 128, size >> 7]) + encoded
    newer = b"\x12" + earlier[2:]
    for group in (earlier, newer, earlier + newer):
        size = len(group)
        request = b"\x0a" + bytes([size & 127 | 128, size >> 7]) + group
        assert asyncio.run(pipe.traces(request)).size == 3


@pytest.mark.parametrize("kind", ["intSum", "intGauge", "intHistogram", "int_sum"])
def test_points_of_an_earlier_form_are_counted_as_lost(catalog, kind):
    document = deltas()
    [metric] = document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    metric[kind] = metric.pop("sum")
    assert counted(catalog, document) == (0, {Loss.DEPRECATED_ENCODING: 3})
    metric["name"] = "http.server.requests"
    assert counted(catalog, document) == (0, {Loss.UNDECLARED_EVENT: 3})


@pytest.mark.parametrize("number", [4, 6, 8])
def test_points_of_an_earlier_form_are_counted_as_lost_in_protobuf(catalog, number):
    points = 3 * (b"\x0a\x09\x21" + bytes(8))
    body = b"\x0a\x09shop.ping" + bytes([number << 3 | 2, len(points)]) + points
    for field in (b"\x12", b"\x12", b"\x0a"):
        body = field + bytes([len(body)]) + body
    batch = asyncio.run(metrics.decode(Policy(catalog), body, NOW_US, key=KEY))
    assert dict(batch.losses) == {Loss.DEPRECATED_ENCODING: 3}


def test_labels_are_attributes_that_nobody_declared(catalog):
    found = counted(
        catalog, deltas(labels=[{"key": "a", "value": "b"}, {"key": "c", "value": "d"}])
    )
    assert found == (9, {Loss.UNDECLARED_ATTRIBUTE: 2})


# What a request may be


@pytest.mark.parametrize(
    "body", [b"", b" \n\t ", b"\xef\xbb\xbf", b"{}", b'{"resourceSpans": null}']
)
def test_an_empty_request_is_a_success(body):
    assert groups("traces", body) == []


def parts_with(odd, place, first):
    """Three spans, beside something odd among the resources or the scopes."""
    [whole] = spans()["resourceSpans"]
    if place == "resources":
        return {"resourceSpans": [odd, whole] if first else [whole, odd]}
    scopes = whole["scopeSpans"]
    return {"resourceSpans": [{"scopeSpans": [odd, *scopes] if first else [*scopes, odd]}]}


PLACES = [
    *(("resources", odd) for odd in (5, "walker", True, [], [{}], {"scopeSpans": 5})),
    *(("resources", {"scopeSpans": [odd]}) for odd in (5, [])),
    *(("scopes", odd) for odd in (5, "walker", [], {"spans": {}}, {"spans": "x"})),
]


@pytest.mark.parametrize(("place", "odd"), PLACES)
@pytest.mark.parametrize("first", [True, False])
def test_an_odd_part_costs_itself_and_is_counted(pipe, place, odd, first):
    assert losses(pipe, "traces", parts_with(odd, place, first)) == (3, {Loss.MALFORMED: 1})


@pytest.mark.parametrize("place", ["resources", "scopes"])
def test_null_among_the_parts_is_nothing(pipe, place):
    assert losses(pipe, "traces", parts_with(None, place, True)) == (3, {})


def test_of_a_key_that_comes_twice_the_last_counts():
    assert read_span(name="x") == read("traces", (
        b'{"resourceSpans":[],"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"y","name":"x"}]}]}]}'
    )).resource_spans[0].scope_spans[0].spans[0]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "number"),
    [("1e3", 1000), ("1.5e3", 1500), (5.0, 5), ("-0", 0), ("25e-1", None), (1e18, 10**18)],
)
def test_whole_numbers_may_have_any_form(written, number):
    value = read_value({"intValue": written})
    assert (value.int_value if value.HasField("int_value") else None) == number


@pytest.mark.parametrize(
    ("limit", "build"),
    [
        ("MOST_GROUPS", lambda n: [{}] * n),
        ("MOST_GROUPS", lambda n: [{"scopeSpans": [{}] * (n - 3)}, {"scopeSpans": [{}] * 3}]),
        ("MOST_ITEMS", lambda n: [{"scopeSpans": [{"spans": [{}]}, {"spans": [{}] * (n - 1)}]}]),
    ],
    ids=["resources", "scopes", "spans"],
)
def test_a_request_that_is_read_with_patience_has_the_same_limits(monkeypatch, limit, build):
    monkeypatch.setattr(wire, limit, 7)
    odd = {"x": "\ud800"}
    read("traces", {"resourceSpans": build(7)} | odd)
    with pytest.raises(wire.TooLarge, match="more than 7 "):
        read("traces", {"resourceSpans": build(8)} | odd)


def test_what_would_take_long_to_be_read_with_patience_is_refused(monkeypatch):
    monkeypatch.setattr(patient, "MOST_SURROGATES", 8)
    document = {"x": "\ud800" * 9, "y": "\ud800"}
    with pytest.raises(wire.TooLarge, match="more than 8 "):
        read("traces", document | {"z": 1})


@pytest.mark.parametrize("odd", [{}, {"x": "\ud800"}], ids=["usual", "odd"])
def test_what_would_take_much_memory_is_refused(monkeypatch, odd):
    monkeypatch.setattr(otlp_json, "SLICE", 2)
    monkeypatch.setattr(otlp_json, "MOST", 2000)
    items = {"resourceSpans": [{"scopeSpans": [{"spans": [{}] * 8}]}]}
    read("traces", items | odd)
    items["resourceSpans"][0]["scopeSpans"][0]["spans"] *= 2
    with pytest.raises(wire.TooLarge, match="more than 2,000 bytes"):
        read("traces", items | odd)


@pytest.mark.parametrize("weighed", [0, 2**20], ids=["large", "many"])
def test_what_it_takes_in_memory_is_counted_before_others_have_their_turn(monkeypatch, weighed):
    """A span of `{}` and a comma; the objects around them are three, and one has no comma."""
    monkeypatch.setattr(otlp_json, "WEIGHED", weighed)
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{}] * 3000}]}]}).encode()
    taken = []
    asyncio.run(otlp_json.groups("traces", body, taken.append))
    assert taken == [3003 * 100 + 2999 * 72]


def test_what_an_odd_span_may_have_is_bounded(monkeypatch):
    monkeypatch.setattr(wire, "MOST_ATTRIBUTES", 7)
    read("traces", spans(attributes=[None] * 7))
    with pytest.raises(wire.TooLarge, match="more than 7 "):
        read("traces", spans(attributes=[None] * 8))


def test_others_are_served_while_an_odd_request_is_read():
    async def turns():
        document = one_span(name=5)
        document["resourceSpans"][0]["scopeSpans"][0]["spans"] *= 3000
        reading = asyncio.create_task(otlp_json.groups("traces", json.dumps(document).encode()))
        number = 0
        while not reading.done():
            await asyncio.sleep(0)
            number += 1
        return number

    assert asyncio.run(turns()) >= 20


FIELDS = ["resourceSpans", "scopeSpans", "spans", "attributes", "key", "value", "name", "status",
          "intValue", "endTimeUnixNano", "resource", "x"]  # fmt: skip
DOCUMENTS = st.recursive(
    st.sampled_from([None, 1, "x", 1.5, True, "\ud800"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=40,
)


@given(DOCUMENTS)
def test_whatever_is_sent_is_read_or_refused(document):
    with contextlib.suppress(DecodeError):
        groups("traces", json.dumps(document).encode())
