"""A store whose Postgres goes away: what was acknowledged is stored once, in order, when it is back."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from footfall_exporters.contracts import Conflict, Settings, Unavailable
from footfall_exporters.postgres import PostgresConfig
from footfall_exporters.spool import SpoolConfig
from support.batches import batch, one_row, poison
from support.stores import entered, rows_of
from support.waiting import until


@pytest.fixture
def config(own_database, tmp_path):
    return PostgresConfig(dsn=own_database, spool=SpoolConfig(directory=str(tmp_path), max_mib=1))


def ledger(dsn):
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT digest FROM footfall.ingest_batches ORDER BY id"
        ).fetchall()
        events = connection.execute("SELECT count(*) FROM footfall.feature_events").fetchone()
        counts = connection.execute("SELECT sum(count) FROM footfall.feature_counts").fetchone()
    return [digest.bytes for (digest,) in rows], events[0], counts[0]


def known(dsn, *batches):
    """What the ledger knows batches by."""
    with psycopg.connect(dsn) as connection:
        return entered(lambda statement: rows_of(connection, statement), *batches)


async def test_while_postgres_is_away_batches_wait_and_are_stored_once_in_order(
    own_server, own_database, catalog, config
):
    batches = [batch(one_row(), one_row()) for _ in range(6)]
    async with config.open(Settings(catalog)) as store:
        await store.consume(batches[0])
        own_server.stop()
        for waiting in batches[1:]:
            await store.consume(waiting)
        await store.consume(batches[3])  # its sender got no answer, and comes again
        assert store.spool.batches >= 5
        assert store.spooling.away
        own_server.start()
        await until(lambda: store.spool.batches == 0)
        await store.consume(batches[2])
        await until(lambda: not store.spooling.away)
        digests, events, counts = ledger(own_database)
    assert digests == known(own_database, *batches)
    assert (events, counts) == (12, 12)


async def test_what_a_collector_left_in_the_spool_is_stored_by_the_next(
    own_server, own_database, catalog, config
):
    left = batch(one_row())
    async with config.open(Settings(catalog)) as store:
        own_server.stop()
        await store.consume(left)
    own_server.start()
    async with config.open(Settings(catalog)) as store:
        await until(lambda: store.spool.batches == 0)
        assert ledger(own_database) == (known(own_database, left), 1, 1)


async def test_a_batch_that_postgres_refuses_does_not_hold_up_the_spool(
    own_server, own_database, catalog, config
):
    batches = [batch(one_row()), poison(), batch(one_row())]
    async with config.open(Settings(catalog)) as store:
        own_server.stop()
        for waiting in batches:
            await store.consume(waiting)
        own_server.start()
        await until(lambda: store.spool.batches == 0)
    assert ledger(own_database) == (known(own_database, batches[0], batches[2]), 2, 2)
    with psycopg.connect(own_database) as connection:
        losses = connection.execute("SELECT signal, reason, count FROM reporting.losses").fetchall()
    assert losses == [("traces", "refused_by_store", 1)]


async def test_a_full_spool_refuses_with_a_hint_and_takes_again_when_postgres_is_back(
    own_server, own_database, catalog, config
):
    taken = 0
    async with config.open(Settings(catalog)) as store:
        own_server.stop()
        with pytest.raises(Unavailable) as refused:  # noqa: PT012  # how many fit is what is asked
            while taken < 1000:
                await store.consume(batch(*[one_row(note="x" * 200)] * 100))
                taken += 1
        assert refused.value.retry_after > 0
        assert taken > 10
        own_server.start()
        await until(lambda: store.spool.batches == 0 and not store.spooling.away)
        await store.consume(batch(one_row()))
    digests, events, _ = ledger(own_database)
    assert (len(digests), events) == (taken + 1, taken * 100 + 1)


async def test_without_a_spool_senders_are_told_to_come_again(own_server, own_database, catalog):
    async with PostgresConfig(dsn=own_database).open(Settings(catalog)) as store:
        own_server.stop()
        with pytest.raises(Unavailable):
            await store.consume(batch(one_row()))
        own_server.start()


async def test_what_cannot_be_read_is_set_aside_and_holds_nothing_up(
    own_server, own_database, catalog, config, tmp_path, caplog
):
    good = batch(one_row())
    async with config.open(Settings(catalog)) as store:
        own_server.stop()
        await store.consume(batch(one_row()))
        await store.consume(good)
    with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as file, file:
        (body,) = file.execute("SELECT body FROM batches ORDER BY id").fetchone()
        file.execute("UPDATE batches SET body = ? WHERE id = 1", [body[: len(body) // 2]])
    own_server.start()
    async with config.open(Settings(catalog)) as store:
        await until(lambda: store.spool.batches == 0)
    digests, events, counts = ledger(own_database)
    assert (digests[1:], events, counts) == (known(own_database, good), 1, 1)
    with psycopg.connect(own_database) as connection:
        assert connection.execute(
            "SELECT signal, losses FROM footfall.ingest_batches ORDER BY id"
        ).fetchall() == [("spool", {"unreadable_in_spool": 1}), ("traces", {})]
    with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as file:
        assert file.execute("SELECT count(*) FROM unreadable").fetchone() == (1,)
    assert "set aside" in caplog.text


async def test_a_row_that_was_stored_before_it_was_damaged_is_no_loss(
    own_server, own_database, catalog, config, tmp_path
):
    sent = batch(one_row())
    async with config.spool.open() as spool:
        await spool.put(sent)
    with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as file, file:
        file.execute("UPDATE batches SET body = substr(body, 1, 40)")
    (tmp_path / "spool.sqlite").rename(tmp_path / "later")
    async with config.open(Settings(catalog)) as store:
        await store.consume(sent)
    (tmp_path / "later").rename(tmp_path / "spool.sqlite")
    async with config.open(Settings(catalog)) as store:
        await until(lambda: store.spool.batches == 0)
    assert ledger(own_database) == (known(own_database, sent), 1, 1)
    with psycopg.connect(own_database) as connection:
        found = connection.execute("SELECT losses FROM footfall.ingest_batches").fetchall()
    assert found == [({},)]


def named(name, content, rows=1):
    """A batch whose sender has named it."""
    called = batch(*[one_row()] * rows, digest=name * 16)
    return replace(called, content=content * 16)


async def test_what_its_sender_has_named_waits_once_and_nothing_else_under_its_name(
    own_server, own_database, catalog, config, tmp_path
):
    async with config.open(Settings(catalog)) as store:
        await store.consume(named(b"a", b"1"))
        with pytest.raises(Conflict):
            await store.consume(named(b"a", b"2"))
        own_server.stop()
        await store.consume(named(b"b", b"3", 2))
        await store.consume(named(b"b", b"3", 3))  # decoded otherwise by now: the first stays
        with pytest.raises(Conflict):
            await store.consume(named(b"b", b"4"))
        await store.consume(named(b"a", b"1"))  # what is stored is not known here
        await store.consume(named(b"c", b"3"))
        written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert not [n for n in (b"b", b"c", b"3", b"4") if n * 16 in written], "all is hidden"
        own_server.start()
        await until(lambda: store.spool.batches == 0)
        with pytest.raises(Conflict):
            await store.consume(named(b"b", b"4"))
        _, events, counts = ledger(own_database)
    assert (events, counts) == (4, 4)


async def test_another_content_under_a_name_of_before_is_counted_when_postgres_is_back(
    own_server, own_database, catalog, config
):
    async with config.open(Settings(catalog)) as store:
        await store.consume(named(b"a", b"1"))
        own_server.stop()
        await store.consume(named(b"a", b"2", 3))
        own_server.start()
        await until(lambda: store.spool.batches == 0)
        assert ledger(own_database)[1] == 1
        with psycopg.connect(own_database) as connection:
            lost = connection.execute("SELECT reason, count FROM footfall.losses_daily").fetchall()
    assert lost == [("refused_by_store", 3)]
