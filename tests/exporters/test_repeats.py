"""What comes again: whole requests, and spans in other company."""

import asyncio
import datetime as dt
import hashlib
from dataclasses import replace

import pytest
from psycopg import AsyncConnection

from footfall_exporters.postgres import retention
from footfall_exporters.postgres.spans import span_ids
from support.batches import DAY, HOUR, NOW, batch, dimension, one_row
from support.stores import stored, writing

KEY = b"k" * 32


def ledger(query):
    return query("SELECT repeats, losses FROM footfall.ingest_batches ORDER BY id")


async def test_a_repeated_request_is_counted_and_is_no_loss(writer, query):
    request = batch(one_row())
    for _ in range(3):
        await writer.consume(request)
    assert (ledger(query), stored(query)[:2]) == ([(2, {})], (1, 1))


@pytest.mark.parametrize("together", [True, False])
async def test_what_may_be_another_senders_is_a_loss_when_it_comes_again(writer, query, together):
    counts = {(NOW // HOUR * HOUR, dimension("shop.ping", "invoke")): 7}
    request = replace(batch(signal="metrics", counts=counts), identified=False)
    if together:
        await asyncio.gather(*(writer.consume(request) for _ in range(3)))
    else:
        for _ in range(3):
            await writer.consume(request)
    assert ledger(query) == [(2, {"repeated_without_id": 14})]
    assert stored(query)[1] == 7


async def test_a_retry_is_told_what_the_first_was_told(writer):
    request = batch(one_row(), losses={"malformed": 3})
    assert await writer.consume(request) is None
    assert await writer.consume(request) == {"malformed": 3}


def spans(*names, moment=NOW):
    """A batch with a row for each of these spans, of different events."""
    named = batch(*(one_row(moment, of=dimension("shop.order", "success")) for _ in names))
    ids = span_ids(KEY, [name.encode() for name in names], [moment] * len(names))
    return replace(named, rows=[replace(rows, spans=ids) for rows in named.rows])


async def test_a_span_that_comes_in_another_request_is_left_out(writer, query):
    await writer.consume(spans("a", "b"))
    await writer.consume(spans("b", "c"))
    await writer.consume(spans("c", "a"))
    assert [losses for _, losses in ledger(query)] == [
        {},
        {"duplicate_span": 1},
        {"duplicate_span": 2},
    ]
    assert query("SELECT accepted FROM footfall.ingest_batches ORDER BY id") == [(2,), (1,), (0,)]
    assert stored(query)[:2] == (3, 3)


async def test_a_span_that_comes_twice_in_a_group_or_a_request_is_stored_once(writer, query):
    await asyncio.gather(*(writer.consume(spans("a", n, "a", n)) for n in "bcd"))
    assert stored(query)[:2] == (4, 4)


async def test_two_collectors_that_are_sent_the_same_spans_store_them_once(
    store_database, catalog, query
):
    names = [str(n) for n in range(50)]
    async with writing(store_database, catalog) as one, writing(store_database, catalog) as two:
        await asyncio.gather(
            *(one.consume(spans(*names[at : at + 7])) for at in range(0, 50, 3)),
            *(two.consume(spans(*names[at : at + 5])) for at in range(0, 50, 4)),
        )
    assert stored(query)[:2] == (50, 50)


async def test_spans_without_ids_are_like_no_other(writer, query):
    await writer.consume(spans("", ""))
    await writer.consume(spans("", ""))
    assert stored(query)[:2] == (4, 4)


def test_a_spans_name_is_its_day_and_a_keyed_hash():
    ids = b"t" * 16 + b"s" * 8
    [named, other, again] = span_ids(KEY, [ids, b"u" + ids[1:], ids], [NOW, NOW, NOW - DAY])
    assert int.from_bytes(named[:2], "big") == NOW // DAY
    assert named[2:] != other[2:]
    assert named[2:] == again[2:]
    assert [named] != span_ids(b"x" * 32, [ids], [NOW])
    assert named[2:] not in {h(ids).digest()[:14] for h in (hashlib.sha256, hashlib.blake2b)}


async def test_spans_are_forgotten_when_their_retries_are_refused(writer, store_database, query):
    await writer.consume(spans("old", moment=NOW - 6 * DAY))
    await writer.consume(spans("new"))
    for days, left in ((8, 2), (9, 1), (14, 1), (15, 0)):
        async with await AsyncConnection.connect(store_database, autocommit=True) as connection:
            moment = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
            await retention.forget(connection, moment, 400)
        assert query("SELECT count(*) FROM footfall.span_ledger") == [(left,)], days
