"""Who reads for hours (pg_dump, a notebook) is in the way of nothing but the day that it reads."""

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg
import pytest

from footfall_exporters.contracts import Settings, Unavailable
from footfall_exporters.postgres import (
    PostgresConfig,
    SchemaBusy,
    locks,
    migrate,
    partitions,
    prepare,
    purge,
)
from footfall_exporters.postgres import store as store_module
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_exporters.spool import SpoolConfig
from support.batches import DAY, batch, one_row
from support.stores import MIDNIGHT, TODAY, catalog_of, store_at, stored, writing

BACK = 12
"""Days ago: the day that has expired."""
SOON = 15.0
"""Seconds; without mercy for a machine that does other things as well."""


def day(back):
    return TODAY - dt.timedelta(days=back)


def table(back):
    return f"footfall.feature_events_{day(back):%Y%m%d}"


@pytest.fixture
async def expired(writer, query):
    """Two days that have expired, with one row each."""
    await writer.consume(
        batch(one_row(MIDNIGHT - BACK * DAY), one_row(MIDNIGHT - (BACK + 1) * DAY))
    )


@contextmanager
def reading(dsn, *tables):
    """A transaction that has read these and stays."""
    with psycopg.connect(dsn, application_name="a notebook") as reader:
        for each in tables:
            reader.execute(f"SELECT * FROM {each}").fetchall()
        yield reader


def half_detach(query, back):
    """What a retention leaves that was ended while it waited for a reader."""
    query("SET lock_timeout = '100ms'")
    with pytest.raises(psycopg.errors.LockNotAvailable):
        query(f"ALTER TABLE footfall.feature_events DETACH PARTITION {table(back)} CONCURRENTLY")
    assert pending(query) == [table(back)]


def pending(query):
    found = query(
        "SELECT 'footfall.' || relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
        " WHERE inhdetachpending"
    )
    return [name for (name,) in found]


def there(query, back):
    return query("SELECT to_regclass(%s) IS NOT NULL", table(back)) == [(True,)]


async def retain(dsn, catalog):
    keeper = Housekeeper(dsn, House(catalog, 8, 400))
    [ran] = await keeper.run_due({"retention"})
    return ran


@pytest.mark.parametrize("what", ["the day", "all days"])
async def test_retention_leaves_the_day_that_is_read_and_drops_it_later(
    store_database, catalog, query, expired, what
):
    held = table(BACK) if what == "the day" else "footfall.feature_events"
    with reading(store_database, held):
        begun = time.monotonic()
        ran = await retain(store_database, catalog)
        assert time.monotonic() - begun < 2 * SOON
        left = 1 if what == "the day" else 2
        assert (ran.ok, ran.number) == (True, 2 - left)
        assert ran.outcome.endswith(f"{left} day{'s' * (left > 1)} held by readers")
        assert pending(query) == []  # it is seen, and not half done
    ran = await retain(store_database, catalog)
    assert (ran.number, ran.outcome) == (left, f"{left} day{'s' * (left > 1)} dropped")
    assert not there(query, BACK)


@pytest.mark.parametrize("what", ["the day", "all days"])
async def test_a_day_that_is_half_detached_is_in_the_way_of_nothing_else(
    store_database, catalog, query, expired, what
):
    held = table(BACK) if what == "the day" else "footfall.feature_events"
    with reading(store_database, held):
        half_detach(query, BACK)
        begun = time.monotonic()
        await asyncio.to_thread(prepare, store_database, Settings(catalog))
        await store_at(store_database, catalog, retention_days=8).maintain()
        async with writing(store_database, catalog) as other:
            await other.consume(batch(one_row()))
            await other.consume(batch(one_row(MIDNIGHT - 3 * DAY)))
            await other.consume(batch(one_row(MIDNIGHT - 9 * DAY)))  # whose partition is missing
        assert time.monotonic() - begun < 3 * SOON
        assert pending(query) == [table(BACK)]
        if what == "the day":  # another expired one goes all the same
            assert not there(query, BACK + 1)
    ran = await retain(store_database, catalog)
    assert ran.ok
    assert pending(query) == []
    assert not there(query, BACK)


