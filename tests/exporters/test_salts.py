"""Rotating salts: made, shared, destroyed."""

import asyncio
import datetime as dt
import os
import signal
from pathlib import Path

import psycopg
import pytest

from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_processors import Hash
from support.batches import DAY, HOUR, NOW, batch, dimension, one_row
from support.stores import GUILD_A, GUILD_B, MIDNIGHT, TODAY, rows_of, store_at, writing


def salt_rows(query):
    return {
        (Hash(kind), number): salt for kind, number, salt in query("SELECT * FROM footfall.salts")
    }


async def test_every_period_that_can_still_arrive_has_a_salt(store_database, catalog):
    moment = int(dt.datetime(2026, 11, 3, 12, tzinfo=dt.UTC).timestamp()) * 10**6  # a Tuesday
    store = store_at(store_database, catalog, moment)
    await store.maintain()
    today = (dt.date(2026, 11, 3) - dt.date(1970, 1, 1)).days
    week = (dt.date(2026, 11, 3) - dt.date(1969, 12, 29)).days // 7
    assert set(store.salts) == {
        *((Hash.DAILY, today + n) for n in range(-7, 2)),
        *((Hash.WEEKLY, n) for n in (week - 1, week)),
        *((Hash.MONTHLY, 2026 * 12 + n) for n in (9, 10)),
    }
    assert len(set(store.salts.values())) == 9 + 2 + 2
    assert all(len(salt) == 32 for salt in store.salts.values())


async def test_collectors_share_their_salts_even_when_they_start_together(
    store_database, catalog, query
):
    stores = [store_at(store_database, catalog) for _ in range(3)]
    await asyncio.gather(*(store.maintain() for store in stores))
    assert stores[0].salts == stores[1].salts == stores[2].salts == salt_rows(query)
    assert query(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM footfall.salt_log GROUP BY kind, period) s"
    ) == [(1,)]


async def test_a_salt_is_destroyed_when_nothing_of_its_period_is_accepted_any_more(
    store_database, catalog, query
):
    store = store_at(store_database, catalog)
    await store.maintain()
    first = dict(store.salts)
    later = store_at(store_database, catalog, NOW + 8 * DAY)
    done = await later.maintain()
    kept = {p: s for p, s in first.items() if p in later.salts}
    assert kept == {p: s for p, s in later.salts.items() if p in first}
    assert {number for kind, number in later.salts if kind is Hash.DAILY} == {
        NOW // DAY + n for n in range(1, 10)
    }
    assert later.salts == salt_rows(query)
    assert done.salts_destroyed == len(first) - len(kept) >= 8
    again = store_at(store_database, catalog, NOW + 8 * DAY)
    await again.maintain()
    assert again.salts == later.salts


def read_all(*directories: Path) -> bytes:
    return b"\n".join(p.read_bytes() for d in directories for p in d.iterdir() if p.is_file())


@pytest.mark.parametrize("step", [1, 8])
async def test_neither_files_nor_the_write_ahead_log_hold_a_salt_that_was_destroyed(
    own_server, own_database, catalog, step
):
    """Files are complete when the server has stopped: what is unlogged is not written before."""
    with psycopg.connect(own_database) as connection:
        [[path]] = rows_of(connection, "SELECT pg_relation_filepath('footfall.salts')")
    data = own_server.log_file.parent / "data"
    table, log = (data / path).parent, data / "pg_wal"
    store = store_at(own_database, catalog)
    await store.maintain()
    first = set(store.salts.values())
    own_server.stop()
    kept, logged = read_all(table), read_all(log)
    assert all(salt in kept for salt in first)
    assert not any(salt in logged for salt in first)
    own_server.start()
    for n in range(step, 9, step):
        later = store_at(own_database, catalog, NOW + n * DAY)
        await later.maintain()
    own_server.stop()
    kept, logged = set(later.salts.values()), read_all(log)
    files = read_all(table) + logged
    assert 8 <= len(first - kept) < len(first)
    assert all(salt in files for salt in kept)
    assert not any(salt in files for salt in first - kept)
    assert not any(salt in logged for salt in kept)


async def test_after_a_crash_of_postgres_new_salts_are_made_and_distinct_counts_are_void(
    own_server, own_database, catalog
):
    async with writing(own_database, catalog) as writer:
        store = store_at(own_database, catalog)
        await store.maintain()
        survey = dimension("shop.survey", "skip")
        await writer.consume(batch(one_row(of=survey, guild_id=GUILD_A, visitor=GUILD_B)))
    before = dict(store.salts)
    crash(own_server)
    own_server.start()
    await store.maintain()
    assert store.salts.keys() == before.keys()
    assert not set(store.salts.values()) & set(before.values())
    await settle(own_database, catalog)
    with psycopg.connect(own_database) as connection:
        assert active_groups(connection) == {
            "guild_id": None,
            "visitor": 1,
        }  # its salt is the operator's


async def settle(dsn, catalog):
    """Counts the groups of today and before, as is done tomorrow."""
    tomorrow = (MIDNIGHT + DAY + 6 * HOUR) * 1000
    house = House(catalog, 30, 400)
    await Housekeeper(dsn, house, lambda: tomorrow, lambda: tomorrow).run_due({"groups"})


def crash(server):
    """Kill the server as the kernel would for want of memory; the next start waits for its end."""
    pid = int((server.log_file.parent / "data" / "postmaster.pid").read_text().split("\n")[0])
    os.kill(pid, signal.SIGKILL)


def active_groups(connection):
    return dict(
        rows_of(
            connection,
            "SELECT attribute, groups FROM reporting.active_groups WHERE day = %s",
            TODAY,
        )
    )


async def test_only_the_days_of_a_lost_salt_have_no_distinct_count(
    store_database, catalog, query, writer
):
    await store_at(store_database, catalog).maintain()
    for n, guild in ((0, GUILD_A), (1, GUILD_A), (1, GUILD_B), (1, GUILD_B)):
        await writer.consume(batch(one_row(MIDNIGHT - n * DAY, guild_id=guild)))
    query("DELETE FROM footfall.salts WHERE kind = 'daily' AND period = %s", NOW // DAY)
    await store_at(store_database, catalog).maintain()
    await settle(store_database, catalog)
    assert query("SELECT day, attribute, groups FROM reporting.active_groups ORDER BY day") == [
        (TODAY - dt.timedelta(days=1), "guild_id", 2),
        (TODAY, "guild_id", None),
    ]


@pytest.mark.parametrize(
    ("kind", "day", "period"),
    [
        ("daily", "1970-01-02", 1),
        ("weekly", "1970-01-04", 0),
        ("weekly", "1970-01-05", 1),
        ("monthly", "2026-11-30", 2026 * 12 + 10),
        ("monthly", "2026-12-01", 2026 * 12 + 11),
        ("static", "2026-12-01", 0),
    ],
)
def test_sql_numbers_periods_as_the_hashing_does(query, kind, day, period):
    assert query("SELECT footfall.salt_period(%s, %s::date)", kind, day) == [(period,)]


def test_the_table_of_salts_is_unlogged(query):
    assert query("SELECT relpersistence FROM pg_class WHERE relname = 'salts'") == [("u",)]
