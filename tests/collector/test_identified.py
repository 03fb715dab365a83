"""What of a request tells a retry from another sender's equal one, and spans one by one."""

import datetime as dt
import json
import time

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from footfall_collector.decoding import otlp_json
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Policy
from support.otlp import as_json

NOW_NS = time.time_ns()
KEY = b"k" * 32


@pytest.fixture
def pipeline(catalog):
    return Pipeline(Policy(catalog), {})


def traces(*ids, statuses=False):
    """One span for each (trace id, span id)."""
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    for trace_id, span_id in ids:
        span = scope.spans.add(name="shop.ping", trace_id=trace_id, span_id=span_id)
        span.start_time_unix_nano, span.end_time_unix_nano = NOW_NS - 10**6, NOW_NS
        if statuses and len(scope.spans) % 2:
            span.status.message = "read one by one"
    return message.SerializeToString()


def logs(*span_ids):
    message = ExportLogsServiceRequest()
    scope = message.resource_logs.add().scope_logs.add()
    for span_id in span_ids:
        scope.log_records.add(event_name="shop.ping", time_unix_nano=NOW_NS, span_id=span_id)
    return message.SerializeToString()


@pytest.mark.parametrize("statuses", [False, True])
async def test_spans_with_ids_can_only_be_repeated_by_a_retry(pipeline, statuses):
    ids = [(bytes([n]) * 16, bytes([n]) * 8) for n in range(1, 5)]
    assert (await pipeline.traces(traces(*ids, statuses=statuses))).identified
    assert not (await pipeline.traces(traces((b"", b""), (b"", b""), statuses=statuses))).identified


async def test_log_events_outside_of_spans_can_be_another_senders(pipeline):
    assert (await pipeline.logs(logs(b"s" * 8, b"t" * 8))).identified
    assert not (await pipeline.logs(logs(b"s" * 8, b""))).identified


def names(batch):
    return [span for rows in batch.rows for span in rows.spans]


@pytest.mark.parametrize("statuses", [False, True])
async def test_spans_are_named_by_their_ids_where_that_is_asked_for(pipeline, statuses):
    ids = [(bytes([n]) * 16, bytes([n]) * 8) for n in (1, 2, 1)]
    body = traces(*ids, statuses=statuses)
    first, second, third = names(await pipeline.traces(body, identities=KEY))
    assert (first, first != second) == (third, True)
    day = (dt.datetime.fromtimestamp(NOW_NS / 1e9, dt.UTC).date() - dt.date(1970, 1, 1)).days
    assert first[:2] == day.to_bytes(2, "big")
    assert names(await pipeline.traces(body)) == []


async def test_spans_without_ids_have_names_of_their_own(pipeline):
    zeros, ids = (bytes(16), bytes(8)), (b"t" * 16, b"s" * 8)
    body = traces((b"", b""), (b"t" * 16, b""), (b"t" * 15, b"s" * 8), zeros, zeros, ids, ids)
    assert len(set(names(await pipeline.traces(body, identities=KEY)))) == 6


async def test_ids_of_zeros_are_none(pipeline):
    assert not (await pipeline.traces(traces((bytes(16), bytes(8))))).identified
    assert not (await pipeline.logs(logs(bytes(8)))).identified


@pytest.mark.parametrize("statuses", [False, True])
async def test_ids_in_json_are_those_in_protobuf(pipeline, statuses):
    ids = [(bytes([n]) * 16, bytes([n]) * 8) for n in (1, 2, 1)]
    body = traces(*ids, statuses=statuses)
    said = await otlp_json.groups("traces", as_json("traces", body))
    batch = await pipeline.traces(b"", groups=said, identities=KEY)
    assert names(batch) == names(await pipeline.traces(body, identities=KEY))
    assert batch.identified
    said = await otlp_json.groups("logs", as_json("logs", logs(b"s" * 8, b"t" * 8)))
    assert (await pipeline.logs(b"", groups=said)).identified


@pytest.mark.parametrize("odd", ["", "zz", 7, None, [], {}, True, "ab" * 17, "\ud800"])
async def test_an_odd_id_in_json_costs_itself(pipeline, odd):
    message = json.loads(as_json("traces", traces((b"t" * 16, b"s" * 8))))
    span = message["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["traceId"] = span["spanId"] = odd
    said = await otlp_json.groups("traces", json.dumps(message).encode())
    batch = await pipeline.traces(b"", groups=said)
    assert (batch.size, batch.losses, batch.identified) == (1, {}, False)