async def test_events_of_a_half_detached_day_wait_alone(store_database, catalog, query, writer):
    await writer.consume(batch(one_row(MIDNIGHT - 2 * DAY)))
    late = batch(one_row(MIDNIGHT - 2 * DAY))
    with reading(store_database, table(2)):
        half_detach(query, 2)
        answers = await asyncio.gather(
            *map(writer.consume, (batch(one_row()), late, batch(one_row()))), return_exceptions=True
        )
        assert [type(a) for a in answers] == [type(None), Unavailable, type(None)]
        assert not writer.away
    await writer.consume(late)
    assert query("SELECT count(*) FROM footfall.feature_events") == [
        (3,)
    ]  # the day's own was dropped
    assert stored(query)[1:3] == (4, 4)
    assert not query("SELECT reason FROM footfall.losses_daily")


async def test_partitions_are_made_while_one_is_being_detached(store_database, query, expired):
    """Postgres holds a lock of the table meanwhile, for as long as its patience."""
    wanted = [day(-n) for n in range(4, 9)]
    with reading(store_database, table(BACK)):
        half_detach(query, BACK)
        async with (
            await connect(store_database, HOUSEKEEPING) as one,
            await connect(store_database, HOUSEKEEPING) as other,
        ):
            _, made = await asyncio.gather(
                partitions.drop(one, day(8)), partitions.ensure(other, wanted)
            )
    assert made == sorted(wanted)


async def test_two_that_finish_the_same_day_roll_it_up_once(store_database, catalog, query, writer):
    await writer.consume(batch(*[one_row(MIDNIGHT - BACK * DAY, duration=10)] * 3))
    query(f"ALTER TABLE footfall.feature_events DETACH PARTITION {table(BACK)}")

    async def finish(what):
        async with await connect(store_database, HOUSEKEEPING) as connection:
            if what == "drop":
                await partitions.drop(connection, day(8))
            else:
                await partitions.ensure(connection, [day(BACK)])

    await asyncio.gather(*(finish("drop") for _ in range(3)), finish("ensure"))
    found = query("SELECT observations FROM reporting.latency WHERE day = %s", day(BACK))
    assert found == [(3,)]


def test_a_start_waits_for_nobody_who_reads_the_reports(store_database, catalog, query):
    """pg_dump locks every view and table for reading."""
    found = query("SELECT viewname FROM pg_views WHERE schemaname = 'reporting'")
    views = [f"reporting.{view}" for (view,) in found]
    with reading(store_database, *views, "footfall.feature_events", "footfall.feature_dims"):
        begun = time.monotonic()
        prepare(store_database, Settings(catalog))
        assert time.monotonic() - begun < SOON


def test_views_are_made_anew_when_one_is_gone(store_database, catalog, query):
    query("DROP VIEW reporting.losses")
    prepare(store_database, Settings(catalog))
    assert query("SELECT count(*) FROM reporting.losses") == [(0,)]


def test_a_migration_that_a_reader_holds_up_lets_others_read_and_gives_up(empty_database):
    """One who locks a table of the first schema, as an ALTER TABLE of a later one would need it."""
    with psycopg.connect(empty_database) as holding:
        holding.execute("CREATE SCHEMA footfall")
        holding.execute(
            "CREATE TABLE footfall.alembic_version (version_num varchar(32) PRIMARY KEY)"
        )
        holding.commit()
        holding.execute("LOCK TABLE footfall.alembic_version IN EXCLUSIVE MODE")
        with pytest.raises(SchemaBusy, match=f"held by process {holding.info.backend_pid} "):
            migrate(empty_database, 1)
    migrate(empty_database)


# A catalog with another attribute


def with_one_more(catalog, tmp_path):
    more = catalog_of(
        tmp_path, {"height": {"type": "float"}, "weather": {"type": "enum", "values": ["dry"]}}
    )
    return msgspec.structs.replace(catalog, attributes=catalog.attributes | more.attributes)


