"""Cumulative counters become exact increments."""

import asyncio

import pytest

from footfall_exporters.contracts import Unavailable
from footfall_processors import Loss
from support.batches import DAY, HOUR, NOW, SECOND, batch, dimension, point
from support.stores import writing


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


async def test_a_counter_that_falls_within_a_group_counts_on_from_zero(writer, query):
    values = [point(value, at=NOW + n * SECOND) for n, value in enumerate((9, 3, 7))]
    await asyncio.gather(*(export(writer, each) for each in values))
    assert counted(query) == {"shop.ping": 9 + 7}


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


def losses(query):
    return [found for (found,) in query("SELECT losses FROM footfall.ingest_batches ORDER BY id")]


async def test_the_first_value_of_a_counter_that_is_older_than_the_ledger_is_a_baseline(
    writer, query
):
    old = NOW - 8 * DAY
    await export(writer, point(100, start=old), point(50, series=b"2" * 16, start=old))
    assert counted(query) == {}
    assert query("SELECT losses FROM footfall.ingest_batches") == [({"counter_baseline": 2},)]
    await export(writer, point(107, start=old), point(50, series=b"2" * 16, start=old))
    assert counted(query) == {"shop.ping": 7}


@pytest.mark.parametrize("start", [NOW - 8 * DAY, 0], ids=["old", "none"])
@pytest.mark.parametrize(
    ("known_for", "kept"), [("61 minutes", {"shop.order": 4}), ("1 minute", {})]
)
async def test_a_series_that_begins_late_in_a_run_that_is_known_for_long_counts_in_full(
    writer, query, start, known_for, kept
):
    await export(writer, point(100, start=start))
    query("UPDATE footfall.counter_series SET first_at = first_at - %s::interval", known_for)
    await export(writer, point(4, series=b"2" * 16, start=start, of=dimension("shop.order")))
    assert counted(query) == kept


@pytest.mark.parametrize("start", [0, NOW], ids=["none", "equal to the time"])
async def test_a_counter_whose_start_is_unknown_counts_from_its_first_value_on(
    writer, query, start
):
    await export(writer, point(10**6, start=start))
    await export(writer, point(10**6 + 3, start=start, at=NOW + SECOND))
    await export(writer, point(10**6 + 5, start=start, at=NOW + 2 * SECOND))
    assert counted(query) == {"shop.ping": 5}
    assert losses(query) == [{"counter_baseline": 1}, {}, {}]


@pytest.mark.parametrize(("number", "kept"), [(7, 7), (1001, 0)])
async def test_a_series_that_begins_in_a_tick_of_a_known_sender_counts_what_a_tick_can_hold(
    writer, query, number, kept
):
    """As JavaScript's SDK sends it whose milliseconds are those of its export; not a scraper's first look."""
    await export(writer, point(3))
    new = point(number, series=b"2" * 16, at=NOW + SECOND, start=NOW + SECOND)
    await export(writer, new)
    assert counted(query) == {"shop.ping": 3 + kept}
    assert losses(query)[1] == ({} if kept else {"counter_baseline": 1})


async def test_exports_of_such_a_series_in_one_group_count_all(writer, query):
    began, new = NOW - HOUR, NOW + SECOND
    exports = [
        [point(3, at=new, start=began), point(4, series=b"2" * 16, at=new, start=new)],
        [
            point(5, at=new + SECOND, start=began),
            point(6, series=b"2" * 16, at=new + SECOND, start=new),
        ],
    ]
    await asyncio.gather(*(export(writer, *each) for each in exports))
    assert (counted(query), losses(query)) == ({"shop.ping": 11}, [{}, {}])


async def test_of_exports_that_change_places_such_a_series_counts_all_the_same(writer, query):
    began = NOW - HOUR
    second = [
        point(5, at=NOW + SECOND, start=began),
        point(4, series=b"2" * 16, at=NOW + SECOND, start=NOW + SECOND),
    ]
    await export(writer, *second)
    await export(writer, point(3, at=NOW, start=began))
    assert counted(query) == {"shop.ping": 9}


async def test_a_series_that_a_scraper_meets_later_is_a_baseline_too(writer, query):
    await export(writer, point(100, at=NOW, start=NOW))
    later = NOW + SECOND
    await export(
        writer, point(103, at=later, start=NOW), point(50, series=b"2" * 16, at=later, start=later)
    )
    await export(writer, point(53, series=b"2" * 16, at=later + SECOND, start=later))
    assert counted(query) == {"shop.ping": 6}


@pytest.mark.parametrize("split", [False, True])
async def test_the_first_export_of_a_scraper_is_a_baseline_however_it_is_split(
    writer, query, split
):
    both = [point(40, at=NOW, start=NOW), point(60, series=b"2" * 16, at=NOW, start=NOW)]
    for part in [both[:1], both[1:]] if split else [both]:
        await export(writer, *part)
    assert counted(query) == {}


async def test_a_scraper_that_begins_anew_goes_on_where_the_series_stood(writer, query):
    await export(writer, point(10**6, at=NOW, start=NOW))
    await export(writer, point(10**6 + 3, at=NOW + SECOND, start=NOW))
    later = NOW + 9 * SECOND
    await export(writer, point(10**6 + 5, at=later, start=later))
    await export(writer, point(10**6 + 6, at=later + SECOND, start=later))
    again = later + 9 * SECOND
    await export(writer, point(2, at=again, start=again))  # its target began again as well
    assert counted(query) == {"shop.ping": 6 + 2}


