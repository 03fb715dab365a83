"""What a conformant OTLP receiver does, item by item, over real sockets, in each of the three ways to send.

Sources: OTLP specification 1.x; Fetch standard (CORS). How JSON is read is in test_otlp_json.py, what the
three signals mean in test_pipeline.py, test_metrics.py and test_logs.py.
"""

import gzip
import json
import time
import tracemalloc
from dataclasses import replace

import grpc
import psycopg
import pytest
from google.rpc import code_pb2

from collector.senders import (
    JSON,
    WAYS,
    Answer,
    Sender,
    answers,
    compression,
    http_ways,
    read,
    ways,
)
from collector.spans import DAY
from footfall_collector.config.schema import GrpcConfig, HttpConfig
from support.collectors import configured, connected, counts, details
from support.otlp import PROTOBUF, REQUESTS, RESPONSES, as_json, logs, metrics, one_ping, traces

REJECTED = {
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
    "logs": "rejected_log_records",
}
MIB = 2**20


# Transport


@ways
@compression
async def test_three_signals_are_taken_in_three_ways_with_and_without_gzip(
    sender, query, way, compressed
):
    for signal in REQUESTS:
        answer = await sender.send(way, signal, one_ping(signal), compressed=compressed)
        assert answer == Answer("ok", RESPONSES[signal]())
    assert counts(query) == {"shop.ping.invoke": 3}
    assert query("SELECT count(*) FROM reporting.events") == [(2,)]  # a counter tells no single use


@http_ways
@compression
async def test_bodies_may_be_chunked_without_content_length(sender, query, way, compressed):
    headers = (JSON if way == "json" else PROTOBUF) | (
        {"content-encoding": "gzip"} if compressed else {}
    )
    for signal in REQUESTS:
        body = one_ping(signal) if way == "protobuf" else as_json(signal, one_ping(signal))
        pieces = in_pieces(gzip.compress(body) if compressed else body)
        response = await sender.http.post(f"/v1/{signal}", content=pieces, headers=headers)
        assert "content-length" not in response.request.headers
        assert read(response, way, RESPONSES[signal]).code == "ok"
    assert counts(query) == {"shop.ping.invoke": 3}


async def in_pieces(body):
    for start in range(0, len(body), 11):
        yield body[start : start + 11]


