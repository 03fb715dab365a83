import asyncio
import datetime as dt
import hashlib
import json
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache
from itertools import count, groupby
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from conftest import new_database
from footfall_exporters import postgres
from footfall_exporters.background import beside
from footfall_exporters.contracts import Rejected, Settings, Unavailable
from footfall_exporters.postgres import (
    PostgresConfig,
    SchemaConflict,
    Store,
    apply_catalog,
    migrate,
    prepare,
    purge,
    report,
)
from footfall_exporters.postgres.encode import FIXED, HEADER, TRAILER, Encoder
from footfall_exporters.postgres.migrate import HEAD
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Batch, Dimension, Hash, Loss, Point, Rows, Shape, load_catalog

SECOND, HOUR, DAY = 10**6, 3600 * 10**6, 86_400 * 10**6
NOW = time.time_ns() // 1000
TODAY = dt.datetime.fromtimestamp(NOW / 10**6, dt.UTC).date()
MIDNIGHT = NOW // DAY * DAY
GUILD_A, GUILD_B = b"a" * 16, b"b" * 16
INT64 = 2**63

COLUMNS = {
    "guild_id": ("guild_hash", st.binary(min_size=16, max_size=16)),
    "team_id": ("team_hash", st.binary(min_size=16, max_size=16)),
    "org_id": ("org_hash", st.binary(min_size=16, max_size=16)),
    "visitor": ("visitor_hash", st.binary(min_size=16, max_size=16)),
    "seed": ("seed", st.binary(min_size=16, max_size=16)),
    "attempts": ("attempts", st.integers(-INT64, INT64 - 1)),
    "ratio": ("ratio", st.floats(allow_nan=False)),
    "ranked": ("ranked", st.booleans()),
    "note": ("note", st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
}
"""The catalog's attributes that are columns of feature_events, and what they may hold."""

digests = (hashlib.sha256(str(n).encode()).digest()[:16] for n in count())


@cache
def dimension(event="shop.order", action="success", status="ok", error=None, **fields):
    service = [fields.pop(name, None) for name in ("service", "service_version", "environment")]
    surface, feature = fields.pop("surface", "web"), event.rpartition(".")[2]
    enums = tuple(sorted(fields.items()))
    return Dimension(event, surface, feature, action, status, error, *service, enums)


def batch(*rows, points=(), losses=None, counts=None, digest=None, signal="traces"):
    """A batch of (time, duration, dimension, values by attribute) rows, counted as the pipeline does."""
    tally = dict(counts or {})
    for moment, _, of, _ in rows:
        tally[moment // HOUR * HOUR, of] = tally.get((moment // HOUR * HOUR, of), 0) + 1
    alike = [as_rows(list(group)) for _, group in groupby(rows, key=lambda row: sorted(row[3]))]
    return Batch(digest or next(digests), signal, alike, tally, points, losses or {})


def as_rows(together):
    """Rows with the same attributes, as columns."""
    times, durations, dimensions, named = map(list, zip(*together, strict=True))
    names = tuple(sorted(named[0]))
    shapes = [shape(of, names) for of in dimensions]
    return Rows(times, durations, shapes, [[row[name] for row in named] for name in names])


@cache
def shape(of, columns):
    return Shape(of, 1.0, columns)


def one_row(moment=NOW, of=None, duration=83, **values):
    return moment, duration, of or dimension(), values


@asynccontextmanager
async def writing(dsn, catalog) -> AsyncIterator[Writer]:
    """A Writer at work."""
    writer = Writer(dsn, catalog, reconnect=0.1)
    async with beside(writer.run()):
        yield writer


@pytest.fixture
async def writer(store_database, catalog):
    async with writing(store_database, catalog) as writer:
        yield writer


@pytest.fixture
def query(store_database):
    """Runs a statement on the test's database."""
    with psycopg.connect(store_database, autocommit=True) as connection:
        yield lambda statement, *args: rows_of(connection, statement, *args)


def rows_of(connection, statement, *args):
    cursor = connection.execute(statement, args or None)
    return cursor.fetchall() if cursor.description else []


def stored(query):
    """How much of everything there is: rows, occurrences, ledger rows, commits."""
    [numbers] = query(
        "SELECT (SELECT count(*) FROM footfall.feature_events),"
        " (SELECT coalesce(sum(count), 0)::int8 FROM footfall.feature_counts),"
        " (SELECT count(*) FROM footfall.ingest_batches), (SELECT count(*) FROM footfall.commits)"
    )
    return numbers


# Rows, written as binary COPY


@st.composite
def row(draw):
    attributes = draw(st.sets(st.sampled_from(sorted(COLUMNS)), max_size=3))
    values = {name: draw(st.none() | COLUMNS[name][1]) for name in attributes}
    moment = MIDNIGHT + draw(st.integers(0, DAY - 1))
    duration = draw(st.none() | st.integers(0, 2**31 - 1))
    return moment, duration, draw(st.sampled_from([dimension(), dimension("shop.survey")])), values


def as_stored(value):
    return uuid.UUID(bytes=value) if isinstance(value, bytes) else value


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows=st.lists(row(), max_size=12))
def test_what_goes_into_the_copy_comes_out_of_the_table(store_connection, rows):
    names = [column for column, _ in COLUMNS.values()]
    ids = {of: 7 + len(of.event) for _, _, of, _ in rows}
    encoded = Encoder(list(COLUMNS)).encode(batch(*rows), 2**40, ids)
    listed = sql.SQL(", ").join(map(sql.Identifier, [*FIXED, *names]))
    with store_connection.transaction(force_rollback=True), store_connection.cursor() as cursor:
        statement = sql.SQL("COPY footfall.feature_events ({}) FROM STDIN (FORMAT binary)")
        with cursor.copy(statement.format(listed)) as copy:
            copy.write(b"".join([HEADER, *encoded, TRAILER]))
        cursor.execute(
            sql.SQL(
                "SELECT ordinal, time, duration_ms, batch_id, dim_id, sample_rate, quantity, {}"
                " FROM footfall.feature_events ORDER BY ordinal"
            ).format(sql.SQL(", ").join(map(sql.Identifier, names)))
        )
        found = cursor.fetchall()
    expected = []
    for ordinal, (moment, duration, of, values) in enumerate(rows):
        when = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=moment)
        kept = [as_stored(values.get(attribute)) for attribute in COLUMNS]
        expected.append((ordinal, when, duration, 2**40, ids[of], 1.0, 1, *kept))
    assert found == expected


