"""Group commit: each request once, and what cannot be stored."""

import asyncio
import datetime as dt
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import psycopg
import pytest

from footfall_exporters import postgres
from footfall_exporters.contracts import Rejected, Unavailable
from footfall_exporters.postgres import (
    dims,
    report,
)
from footfall_exporters.postgres import writer as writer_module
from footfall_exporters.postgres.dims import Dimensions
from footfall_exporters.postgres.locks import TURN, taking
from footfall_processors import Loss
from support.batches import DAY, HOUR, NOW, batch, dimension, one_row, point, poison
from support.stores import INT64, MIDNIGHT, TODAY, rows_of, stored, writing

# Exactly once


async def test_the_same_request_sent_again_is_acknowledged_and_changes_nothing(writer, query):
    request = batch(one_row(), one_row(of=dimension("shop.ping")), losses={Loss.MALFORMED: 1})
    await writer.consume(request)
    before = stored(query)
    await writer.consume(request)
    assert stored(query) == before == (2, 2, 1, 1)


async def test_the_same_request_several_times_in_one_group_is_stored_once(writer, query):
    request, other = batch(one_row()), batch(one_row())
    await asyncio.gather(*(writer.consume(each) for each in [request, request, other, request]))
    assert stored(query) == (2, 2, 2, 1)


async def test_the_same_requests_sent_to_two_collectors_at_once_are_stored_once(
    store_database, catalog, query
):
    requests = [batch(one_row(), one_row()) for _ in range(40)]
    async with writing(store_database, catalog) as one, writing(store_database, catalog) as two:
        for start in range(0, 40, 10):
            part = requests[start : start + 10]
            await asyncio.gather(
                *(one.consume(each) for each in part),
                *(two.consume(each) for each in reversed(part)),
            )
    rows, occurrences, ledger, _ = stored(query)
    assert (rows, occurrences, ledger) == (80, 80, 40)


async def test_positions_have_no_gap_and_name_every_batch_once_under_concurrency(
    store_database, catalog, query, monkeypatch
):
    monkeypatch.setattr(writer_module, "GROUP_ROWS", 20)
    async with AsyncExitStack() as stack:
        writers = [
            await stack.enter_async_context(writing(store_database, catalog)) for _ in range(3)
        ]

        async def send(n):
            await asyncio.sleep(n % 10 / 500)
            await writers[n % 3].consume(batch(one_row(), one_row(of=dimension("shop.ping"))))

        await asyncio.gather(*map(send, range(120)))
    positions = query("SELECT position, requests FROM footfall.commits ORDER BY position")
    assert [position for position, _ in positions] == list(range(1, len(positions) + 1))
    assert query("SELECT position FROM footfall.commit_clock") == [(len(positions),)]
    committed = [number for _, ids in positions for number in ids]
    assert sorted(committed) == [
        n for (n,) in query("SELECT id FROM footfall.ingest_batches ORDER BY id")
    ]
    assert stored(query)[:3] == (240, 240, 120)
    assert len(positions) >= 240 // 21


async def test_the_ledger_says_what_was_stored_and_what_was_lost(writer, query):
    losses = {Loss.UNDECLARED_EVENT: 7, Loss.MALFORMED: 2}
    await writer.consume(batch(one_row(), one_row(), losses=losses))
    assert query("SELECT signal, accepted, losses FROM footfall.ingest_batches") == [
        ("traces", 2, {"undeclared_event": 7, "malformed": 2})
    ]
    assert query("SELECT day, signal, reason, count FROM reporting.losses ORDER BY reason") == [
        (dt.datetime.now(dt.UTC).date(), "traces", "malformed", 2),
        (dt.datetime.now(dt.UTC).date(), "traces", "undeclared_event", 7),
    ]


async def test_counts_are_the_stored_rows_and_the_counters_increments(writer, query):
    known, ping = dimension(), dimension("shop.ping", "invoke")
    this, last = NOW // HOUR * HOUR, NOW // HOUR * HOUR - HOUR
    await writer.consume(batch(one_row(), one_row(), one_row(NOW - HOUR)))
    await writer.consume(batch(one_row(), counts={(this, ping): 4}, signal="metrics"))
    await writer.consume(
        batch(counts={(this, known): 5, (last, ping): 1}, points=[point(10, of=known)])
    )
    assert query(
        "SELECT extract(epoch FROM hour)::int8 * 1000000, event, count FROM footfall.feature_counts"
        " JOIN footfall.feature_dims ON id = dim_id ORDER BY 1, 2"
    ) == [
        (last, "shop.order", 1),
        (last, "shop.ping", 1),
        (this, "shop.order", 3 + 5 + 10),
        (this, "shop.ping", 4),
    ]


