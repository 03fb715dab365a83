"""Locks: nobody takes them but who may write in the schema `footfall`, and none is held for ever (ADR 22)."""

import asyncio
import sqlite3
import time
from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from footfall_collector.doctor.private import private_checks
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import confinement, locks, prepare
from footfall_exporters.postgres.connecting import HOLDING, connect
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_exporters.spool import SpoolConfig
from support.batches import NOW, batch, one_row
from support.stores import writing


@pytest.fixture
def reader(store_database, catalog, query):
    """A login for Grafana, as docs/security.md makes it."""
    prepare(store_database, Settings(catalog))  # a copy of a database has none of its own grants
    name = f"grafana_{time.monotonic_ns()}"
    query(f"CREATE ROLE {name} LOGIN PASSWORD 'g'")
    query(f"GRANT footfall_reader TO {name}")
    dsn = make_conninfo(store_database, user=name, password="g")
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection
    query(f"DROP ROLE {name}")


async def test_a_reader_takes_none_of_the_locks_nor_stops_anything_by_others(
    store_database, catalog, query, reader
):
    async with await connect(store_database, HOLDING) as connection:
        await locks.make(connection, locks.of_subscriber("otlp"))
    names = [
        name for (name,) in query("SELECT relname FROM pg_class WHERE relname LIKE 'lock\\_%'")
    ]
    assert len(names) == 4
    for name in names:
        for mode in ("ACCESS SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), reader.transaction():
                reader.execute(f"LOCK TABLE footfall.{name} IN {mode} MODE")
    for view in query("SELECT viewname FROM pg_views WHERE schemaname = 'reporting'"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), reader.transaction():
            reader.execute(f"LOCK TABLE reporting.{view[0]} IN SHARE MODE")
    # All advisory locks that Footfall ever used, and those that are held now.
    for word in (b"FootTurn", b"FootKeep", b"FootDrop", b"Footfall"):
        reader.execute("SELECT pg_advisory_lock(%s)", [int.from_bytes(word, "big")])
    async with writing(store_database, catalog) as writer:
        await asyncio.wait_for(writer.consume(batch(one_row())), 20)
        assert query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(4,)]
    prepare(store_database, Settings(catalog), patience_s=5)
    keeper = Housekeeper(store_database, House(catalog, 30, 400))
    assert all(ran.ok for ran in await keeper.run_due())


async def test_a_lock_is_one_holders_until_its_session_ends(store_database):
    async with locks.alone(store_database, locks.HOUSE) as first:
        async with locks.alone(store_database, locks.HOUSE) as second:
            assert (first, second) == (True, False)
        async with await connect(store_database, HOLDING) as third:
            assert not await locks.taken(third, locks.HOUSE)
    async with locks.alone(store_database, locks.HOUSE) as again:
        assert again


async def test_who_holds_a_lock_is_in_no_vacuums_way(store_database, query):
    async with locks.alone(store_database, locks.HOUSE):
        held = query(
            "SELECT state, backend_xid IS NULL AND backend_xmin IS NULL FROM pg_stat_activity"
            " WHERE application_name = 'footfall lock' AND datname = current_database()"
        )
    assert held == [("idle in transaction", True)]


async def test_what_goes_on_under_a_lock_that_is_lost_is_cancelled(
    store_database, query, monkeypatch
):
    monkeypatch.setattr(locks, "BEAT", 0.1)

    async def work():
        async with locks.alone(store_database, locks.HOUSE) as mine:
            assert mine
            query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'footfall lock' AND datname = current_database()"
            )
            await asyncio.sleep(30)

    with pytest.raises(psycopg.OperationalError):
        await work()
    async with locks.alone(store_database, locks.HOUSE) as again:
        assert again


async def test_what_is_done_under_a_lock_fails_as_it_would_without(store_database):
    with pytest.raises(KeyError, match="a fault"):
        async with locks.alone(store_database, locks.HOUSE):
            raise KeyError("a fault")


async def test_a_lock_that_is_held_long_is_told(store_database, query, monkeypatch):
    monkeypatch.setattr(locks, "_LONG", locks._LONG.replace("'30 s'", "'0.2 s'"))
    with psycopg.connect(store_database, autocommit=True) as looking:
        assert locks.held_long(looking) == []
        async with await connect(store_database, HOLDING) as holding:
            assert await locks.taken(holding, locks.TURN)
            async with await connect(store_database, HOLDING) as waiting:
                task = asyncio.create_task(locks.taken(waiting, locks.TURN, waits=True))
                async with asyncio.timeout(20):
                    while not (found := await asyncio.to_thread(locks.held_long, looking)):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                assert {name for name, _, _ in found} == {"lock_turn"}
                assert all(0.2 < seconds < 20 for _, seconds, _ in found)
                assert {holder.pid for _, _, holder in found} == {holding.info.backend_pid}
                async with await connect(store_database, HOLDING) as other:
                    assert await locks.longest_s(other) > 0.2
                [check, *_] = [c for c in private_checks(looking) if c.level != "ok"]
                assert (check.area, "footfall lock" in check.found) == ("locks", True)
                await holding.rollback()
                assert await task
                await waiting.rollback()


def test_a_reader_can_make_neither_temporary_tables_nor_large_objects(query, reader):
    for statement in (
        "CREATE TEMPORARY TABLE t (n int)",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, '')",
        "SELECT pg_logical_emit_message(false, 'a', 'b')",
        "SELECT pg_logical_emit_message(false, 'a', 'b'::bytea)",
        "CREATE TABLE public.t (n int)",
        "SELECT salt FROM footfall.salts",
        "SELECT secret FROM footfall.secrets",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement)
    seen = reader.execute("SELECT count(*) FROM pg_stats WHERE schemaname = 'footfall'").fetchone()
    assert seen == (0,)
    said = confinement.reached(reader)
    assert said is not None
    assert not [what for what in said if "temporary" in what or "large" in what]


def test_where_others_have_tables_nothing_is_taken_from_them(empty_database, catalog):
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.theirs (n int)")
        prepare(empty_database, Settings(catalog))
        said = confinement.reached(connection)
        assert said is not None
        assert "make temporary tables" in said
        [check] = [c for c in private_checks(connection) if c.area == "reader"]
        assert "make temporary tables" in check.found


# Digests on the disk of a spool


async def test_the_file_of_a_spool_confirms_no_guess_at_a_request(tmp_path):
    waiting = [batch(one_row(NOW)) for _ in range(5)]
    async with SpoolConfig(directory=str(tmp_path)).open() as spool:
        for each in waiting:
            await spool.put(each)
    held = (tmp_path / "spool.sqlite").read_bytes()
    assert not any(each.digest in held for each in waiting)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    async with SpoolConfig(directory=str(tmp_path)).open() as spool:  # by the next process
        assert [entry.digest for entry in await spool.first(10**6)] == [b.digest for b in waiting]


async def test_workers_that_open_a_spool_at_once_have_one_key(tmp_path):
    config = SpoolConfig(directory=str(tmp_path))
    sent = batch(one_row())
    async with config.open() as one, config.open() as other:
        await asyncio.gather(*(each.put(sent) for each in (one, other)))
    with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as file:
        assert file.execute("SELECT count(*) FROM batches").fetchone() == (1,)