@pytest.fixture(scope="session")
def store_connection(postgres_server, store_template):
    """A connection to a prepared database that no test changes: each example is rolled back."""
    with (
        new_database(postgres_server, store_template) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        yield connection


async def test_a_batch_of_rows_of_every_form_is_stored_by_the_writer(writer, query):
    rows = [
        one_row(guild_id=GUILD_A),
        one_row(duration=None, guild_id=GUILD_A),
        one_row(of=dimension("shop.ping", "invoke")),
        one_row(of=dimension("shop.visit", "open"), note="zurück 𝄞 \N{SNOWMAN}", attempts=None),
        one_row(of=dimension("shop.visit", "open"), note=None, attempts=-INT64),
        one_row(of=dimension("shop.survey"), guild_id=None, ranked=False, ratio=-0.5, seed=GUILD_B),
    ]
    await writer.consume(batch(*rows))
    a, b = uuid.UUID(bytes=GUILD_A), uuid.UUID(bytes=GUILD_B)
    assert query(
        "SELECT d.event, e.duration_ms, e.guild_hash, e.note, e.attempts, e.ranked, e.ratio, e.seed"
        " FROM footfall.feature_events e JOIN footfall.feature_dims d ON d.id = e.dim_id ORDER BY ordinal"
    ) == [
        ("shop.order", 83, a, None, None, None, None, None),
        ("shop.order", None, a, None, None, None, None, None),
        ("shop.ping", 83, None, None, None, None, None, None),
        ("shop.visit", 83, None, "zurück 𝄞 \N{SNOWMAN}", None, None, None, None),
        ("shop.visit", 83, None, None, -INT64, None, None, None),
        ("shop.survey", 83, None, None, None, False, -0.5, b),
    ]


async def test_dimensions_are_stored_once_whoever_stores_them(store_database, catalog, query):
    known = dimension("shop.order", service="shop", provider="smz3", mode="open")
    for _ in range(2):
        async with writing(store_database, catalog) as writer:
            await writer.consume(batch(one_row(of=known), one_row(of=dimension("shop.ping"))))
    assert query(
        "SELECT event, service, environment, provider, mode FROM footfall.feature_dims ORDER BY event"
    ) == [("shop.order", "shop", None, "smz3", "open"), ("shop.ping", None, None, None, None)]
    assert query("SELECT count(DISTINCT dim_id) FROM footfall.feature_events") == [(2,)]


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
    store_database, catalog, query
):
    async with AsyncExitStack() as stack:
        writers = [
            await stack.enter_async_context(writing(store_database, catalog)) for _ in range(3)
        ]

        async def send(n):
            await asyncio.sleep(n % 10 / 500)
            await writers[n % 3].consume(batch(one_row(), one_row(of=dimension("shop.ping"))))

        await asyncio.gather(*map(send, range(120)))
    positions = query("SELECT position, batch_ids FROM footfall.commits ORDER BY position")
    assert [position for position, _ in positions] == list(range(1, len(positions) + 1))
    assert query("SELECT position FROM footfall.commit_clock") == [(len(positions),)]
    committed = [number for _, ids in positions for number in ids]
    assert sorted(committed) == [
        n for (n,) in query("SELECT id FROM footfall.ingest_batches ORDER BY id")
    ]
    assert stored(query)[:3] == (240, 240, 120)
    assert len(positions) > 3


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


