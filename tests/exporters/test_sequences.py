"""Sequences that are behind their tables, as after a move by logical replication, which copies none."""

import pytest

from footfall_exporters.contracts import Unavailable
from support.batches import batch, dimension, one_row
from support.stores import stored, writing

NAMES = ("alert_messages_id_seq", "annotations_id_seq", "batch_ids", "feature_dims_id_seq")
PING = dimension("shop.ping")


def set_back(query, number=1):
    for name in NAMES:
        query("SELECT setval(%s::regclass, %s, false)", f"footfall.{name}", number)


async def test_every_sequence_of_the_schema_is_among_these(query):
    found = query(
        "SELECT sequencename::text FROM pg_sequences WHERE schemaname = 'footfall' ORDER BY 1"
    )
    assert found == [(name,) for name in NAMES]


async def test_nothing_is_refused_where_they_were_left_behind(
    store_database, catalog, query, caplog
):
    async with writing(store_database, catalog) as writer:
        for _ in range(3):
            await writer.consume(batch(one_row()))
            await writer.group_commit.session.close()  # 1,024 ids each
    query("INSERT INTO footfall.annotations (at, text) VALUES (now(), 'moved'), (now(), 'again')")
    set_back(query)
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row()))
        await writer.consume(batch(one_row(of=PING)))
    assert stored(query)[:2] == (5, 5)
    assert query("SELECT * FROM reporting.losses") == []
    query("INSERT INTO footfall.annotations (at, text) VALUES (now(), 'and on')")
    said = [r.getMessage().split()[2] for r in caplog.records if "was behind" in r.getMessage()]
    assert set(said) == {"batch_ids", "feature_dims_id_seq", "annotations_id_seq"}


async def test_an_id_that_is_given_twice_is_not_laid_to_the_data(store_database, catalog, query):
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row()))
        set_back(query)
        writer.group_commit.session._ids.clear()
        again = batch(one_row())
        with pytest.raises(Unavailable):
            await writer.consume(again)
        await writer.consume(again)
    assert stored(query)[:2] == (2, 2)
    assert query("SELECT * FROM reporting.losses") == []


async def test_no_id_is_passed_over_where_they_are_not(store_database, catalog, query):
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row()))
        for number in range(1, 4):
            await writer.group_commit.session.close()
            await writer.consume(batch(one_row()))
            last = query("SELECT last_value FROM footfall.batch_ids")
            assert last == [(1 + number * 1024,)]