async def test_a_retry_gets_the_answer_of_the_first_however_it_is_decoded_by_then(writer, query):
    """A clock or a catalog may have been mended between the two: what was refused is still not stored."""
    first = batch(one_row(), losses={Loss.OUT_OF_WINDOW: 2, Loss.ENUM_VALUE: 1})
    assert await writer.consume(first) is None
    again = batch(one_row(), one_row(), one_row(), digest=first.digest)
    assert await writer.consume(again) == {Loss.OUT_OF_WINDOW: 2, Loss.ENUM_VALUE: 1}
    other = batch(one_row())
    answers = await asyncio.gather(writer.consume(again), writer.consume(other))
    assert answers == [{Loss.OUT_OF_WINDOW: 2, Loss.ENUM_VALUE: 1}, None]
    assert await writer.consume(other) == {}
    assert stored(query) == (2, 2, 2, 2)


# Writers take turns


@pytest.fixture
async def others_turn(store_database):
    """A transaction of another writer, whose turn it is."""
    connecting = psycopg.AsyncConnection.connect(store_database, autocommit=True)
    async with await connecting as other:
        await other.execute(f"BEGIN; {taking(TURN)}")
        yield other
        await other.rollback()


async def at_the_lock(query):
    """Returns when a writer waits for its turn."""
    waiting = (
        "SELECT 1 FROM pg_locks WHERE relation = 'footfall.lock_turn'::regclass AND NOT granted"
    )
    async with asyncio.timeout(10):
        while not query(waiting):  # noqa: ASYNC110  # the database does not tell
            await asyncio.sleep(0.01)


async def send(writer, *batches):
    """Puts batches into the writer's queue; their answers are to come."""
    answers = [asyncio.create_task(writer.consume(each)) for each in batches]
    await asyncio.sleep(0)
    return answers


async def test_a_writer_that_waits_for_its_turn_gathers_what_comes_meanwhile(
    writer, query, others_turn
):
    twice = batch(one_row())
    answers = await send(writer, batch(one_row()))
    await at_the_lock(query)
    answers += await send(writer, twice, batch(one_row(), one_row()), twice)
    await others_turn.rollback()
    assert await asyncio.gather(*answers) == [None] * 4
    assert stored(query) == (4, 4, 3, 1)


async def test_what_has_a_new_dimension_waits_for_the_next_group(writer, query, others_turn):
    answers = await send(writer, batch(one_row()))
    await at_the_lock(query)
    answers += await send(writer, batch(one_row(of=dimension("shop.ping"))), batch(one_row()))
    await others_turn.rollback()
    await asyncio.gather(*answers)
    assert stored(query) == (3, 3, 3, 2)


async def test_a_group_that_waits_for_its_turn_gets_full(writer, query, others_turn, monkeypatch):
    monkeypatch.setattr(writer_module, "GROUP_ROWS", 3)
    answers = await send(writer, batch(one_row()))
    await at_the_lock(query)
    answers += await send(writer, *[batch(one_row()) for _ in range(4)])
    await others_turn.rollback()
    await asyncio.gather(*answers)
    commits = query("SELECT cardinality(requests) FROM footfall.commits ORDER BY position")
    assert commits == [(3,), (2,)]


async def test_what_joins_a_refused_request_is_stored_without_it(writer, query, others_turn):
    refused = batch(one_row(note="walker\0"))
    answers = await send(writer, refused)
    await at_the_lock(query)
    answers += await send(writer, batch(one_row()), batch(one_row(MIDNIGHT - 20 * DAY)))
    await others_turn.rollback()
    answers = await asyncio.gather(*answers, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Rejected, type(None), type(None)]
    assert stored(query)[:3] == (2, 2, 2)


async def test_what_joins_gets_its_partition(writer, query, others_turn):
    answers = await send(writer, batch(one_row()))
    await at_the_lock(query)
    answers += await send(writer, batch(one_row(MIDNIGHT - 20 * DAY)))
    await others_turn.rollback()
    await asyncio.gather(*answers)
    assert stored(query)[:3] == (2, 2, 2)


# What cannot be stored