async def test_a_first_value_of_zero_loses_nothing(writer, query):
    await export(writer, point(0, start=0))
    await export(writer, point(3, start=0, at=NOW + SECOND))
    assert (counted(query), losses(query)) == ({"shop.ping": 3}, [{}, {}])


@pytest.mark.parametrize("start", [0, NOW - HOUR], ids=["no start", "the same start"])
async def test_a_counter_that_falls_counts_on_from_zero_and_says_so(writer, query, start):
    for at, value in enumerate((10, 20, 5, 8, 30)):
        await export(writer, point(value, start=start, at=NOW + at * SECOND))
    first = 0 if start else 10  # a baseline
    assert counted(query) == {"shop.ping": 20 - first + 30}
    assert [found for found in losses(query) if "counter_reset" in found] == [{"counter_reset": 1}]


@pytest.mark.parametrize(
    ("values", "kept", "falls"),
    [
        ((10, 30, 5, 40), 70, 1),
        ((10, 2, 10), 20, 1),
        ((10, 2, 10, 12), 22, 1),
        ((100, 5, 150, 160), 260, 1),
        ((10, 4, 3, 8), 22, 2),
        ((10, 0, 12), 22, 1),
        ((100, 0, 100, 200), 300, 1),
        ((10, 30, 5, 12), 42, 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("together", [True, False])
async def test_what_a_counter_counts_after_a_fall_is_new(
    writer, query, values, kept, falls, together
):
    points = [point(value, at=NOW + at * SECOND) for at, value in enumerate(values)]
    for part in [points] if together else [[each] for each in points]:
        await export(writer, *part)
    assert counted(query) == {"shop.ping": kept}
    assert sum(found.get("counter_reset", 0) for found in losses(query)) == falls


async def test_two_senders_that_share_a_stream_are_known_when_it_falls_back(writer, query):
    """Without an instance, and with a start in whole seconds or none: which is which is not said.

    Until it is known, the first rise is taken for growth from where the stream had fallen to; that once.
    """
    for at in range(20):
        await export(writer, point(1000 + at, at=NOW + 2 * at * SECOND))
        await export(writer, point(10 + 2 * at, at=NOW + (2 * at + 1) * SECOND))
    assert counted(query) == {"shop.ping": 1019 + 48 + (1000 - 10)}


async def test_what_comes_after_a_fall_and_is_from_before_it_counts_nothing(writer, query):
    for at, value in ((0, 10), (2, 20), (3, 5), (1, 15), (4, 6)):
        await export(writer, point(value, at=NOW + at * SECOND))
    assert counted(query) == {"shop.ping": 26}


async def test_a_counter_goes_on_when_its_senders_clock_is_set_back(writer, query):
    start = NOW + HOUR
    for at, value in ((start - 2 * HOUR, 3), (start - 3 * HOUR, 7), (start - HOUR, 9)):
        await export(writer, point(value, start=start, at=at))
    assert counted(query) == {"shop.ping": 9}


async def test_a_start_that_lies_more_than_a_week_ahead_is_not_believed(writer, query):
    await export(writer, point(7, start=NOW + 8 * DAY))
    assert (counted(query), losses(query)) == ({}, [{"counter_baseline": 1}])


async def test_what_stands_still_is_written_once_an_hour(writer, query):
    versions = (
        "SELECT xmin::text, seen_at > clock_timestamp() - interval '1 minute'"
        " FROM footfall.counter_series"
    )
    await export(writer, point(5))
    [(first, _)] = query(versions)
    await export(writer, point(5, at=NOW + SECOND))
    assert query(versions) == [(first, True)]
    query("UPDATE footfall.counter_series SET seen_at = seen_at - interval '2 hours'")
    await export(writer, point(5, at=NOW + 2 * SECOND))
    assert [fresh for _, fresh in query(versions)] == [True]


async def test_more_streams_than_there_is_room_for_are_a_loss_and_the_others_go_on(
    writer, query, monkeypatch
):
    monkeypatch.setattr("footfall_exporters.postgres.counters.MOST_STREAMS", 2)
    await export(writer, point(1), point(2, series=b"2" * 16), point(4, series=b"3" * 16))
    await export(writer, point(3, at=NOW + SECOND))
    assert counted(query) == {"shop.ping": 5}
    assert losses(query) == [{"counter_limit": 1}, {}]


async def test_after_a_migration_counters_that_began_before_are_baselines(writer, query):
    query("UPDATE footfall.counter_epoch SET since_us = %s", NOW - SECOND)
    await export(writer, point(9, start=NOW - HOUR))
    await export(writer, point(2, series=b"2" * 16, start=NOW, at=NOW + 1))
    assert (counted(query), losses(query)) == ({"shop.ping": 2}, [{"counter_baseline": 1}, {}])


async def test_a_baseline_is_added_to_the_losses_that_are_known(writer, query):
    await writer.consume(
        batch(points=[point(9, start=NOW - 8 * DAY)], losses={Loss.UNDECLARED_EVENT: 3})
    )
    assert query("SELECT losses FROM footfall.ingest_batches") == [
        ({"undeclared_event": 3, "counter_baseline": 1},)
    ]
