import asyncio
import datetime as dt
import hashlib
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec
import psycopg
import pytest
from psycopg import AsyncConnection

from conftest import known_by, new_database
from footfall_exporters.background import beside
from footfall_exporters.postgres import partitions
from footfall_exporters.postgres import stream as stream_module
from footfall_exporters.postgres.stream import INCREMENTS, Stored, Stream
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Attribute, Dimension, Point, Rows, Shape, Type
from support.batches import DAY, HOUR, NOW, SECOND, batch_of

NOON = NOW // DAY * DAY - DAY // 2
SURVEY = ("attempts", "guild_id", "note", "org_id", "ranked", "ratio", "seed", "team_id", "visitor")


def dimension(event="shop.order", action="success", status="ok", error=None, service=None, **enums):
    surface = "footfall" if event.startswith("footfall.") else "web"
    who = (service, "1.2" if service else None, "production" if service else None)
    fixed = (event, surface, event.rpartition(".")[2], action, status, error, *who)
    return Dimension(*fixed, tuple(sorted(enums.items())))


def rows(columns, *found, rate=1.0):
    """Of (time, duration, dimension, value...) tuples."""
    times, durations, of, *values = map(list, zip(*found, strict=True))
    shapes = {each: Shape(each, rate, columns) for each in set(of)}
    return Rows(times, durations, [shapes[each] for each in of], values)


def orders(number, moment=NOON, of=None):
    of = of or dimension()
    return rows(
        ("guild_id",), *((moment + n, 83, of, bytes([n % 256]) * 16) for n in range(number))
    )


ENUMS = list(Dimension.__dataclass_fields__).index("enums")


def plain(of):
    """A dimension as a tuple: two readings make two objects."""
    return tuple(getattr(of, name) for name in Dimension.__dataclass_fields__)


def event_id(digest, ordinal):
    told = b"footfall event\0" + known_by(digest) + ordinal.to_bytes(8, "big")
    named = hashlib.sha256(told).digest()
    return uuid.UUID(bytes=named[:16])


def described(one):
    """Every row: its id, time, duration, dimension, rate and values; then what is counted beyond them."""
    if not isinstance(one, Stored):
        one = replace(one, digest=known_by(one.digest))
    found, position = [], 0
    for part in one.rows:
        for at, shape in enumerate(part.shapes):
            values = {
                name: column[at]
                for name, column in zip(shape.columns, part.values, strict=True)
                if column[at] is not None
            }
            named = one.event_id(position)
            row = (part.times[at], part.durations[at], plain(shape.dimension), shape.sample_rate)
            found.append((named, *row, values))
            position += 1
    beyond = {(hour, plain(of)): n for (hour, of), n in one.beyond_rows().items()}
    return one.digest, one.signal, found, beyond


async def store(dsn, catalog, *groups):
    """Stores each group of batches in a commit of its own."""
    writer = Writer(dsn, catalog)
    async with beside(writer.run()):
        for group in groups:
            await asyncio.gather(*map(writer.consume, group))


@asynccontextmanager
async def reading(dsn, catalog):
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield await Stream.open(connection, catalog)


async def read(dsn, catalog, position=0):
    """All commits after a position as lists of (batch's id, batch), and how many are not whole."""
    found = []
    async with reading(dsn, catalog) as stream:
        while commit := await stream.after(position):
            found.append([each async for each in stream.batches(commit)])
            position = commit.position
        return found, stream.gone


@pytest.fixture
def execute(store_database):
    with psycopg.connect(store_database, autocommit=True) as connection:
        yield lambda statement, *args: connection.execute(statement, args or None)