async def test_of_a_group_only_the_request_that_postgres_refuses_is_rejected(writer, query):
    good = [batch(one_row()) for _ in range(4)]
    answers = await asyncio.gather(
        *(writer.consume(each) for each in [*good[:2], poison(), *good[2:]]), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [
        type(None),
        type(None),
        Rejected,
        type(None),
        type(None),
    ]
    assert "walker" not in str(answers[2])
    assert stored(query)[:3] == (4, 4, 4)
    assert query("SELECT signal, reason, count FROM reporting.losses") == [
        ("traces", "refused_by_store", 1)
    ]


async def test_after_a_refused_request_the_writer_goes_on(writer, query):
    with pytest.raises(Rejected):
        await writer.consume(batch(one_row(of=dimension("shop.visit"), note="\0")))
    await writer.consume(batch(one_row()))
    assert stored(query) == (1, 1, 1, 1)


async def test_a_refused_request_is_no_outage_to_those_that_come_next(writer, query):
    """psycopg's rollback would have the server forget all prepared statements, whoever prepared them."""
    for n in range(8):  # psycopg prepares what has been asked five times
        await writer.consume(batch(points=[point(n + 1, at=NOW + n)]))
    for _ in range(3):
        with pytest.raises(Rejected):
            await writer.consume(poison())
        await writer.consume(batch(one_row()))
    await writer.consume(batch(one_row(MIDNIGHT - 20 * DAY)))  # which has no partition yet
    assert query("SELECT count(*) FROM footfall.feature_events") == [(4,)]
    assert query("SELECT sum(count)::bigint FROM reporting.usage WHERE event = 'shop.ping'") == [
        (8,)
    ]


async def test_a_refusal_is_logged_without_the_value(writer, caplog):
    with pytest.raises(Rejected):
        await writer.consume(poison())
    assert "SQLSTATE 22021" in caplog.text
    assert "walker" not in caplog.text


async def test_a_fault_of_ours_in_one_request_does_not_hold_up_the_others(writer, query):
    faulty = batch(one_row(duration=2**40))  # does not fit the column, which the pipeline sees to
    good = [batch(one_row()) for _ in range(3)]
    answers = await asyncio.gather(
        *(writer.consume(each) for each in [faulty, *good]), return_exceptions=True
    )
    assert isinstance(answers[0], Unavailable)
    assert answers[1:] == [None] * 3
    assert stored(query)[0] == 3


async def test_a_counter_as_large_as_can_be_does_not_make_others_fail(
    writer, query, store_database
):
    hour = NOW // HOUR * HOUR
    huge = {(hour, dimension()): INT64 - 1}
    for hostile in (
        batch(counts=huge),
        batch(counts=huge),
        batch(points=[point(INT64 - 1, of=dimension())]),
        batch(points=[point(2 * INT64, of=dimension(), series=b"2" * 16)]),
    ):
        with suppress(Rejected):
            await writer.consume(hostile)
    await writer.consume(batch(one_row()))
    assert stored(query)[0] == 1
    assert query("SELECT max(count) FROM footfall.feature_counts") == [(10**12,)]
    with psycopg.connect(store_database) as connection:
        for name in postgres.REPORTS:
            report(connection, name, 7)
        rows_of(connection, "SELECT * FROM reporting.completeness")


async def test_a_day_without_a_partition_gets_one_when_it_is_needed(writer, query):
    early = MIDNIGHT - 20 * DAY
    await asyncio.gather(*(writer.consume(batch(one_row(early + n * DAY))) for n in range(3)))
    assert query("SELECT count(*), min(time) FROM footfall.feature_events") == [
        (3, dt.datetime.combine(TODAY - dt.timedelta(days=20), dt.time(), dt.UTC))
    ]


async def test_while_postgres_is_away_requests_are_unavailable_and_then_stored_again(
    own_server, own_database, catalog
):
    early, late = batch(one_row()), batch(one_row())
    async with writing(own_database, catalog) as writer:
        await writer.consume(early)
        own_server.stop()
        for _ in range(2):
            with pytest.raises(Unavailable) as failure:
                await writer.consume(late)
            assert failure.value.retry_after > 0
        own_server.start()
        await writer.consume(late)
        await writer.consume(early)
    with psycopg.connect(own_database) as connection:
        assert stored(lambda statement: rows_of(connection, statement))[:3] == (2, 2, 2)


async def test_a_session_that_the_server_ends_is_replaced(writer, query):
    await writer.consume(batch(one_row()))
    query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'footfall'"
    )
    again = batch(one_row())
    with suppress(Unavailable):
        await writer.consume(again)
    await writer.consume(again)
    assert stored(query)[:3] == (2, 2, 2)


