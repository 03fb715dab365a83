"""Partitions and retention."""

import asyncio
import datetime as dt

import psycopg
import pytest

from footfall_exporters.postgres import (
    purge,
)
from footfall_processors import Loss
from support.batches import DAY, NOW, batch, one_row
from support.stores import MIDNIGHT, TODAY, days, store_at, stored


def partition_days(query):
    return [
        dt.datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=dt.UTC).date()
        for (name,) in query(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent ="
            " 'footfall.feature_events'::regclass AND NOT inhdetachpending ORDER BY relname"
        )
    ]


async def test_partitions_are_made_ahead_and_dropped_when_they_expire(
    store_database, catalog, query, writer
):
    for n in range(16):
        await writer.consume(batch(one_row(MIDNIGHT - n * DAY)))
    done = await store_at(store_database, catalog, MIDNIGHT, retention_days=10).maintain()
    assert partition_days(query) == days(-10, 3)
    assert done.partitions_dropped == 5
    assert query("SELECT count(*) FROM footfall.feature_events") == [(11,)]
    tables = query("SELECT count(*) FROM pg_class WHERE relname ~ '^feature_events_[0-9]+$'")
    assert tables == [(14,)]
    again = await store_at(store_database, catalog, MIDNIGHT, retention_days=10).maintain()
    assert (again.partitions_made, again.partitions_dropped) == (0, 0)


async def test_a_day_passes(store_database, catalog, query):
    await store_at(store_database, catalog, retention_days=8).maintain()
    done = await store_at(store_database, catalog, NOW + DAY, retention_days=8).maintain()
    assert (done.partitions_made, done.partitions_dropped) == (1, 1)
    assert partition_days(query) == days(-7, 4)


async def test_partitions_are_dropped_while_others_write_and_read(
    store_database, catalog, writer, query
):
    for n in range(9, 14):
        await writer.consume(batch(one_row(MIDNIGHT - n * DAY)))

    async def keep_writing():
        for _ in range(30):
            await writer.consume(batch(one_row()))

    store = store_at(store_database, catalog, MIDNIGHT, retention_days=8)
    await asyncio.gather(keep_writing(), store.maintain())
    assert query("SELECT count(*) FROM footfall.feature_events") == [(30,)]


async def test_purge_says_what_it_would_drop_and_then_drops_it(store_database, writer, query):
    await writer.consume(batch(*[one_row(MIDNIGHT - n * DAY) for n in range(7) for _ in range(n)]))
    expected = {TODAY - dt.timedelta(days=n): n for n in (3, 4, 5, 6)}
    for _ in range(2):
        said = await purge(store_database, 2, dry_run=True)
        assert said.first_kept == TODAY - dt.timedelta(days=2)
        assert {day: n for day, n in said.rows.items() if n} == expected
    assert query("SELECT count(*) FROM footfall.feature_events") == [(21,)]
    done = await purge(store_database, 2, dry_run=False)
    assert done.rows == said.rows
    assert query("SELECT count(*) FROM footfall.feature_events") == [(3,)]
    assert partition_days(query)[0] == TODAY - dt.timedelta(days=2)
    assert (await purge(store_database, 2, dry_run=False)).rows == {}
    assert stored(query)[1] == 21  # counts stay


@pytest.mark.parametrize("moment", ["while it detached", "before it dropped"])
async def test_a_purge_that_was_interrupted_is_finished_by_the_next_housekeeping(
    store_database, catalog, query, writer, moment
):
    await writer.consume(batch(one_row(MIDNIGHT - 3 * DAY)))
    name = f"footfall.feature_events_{TODAY - dt.timedelta(days=3):%Y%m%d}"
    detach = f"ALTER TABLE footfall.feature_events DETACH PARTITION {name}"
    if moment == "before it dropped":
        query(detach)
    else:
        with psycopg.connect(store_database) as reader:
            reader.execute("SELECT count(*) FROM footfall.feature_events").fetchone()
            query("SET statement_timeout = '200ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                query(f"{detach} CONCURRENTLY")
    await store_at(store_database, catalog, MIDNIGHT).maintain()
    await writer.consume(batch(one_row(MIDNIGHT - 3 * DAY)))
    assert query("SELECT count(*) FROM footfall.feature_events") == [(1,)]


def noon(back):
    """Of a day so many days ago."""
    return dt.datetime.combine(TODAY, dt.time(12), dt.UTC) - dt.timedelta(days=back)


async def test_losses_of_forgotten_requests_are_added_up_by_day(
    store_database, catalog, query, writer
):
    for losses in (
        {Loss.MALFORMED: 1, Loss.ENUM_VALUE: 5},
        {Loss.MALFORMED: 2},
        {},
        {Loss.MALFORMED: 40},
    ):
        await writer.consume(batch(one_row(), losses=losses))
    await writer.consume(batch(losses={Loss.MALFORMED: 7}, signal="metrics"))
    first = query("SELECT min(id) FROM footfall.ingest_batches")[0][0]
    for offset, back in ((0, 8), (1, 8), (2, 9), (4, 9)):
        statement = "UPDATE footfall.ingest_batches SET received_at = %s WHERE id = %s"
        query(statement, noon(back), first + offset)
    before = query("SELECT * FROM reporting.losses ORDER BY 1, 2, 3")
    for _ in range(2):
        await store_at(store_database, catalog).maintain()
        assert query(
            "SELECT day, signal, reason, count FROM footfall.losses_daily ORDER BY 1, 2, 3"
        ) == [
            (TODAY - dt.timedelta(days=9), "metrics", "malformed", 7),
            (TODAY - dt.timedelta(days=8), "traces", "enum_value", 5),
            (TODAY - dt.timedelta(days=8), "traces", "malformed", 3),
        ]
    assert query("SELECT losses FROM footfall.ingest_batches") == [({"malformed": 40},)]
    assert query("SELECT * FROM reporting.losses ORDER BY 1, 2, 3") == before
    query("UPDATE footfall.ingest_batches SET received_at = %s", noon(8))  # a straggler of that day
    await store_at(store_database, catalog).maintain()
    assert query(
        "SELECT count FROM footfall.losses_daily WHERE signal = 'traces' AND reason = 'malformed'"
    ) == [(43,)]


async def test_counts_outlive_observations_and_go_after_their_own_time(
    store_database, catalog, query, writer
):
    await writer.consume(
        batch(one_row(MIDNIGHT - 40 * DAY), one_row(MIDNIGHT - 60 * DAY), one_row())
    )
    config = {"retention_days": 30, "rollup_retention_days": 50}
    await store_at(store_database, catalog, **config).maintain()
    assert stored(query)[:2] == (1, 2)