async def test_batches_come_back_as_they_were_stored(store_database, catalog):
    full = dimension("shop.survey", "failure", "timeout", "provider_timeout", "shop", mode="zurück")
    bare = dimension("shop.survey", "skip")
    values = (
        -(2**63),
        b"g" * 16,
        "grüße\n'\"",
        b"o" * 16,
        False,
        -1e100,
        b"s" * 16,
        b"t" * 16,
        b"v" * 16,
    )
    survey = rows(
        SURVEY,
        (NOON, 0, full, *values),
        (NOON + 1, None, bare, *[None] * 9),
        (NOON - 3 * DAY, 2**31 - 1, full, None, *values[1:]),
        rate=0.125,
    )
    first = batch_of(survey, orders(3), rows((), (NOON, None, dimension("shop.ping", "invoke"))))
    second = batch_of(orders(2, NOON + HOUR, dimension(provider="smz3")), signal="logs")
    await store(store_database, catalog, [first], [second])
    commits, gone = await read(store_database, catalog)
    [[(_, one)], [(_, other)]] = commits
    assert gone == 0
    assert [described(one), described(other)] == [described(first), described(second)]
    assert [row[0] for row in described(one)[2]] == [event_id(first.digest, n) for n in range(7)]
    counted = {(hour, plain(of)): n for (hour, of), n in one.counts.items()}
    assert counted == {(hour, plain(of)): n for (hour, of), n in first.counts.items()}


async def test_requests_that_were_committed_together_come_back_apart(
    store_database, catalog, monkeypatch
):
    monkeypatch.setattr(stream_module, "PORTION", 4)
    sent = [batch_of(orders(size)) for size in (1, 2, 9, 1, 1, 3, 4)]
    await store(store_database, catalog, sent)
    [[*found]], gone = await read(store_database, catalog)
    assert gone == 0
    assert sorted(described(each) for _, each in found) == sorted(map(described, sent))
    assert len({number for number, _ in found}) == len(sent)


async def test_a_position_starts_after_it_and_the_end_is_known(store_database, catalog):
    sent = [batch_of(orders(1)) for _ in range(3)]
    await store(store_database, catalog, *([each] for each in sent))
    [[(_, last)]], _ = await read(store_database, catalog, 2)
    assert described(last) == described(sent[2])
    async with reading(store_database, catalog) as stream:
        assert await stream.end() == 3
        assert await stream.after(3) is None


async def test_occurrences_beyond_rows_come_as_one_batch_of_metrics_named_by_what_was_stored(
    postgres_server, store_template, catalog
):
    ping, order = dimension("shop.ping", "invoke"), dimension(service="shop")
    own = dimension("footfall.emitted", "count", emitted_event="shop.ping")
    hour = NOON // HOUR * HOUR
    point = Point(b"s" * 16, b"1" * 16, ping, NOON - SECOND, NOON, 7)
    mine = Point(b"s" * 16, b"2" * 16, own, NOON - SECOND, NOON, 11)
    sent = [
        batch_of(orders(2, hour, order), counts={(hour, order): 40}),
        batch_of(signal="metrics", counts={(hour - HOUR, ping): 5}, points=[point, mine]),
    ]
    read_back = []
    for before in (0, 2):  # in another store the same requests are another commit
        with new_database(postgres_server, store_template) as dsn:
            await store(dsn, catalog, *([batch_of(orders(1))] for _ in range(before)), sent)
            commits, _ = await read(dsn, catalog, before)
            read_back.append(commits[0])
    for found in read_back:
        assert [number == INCREMENTS for number, _ in found] == [False, True]
        assert described(found[0][1])[3] == {}
        counted = described(found[1][1])
        assert counted[1:3] == ("metrics", [])
        assert counted[3] == {
            (hour, plain(order)): 40,
            (hour - HOUR, plain(ping)): 5,
            (hour, plain(ping)): 7,
            (hour, plain(own)): 11,
        }
    digests = {found[1][1].digest for found in read_back}
    assert len(digests) == 1
    assert not digests & {each.digest for each in sent}


async def test_a_commit_reads_the_same_twice(store_database, catalog):
    await store(store_database, catalog, [batch_of(orders(3), counts={(NOON, dimension()): 9})])
    once, twice = [(await read(store_database, catalog))[0] for _ in range(2)]
    assert [[described(b) for _, b in c] for c in once] == [
        [described(b) for _, b in c] for c in twice
    ]


