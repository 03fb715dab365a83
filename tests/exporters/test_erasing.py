"""What is stored under a pseudonym is told and erased: rows, counts and durations, and nobody else's."""

import asyncio
import datetime as dt

import psycopg
import pytest

from exporters.housekeeping import BOUND
from exporters.remains import hits, read_all
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.erasing import Held, erase, held
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from support.batches import DAY, HOUR, NOW, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, rows_of, writing

ME, YOU = b"my own pseudonym", b"y" * 16
COLUMN = "visitor_hash"
VISIT = dimension("shop.visit", "open")
OLD = MIDNIGHT - 2 * DAY + 5 * HOUR


@pytest.fixture
async def stored(store_database, catalog):
    """Of me two visits and an order on a day that is over, and an order today; an order of yours on both."""
    prepare(store_database, Settings(catalog, found_by=("visitor",)))
    async with writing(store_database, catalog) as writer:
        await writer.consume(
            batch(
                one_row(OLD, VISIT, 10, visitor=ME), one_row(OLD, VISIT, 20, visitor=ME),
                one_row(OLD, duration=30, visitor=ME), one_row(OLD, duration=40, visitor=YOU),
                one_row(visitor=ME), one_row(visitor=YOU),
            )
        )  # fmt: skip


async def of(dsn, pseudonym, work=held):
    async with await connect(dsn, HOUSEKEEPING) as connection:
        return await work(connection, COLUMN, [pseudonym])


def day_of(time):
    return dt.datetime.fromtimestamp(time / 10**6, dt.UTC).date()


async def test_what_is_held_is_told_by_day_and_event(store_database, stored):
    assert await of(store_database, ME) == [
        Held(day_of(OLD), "shop.order", 1),
        Held(day_of(OLD), "shop.visit", 2),
        Held(day_of(NOW), "shop.order", 1),
    ]
    assert await of(store_database, b"n" * 16) == []


async def test_rows_go_and_counts_are_lowered_and_it_is_a_loss(store_database, stored, query):
    yours = await of(store_database, YOU)
    mine = await of(store_database, ME)
    assert await of(store_database, ME, erase) == mine
    assert sum(each.number for each in mine) == 4
    assert await of(store_database, ME) == []
    assert await of(store_database, YOU) == yours
    counts = "SELECT event, sum(count)::int FROM reporting.usage GROUP BY 1 HAVING sum(count) > 0"
    assert query(counts) == [("shop.order", 2)]
    lost = "SELECT day, signal, reason, count FROM reporting.losses"
    assert query(lost) == [(TODAY, "logs", "erased", 4)]
    assert await of(store_database, ME, erase) == []
    assert query(lost) == [(TODAY, "logs", "erased", 4)]


async def test_a_quantity_counts_as_often_as_it_says(store_database, stored, query):
    query("UPDATE footfall.feature_events SET quantity = 7 WHERE dim_id = ("
          " SELECT id FROM footfall.feature_dims WHERE event = 'shop.visit')")  # fmt: skip
    query("UPDATE footfall.feature_counts SET count = 14 + 3 WHERE dim_id = ("
          " SELECT id FROM footfall.feature_dims WHERE event = 'shop.visit')")  # fmt: skip
    assert sum(each.number for each in await of(store_database, ME, erase)) == 16
    left = "SELECT sum(count)::int FROM reporting.usage WHERE event = 'shop.visit'"
    assert query(left) == [(3,)]  # which a counter has added


@pytest.mark.parametrize("followed", [True, False])
async def test_durations_that_were_rolled_up_are_taken_away(
    store_database, stored, query, catalog, followed
):
    keeper = Housekeeper(store_database, House(catalog, 30, 400))
    shown = "SELECT event, day < %s, observations, p50_ms FROM reporting.latency ORDER BY 1, 2 DESC"
    if followed:
        await keeper.run_due({"latency"})
        assert [row[:3] for row in query(shown, TODAY)] == [
            ("shop.order", True, 2), ("shop.order", False, 2), ("shop.visit", True, 2)
        ]  # fmt: skip
    await of(store_database, ME, erase)
    left = query(shown, TODAY)
    assert left == [
        ("shop.order", True, 1, pytest.approx(40, rel=BOUND)),
        ("shop.order", False, 1, pytest.approx(83, rel=BOUND)),
    ]
    [ran] = await keeper.run_due({"latency"})
    assert ran.outcome == "0 commits rolled up"
    assert query(shown, TODAY) == left


async def test_it_takes_its_turn_among_those_who_store(store_database, stored, catalog, query):
    with psycopg.connect(store_database) as other:
        other.execute("LOCK TABLE footfall.lock_turn IN EXCLUSIVE MODE")  # as who stores
        erasing = asyncio.create_task(of(store_database, ME, erase))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        while query(waiting) != [(1,)]:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.02)
        assert len(await of(store_database, ME)) == 3
    assert len(await erasing) == 3
    assert await of(store_database, ME) == []


async def test_no_file_of_the_days_holds_the_pseudonym_any_more(own_server, own_database, catalog):
    prepare(own_database, Settings(catalog, found_by=("visitor",)))
    async with writing(own_database, catalog) as writer:
        await writer.consume(batch(one_row(OLD, visitor=ME), one_row(OLD, visitor=YOU)))
    base = own_server.log_file.parent / "data" / "base"
    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        assert hits([ME], read_all(base)) > 0
        await of(own_database, ME, erase)
        connection.execute("CHECKPOINT")
        assert rows_of(connection, "SELECT count(*) FROM footfall.feature_events") == [(1,)]
        assert hits([ME], read_all(base)) == 0
