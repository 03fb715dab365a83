import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from e2e.relaying import NOW_US
from footfall_collector.decoding import metrics
from footfall_collector.decoding.spans import Pipeline
from footfall_exporters.otlp_encode import trace_requests
from footfall_exporters.otlp_sums import metric_requests
from footfall_processors import Batch, Dimension, Point, Policy, Rows, Shape, clean


def decoded(policy, batch, catalog):
    """What another collector, which trusts the sender, makes of what is sent for a batch."""
    now_us = time.time_ns() // 1000

    async def decode():
        pipeline = Pipeline(policy, {})  # it has no salts: pseudonyms need none
        return [await pipeline.traces(request) for request in trace_requests(batch, catalog, True)]

    found = asyncio.run(decode())
    return found, [
        asyncio.run(metrics.decode(policy, request, now_us, key=b"k"))
        for request in metric_requests(batch)
    ]


def plain(dimension):
    return tuple(getattr(dimension, name) for name in Dimension.__dataclass_fields__)


def observations(batches):
    found = []
    for rows in (rows for batch in batches for rows in batch.rows):
        for at, shape in enumerate(rows.shapes):
            values = dict(zip(shape.columns, [column[at] for column in rows.values], strict=True))
            named = (plain(shape.dimension), shape.sample_rate)
            found.append((rows.times[at], rows.durations[at], *named, values))
    return sorted(found, key=repr)


def test_any_number_of_pseudonyms_is_relayed(catalog):
    """More than are remembered by their bytes."""
    size = 6000
    order = Dimension("shop.order", "web", "order", "success", "ok", *[None] * 4, ())
    shape = Shape(order, 1.0, ("guild_id",))
    values = [n.to_bytes(16, "big") for n in range(size)]
    hour = NOW_US // 3_600_000_000 * 3_600_000_000
    sent = Batch(
        b"d" * 16,
        "traces",
        [Rows([NOW_US] * size, [1] * size, [shape] * size, [values])],
        {(hour, order): size},
    )
    observed, counted = decoded(Policy(catalog, relay=True), sent, catalog)
    assert observations(observed) == observations([sent])
    assert ([b.losses for b in observed], counted) == ([{}] * 24, [])


@pytest.mark.parametrize(
    ("relay", "value", "kept"),
    [
        (True, b"footfall" + b"p" * 16, b"p" * 16),
        (True, b"p" * 16, None),
        (True, b"user@example.org", None),
        (True, b"p" * 24, None),
        (True, b"footfall" + b"p" * 15, None),
        (True, b"footfall" + b"p" * 17, None),
        (True, b"", None),
        (False, b"footfall" + b"p" * 16, None),
    ],
)
async def test_a_pseudonym_is_what_a_relay_has_marked(catalog, relay, value, kept):
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="shop.order")
    span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
    span.attributes.add(key="guild_id").value.bytes_value = value
    batch = await Pipeline(Policy(catalog, relay=relay), {}).traces(request.SerializeToString())
    [rows] = batch.rows
    assert rows.values == [[kept]]
    assert batch.losses == ({} if kept else {"wrong_type": 1})


hashes = st.none() | st.binary(min_size=16, max_size=16)
outcomes = st.sampled_from(
    [
        ("invoke", "ok", None),
        ("success", "ok", None),
        ("success", "error", "unexpected_error"),
        ("failure", "error", "out_of_stock"),
        ("failure", "timeout", "provider_timeout"),
        ("failure", "denied", "permission_denied"),
        ("skip", "denied", "invalid_preset"),
    ]
)
services = st.sampled_from([(None, None, None), ("shop", "1.2", "prod"), ("bot", None, None)])


@st.composite
def batches(draw, catalog):
    event = catalog.events["shop.survey"]
    columns, now = catalog.columns(event), NOW_US

    def dimension():
        enums = draw(
            st.sampled_from(
                [(), (("provider", "smr"),), (("mode", "zurück"), ("provider", "smz3"))]
            )
        )
        return Dimension("shop.survey", "web", "survey", *draw(outcomes), *draw(services), enums)

    texts = st.text(max_size=60).map(lambda text: clean(catalog.attributes["note"], text))
    strategies = {
        "attempts": st.none() | st.integers(0, 1000),
        "note": st.none() | texts,
        "ranked": st.none() | st.booleans(),
        "ratio": st.none() | st.floats(-1, 1).map(lambda x: 0.0 if abs(x) < 1e-100 else x),
        "seed": hashes,
    }
    rows = []
    for _ in range(draw(st.integers(0, 3))):
        size = draw(st.integers(1, 4))
        rate = draw(st.sampled_from([1.0, 0.5, 0.001]))
        rows.append(
            Rows(
                [draw(st.integers(now - 6 * 86_400 * 10**6, now)) for _ in range(size)],
                [draw(st.none() | st.integers(0, 600_000)) for _ in range(size)],
                [Shape(dimension(), rate, columns) for _ in range(size)],
                [[draw(strategies.get(name, hashes)) for _ in range(size)] for name in columns],
            )
        )
    counts = {
        (now // 3_600_000_000 * 3_600_000_000 - hour * 3_600_000_000, dimension()): number
        for hour, number in draw(
            st.dictionaries(st.integers(0, 140), st.integers(1, 10**12))
        ).items()
    }
    for part in rows:
        for moment, shape in zip(part.times, part.shapes, strict=True):
            key = (moment // 3_600_000_000 * 3_600_000_000, shape.dimension)
            counts[key] = counts.get(key, 0) + 1
    streams = draw(st.lists(st.binary(min_size=16, max_size=16), max_size=2, unique=True))
    points = [
        Point(stream, b"s" * 16, dimension(), now - 9, now, draw(st.integers(0, 10**12)))
        for stream in streams
    ]
    return Batch(b"d" * 16, "traces", rows, counts, points)


@given(data=st.data())
def test_whatever_is_relayed_is_read_back_as_it_was(catalog, data):
    sent = data.draw(batches(catalog))
    observed, counted = decoded(Policy(catalog, relay=True), sent, catalog)
    assert observations(observed) == observations([sent])
    assert [batch.losses for batch in (*observed, *counted)] == [{}] * (
        len(observed) + len(counted)
    )
    expected, found = {}, {}
    for (hour, dimension), number in sent.beyond_rows().items():
        key = hour, plain(dimension)
        expected[key] = expected.get(key, 0) + number
    for (hour, dimension), number in (item for batch in counted for item in batch.counts.items()):
        found[hour, plain(dimension)] = number
    assert found == expected
    points = [point for batch in counted for point in batch.points]
    assert states(points) == states(sent.points)
    assert len({p.stream for p in points}) == len({p.stream for p in sent.points})


def states(points):
    found = [(plain(p.dimension), p.start_us, p.time_us, p.value) for p in points]
    return sorted(found, key=repr)