async def test_a_collector_starts_while_a_reader_holds_what_it_must_change(
    store_database, catalog, query, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(store_module, "STARTING_S", 0.5)
    monkeypatch.setattr(store_module, "SAID_AGAIN_S", 1.0)
    wanted, config = with_one_more(catalog, tmp_path), PostgresConfig(dsn=store_database)
    one = batch(one_row(height=1.8))
    with reading(store_database, "reporting.usage") as reader:
        pid, begun = reader.info.backend_pid, time.monotonic()
        async with config.open(Settings(wanted)) as store:
            assert time.monotonic() - begun < SOON
            assert store.is_away
            with pytest.raises(Unavailable):
                await store.consume(one)
            who = f"held by process {pid} (a notebook, idle in transaction since 2"
            async with asyncio.timeout(4 * SOON):
                while caplog.text.count(who) < 2:  # noqa: ASYNC110  # at once, and again
                    await asyncio.sleep(0.1)
            assert "SELECT" not in caplog.text
            assert not store.lost.done()
            reader.rollback()
            await asyncio.wait_for(store.opened.wait(), 4 * SOON)
            await store.consume(one)
    assert query("SELECT height FROM footfall.feature_events") == [(1.8,)]


async def test_what_a_collector_takes_into_its_spool_meanwhile_is_stored_afterwards(
    store_database, catalog, query, tmp_path, monkeypatch
):
    monkeypatch.setattr(store_module, "STARTING_S", 0.5)
    config = PostgresConfig(
        dsn=store_database, spool=SpoolConfig(directory=str(tmp_path / "spool"))
    )
    with reading(store_database, "reporting.usage") as reader:
        async with config.open(Settings(with_one_more(catalog, tmp_path))) as store:
            await store.consume(batch(one_row(height=1.8)))
            assert not store.opened.is_set()
            reader.rollback()
            async with asyncio.timeout(4 * SOON):
                while query("SELECT count(*) FROM footfall.feature_events") != [(1,)]:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)


async def test_other_collectors_store_while_one_waits_for_a_reader(
    store_database, catalog, writer, tmp_path, monkeypatch
):
    monkeypatch.setattr(store_module, "STARTING_S", 0.5)
    config = PostgresConfig(dsn=store_database)
    with reading(store_database, "reporting.usage"):
        async with config.open(Settings(with_one_more(catalog, tmp_path))):
            begun = time.monotonic()
            for _ in range(5):
                await writer.consume(batch(one_row()))
            assert time.monotonic() - begun < SOON


# The command


async def test_a_purge_says_who_holds_the_day_and_drops_the_others(store_database, query, expired):
    with reading(store_database, table(BACK)) as reader:
        done = await purge(store_database, 8, dry_run=False)
        assert done.rows == {day(BACK + 1): 1}
        [(held, holders)] = done.held.items()
        assert held == day(BACK)
        [who] = map(str, holders)
        pid = reader.info.backend_pid
        assert who.startswith(f"process {pid} (a notebook, idle in transaction since 2")
    assert (await purge(store_database, 8, dry_run=False)).rows == {day(BACK): 1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_purge_that_is_interrupted_leaves_no_session_behind(store_database, query, number):
    with psycopg.connect(store_database) as holding:
        holding.execute(locks.taking(locks.HOUSE))
        process = subprocess.Popen(
            [Path(sys.executable).with_name("footfall"), "purge", "--days", "9"],
            env={**os.environ, "FOOTFALL_DSN": store_database},
            stderr=subprocess.PIPE,
            text=True,
        )
        session = "SELECT pid FROM pg_stat_activity WHERE application_name = 'footfall purge'"
        deadline = time.monotonic() + 60
        while not query(f"{session} AND wait_event_type = 'Lock'"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "Traceback" not in said
        deadline = time.monotonic() + SOON
        while query(session):
            assert time.monotonic() < deadline
            time.sleep(0.1)