# What cannot be stored


def poison():
    """A batch that COPY refuses; the pipeline makes none."""
    return batch(one_row(of=dimension("shop.visit"), note="walker\0"))


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


# Counters


def point(value, *, of=None, stream=b"s" * 16, series=b"1" * 16, at=NOW, start=NOW - HOUR):
    return Point(stream, series, of or dimension("shop.ping", "invoke"), start, at, value)


async def export(writer, *points):
    await writer.consume(batch(points=points, signal="metrics"))


def counted(query):
    return {
        event: int(number)
        for event, number in query(
            "SELECT event, sum(count) FROM footfall.feature_counts JOIN footfall.feature_dims"
            " ON id = dim_id GROUP BY event"
        )
    }


@pytest.mark.parametrize(
    "values", [[5], [5, 5, 5], [5, 8, 12], [12, 5, 8], [0, 12], [12, 12, 0]], ids=str
)
async def test_a_counter_counts_its_highest_value_once(writer, query, values):
    for value in values:
        await export(writer, point(value))
    assert counted(query) == ({"shop.ping": max(values)} if max(values) else {})


async def test_exports_of_a_counter_in_one_group_count_its_highest_value(writer, query):
    await asyncio.gather(*(export(writer, point(value)) for value in (3, 9, 7)))
    assert counted(query) == {"shop.ping": 9}


async def test_a_counter_that_seems_to_go_back_within_a_group_counts_its_highest_value(
    writer, query
):
    values = [point(value, at=NOW + n * SECOND) for n, value in enumerate((9, 3, 7))]
    await asyncio.gather(*(export(writer, each) for each in values))
    assert counted(query) == {"shop.ping": 9}


async def test_an_increment_is_counted_in_the_hour_of_its_export(writer, query):
    await export(writer, point(5, at=NOW - 2 * HOUR, start=NOW - 3 * HOUR))
    await export(writer, point(12, start=NOW - 3 * HOUR))
    hours = query(
        "SELECT extract(epoch FROM hour)::int8, count FROM footfall.feature_counts ORDER BY hour"
    )
    this = NOW // HOUR * 3600
    assert hours == [(this - 2 * 3600, 5), (this, 7)]


async def test_a_restarted_counter_counts_on_from_zero(writer, query):
    await export(writer, point(100))
    await export(writer, point(3, stream=b"t" * 16, series=b"2" * 16, start=NOW - SECOND))
    assert counted(query) == {"shop.ping": 103}


async def test_a_repeated_export_adds_nothing(writer, query):
    request = batch(points=[point(5)])
    await writer.consume(request)
    await writer.consume(request)
    assert counted(query) == {"shop.ping": 5}


async def test_a_counter_that_reaches_two_collectors_counts_once(store_database, catalog, query):
    async with writing(store_database, catalog) as one, writing(store_database, catalog) as two:
        for value in range(1, 41):
            await asyncio.gather(export(one, point(value)), export(two, point(value + value % 3)))
    assert counted(query) == {"shop.ping": 41}


async def test_counters_that_cross_in_two_collectors_lose_nothing(store_database, catalog, query):
    """Groups of several requests that hold the same series in opposite order."""

    async def send(writer, number, value):
        request = batch(points=[point(value, series=bytes([number]) * 16)])
        while True:
            try:
                return await writer.consume(request)
            except Unavailable:
                continue

    async with writing(store_database, catalog) as one, writing(store_database, catalog) as two:
        for value in range(1, 16):
            await asyncio.gather(
                *(send(one, number, value) for number in range(8)),
                *(send(two, number, value) for number in reversed(range(8))),
            )
    assert counted(query) == {"shop.ping": 8 * 15}