SMALL = {
    "grpc": GrpcConfig(endpoint="127.0.0.1:0", max_recv_msg_size_mib=1),
    "http": HttpConfig(endpoint="127.0.0.1:0", max_request_body_size=MIB // 2),
}


@pytest.fixture
async def small(catalog, store_database):
    """A collector that takes 1 MiB over gRPC and half of it over HTTP."""
    config = configured(catalog, store_database)
    async with connected(replace(config, **SMALL), Sender) as sender:
        yield sender


@ways
@compression
async def test_the_size_limit_is_configurable_and_applies_after_decompression(
    small, query, way, compressed
):
    limit = MIB if way == "grpc" else MIB // 2
    padding = b" " * limit if way == "json" else bytes(limit)

    async def send(content):
        if way == "grpc":
            return await small.send(way, "traces", content, compressed=compressed)
        return await small.post(way, "traces", content, compressed=compressed)

    too_large = await send(padding + b" ")
    assert too_large.code in (grpc.StatusCode.RESOURCE_EXHAUSTED, 413)
    assert too_large.retry_after is None
    if way != "grpc":  # there the library answers
        assert too_large.status.code == code_pb2.RESOURCE_EXHAUSTED
    fits = await send(padding[:-2] + b"{}")
    assert fits.code == ("ok" if way == "json" else _bad(way))
    await small.send(way, "traces", one_ping("traces"))
    assert counts(query) == {"shop.ping.invoke": 1}


def _bad(way):
    return grpc.StatusCode.INVALID_ARGUMENT if way == "grpc" else 400


@http_ways
async def test_a_bomb_is_inflated_no_further_than_the_limit(small, way):
    bomb = gzip.compress(bytes(128 * MIB), 1)
    headers = {"content-encoding": "gzip"}
    tracemalloc.start()
    try:
        answer = await small.post(way, "traces", bomb, **headers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.code == 413
    assert peak < 4 * MIB


async def test_json_that_would_swell_in_memory_is_too_large(sender, query):
    swelling = b'{"resourceSpans":[{"scopeSpans":[{"spans":[%b]}]}]}' % b",".join(
        [b"{}"] * 1_000_000
    )
    tracemalloc.start()
    try:
        answer = await sender.post("json", "traces", swelling, compressed=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (answer.code, answer.status.code) == (413, code_pb2.RESOURCE_EXHAUSTED)
    assert peak < 5 * len(swelling)
    assert (await sender.send("json", "traces", one_ping("traces"))).code == "ok"
    assert counts(query) == {"shop.ping.invoke": 1}


@http_ways
@answers
async def test_the_content_type_may_have_parameters_and_is_that_of_the_answer(answering, way):
    for parameter in ("", "; charset=utf-8", ";charset=UTF-8", " ; a=b; c=d", ";"):
        kind = (JSON if way == "json" else PROTOBUF)["content-type"].title() + parameter
        content = b"{}" if way == "json" else b""
        answer = await answering.post(way, "logs", content, **{"content-type": kind})
        assert answer.code == "ok"


# Success


@ways
@answers
async def test_full_success_leaves_partial_success_unset(answering, way):
    for signal in REQUESTS:
        answer = await answering.send(way, signal, one_ping(signal))
        assert not answer.response.HasField("partial_success")


@ways
@answers
async def test_an_empty_request_is_a_success(answering, way):
    for signal in REQUESTS:
        assert await answering.send(way, signal, b"") == Answer("ok", RESPONSES[signal]())


@ways
async def test_what_is_refused_is_counted_in_a_partial_success_and_the_rest_is_stored(
    sender, query, way
):
    make = {
        "traces": traces,
        "logs": logs,
        "metrics": lambda name, **more: metrics(1, name, **more),
    }
    for signal in REQUESTS:
        old = make[signal]("shop.ping", age=8 * DAY) + make[signal]("shop.gone")
        answer = await sender.send(way, signal, old + make[signal]("shop.ping"))
        partial = answer.response.partial_success
        assert getattr(partial, REJECTED[signal]) == 2
        assert "expired_event: 1" in partial.error_message
        assert "out_of_window: 1" in partial.error_message
        assert len(partial.error_message) < 500
    assert counts(query) == {"shop.ping.invoke": 3}


@answers
async def test_a_json_answer_is_proto_json(answering):
    body = as_json("logs", logs("shop.gone"))
    answer = await answering.http.post("/v1/logs", content=body, headers=JSON)
    partial = answer.json()["partialSuccess"]
    assert partial.pop("errorMessage").startswith("expired_event")
    assert partial == {"rejectedLogRecords": "1"}  # 64 bits travel as text
    empty = await answering.http.post("/v1/logs", content=b"{}", headers=JSON)
    assert empty.json() == {}


# Errors


@ways
@answers
async def test_bad_data_is_a_bad_request_with_its_detail_and_no_retry_hint(answering, way):
    garbage = b'\xff{"resourceSpans": "walker"'
    send = answering.send if way == "grpc" else answering.post
    for signal in REQUESTS:
        answer = await send(way, signal, garbage)
        assert answer.code == _bad(way)
        assert answer.status.code == code_pb2.INVALID_ARGUMENT
        assert details(answer.status)["BadRequest"].field_violations[0].field == "body"
        assert answer.retry_after is None
        assert "walker" not in str(answer.status)


async def test_while_the_store_is_away_every_sender_is_told_when_to_retry(
    catalog, own_server, own_database
):
    requests = [(way, signal, one_ping(signal)) for way in WAYS for signal in REQUESTS]
    async with connected(configured(catalog, own_database), Sender) as sender:
        own_server.stop()
        for request in requests:
            answer = await sender.send(*request)
            assert answer.code in (grpc.StatusCode.UNAVAILABLE, 503)
            assert answer.status.code == code_pb2.UNAVAILABLE
            assert answer.retry_after > 0
            assert details(answer.status)["RetryInfo"].retry_delay.ToMilliseconds() > 0
        own_server.start()
        for request in requests * 2:
            assert (await sender.send(*request)).code == "ok"
    with psycopg.connect(own_database) as connection:
        found = counts(lambda statement: connection.execute(statement).fetchall())
    assert found == {"shop.ping.invoke": len(requests)}


@http_ways
@answers
async def test_every_refusal_is_a_status_in_the_encoding_of_the_request(answering, way):
    for method, path, extra, code, meaning in (
        ("POST", "/v1/profiles", {}, 404, code_pb2.UNIMPLEMENTED),
        ("POST", "/v1/traces/", {}, 404, code_pb2.UNIMPLEMENTED),
        ("GET", "/", {}, 404, code_pb2.UNIMPLEMENTED),
        ("GET", "/v1/traces", {}, 405, code_pb2.UNIMPLEMENTED),
        ("POST", "/v1/traces", {"content-encoding": "br"}, 415, code_pb2.INVALID_ARGUMENT),
        ("POST", "/v1/traces", {"content-encoding": "gzip"}, 400, code_pb2.INVALID_ARGUMENT),
    ):
        headers = (JSON if way == "json" else PROTOBUF) | extra
        response = await answering.http.request(method, path, content=b"no gzip", headers=headers)
        answer = read(response, way, None)
        assert (answer.code, answer.status.code) == (code, meaning)
        assert answer.status.message


@answers
async def test_a_content_type_of_neither_encoding_is_unsupported(answering):
    for kind in ("text/plain", "application/grpc", "application/jsonp", ""):
        headers = {"content-type": kind}
        response = await answering.http.post("/v1/traces", content=b"{}", headers=headers)
        assert read(response, "protobuf", None).code == 415
        assert response.headers["accept"] == "application/x-protobuf, application/json"


# JSON


async def test_json_is_read_as_otlp_writes_it(sender, query):
    now = time.time_ns()
    span = {
        "traceId": "0AF7651916CD43DD8448eb211c80319c", "spanId": "b7ad6b7169203331", "parentSpanId": "",
        "name": "shop.order", "kind": 2, "flags": 257, "fromTheFuture": {"a": [1, None]},
        "startTimeUnixNano": str(now - 83_000_000), "endTimeUnixNano": now,
        "status": {"code": 2, "message": "walker"},
        "attributes": [
            {"key": "provider", "value": {"stringValue": "smz3"}},
            {"key": "guild_id", "value": {"bytesValue": "d2Fsa2Vy"}},
            {"key": "other", "value": {"kvlistValue": {"values": [{"key": "a", "value": {}}]}}},
            {"key": "mixed", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}]}}},
            {"key": "nothing", "value": {}},
        ],
    }  # fmt: skip
    timeless = {"name": "shop.order"}
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span, timeless]}]}]}
    answer = await sender.post("json", "traces", json.dumps(document).encode())
    assert answer.response.partial_success.rejected_spans == 1  # without a time
    assert query("SELECT event_name, status, provider, duration_ms FROM reporting.events") == [
        ("shop.order.failure", "error", "smz3", 83)
    ]
    assert query("SELECT guild_hash FROM footfall.feature_events") == [(None,)]