async def test_what_the_catalog_no_longer_declares_stays_out_and_the_others_keep_their_ids(
    store_database, catalog
):
    ping = rows((), (NOON, None, dimension("shop.ping", "invoke")))
    survey = dimension("shop.survey", "skip", provider="smr", mode="open")
    sent = batch_of(ping, rows(SURVEY, (NOON, 5, survey, 3, *[None] * 8)), orders(1))
    await store(
        store_database,
        catalog,
        [sent],
        [batch_of(signal="metrics", counts={(NOON, ping.shapes[0].dimension): 1})],
    )
    attributes = {n: a for n, a in catalog.attributes.items() if n not in ("attempts", "mode")}
    events = {n: e for n, e in catalog.events.items() if n != "shop.ping"}
    fewer = tuple(n for n in events["shop.survey"].attributes if n not in ("attempts", "mode"))
    events["shop.survey"] = msgspec.structs.replace(events["shop.survey"], attributes=fewer)
    smaller = msgspec.structs.replace(catalog, attributes=attributes, events=events)
    [[(_, found)], [(_, counted)]], gone = await read(store_database, smaller)
    kept = described(found)[2]
    assert [row[0] for row in kept] == [event_id(sent.digest, n) for n in (1, 2)]
    assert (kept[0][3][ENUMS], kept[0][5]) == ((("provider", "smr"),), {})
    assert (described(counted)[3], gone) == ({}, 0)


async def test_columns_that_are_not_there_yet_do_no_harm(store_database, catalog):
    sent = batch_of(orders(2))
    await store(store_database, catalog, [sent])
    added = {"later": Attribute(type=Type.INT), "soon": Attribute(type=Type.ENUM, values=("a",))}
    order = catalog.events["shop.order"]
    order = msgspec.structs.replace(order, attributes=(*order.attributes, *added))
    larger = msgspec.structs.replace(
        catalog,
        attributes=catalog.attributes | added,
        events=catalog.events | {"shop.order": order},
    )
    [[(_, found)]], _ = await read(store_database, larger)
    assert described(found) == described(sent)


async def test_rows_that_retention_took_are_left_out_and_counted_and_the_others_keep_their_ids(
    store_database, catalog
):
    sent = batch_of(orders(1, NOON - 5 * DAY), orders(2))
    await store(store_database, catalog, [sent], [batch_of(orders(1))])
    async with await AsyncConnection.connect(store_database, autocommit=True) as connection:
        first_kept = dt.datetime.fromtimestamp((NOON - DAY) / 10**6, dt.UTC).date()
        await partitions.drop(connection, first_kept)
    commits, gone = await read(store_database, catalog)
    [[(_, left)], [_]] = commits
    assert gone == 1
    assert [row[0] for row in described(left)[2]] == [event_id(sent.digest, n) for n in (1, 2)]


async def test_requests_that_the_ledger_forgot_are_skipped_and_counted(
    store_database, catalog, execute
):
    kept, lost = batch_of(orders(1)), batch_of(orders(1))
    hour = NOON // HOUR * HOUR
    counted = batch_of(signal="metrics", counts={(hour, dimension()): 5})
    await store(store_database, catalog, [kept, lost, counted])
    execute("DELETE FROM footfall.ingest_batches WHERE digest = %s", known_by(lost.digest).hex())
    [found], gone = await read(store_database, catalog)
    # Without all of its digests the increments would have another name.
    assert [described(each) for _, each in found] == [described(kept)]
    assert gone == 1


async def test_commits_that_are_gone_are_skipped_and_counted(store_database, catalog, execute):
    sent = [batch_of(orders(1)) for _ in range(4)]
    await store(store_database, catalog, *([each] for each in sent))
    execute("DELETE FROM footfall.commits WHERE position IN (2, 3)")
    commits, gone = await read(store_database, catalog)
    assert [described(b) for c in commits for _, b in c] == [described(sent[0]), described(sent[3])]
    assert gone == 2


async def test_only_the_partitions_of_a_commits_times_are_read(store_database, catalog, execute):
    await store(store_database, catalog, [batch_of(orders(3))])
    before = scans(execute)
    await read(store_database, catalog)
    execute("SELECT pg_stat_clear_snapshot()")
    async with asyncio.timeout(10):
        while (after := scans(execute)) == before:
            await asyncio.sleep(0.05)
            execute("SELECT pg_stat_clear_snapshot()")
    day = dt.datetime.fromtimestamp(NOON / 10**6, dt.UTC)
    touched = {name for name, number in after.items() if number != before[name]}
    assert touched == {f"feature_events_{day:%Y%m%d}"}


def scans(execute):
    found = execute(
        "SELECT relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0)"
        " FROM pg_stat_user_tables WHERE relname ~ '^feature_events_'"
    )
    return dict(found.fetchall())