async def test_the_first_value_of_a_counter_that_is_older_than_the_ledger_is_a_baseline(
    writer, query
):
    old = NOW - 8 * DAY
    await export(writer, point(100, start=old), point(50, series=b"2" * 16, start=old))
    assert counted(query) == {}
    assert query("SELECT losses FROM footfall.ingest_batches") == [({"counter_baseline": 2},)]
    await export(writer, point(107, start=old), point(50, series=b"2" * 16, start=old))
    assert counted(query) == {"shop.ping": 7}


async def test_a_series_that_begins_late_in_a_known_counter_counts_in_full(writer, query):
    old = NOW - 8 * DAY
    await export(writer, point(100, start=old))
    await export(writer, point(4, series=b"2" * 16, start=old, of=dimension("shop.order")))
    assert counted(query) == {"shop.order": 4}


async def test_a_baseline_is_added_to_the_losses_that_are_known(writer, query):
    await writer.consume(
        batch(points=[point(9, start=NOW - 8 * DAY)], losses={Loss.UNDECLARED_EVENT: 3})
    )
    assert query("SELECT losses FROM footfall.ingest_batches") == [
        ({"undeclared_event": 3, "counter_baseline": 1},)
    ]


# Housekeeping


def store_at(dsn, catalog, moment=NOW, **config):
    return Store(dsn, PostgresConfig(dsn=dsn, **config), Settings(catalog), lambda: moment * 1000)


def partition_days(query):
    return [
        dt.datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=dt.UTC).date()
        for (name,) in query(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent ="
            " 'footfall.feature_events'::regclass AND NOT inhdetachpending ORDER BY relname"
        )
    ]


def days(first, last):
    return [TODAY + dt.timedelta(days=n) for n in range(first, last + 1)]


async def test_partitions_are_made_ahead_and_dropped_when_they_expire(
    store_database, catalog, query, writer
):
    for n in range(16):
        await writer.consume(batch(one_row(MIDNIGHT - n * DAY)))
    done = await store_at(store_database, catalog, MIDNIGHT, retention_days=10).maintain()
    assert partition_days(query) == days(-10, 3)
    assert done.partitions_dropped == 5
    assert query("SELECT count(*) FROM footfall.feature_events") == [(11,)]
    tables = query("SELECT count(*) FROM pg_class WHERE relname ~ '^feature_events_[0-9]+$'")
    assert tables == [(14,)]
    again = await store_at(store_database, catalog, MIDNIGHT, retention_days=10).maintain()
    assert (again.partitions_made, again.partitions_dropped) == (0, 0)


async def test_a_day_passes(store_database, catalog, query):
    await store_at(store_database, catalog, retention_days=8).maintain()
    done = await store_at(store_database, catalog, NOW + DAY, retention_days=8).maintain()
    assert (done.partitions_made, done.partitions_dropped) == (1, 1)
    assert partition_days(query) == days(-7, 4)


async def test_partitions_are_dropped_while_others_write_and_read(
    store_database, catalog, writer, query
):
    for n in range(9, 14):
        await writer.consume(batch(one_row(MIDNIGHT - n * DAY)))

    async def keep_writing():
        for _ in range(30):
            await writer.consume(batch(one_row()))

    store = store_at(store_database, catalog, MIDNIGHT, retention_days=8)
    await asyncio.gather(keep_writing(), store.maintain())
    assert query("SELECT count(*) FROM footfall.feature_events") == [(30,)]


async def test_purge_says_what_it_would_drop_and_then_drops_it(store_database, writer, query):
    await writer.consume(batch(*[one_row(MIDNIGHT - n * DAY) for n in range(7) for _ in range(n)]))
    expected = {TODAY - dt.timedelta(days=n): n for n in (3, 4, 5, 6)}
    for _ in range(2):
        said = await purge(store_database, 2, dry_run=True)
        assert said.first_kept == TODAY - dt.timedelta(days=2)
        assert {day: n for day, n in said.rows.items() if n} == expected
    assert query("SELECT count(*) FROM footfall.feature_events") == [(21,)]
    done = await purge(store_database, 2, dry_run=False)
    assert done.rows == said.rows
    assert query("SELECT count(*) FROM footfall.feature_events") == [(3,)]
    assert partition_days(query)[0] == TODAY - dt.timedelta(days=2)
    assert (await purge(store_database, 2, dry_run=False)).rows == {}
    assert stored(query)[1] == 21  # counts stay