async def test_what_still_waits_at_the_end_is_told_to_come_again(store_database, catalog):
    async with writing(store_database, catalog) as writer:
        waiting = asyncio.create_task(writer.consume(batch(one_row())))
        await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="shutting down"):
        await waiting


async def test_a_sender_that_goes_away_does_not_disturb_the_others(writer, query):
    impatient = asyncio.create_task(writer.consume(batch(one_row())))
    patient = asyncio.create_task(writer.consume(batch(one_row())))
    await asyncio.sleep(0)
    impatient.cancel()
    await patient
    assert stored(query)[0] == 2


async def test_ids_of_a_transaction_that_was_lost_are_not_used(own_server, own_database, catalog):
    """The dimension's INSERT was answered, its COMMIT was not: nothing may refer to that id."""
    async with writing(own_database, catalog) as writer:
        await writer.consume(batch(one_row()))
        own_server.stop()
        own_server.start()
        with suppress(Unavailable):
            await writer.consume(batch(one_row()))
        with psycopg.connect(own_database) as connection:  # as if it had been restored meanwhile
            connection.execute("DELETE FROM footfall.feature_dims")
        own_server.stop()
        own_server.start()
        again = batch(one_row())
        with suppress(Unavailable):
            await writer.consume(again)
        await writer.consume(again)
        with psycopg.connect(own_database) as connection:
            known = connection.execute(
                "SELECT count(*) FROM footfall.feature_events e"
                " JOIN footfall.feature_dims d ON d.id = e.dim_id"
            ).fetchone()
    assert known == (1,)


async def test_a_dimension_whose_commit_fails_is_looked_up_again(store_database):
    dimensions = Dimensions()
    async with await psycopg.AsyncConnection.connect(store_database) as connection:
        await connection.set_autocommit(True)
        await connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'at the commit'; END $$"
        )
        await connection.execute(
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON footfall.feature_dims"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        with pytest.raises(psycopg.errors.RaiseException):
            await dimensions.resolve(connection, [dimension()])
        assert dimensions.ids == {}
        await connection.execute("DROP TRIGGER refuse ON footfall.feature_dims")
        await dimensions.resolve(connection, [dimension()])
        assert list(dimensions.ids) == [dimension()]


async def test_of_many_dimensions_no_more_are_remembered_than_there_is_room_for(
    store_database, monkeypatch
):
    monkeypatch.setattr(dims, "MOST", 5)
    dimensions, seen = Dimensions(), {}
    async with await psycopg.AsyncConnection.connect(store_database) as connection:
        await connection.set_autocommit(True)
        for first in range(0, 40, 2):
            wanted = [dimension(service_version=str(n % 40)) for n in range(first, first + 4)]
            await dimensions.resolve(connection, wanted)
            assert set(wanted) <= dimensions.ids.keys()
            assert len(dimensions.ids) <= 5
            for each in wanted:
                assert seen.setdefault(each, dimensions.ids[each]) == dimensions.ids[each]
        more = [dimension(service_version=str(n)) for n in range(20)]
        await dimensions.resolve(connection, more)
    assert {each: dimensions.ids[each] for each in more} == {each: seen[each] for each in more}
    assert len(seen) == 40


async def test_what_was_decoded_when_an_attribute_was_not_hashed_never_reaches_its_hashs_column(
    writer, query
):
    """A request may wait, in the spool or in the queue, while the catalog changes."""
    raw = batch(one_row(guild_id="guild-number-one"), one_row(note="kept", guild_id=b"g" * 16))
    stale = replace(raw, layout={"guild_id": "guild_id", "note": "note"})
    await writer.consume(stale)
    assert query("SELECT guild_hash, note FROM footfall.feature_events ORDER BY ordinal") == [
        (None, None),
        (None, "kept"),
    ]
    await writer.consume(batch(one_row(guild_id=b"g" * 16)))
    assert query("SELECT count(guild_hash) FROM footfall.feature_events") == [(1,)]


async def test_a_server_that_hangs_is_given_up(writer, query, store_database, monkeypatch):
    monkeypatch.setattr(writer_module, "PATIENT_S", 1.0)
    waiting = batch(one_row())
    with psycopg.connect(store_database) as holding:
        holding.execute("LOCK TABLE footfall.ingest_batches IN EXCLUSIVE MODE")
        with pytest.raises(Unavailable):
            await writer.consume(waiting)
    await writer.consume(waiting)
    assert stored(query)[:3] == (1, 1, 1)
