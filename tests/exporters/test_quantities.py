"""Rows that stand for several occurrences: stored, read back, spooled and passed on with their quantity."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from exporters.otlp_backend import requests, spans
from exporters.spools import plain
from exporters.test_stream import read, store
from footfall_exporters.batch_codec import Decoder, encode
from footfall_exporters.events import Events
from footfall_processors import Batch, Rows, Shape
from support.batches import HOUR, NOW, dimension

PING = dimension("shop.ping", "invoke")
VISIT = dimension("shop.visit", "open")


def weighted(*quantities, of=PING, beyond=0):
    """A batch of a row for each quantity, and so many occurrences beyond them."""
    shapes = [Shape(of, 1.0, (), number) for number in quantities]
    rows = Rows([NOW + n for n in range(len(shapes))], [None] * len(shapes), shapes, [])
    counts = {(NOW // HOUR * HOUR, of): sum(quantities) + beyond}
    return Batch(b"q" * 16, "logs", [rows], counts)


async def test_the_store_keeps_quantities_and_gives_them_back(store_database, catalog, query):
    await store(store_database, catalog, [weighted(3, 1, 3, 50)])
    stored = "SELECT quantity FROM footfall.feature_events ORDER BY ordinal"
    assert query(stored) == [(3,), (1,), (3,), (50,)]
    assert query("SELECT sum(count) FROM footfall.feature_counts") == [(57,)]
    assert query("SELECT sum(quantity) FROM reporting.events") == [(57,)]
    [[(_, found)]], gone = await read(store_database, catalog)
    assert gone == 0
    assert [shape.quantity for rows in found.rows for shape in rows.shapes] == [3, 1, 3, 50]
    assert sum(found.counts.values()) == 57
    assert not found.beyond_rows(), "rows hold all of it"


@given(quantities=st.lists(st.integers(1, 50), min_size=1, max_size=9), beyond=st.integers(0, 5))
def test_summing_quantities_over_exported_events_gives_the_count(catalog, quantities, beyond):
    sent = weighted(*quantities, beyond=beyond)
    events = list(Events(catalog, pseudonyms=False).of(sent))
    assert [e.fields["quantity"] for e in events] == [*quantities, *([beyond] if beyond else [])]
    assert len({event.id for event in events}) == len(events)


async def test_over_otlp_a_row_is_a_span_and_its_other_occurrences_are_counted(catalog):
    for quantities in ((3, 1), (1, 1)):
        traces, sums = await requests(catalog, weighted(*quantities, of=VISIT))
        assert len(list(spans(traces[0] if isinstance(traces, list) else traces))) == 2
        counted = Counter(
            {
                metric.name: point.as_int
                for request in sums
                for resource in request.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
                for point in metric.sum.data_points
            }
        )
        assert counted.total() == sum(quantities) - 2


def test_a_spool_keeps_quantities_and_reads_what_was_written_before_there_were_any():
    sent = weighted(3, 1)
    back = Decoder().decode(encode(sent))
    assert [shape.quantity for shape in back.rows[0].shapes] == [3, 1]
    assert plain(back) == plain(sent)