@pytest.mark.parametrize("moment", ["while it detached", "before it dropped"])
async def test_a_purge_that_was_interrupted_is_finished_by_the_next_housekeeping(
    store_database, catalog, query, writer, moment
):
    await writer.consume(batch(one_row(MIDNIGHT - 3 * DAY)))
    name = f"footfall.feature_events_{TODAY - dt.timedelta(days=3):%Y%m%d}"
    detach = f"ALTER TABLE footfall.feature_events DETACH PARTITION {name}"
    if moment == "before it dropped":
        query(detach)
    else:
        with psycopg.connect(store_database) as reader:
            reader.execute("SELECT count(*) FROM footfall.feature_events").fetchone()
            query("SET statement_timeout = '200ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                query(f"{detach} CONCURRENTLY")
    await store_at(store_database, catalog, MIDNIGHT).maintain()
    await writer.consume(batch(one_row(MIDNIGHT - 3 * DAY)))
    assert query("SELECT count(*) FROM footfall.feature_events") == [(1,)]


def noon(back):
    """Of a day so many days ago."""
    return dt.datetime.combine(TODAY, dt.time(12), dt.UTC) - dt.timedelta(days=back)


async def test_losses_of_forgotten_requests_are_added_up_by_day(
    store_database, catalog, query, writer
):
    for losses in (
        {Loss.MALFORMED: 1, Loss.ENUM_VALUE: 5},
        {Loss.MALFORMED: 2},
        {},
        {Loss.MALFORMED: 40},
    ):
        await writer.consume(batch(one_row(), losses=losses))
    await writer.consume(batch(losses={Loss.MALFORMED: 7}, signal="metrics"))
    first = query("SELECT min(id) FROM footfall.ingest_batches")[0][0]
    for offset, back in ((0, 8), (1, 8), (2, 9), (4, 9)):
        statement = "UPDATE footfall.ingest_batches SET received_at = %s WHERE id = %s"
        query(statement, noon(back), first + offset)
    before = query("SELECT * FROM reporting.losses ORDER BY 1, 2, 3")
    for _ in range(2):
        await store_at(store_database, catalog).maintain()
        assert query(
            "SELECT day, signal, reason, count FROM footfall.losses_daily ORDER BY 1, 2, 3"
        ) == [
            (TODAY - dt.timedelta(days=9), "metrics", "malformed", 7),
            (TODAY - dt.timedelta(days=8), "traces", "enum_value", 5),
            (TODAY - dt.timedelta(days=8), "traces", "malformed", 3),
        ]
    assert query("SELECT losses FROM footfall.ingest_batches") == [({"malformed": 40},)]
    assert query("SELECT * FROM reporting.losses ORDER BY 1, 2, 3") == before
    query("UPDATE footfall.ingest_batches SET received_at = %s", noon(8))  # a straggler of that day
    await store_at(store_database, catalog).maintain()
    assert query(
        "SELECT count FROM footfall.losses_daily WHERE signal = 'traces' AND reason = 'malformed'"
    ) == [(43,)]


async def test_counts_outlive_observations_and_go_after_their_own_time(
    store_database, catalog, query, writer
):
    await writer.consume(
        batch(one_row(MIDNIGHT - 40 * DAY), one_row(MIDNIGHT - 60 * DAY), one_row())
    )
    config = {"retention_days": 30, "rollup_retention_days": 50}
    await store_at(store_database, catalog, **config).maintain()
    assert stored(query)[:2] == (1, 2)


# Salts


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
    assert all(salt in read_all(table) for salt in first)
    assert not any(salt in read_all(log) for salt in first)
    own_server.start()
    for n in range(step, 9, step):
        later = store_at(own_database, catalog, NOW + n * DAY)
        await later.maintain()
    own_server.stop()
    kept, files = set(later.salts.values()), read_all(table, log)
    assert 8 <= len(first - kept) < len(first)
    assert all(salt in files for salt in kept)
    assert not any(salt in files for salt in first - kept)
    assert not any(salt in read_all(log) for salt in kept)


async def test_after_a_crash_of_postgres_new_salts_are_made_and_distinct_counts_are_void(
    own_server, own_database, catalog
):
    async with writing(own_database, catalog) as writer:
        store = store_at(own_database, catalog)
        await store.maintain()
        survey = dimension("shop.survey", "skip")
        await writer.consume(batch(one_row(of=survey, guild_id=GUILD_A, visitor=GUILD_B)))
    before = dict(store.salts)
    with psycopg.connect(own_database) as connection:
        assert active_groups(connection) == {"guild_id": 1, "visitor": 1}
    crash(own_server)
    own_server.start()
    await store.maintain()
    assert store.salts.keys() == before.keys()
    assert not set(store.salts.values()) & set(before.values())
    with psycopg.connect(own_database) as connection:
        assert active_groups(connection) == {
            "guild_id": None,
            "visitor": 1,
        }  # its salt is the operator's


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


# The schema


def catalog_of(tmp_path, attributes, product="other", name="events.yaml"):
    listed = list(attributes)
    text = {
        "product": product,
        "attributes": attributes,
        "events": {f"{product}.used": {"surface": "web", "feature": "x", "attributes": listed}},
    }
    path = tmp_path / name
    path.write_text(json.dumps(text))  # JSON is YAML
    return load_catalog(path)


def columns_of(query, table):
    return {
        name
        for (name,) in query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'footfall'"
            " AND table_name = %s",
            table,
        )
    }


