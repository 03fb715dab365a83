"""Observations are found by the pseudonym of one column: quickly, beside whoever stores, and by no reader."""

import asyncio
import datetime as dt

import psycopg
import pytest

from footfall_exporters.contracts import Settings, Unavailable
from footfall_exporters.postgres import finding, partitions, prepare
from footfall_exporters.postgres.connecting import PARTITIONS, connect
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_exporters.postgres.roles import WRITER, become_writer
from footfall_exporters.postgres.statistics import found
from footfall_exporters.postgres.summaries import Summaries
from footfall_exporters.postgres.views import READER
from support.batches import DAY, NOW, batch, dimension, one_row
from support.stores import TODAY, days, writing

ME, YOU = b"m" * 16, b"y" * 16
COLUMN = "visitor_hash"
SINCE = dt.datetime.now(dt.UTC) - dt.timedelta(days=7)
VALID = """
    SELECT c.relname, x.indisvalid FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
    WHERE x.indexrelid IN (SELECT to_regclass('footfall.by_visitor_hash')
        UNION SELECT inhrelid FROM pg_inherits
        WHERE inhparent = to_regclass('footfall.by_visitor_hash'))
"""
COUNTS = "SELECT * FROM footfall.by_visitor_hash(ARRAY[%s::uuid], now() - interval '7 days')"


@pytest.fixture
def settings(catalog):
    return Settings(catalog, found_by=("visitor", "of no catalog"))


@pytest.fixture
def prepared(store_database, settings):
    """A database that had its days before somebody wanted to find by a column."""
    prepare(store_database, settings)
    return store_database


def keeper(dsn, catalog):
    return Housekeeper(dsn, House(catalog, 30, 400, found_by=[COLUMN]))


async def indexed(dsn, catalog):
    [ran] = await keeper(dsn, catalog).run_due({"indexes"})
    return ran.ok, ran.number


async def counts(dsn, *pseudonyms, since=SINCE):
    summaries = Summaries(dsn, COLUMN)
    try:
        return await summaries.counts(pseudonyms, since)
    finally:
        await summaries.aclose()


async def test_days_that_are_there_get_their_index_and_later_ones_have_it(prepared, catalog, query):
    assert query(VALID) == [("feature_events", False)]
    assert await indexed(prepared, catalog) == (True, len(days(-8, 2)))
    assert await indexed(prepared, catalog) == (True, 0)
    async with await connect(prepared, PARTITIONS) as connection:
        await partitions.ensure(connection, days(3, 4))
    assert await indexed(prepared, catalog) == (True, 0)
    expected = {"feature_events", *(f"feature_events_{d:%Y%m%d}" for d in days(-8, 4))}
    assert dict(query(VALID)) == dict.fromkeys(expected, True)
    query("ANALYZE")
    with psycopg.connect(prepared, autocommit=True) as connection:
        assert found(connection) == []


async def test_of_one_pseudonym_it_says_how_often_what_happened_since(prepared, catalog):
    other = dimension("shop.visit")
    late = NOW - 8 * DAY + 60 * 10**6
    async with writing(prepared, catalog) as writer:
        await writer.consume(
            batch(
                one_row(visitor=ME), one_row(visitor=ME), one_row(of=other, visitor=ME),
                one_row(late, visitor=ME), one_row(visitor=YOU), one_row(),
            )
        )  # fmt: skip
    assert await counts(prepared, ME) == {"shop.order": 2, "shop.visit": 1}
    assert await counts(prepared, YOU) == {"shop.order": 1}
    assert await counts(prepared, ME, YOU) == {"shop.order": 3, "shop.visit": 1}
    assert await counts(prepared, b"n" * 16) == {}
    longer = SINCE - dt.timedelta(days=1)
    assert await counts(prepared, ME, since=longer) == {"shop.order": 3, "shop.visit": 1}