@pytest.mark.parametrize("depth", [500, 100_000])
async def test_deep_nesting_disturbs_nobody(sender, query, depth):
    opening, closing = '{"arrayValue":{"values":[', "]}}"
    value = opening * depth + "{}" + closing * depth
    span = f'{{"name":"shop.ping","endTimeUnixNano":"{time.time_ns()}","attributes":[{{"value":{value}}}]}}'
    body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}'
    assert (await sender.post("json", "traces", body.encode())).code in ("ok", 400)
    deep = b""
    for _ in range(min(depth, 5000)):  # AnyValue.array_value.values
        deep = b"\x0a" + _varint(len(deep)) + deep
        deep = b"\x2a" + _varint(len(deep)) + deep
    for tag in (b"\x12", b"\x4a", b"\x12", b"\x12", b"\x0a"):  # value, attributes, … resource_spans
        deep = tag + _varint(len(deep)) + deep
    for way in ("grpc", "protobuf"):
        answer = await (sender.send if way == "grpc" else sender.post)(way, "traces", deep)
        assert answer.code == "ok"
        assert (await sender.send(way, "traces", one_ping("traces"))).code == "ok"


def _varint(number):
    encoded = b""
    while number > 127:
        encoded, number = encoded + bytes([number & 127 | 128]), number >> 7
    return encoded + bytes([number])


# Traps


@ways
async def test_a_cumulative_counter_is_not_counted_twice_and_its_reset_is_seen(sender, query, way):
    start = time.time_ns() - 60 * 10**9

    def exported(number, *, start, at):
        request = REQUESTS["metrics"]()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="shop.ping")
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
        metric.sum.data_points.add(as_int=number, start_time_unix_nano=start, time_unix_nano=at)
        return request.SerializeToString()

    for seconds, number in ((1, 5), (2, 5), (3, 8), (4, 8)):
        body = exported(number, start=start, at=start + seconds * 10**9)
        await sender.send(way, "metrics", body)
    restarted = start + 5 * 10**9
    await sender.send(way, "metrics", exported(2, start=restarted, at=restarted + 10**9))
    assert counts(query) == {"shop.ping.invoke": 10}


@ways
async def test_the_same_bytes_again_change_nothing(sender, query, way):
    for signal in REQUESTS:
        body = one_ping(signal)
        for _ in range(3):
            assert (await sender.send(way, signal, body)).code == "ok"
    assert counts(query) == {"shop.ping.invoke": 3}
    assert query("SELECT count(*) FROM footfall.ingest_batches") == [(3,)]


async def test_json_that_differs_only_in_what_nobody_reads_is_another_request(sender, query):
    """The ledger knows requests by their bytes as they were sent."""
    span = {"name": "shop.ping", "endTimeUnixNano": time.time_ns()}
    for identity in ("01", "02", "02"):
        spans = [span | {"spanId": identity * 8}]
        document = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
        await sender.post("json", "traces", json.dumps(document).encode())
    assert counts(query) == {"shop.ping.invoke": 2}


@ways
async def test_a_log_records_event_is_named_by_its_field_or_the_deprecated_attribute(
    sender, query, way
):
    request = REQUESTS["logs"].FromString(logs("shop.order", "", ""))
    records = request.resource_logs[0].scope_logs[0].log_records
    records[0].severity_number = 17
    records[1].attributes.add(key="event.name").value.string_value = "shop.ping"
    answer = await sender.send(way, "logs", request.SerializeToString())
    assert not answer.response.HasField("partial_success")
    assert counts(query) == {"shop.order.failure": 1, "shop.ping.invoke": 1}
    assert query("SELECT signal, reason, count FROM reporting.losses") == [
        ("logs", "undeclared_event", 1)
    ]