def test_a_fresh_database_reaches_the_current_schema_and_stays_there(empty_database):
    assert migrate(empty_database) == (None, HEAD)
    assert migrate(empty_database) == (HEAD, HEAD)
    folder = Path(postgres.__file__).parent / "migrations"
    config = AlembicConfig()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_collectors_that_start_together_on_an_empty_database_all_get_to_work(
    empty_database, catalog
):
    async with AsyncExitStack() as stack:
        config = PostgresConfig(dsn=empty_database)
        stores = await asyncio.gather(
            *(stack.enter_async_context(config.open(Settings(catalog))) for _ in range(3))
        )
        await asyncio.gather(*(store.consume(batch(one_row())) for store in stores))
        with psycopg.connect(empty_database) as connection:
            assert stored(lambda statement: rows_of(connection, statement))[:3] == (3, 3, 3)
        assert stores[0].salts == stores[1].salts == stores[2].salts


def test_the_catalogs_columns_are_added_once_with_their_descriptions(empty_database, catalog):
    migrate(empty_database)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        added = apply_catalog(connection, catalog)
        assert sorted(added) == sorted(
            ["feature_dims.provider", "feature_dims.mode", "feature_dims.emitted_event",
             "feature_dims.drop_reason"]
            + [f"feature_events.{column}" for column, _ in COLUMNS.values()]
        )  # fmt: skip
        assert apply_catalog(connection, catalog) == []
        comments = rows_of(
            connection,
            "SELECT a.attname, col_description(a.attrelid, a.attnum), format_type(a.atttypid, a.atttypmod)"
            " FROM pg_attribute a WHERE attrelid = 'footfall.feature_events'::regclass"
            " AND attname IN ('guild_hash', 'attempts', 'note') ORDER BY 1",
        )
    assert comments == [
        ("attempts", "How often it's been tried", "bigint"),
        ("guild_hash", "A guild", "uuid"),
        ("note", None, "text"),
    ]


def test_a_second_catalog_adds_its_columns_and_keeps_the_others(store_database, query, tmp_path):
    before = columns_of(query, "feature_events")
    second = catalog_of(
        tmp_path,
        {
            "note": {"type": "string"},
            "height": {"type": "float"},
            "colour": {"type": "enum", "values": ["red"]},
        },
    )
    with psycopg.connect(store_database, autocommit=True) as connection:
        assert sorted(apply_catalog(connection, second)) == [
            "feature_dims.colour",
            "feature_events.height",
        ]
    assert columns_of(query, "feature_events") == before | {"height"}
    assert {"provider", "colour"} <= columns_of(query, "feature_dims")
    names = [c for (c,) in query("SELECT column_name FROM information_schema.columns WHERE"
                                 " table_schema = 'reporting' AND table_name = 'events'")]  # fmt: skip
    assert {"provider", "colour", "height", "note"} <= set(names)


def test_a_changed_description_is_changed_in_the_database(store_database, query, tmp_path):
    second = catalog_of(tmp_path, {"note": {"type": "string", "description": "It's 100% new"}})
    with psycopg.connect(store_database, autocommit=True) as connection:
        apply_catalog(connection, second)
    [[comment]] = query(
        "SELECT col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = 'footfall.feature_events'::regclass AND attname = 'note'"
    )
    assert comment == "It's 100% new"