async def test_storing_goes_on_while_an_index_is_built_and_what_was_interrupted_is_made_anew(
    prepared, catalog, query
):
    today = f"feature_events_{TODAY:%Y%m%d}"
    left = "SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indrelid = to_regclass(%s)"
    with psycopg.connect(prepared) as busy:
        busy.execute(f"LOCK TABLE footfall.{today} IN ROW EXCLUSIVE MODE")  # as who stores
        building = psycopg.AsyncConnection.connect(
            prepared, autocommit=True, options="-c lock_timeout=300ms"
        )
        async with await building as connection:
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await finding.build(connection, [COLUMN])
            async with writing(prepared, catalog) as writer:
                await writer.consume(batch(one_row(visitor=ME)))
            assert query(left, f"footfall.{today}") == [(1,)]
    assert (await indexed(prepared, catalog))[0]
    assert all(valid for _, valid in query(VALID))
    assert query("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    assert await counts(prepared, ME) == {"shop.order": 1}


async def test_of_a_day_that_is_over_the_index_answers_alone(prepared, catalog, query):
    yesterday = f"feature_events_{TODAY - dt.timedelta(days=1):%Y%m%d}"
    async with writing(prepared, catalog) as writer:
        await writer.consume(batch(one_row(NOW - DAY, visitor=ME), one_row(visitor=ME)))
    assert await indexed(prepared, catalog) == (True, len(days(-8, 2)))
    seen = "SELECT relname FROM pg_class WHERE relallvisible > 0 AND relname ~ '^feature_events_2'"
    assert query(seen) == [(yesterday,)]
    [(outcome,)] = query("SELECT outcome FROM footfall.housekeeping WHERE task = 'indexes'")
    assert outcome == "11 days indexed, 1 vacuumed"
    await indexed(prepared, catalog)
    again = query("SELECT outcome FROM footfall.housekeeping WHERE task = 'indexes'")
    assert again == [("0 days indexed, 0 vacuumed",)]


async def test_the_writer_may_ask_of_whom_it_knows_and_a_reader_may_not(prepared, catalog, query):
    async with writing(prepared, catalog) as writer:
        await writer.consume(batch(one_row(visitor=ME)))
    async with await psycopg.AsyncConnection.connect(prepared, autocommit=True) as connection:
        assert await become_writer(connection)
        asked = await connection.execute(COUNTS, [ME.hex()])
        assert await asked.fetchall() == [("shop.order", 1)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT visitor_hash FROM footfall.feature_events")
    may = "SELECT has_function_privilege(%s, 'footfall.by_visitor_hash(uuid[], timestamptz)', 'EXECUTE')"
    assert query(may, WRITER) == [(True,)]
    assert query(may, READER) == [(False,)]
    assert query(may, "public") == [(False,)]


async def test_what_is_counted_is_read_from_the_index_alone(prepared, catalog, query):
    assert (await indexed(prepared, catalog))[0]
    query("SET enable_seqscan = off; SET enable_bitmapscan = off")
    plan = f"EXPLAIN SELECT dim_id, quantity FROM footfall.feature_events_{TODAY:%Y%m%d}"
    [(first,), *_] = query(f"{plan} WHERE visitor_hash = '{ME.hex()}' AND time >= now()")
    assert first.startswith("Index Only Scan")


async def test_a_connection_that_has_ended_is_replaced_and_no_answer_is_waited_for(
    prepared, catalog, query
):
    summaries = Summaries(prepared, COLUMN)
    assert await summaries.counts([ME], SINCE) == {}
    query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'footfall summary' AND datname = current_database()"
    )
    await asyncio.sleep(0.01)  # the loop is told what has come
    assert await summaries.counts([ME], SINCE) == {}
    await summaries.aclose()
    with pytest.raises(Unavailable):
        await Summaries("host=/nowhere", COLUMN).counts([ME], SINCE)


async def test_a_question_that_takes_long_is_given_up(prepared, catalog):
    with psycopg.connect(prepared) as holding:
        holding.execute("LOCK TABLE footfall.feature_dims IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable):
            await counts(prepared, ME)
    assert await counts(prepared, ME) == {}
