"""Requests that are small to send and large to read: refused before they fill the memory or the time."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from collector.spans import NOW_US, SALTS, key_value, length_prefixed, one_span
from collector.sums import NOW_NS, Request, point
from footfall_collector.decoding import metrics, otlp, wire
from footfall_collector.decoding import spans as pipeline
from footfall_collector.decoding.spans import Pipeline
from footfall_collector.decoding.wire import TooLarge
from footfall_processors import Loss, Policy, values

SIZE = 16 * 2**20
MOST_MB = 600
"""What reading a request may add to the process."""


@pytest.fixture(scope="module")
def policy(catalog):
    return Policy(catalog)


@pytest.fixture
def decode(policy):
    """(signal, body) → batch."""
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)

    def decode(signal, body):
        if signal == "metrics":
            return asyncio.run(metrics.decode(policy, body, NOW_NS // 1000, key=b"k" * 32))
        return asyncio.run(getattr(pipe, signal)(body))

    return decode


def within(content, *numbers):
    """`content` as the field of a message that is the field of a message, the innermost number last."""
    for number in reversed(numbers):
        content = length_prefixed(number, content)
    return content


def many(number, content=b"", size=SIZE):
    """As many of a repeated field as the size allows."""
    one = length_prefixed(number, content)
    return one * (size // len(one))


SPAN = one_span("shop.ping").SerializeToString()
POINTS = length_prefixed(1, b"shop.ping")
NOTE = length_prefixed(1, b"note")
HOSTILE = {
    "scopes in their earlier field": ("traces", lambda: within(b"\xc2\x3e\x00" * (SIZE // 3), 1)),
    "resources": ("traces", lambda: many(1)),
    "resources with a scope": ("traces", lambda: many(1, b"\x12\x00")),
    "scopes": ("traces", lambda: within(many(2), 1)),
    "spans": ("traces", lambda: within(many(2), 1, 2)),
    "spans with tags of two bytes": ("traces", lambda: within(b"\x92\x00\x00" * (SIZE // 3), 1, 2)),
    "names of a span": ("traces", lambda: within(SPAN + many(5), 1, 2, 2)),
    "statuses of a span": ("traces", lambda: within(SPAN + many(15), 1, 2, 2)),
    "attributes of a span": ("traces", lambda: within(SPAN + many(9), 1, 2, 2)),
    "attributes of spans": ("traces", lambda: within(many(2, SPAN + many(9, b"", 2000)), 1, 2)),
    "a map": ("traces", lambda: within(SPAN + within(NOTE + within(many(1), 2, 6), 9), 1, 2, 2)),
    "a list": ("traces", lambda: within(SPAN + within(NOTE + within(many(1), 2, 5), 9), 1, 2, 2)),
    "attributes of a resource": ("traces", lambda: within(many(1), 1, 1)),
    "log records": ("logs", lambda: within(many(2), 1, 2)),
    "attributes of a record": ("logs", lambda: within(many(6), 1, 2, 2)),
    "metrics": ("metrics", lambda: within(many(2), 1, 2)),
    "declared metrics": ("metrics", lambda: within(many(2, POINTS), 1, 2)),
    "points": ("metrics", lambda: within(POINTS + within(many(1), 7), 1, 2, 2)),
    "points with attributes": (
        "metrics",
        lambda: within(POINTS + within(many(1, many(7, b"", 200)), 7), 1, 2, 2),
    ),
}
NOT_READ = {
    "times of a span": (
        "traces",
        lambda: within(SPAN + (b"\x39" + b"t" * 8) * (SIZE // 9), 1, 2, 2),
    ),
    "events of a span": ("traces", lambda: within(SPAN + many(11), 1, 2, 2)),
    "unknown fields of a span": ("traces", lambda: within(SPAN + many(14), 1, 2, 2)),
    "buckets of a histogram": (
        "metrics",
        lambda: within(POINTS + within(bytes(SIZE), 9, 1, 6), 1, 2, 2),
    ),
    "exemplars": ("metrics", lambda: within(POINTS + within(many(5), 7, 1), 1, 2, 2)),
    "attributes of a point": ("metrics", lambda: within(POINTS + within(many(7), 7, 1), 1, 2, 2)),
    "metadata of a metric": ("metrics", lambda: within(POINTS + many(12), 1, 2, 2)),
}


class Peak:
    """What the process grows by, at most, while this is measured."""

    def __enter__(self):
        Path("/proc/self/clear_refs").write_text("5")
        self._before = self._most()
        return self

    def __exit__(self, *error):
        self.mb = self._most() - self._before

    @staticmethod
    def _most():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@pytest.fixture
def peak():
    try:
        with Peak() as peak:
            pass
    except OSError:
        pytest.skip("this system does not tell a process's peak")
    return peak


@pytest.mark.parametrize(("signal", "make"), HOSTILE.values(), ids=HOSTILE)
def test_too_many_elements_are_refused_before_they_fill_the_memory(decode, peak, signal, make):
    body = make()
    with peak, pytest.raises(TooLarge, match=r"^the request has more than [\d,]+ [a-z ,]+$"):
        decode(signal, body)
    assert peak.mb < MOST_MB


@pytest.mark.parametrize(("signal", "make"), NOT_READ.values(), ids=NOT_READ)
def test_what_nobody_reads_costs_its_own_size(decode, peak, signal, make):
    body = make()
    with peak:
        decode(signal, body)
    assert peak.mb < 6 * SIZE / 2**20


def test_a_sender_may_treat_it_as_any_other_request_that_is_refused():
    assert issubclass(TooLarge, DecodeError)


def test_many_real_spans_pass(decode):
    texts = {"provider": "smz3", "mode": "open", "note": "plain", "user.name": "x", "url.full": "y"}
    attributes = [key_value(key, string_value=text) for key, text in texts.items()]
    span = one_span("shop.survey", *attributes, trace_id=b"t" * 16, span_id=b"s" * 8)
    spans = SIZE // 2 // span.ByteSize()
    batch = decode("traces", within(length_prefixed(2, span.SerializeToString()) * spans, 1, 2))
    assert batch.size == sum(batch.counts.values()) == spans > 50_000


# The limits, exactly


def spans_of(attributes, spans=1):
    one = length_prefixed(2, SPAN + length_prefixed(9, b"") * attributes)
    return within(one * spans, 1, 2)


def metric_of(points, attributes=0):
    found = Request().delta(*[point(1, **{f"a{n}": "x" for n in range(attributes)})] * points)
    return found.message.SerializeToString()


LIMITS = {
    "resources": (wire, "MOST_GROUPS", "traces", lambda n: within(b"", 1) * n),
    "scopes": (wire, "MOST_GROUPS", "traces", lambda n: within(b"\x12\x00" * n, 1)),
    "spans": (wire, "MOST_ITEMS", "traces", lambda n: spans_of(0, n)),
    "spans of scopes": (wire, "MOST_ITEMS", "traces", lambda n: spans_of(0) * n),
    "records": (wire, "MOST_ITEMS", "logs", lambda n: within(b"\x12\x00" * n, 1, 2)),
    "attributes": (wire, "MOST_ATTRIBUTES", "traces", spans_of),
    "attributes of a broken span": (
        wire,
        "MOST_ATTRIBUTES",
        "traces",
        lambda n: within(b"\x4a\x00" * n, 1, 2, 2),
    ),
    "attributes of a record": (
        wire,
        "MOST_ATTRIBUTES",
        "logs",
        lambda n: within(b"\x32\x00" * n, 1, 2, 2),
    ),
    "attributes of a request": (
        pipeline,
        "MOST_ATTRIBUTES",
        "traces",
        lambda n: spans_of(0) * n,
    ),
    "attributes of a resource": (
        otlp,
        "MOST_RESOURCE_ATTRIBUTES",
        "traces",
        lambda n: within(b"\x0a\x00" * n, 1, 1),
    ),
    "metrics": (metrics, "MOST_READ", "metrics", lambda n: within(b"\x12\x00" * n, 1, 2)),
    "points": (metrics, "MOST_READ", "metrics", lambda n: metric_of(n - 1)),
    "attributes of points": (metrics, "MOST_READ", "metrics", lambda n: metric_of(1, n - 2)),
}


@pytest.mark.parametrize(("owner", "limit", "signal", "build"), LIMITS.values(), ids=LIMITS)
def test_a_request_may_have_so_many_and_not_one_more(
    decode, monkeypatch, owner, limit, signal, build
):
    monkeypatch.setattr(owner, limit, 7)
    decode(signal, build(7))
    with pytest.raises(TooLarge, match="more than 7 "):
        decode(signal, build(8))


def test_tags_are_counted_in_large_messages_only(monkeypatch):
    monkeypatch.setattr(wire, "MOST_TAGS", 3)
    wire.check_tags(b"\x12\x12\x12\x12\x12\x12", 2)
    wire.check_tags(b"\x12\x12\x12xxxx", 2)
    for large in (b"\x12\x12\x12\x12xxx", b"\x12\x92\x00\x92\x80\x00\x12", b"\x92" * 7):
        with pytest.raises(TooLarge):
            wire.check_tags(large, 1, 2)


# What is not opened


@pytest.mark.parametrize("kind", [5, 6, 7], ids=["list", "map", "bytes"])
@pytest.mark.parametrize("size", [0, 100, otlp.MOST_BYTES, 10**6])
def test_a_list_a_map_or_bytes_are_a_value_of_the_wrong_type_whatever_their_size(
    decode, kind, size
):
    value = many(1, b"", size) if kind != 7 else bytes(size)
    attribute = length_prefixed(9, NOTE + within(value, 2, kind))
    span = one_span("shop.survey").SerializeToString() + attribute
    batch = decode("traces", within(span, 1, 2, 2))
    assert (batch.size, batch.losses) == (1, {Loss.WRONG_TYPE: 1})


def test_an_attribute_too_long_to_be_kept_keeps_its_key():
    encoded = key_value("note", string_value="é" * 40_000).SerializeToString()
    assert otlp.key_value(encoded) == ("note", None)
    assert otlp.key_value(encoded[:-1]) == ("", None)


def test_one_broken_attribute_does_not_spoil_a_resource():
    good = key_value("service.name", string_value="shop").SerializeToString()
    encoded = length_prefixed(1, b"\x0a\x05x") + length_prefixed(1, good)
    assert otlp.resource_attributes(encoded) == {"": None, "service.name": "shop"}
    assert otlp.resource_attributes(b"\x0a\x05x") == {}


# Metrics stay bytes until it is known that they count


def metrics_of(*encoded):
    return within(b"".join(length_prefixed(2, each) for each in encoded), 1, 2)


def test_a_broken_metric_or_point_is_counted_and_the_others_are_stored(decode):
    good = metric_of(2)
    encoded = ExportMetricsServiceRequest.FromString(good).resource_metrics[0].scope_metrics[0]
    metric = encoded.metrics[0].SerializeToString()
    broken_point = metric + within(b"\x39\x01", 7, 1)
    batch = decode("metrics", metrics_of(metric, metric[:-1], broken_point))
    assert sum(batch.counts.values()) == 4
    assert batch.losses == {Loss.MALFORMED: 2}


def test_points_of_undeclared_metrics_are_counted_unopened(decode):
    metric = length_prefixed(1, b"other") + within(many(1, b"\xff", 30), 7)
    batch = decode("metrics", metrics_of(metric))
    assert batch.losses == {Loss.UNDECLARED_EVENT: 10}


def test_of_several_kinds_of_data_the_last_counts(decode):
    message = Request().delta(point(3)).message.resource_metrics[0].scope_metrics[0].metrics[0]
    counted = message.SerializeToString()
    histogram = within(b"", 9)
    assert Counter(decode("metrics", metrics_of(counted + histogram)).losses) == {
        Loss.UNSUPPORTED_METRIC: 1
    }
    assert sum(decode("metrics", metrics_of(histogram + counted)).counts.values()) == 3


# Texts made to be slow to search

SLOW = "a@b.c1:2:3:"
"""Of what the patterns look for, as much as fits."""


def noted(length, spans):
    """Spans with a text of their own each."""
    bodies = []
    for number in range(spans):
        text = (f"{number} " + SLOW * (length // len(SLOW) + 1))[:length]
        span = one_span("shop.survey", key_value("note", string_value=text))
        bodies.append(length_prefixed(2, span.SerializeToString()))
    return within(b"".join(bodies), 1, 2)


def test_a_request_with_more_text_than_can_be_searched_is_refused(decode, monkeypatch):
    monkeypatch.setattr(pipeline, "MOST_TEXT", 15_000)
    with pytest.raises(TooLarge, match="characters of text"):
        decode("traces", noted(1000, 30))
    assert decode("traces", noted(1000, 20)).size == 20


async def test_long_texts_do_not_keep_other_requests_waiting(policy):
    """Between slices the loop runs; a slice has so many bytes and no more."""
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    batch = await pipe.traces(noted(8000, 200))
    counting.cancel()
    assert batch.size == 200
    assert turns >= 200 * 8000 // pipeline.SLICE_BYTES


def test_a_text_is_searched_once(decode, monkeypatch):
    searched = []
    redact = values.redact
    monkeypatch.setattr(values, "redact", lambda text: searched.append(text) or redact(text))
    decode("traces", noted(600, 5))
    assert len(searched) == 5