def test_an_attribute_of_another_type_than_its_column_is_refused_and_nothing_is_changed(
    store_database, query, tmp_path
):
    wrong = catalog_of(
        tmp_path,
        {"note": {"type": "int"}, "ranked": {"type": "float"}, "height": {"type": "float"}},
    )
    before = columns_of(query, "feature_events")
    with (
        psycopg.connect(store_database, autocommit=True) as connection,
        pytest.raises(SchemaConflict) as error,
    ):
        apply_catalog(connection, wrong)
    assert str(error.value).count("\n") == 0
    assert (
        "attribute note: the catalog needs bigint, but the column feature_events.note is text"
        in str(error.value)
    )
    assert "ranked" in str(error.value)
    assert columns_of(query, "feature_events") == before


def test_a_plain_attribute_may_not_take_the_column_of_a_hashed_one(store_database, query, tmp_path):
    """Its values would be shown in the reports, and those of the hashed attribute with them."""
    other = catalog_of(tmp_path, {"guild_hash": {"type": "uuid"}})
    with (
        psycopg.connect(store_database, autocommit=True) as connection,
        pytest.raises(SchemaConflict),
    ):
        apply_catalog(connection, other)
    assert "guild_hash" not in [name for _, name, _ in reporting_columns(query)]


# Reporting


def reporting_columns(query):
    return query(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'reporting' ORDER BY table_name, ordinal_position"
    )


async def test_events_are_shown_by_the_names_of_the_requirements(writer, query):
    moment = MIDNIGHT + 3 * HOUR
    known = dimension(
        "shop.survey", "failure", "error", "unexpected_error", service="shop", service_version="1.2",
        environment="test", provider="smz3", mode="zurück",
    )  # fmt: skip
    values = {"guild_id": GUILD_A, "attempts": 3, "note": "kept", "seed": GUILD_B, "ranked": True}
    await writer.consume(batch(one_row(moment, known, 250, **values)))
    names = [name for table, name, _ in reporting_columns(query) if table == "events"]
    assert names == [
        "event_id", "created_at", "day_bucket", "event_name", "surface", "feature", "action", "status",
        "duration_ms", "error_type", "sample_rate", "quantity", "event", "service", "service_version",
        "environment", "mode", "provider", "attempts", "note", "ranked", "ratio", "seed",
    ]  # fmt: skip
    [[batch_id]] = query("SELECT id FROM footfall.ingest_batches")
    when = dt.datetime.combine(TODAY, dt.time(3), dt.UTC)
    assert query("SELECT * FROM reporting.events") == [
        (f"{batch_id}-0", when, TODAY, "shop.survey.failure", "web", "survey", "failure", "error", 250,
         "unexpected_error", 1.0, 1, "shop.survey", "shop", "1.2", "test", "zurück", "smz3", 3, "kept", True,
         None, uuid.UUID(bytes=GUILD_B))
    ]  # fmt: skip


def test_no_reporting_view_has_an_identity_column(query):
    columns = reporting_columns(query)
    assert {table for table, _, _ in columns} == {
        "events", "usage", "latency", "active_groups", "losses", "completeness", "housekeeping",
    }  # fmt: skip
    hashed = {"guild_hash", "team_hash", "org_hash", "visitor_hash"}
    assert not [name for _, name, _ in columns if name in hashed or "hash" in name]
    assert {name for _, name, kind in columns if kind in ("uuid", "bytea")} == {"seed"}


async def test_the_reader_may_read_reporting_and_nothing_else(writer, query):
    await writer.consume(batch(one_row(guild_id=GUILD_A), losses={Loss.MALFORMED: 1}))
    tables = [
        name for (name,) in query("SELECT tablename FROM pg_tables WHERE schemaname = 'footfall'")
    ]
    views = sorted({table for table, _, _ in reporting_columns(query)})
    query("SET ROLE footfall_reader")
    try:
        for view in views:
            query(f"SELECT * FROM reporting.{view}")
        assert query("SELECT event, stored FROM reporting.completeness") == [("shop.order", 1)]
        assert {"feature_events", "salts", "ingest_batches"} <= set(tables)
        for table in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                query(f"SELECT * FROM footfall.{table}")
        for statement in ("CREATE TABLE reporting.mine (n int)", "DELETE FROM reporting.events"):
            with pytest.raises(psycopg.Error):
                query(statement)
    finally:
        query("RESET ROLE")


