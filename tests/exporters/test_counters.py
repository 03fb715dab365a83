"""Cumulative counters become exact increments."""

import asyncio

import pytest

from exporters.stores import DAY, HOUR, NOW, SECOND, batch, dimension, point, writing
from footfall_exporters.contracts import Unavailable
from footfall_processors import Loss


async def export(writer, *points):
    await writer.consume(batch(points=points, signal="metrics"))


def counted(query):
    return {
        event: int(number)
        for event, number in query(
            "SELECT event, sum(count) FROM footfall.feature_counts JOIN footfall.feature_dims"
            " ON id = dim_id GROUP BY event"
        )
    }


@pytest.mark.parametrize(
    "values", [[5], [5, 5, 5], [5, 8, 12], [12, 5, 8], [0, 12], [12, 12, 0]], ids=str
)
async def test_a_counter_counts_its_highest_value_once(writer, query, values):
    for value in values:
        await export(writer, point(value))
    assert counted(query) == ({"shop.ping": max(values)} if max(values) else {})


async def test_exports_of_a_counter_in_one_group_count_its_highest_value(writer, query):
    await asyncio.gather(*(export(writer, point(value)) for value in (3, 9, 7)))
    assert counted(query) == {"shop.ping": 9}


async def test_a_counter_that_seems_to_go_back_within_a_group_counts_its_highest_value(
    writer, query
):
    values = [point(value, at=NOW + n * SECOND) for n, value in enumerate((9, 3, 7))]
    await asyncio.gather(*(export(writer, each) for each in values))
    assert counted(query) == {"shop.ping": 9}


async def test_an_increment_is_counted_in_the_hour_of_its_export(writer, query):
    await export(writer, point(5, at=NOW - 2 * HOUR, start=NOW - 3 * HOUR))
    await export(writer, point(12, start=NOW - 3 * HOUR))
    hours = query(
        "SELECT extract(epoch FROM hour)::int8, count FROM footfall.feature_counts ORDER BY hour"
    )
    this = NOW // HOUR * 3600
    assert hours == [(this - 2 * 3600, 5), (this, 7)]


async def test_a_restarted_counter_counts_on_from_zero(writer, query):
    await export(writer, point(100))
    await export(writer, point(3, stream=b"t" * 16, series=b"2" * 16, start=NOW - SECOND))
    assert counted(query) == {"shop.ping": 103}


async def test_a_repeated_export_adds_nothing(writer, query):
    request = batch(points=[point(5)])
    await writer.consume(request)
    await writer.consume(request)
    assert counted(query) == {"shop.ping": 5}


async def test_a_counter_that_reaches_two_collectors_counts_once(store_database, catalog, query):
    async with writing(store_database, catalog) as one, writing(store_database, catalog) as two:
        for value in range(1, 41):
            await asyncio.gather(export(one, point(value)), export(two, point(value + value % 3)))
    assert counted(query) == {"shop.ping": 41}


async def test_counters_that_cross_in_two_collectors_lose_nothing(store_database, catalog, query):
    """Groups of several requests that hold the same series in opposite order."""

    async def send(writer, number, value):
        request = batch(points=[point(value, series=bytes([number]) * 16)])
        while True:
            try:
                return await writer.consume(request)
            except Unavailable:
                continue

    async with writing(store_database, catalog) as one, writing(store_database, catalog) as two:
        for value in range(1, 16):
            await asyncio.gather(
                *(send(one, number, value) for number in range(8)),
                *(send(two, number, value) for number in reversed(range(8))),
            )
    assert counted(query) == {"shop.ping": 8 * 15}


async def test_the_first_value_of_a_counter_that_is_older_than_the_ledger_is_a_baseline(
    writer, query
):
    old = NOW - 8 * DAY
    await export(writer, point(100, start=old), point(50, series=b"2" * 16, start=old))
    assert counted(query) == {}
    assert query("SELECT losses FROM footfall.ingest_batches") == [({"counter_baseline": 2},)]
    await export(writer, point(107, start=old), point(50, series=b"2" * 16, start=old))
    assert counted(query) == {"shop.ping": 7}


async def test_a_series_that_begins_late_in_a_known_counter_counts_in_full(writer, query):
    old = NOW - 8 * DAY
    await export(writer, point(100, start=old))
    await export(writer, point(4, series=b"2" * 16, start=old, of=dimension("shop.order")))
    assert counted(query) == {"shop.order": 4}


async def test_a_baseline_is_added_to_the_losses_that_are_known(writer, query):
    await writer.consume(
        batch(points=[point(9, start=NOW - 8 * DAY)], losses={Loss.UNDECLARED_EVENT: 3})
    )
    assert query("SELECT losses FROM footfall.ingest_batches") == [
        ({"undeclared_event": 3, "counter_baseline": 1},)
    ]
