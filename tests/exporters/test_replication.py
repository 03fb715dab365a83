"""A publication of all tables: nothing that is deleted or changed is refused for it."""

import time

import psycopg
import pytest

from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.erasing import erase
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_exporters.postgres.thinning import Rule
from support.batches import DAY, NOW, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, writing

ME = b"my own pseudonym"
DEV = dimension("shop.order", environment="dev")
UNIDENTIFIED = """
    SELECT c.relname FROM pg_class c WHERE relnamespace = 'footfall'::regnamespace AND relkind = 'r'
    AND relpersistence = 'p' AND relname !~ '^lock_' AND relreplident <> 'f'
    AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary) ORDER BY 1
"""


@pytest.fixture
async def published(store_database, catalog, query):
    """A database of which everything is published, with two rows of today and two of three days ago."""
    prepare(store_database, Settings(catalog, found_by=("visitor",)))
    query("CREATE PUBLICATION everything FOR ALL TABLES")
    async with writing(store_database, catalog) as writer:
        old = MIDNIGHT - 3 * DAY
        await writer.consume(batch(one_row(visitor=ME), one_row()))
        await writer.consume(batch(one_row(old, visitor=ME), one_row(old, DEV)))
    query("INSERT INTO footfall.kept (what, kept) VALUES ('of before', '1 day')")


async def test_what_has_expired_goes_and_what_somebody_wants_erased(
    published, store_database, catalog, query
):
    house = House(catalog, 30, 400, rules=[Rule(environment="dev", days=1)])
    keeper = Housekeeper(store_database, house, lambda: NOW * 1000, lambda: NOW * 1000)
    for ran in await keeper.run_due():
        assert ran.ok, (ran.task, ran.outcome)
    assert query("SELECT count(*) FROM footfall.feature_events") == [(3,)]
    async with await connect(store_database, HOUSEKEEPING) as connection:
        assert sum(each.number for each in await erase(connection, "visitor_hash", [ME])) == 2
        query("UPDATE footfall.feature_events SET quantity = 2")
        await connection.execute("DELETE FROM footfall.session_marks")
    assert query("SELECT quantity FROM footfall.feature_events") == [(2,)]


async def test_tables_of_before_get_it_at_a_start_that_waits_for_nobody(
    store_database, catalog, query
):
    prepare(store_database, Settings(catalog))
    assert query(UNIDENTIFIED) == []
    today = f"feature_events_{TODAY:%Y%m%d}"
    for table in (today, "kept"):
        query(f"ALTER TABLE footfall.{table} REPLICA IDENTITY DEFAULT")
    with psycopg.connect(store_database) as reader:
        reader.execute(f"SELECT FROM footfall.{today}")
        begun = time.monotonic()
        prepare(store_database, Settings(catalog))
        assert time.monotonic() - begun < 15
        assert query(UNIDENTIFIED) == [(today,)]
    prepare(store_database, Settings(catalog))
    assert query(UNIDENTIFIED) == []