async def test_completeness_compares_what_is_stored_with_what_the_sdks_counted(writer, query):
    tally = [
        dimension("footfall.emitted", "count", surface="footfall", emitted_event=event)
        for event in ("shop.order", "shop.ping", "shop.visit")
    ]
    hour = NOW // HOUR * HOUR
    counts = dict.fromkeys([(hour, tally[0]), (hour - HOUR, tally[0])], 2) | {(hour, tally[1]): 5}
    await writer.consume(
        batch(*[one_row()] * 3, one_row(of=dimension("shop.survey")), counts=counts)
    )
    assert query(
        "SELECT event, stored, emitted, ratio FROM reporting.completeness ORDER BY event"
    ) == [
        ("shop.order", 3, 4, 0.75),
        ("shop.ping", 0, 5, 0.0),
        ("shop.survey", 1, 0, None),
    ]
    assert query("SELECT count(*) FROM reporting.usage WHERE surface = 'footfall'") == [(0,)]


@pytest.fixture
async def reports(writer, store_database):
    """Three days of use, and the reports over it."""
    ok, invoke = (dimension("shop.order", a, provider="smz3") for a in ("success", "invoke"))
    late = dimension("shop.order", "failure", "timeout", "provider_timeout", provider="smz3")
    bad = dimension("shop.order", "failure", "error", "invalid_preset", provider="alttpr")
    ping = dimension("shop.ping", "invoke", surface="api")
    await writer.consume(
        batch(
            *(one_row(MIDNIGHT, ok, n, guild_id=GUILD_A) for n in range(1, 101)),
            one_row(MIDNIGHT, late, None, guild_id=GUILD_B),
            *[one_row(MIDNIGHT - DAY, bad, 500, guild_id=GUILD_B)] * 3,
            one_row(MIDNIGHT - DAY - 1, ping, None),
            counts={(MIDNIGHT, invoke): 104, (MIDNIGHT - 3 * DAY, invoke): 7},
        )
    )

    def run(name, days):
        with psycopg.connect(store_database) as connection:
            found = report(connection, name, days)
        assert found.since.date() == TODAY - dt.timedelta(days=days - 1)
        assert [list(record) for record in found.records()] == [list(found.columns)] * len(
            found.rows
        )
        return found.rows

    return run


async def test_the_usage_report_counts_by_action(reports):
    assert reports("usage", 1) == [
        ("web", "order", "shop.order", "invoke", 104),
        ("web", "order", "shop.order", "success", 100),
        ("web", "order", "shop.order", "failure", 1),
    ]
    assert reports("usage", 3) == [
        ("api", "ping", "shop.ping", "invoke", 1),
        ("web", "order", "shop.order", "invoke", 104),
        ("web", "order", "shop.order", "success", 100),
        ("web", "order", "shop.order", "failure", 4),
    ]
    assert reports("usage", 4)[1] == ("web", "order", "shop.order", "invoke", 111)


async def test_the_errors_report_counts_by_type_and_provider_with_its_share_of_the_outcomes(
    reports,
):
    assert reports("errors", 7) == [
        ("web", "order", "shop.order", "alttpr", "invalid_preset", "error", 3, 1.0),
        (
            "web",
            "order",
            "shop.order",
            "smz3",
            "provider_timeout",
            "timeout",
            1,
            pytest.approx(1 / 101),
        ),
    ]


async def test_the_latency_report_gives_percentiles_of_what_has_a_duration(reports):
    # 1 to 100 ms once each: the percentiles lie between neighbours, and are rounded half to even or up.
    assert reports("latency", 1) == [
        ("web", "order", "shop.order", 100, pytest.approx(50.5, abs=0.5), 95, 99)
    ]
    assert reports("latency", 2)[0][3:] == (103, 52, 98, 500)


async def test_the_groups_report_counts_distinct_hashes_by_day(reports):
    assert reports("groups", 2) == [
        (TODAY - dt.timedelta(days=1), "guild_id", 1),
        (TODAY, "guild_id", 2),
    ]


def test_reports_of_an_empty_store_are_empty(store_database):
    with psycopg.connect(store_database) as connection:
        for name in postgres.REPORTS:
            assert report(connection, name, 30).rows == []


def test_reports_work_without_a_provider_in_the_catalog(empty_database, tmp_path):
    prepare(empty_database, Settings(catalog_of(tmp_path, {"note": {"type": "string"}})))
    with psycopg.connect(empty_database) as connection:
        assert report(connection, "errors", 7).rows == []
