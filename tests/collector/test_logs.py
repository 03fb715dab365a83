import asyncio
import tracemalloc

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from collector.decoded import as_result, rows_of
from collector.drawn import LOGS, thorough
from collector.spans import NOW_US, SALTS, SECOND, length_prefixed
from footfall_collector.decoding.attributes import MARK
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Loss
from support import reference

NOW_NS = NOW_US * 1000
ERROR = 17


@pytest.fixture(scope="module")
def pipe(ruled):
    return Pipeline(ruled, SALTS, lambda: NOW_NS + 999)


def decode(pipe, body):
    return asyncio.run(pipe.logs(body))


def request(*records):
    scope = ScopeLogs(log_records=records)
    return ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(scope_logs=[scope])]
    ).SerializeToString()


def attribute(key, **kind):
    return KeyValue(key=key, value=AnyValue(**kind))


def a_record(name="shop.order", *attributes, **fields):
    return LogRecord(
        **{"event_name": name, "time_unix_nano": NOW_NS} | fields, attributes=attributes
    )


def what_is_counted(pipe, *records):
    """(event, action, status) → count, and the losses."""
    batch = decode(pipe, request(*records))
    counts = {(d.event, d.action, d.status): n for (_, d), n in batch.counts.items()}
    assert sum(counts.values()) == batch.size
    return counts, batch.losses


# The property: a plain walk over the official classes says the same


def walked(body):
    for group in ExportLogsServiceRequest.FromString(body).resource_logs:
        records = [as_span(each) for scope in group.scope_logs for each in scope.log_records]
        yield reference.dictionary(group.resource.attributes), records


def as_span(record):
    pairs = [reference.pair(kv) for kv in record.attributes]
    name = record.event_name
    if not name:
        named = [p for p in pairs if p[0] == "event.name" and isinstance(p[1], str)]
        if named:
            name = named[0][1]
            pairs.remove(named[0])
    time = record.time_unix_nano or record.observed_time_unix_nano
    failed = True if record.severity_number >= ERROR else None
    return reference.Span(name, time, time, failed, None, pairs)


@thorough
@given(body=LOGS)
def test_a_request_means_what_a_plain_walk_over_the_official_classes_says(pipe, body):
    found = as_result(decode(pipe, body))
    assert found == reference.evaluate(pipe.policy, SALTS, walked(body), NOW_US)


# By hand


def test_a_record_that_names_an_event_is_an_observation_and_counted(pipe):
    batch = decode(
        pipe, request(a_record("shop.order", attribute("provider", string_value="smz3")))
    )
    [(time, duration, shape, values)] = rows_of(batch)
    assert (time, duration, values) == (NOW_US, None, (None,))
    assert shape.dimension.event == "shop.order"
    assert shape.dimension.enums == (("provider", "smz3"),)
    assert (batch.signal, batch.size, batch.losses) == ("logs", 1, {})
    assert dict(batch.counts) == {(NOW_US - NOW_US % (3600 * 10**6), shape.dimension): 1}


def test_the_deprecated_attribute_names_the_event_where_the_field_does_not(pipe):
    named = attribute("event.name", string_value="shop.ping")
    records = a_record("", named), a_record("shop.order", named)
    assert what_is_counted(pipe, *records) == (
        {("shop.ping", "invoke", "ok"): 1, ("shop.order", "success", "ok"): 1},
        {Loss.UNDECLARED_ATTRIBUTE: 1},
    )


@pytest.mark.parametrize(("severity", "failed"), [(0, False), (16, False), (17, True), (24, True)])
def test_error_and_worse_are_failures(pipe, severity, failed):
    counts, _ = what_is_counted(pipe, a_record(severity_number=severity))
    assert counts == {
        ("shop.order", "failure", "error") if failed else ("shop.order", "success", "ok"): 1
    }


def test_a_record_without_a_time_happened_when_it_was_observed(pipe):
    record = a_record(time_unix_nano=0, observed_time_unix_nano=NOW_NS - SECOND)
    [(time, *_)] = rows_of(decode(pipe, request(record)))
    assert time == NOW_US - 10**6


def test_a_record_without_any_time_is_refused(pipe):
    assert what_is_counted(pipe, a_record(time_unix_nano=0)) == ({}, {Loss.OUT_OF_WINDOW: 1})


def test_a_duration_is_what_an_attribute_says_where_it_is_declared(pipe):
    said = attribute("duration_ms", int_value=250)
    batch = decode(pipe, request(a_record("shop.survey", said), a_record("shop.order", said)))
    assert {s.dimension.event: d for _, d, s, _ in rows_of(batch)} == {
        "shop.survey": 250,
        "shop.order": None,
    }
    assert batch.losses == {Loss.UNDECLARED_ATTRIBUTE: 1}


def test_records_that_name_no_declared_event_are_counted_and_not_complained_about(pipe):
    batch = decode(pipe, request(a_record(""), a_record("http.request"), a_record("shop.ping")))
    assert (batch.size, batch.losses, batch.rejected) == (1, {Loss.UNDECLARED_EVENT: 2}, 0)


def test_a_record_is_not_matched_by_rules_lest_a_request_is_counted_twice(pipe):
    request_said = [
        attribute("http.route", string_value="/orders/{id}"),
        attribute("http.request.method", string_value="GET"),
    ]
    records = [a_record("http.request", *request_said), a_record("survey 1"), a_record("GET /ping")]
    assert what_is_counted(pipe, *records) == ({}, {Loss.UNDECLARED_EVENT: 3})


def test_a_record_that_cannot_be_read_does_not_spoil_the_others(pipe):
    good, bad = a_record().SerializeToString(), b"\xff"
    records = b"".join(b"\x12" + bytes([len(each)]) + each for each in (bad, good, bad))
    scope = b"\x12" + bytes([len(records)]) + records
    batch = decode(pipe, b"\x0a" + bytes([len(scope)]) + scope)
    assert (batch.size, batch.losses, batch.rejected) == (1, {Loss.MALFORMED: 2}, 2)


def test_what_is_no_request_is_refused(pipe):
    with pytest.raises(DecodeError):
        decode(pipe, b"\xff garbage")


def test_the_same_bytes_as_another_signal_are_another_request(pipe):
    assert decode(pipe, b"").digest != asyncio.run(pipe.traces(b"")).digest


def test_memory_is_bounded_by_the_request(pipe):
    records = [a_record("shop.ping", body=AnyValue(string_value="x" * 1000)) for _ in range(20_000)]
    body = request(*records)
    decode(pipe, body)
    tracemalloc.start()
    try:
        batch = decode(pipe, body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert batch.size == 20_000
    assert peak < 2 * len(body)


def test_who_knows_the_mark_between_records_gains_nothing(pipe):
    """A fuzzer that traces comparisons learns it."""
    forged = length_prefixed(6, MARK)
    sent = [a_record("shop.order", attribute("provider", string_value="smz3")).SerializeToString()]
    sent += [a_record().SerializeToString() + forged, a_record().SerializeToString()]
    body = length_prefixed(1, length_prefixed(2, b"".join(length_prefixed(2, r) for r in sent)))
    batch = decode(pipe, body)
    assert batch.size == 3
    assert sum(batch.counts.values()) == 3
