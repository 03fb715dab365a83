"""Transactions that were prepared and never ended: they have no process, and hold their locks for ever."""

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from conftest import copied, new_database
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import SchemaBusy, locks, prepare, purge
from support.stores import catalog_of

OLD = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=40)
DAY = f"footfall.feature_events_{OLD:%Y%m%d}"


@pytest.fixture
def database(pristine, postgres_directory, catalog):
    """A prepared database of a server in which transactions may be prepared."""
    place = copied(pristine, postgres_directory / "postgres")
    lax = {"fsync": "off", "max_prepared_transactions": "2"}
    with EmbeddedPostgres(place, lax) as server, new_database(server) as dsn:
        prepare(dsn, Settings(catalog))
        yield dsn


@contextmanager
def orphan(dsn, statement):
    """A transaction that its coordinator has forgotten."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"BEGIN; {statement}; PREPARE TRANSACTION 'of a shop'")
        try:
            yield
        finally:
            connection.execute("ROLLBACK PREPARED 'of a shop'")


def test_who_keeps_the_schema_from_being_changed_is_named(database, tmp_path):
    other = Settings(catalog_of(tmp_path, {"height": {"type": "float"}}))
    named = r"by the prepared transaction of a shop since 2.* UTC \(ROLLBACK PREPARED\): "
    with orphan(database, "LOCK TABLE footfall.feature_events"):
        time.sleep(0.2)  # it must be older than the wait for it
        with pytest.raises(SchemaBusy, match=named):
            prepare(database, other, 0.1)
    prepare(database, other)


async def test_who_keeps_a_day_from_being_dropped_is_named(database):
    with psycopg.connect(database, autocommit=True) as connection:
        ends = OLD + dt.timedelta(days=1)
        connection.execute(
            f"CREATE TABLE {DAY} PARTITION OF footfall.feature_events"
            f" FOR VALUES FROM ('{OLD} 00:00+00') TO ('{ends} 00:00+00')"
        )
    with orphan(database, f"SELECT FROM {DAY}"):
        [(held, [who])] = (await purge(database, 9, dry_run=False)).held.items()
    assert held == OLD
    assert str(who).startswith("the prepared transaction of a shop since 2")
    assert not (await purge(database, 9, dry_run=False)).held


def test_what_is_waited_for_long_is_told_with_it(database, monkeypatch):
    monkeypatch.setattr(locks, "_LONG", locks._LONG.replace(f"'{locks.LONG_S} s'", "'0.1 s'"))
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(database, autocommit=True) as looking,
        psycopg.connect(database) as waiting,
        orphan(database, "LOCK TABLE footfall.feature_counts"),
    ):
        pool.submit(waiting.execute, "LOCK TABLE footfall.feature_counts")
        end = time.monotonic() + 30
        while not (found := locks.held_long(looking)) and time.monotonic() < end:
            time.sleep(0.1)
        [(name, seconds, who)] = found
    assert (name, who.pid, who.application) == ("feature_counts", None, "of a shop")
    assert 0.1 < seconds < 30
