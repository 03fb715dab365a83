"""How much senders have sent in their minute: one count for all who ask, exact, and of nobody known."""

import asyncio
import itertools
import os
import random
from dataclasses import replace

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporters.embedded import crash
from exporters.remains import hits, read_all
from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres import rates as module
from footfall_exporters.postgres.connecting import COUNTING, HOUSEKEEPING, connect
from footfall_exporters.postgres.rates import MINUTE_MS, Rates, Senders, forget
from footfall_exporters.postgres.statistics import found

NOON = 1_800_000_000_000
ANA, BEN = b"a" * 16, b"b" * 16


class Clock:
    def __init__(self):
        self.ms = NOON

    def __call__(self):
        return self.ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def rates(store_database, clock):
    found = Rates(store_database, clock)
    await found.open()
    yield found
    await found.close()


async def used(rates, weights):
    return {sender: weight for sender, (weight, _) in (await rates.add(weights)).items()}


async def test_what_is_added_is_added_up_by_sender_until_its_minute_ends(rates, clock):
    assert await rates.add({ANA: 3, BEN: 1}) == {ANA: (3, 60.0), BEN: (1, 60.0)}
    clock.ms += 20_000
    assert await rates.add({ANA: 2}) == {ANA: (5, 40.0)}
    clock.ms += 39_999
    assert await rates.add({ANA: 1}) == {ANA: (6, 0.001)}
    clock.ms += 1
    assert await rates.add({ANA: 4, BEN: 4}) == {ANA: (4, 60.0), BEN: (4, 60.0)}


async def test_a_minute_begins_with_the_senders_own_first_request(rates, clock):
    await rates.add({ANA: 1})
    clock.ms += 50_000
    await rates.add({BEN: 1})
    clock.ms += 15_000
    assert await rates.add({ANA: 1, BEN: 1}) == {ANA: (1, 60.0), BEN: (2, 45.0)}


@pytest.mark.parametrize(
    ("back", "after"), [(1, 6), (MINUTE_MS, 6), (MINUTE_MS + 1, 1), (10**9, 1)]
)
async def test_a_clock_that_is_set_back_far_begins_another_minute(rates, clock, back, after):
    """A little is what those are late by who waited for each other."""
    await rates.add({ANA: 5})
    clock.ms -= back
    [(weight, left)] = (await rates.add({ANA: 1})).values()
    assert weight == after
    assert left <= 2 * MINUTE_MS / 1000


async def test_postgres_own_clock_is_the_clock(store_database):
    first, second = Rates(store_database), Rates(store_database)
    assert await first.open() == await second.open()
    [(_, left)] = (await first.add({ANA: 1})).values()
    [(weight, later)] = (await second.add({ANA: 1})).values()
    assert weight == 2
    assert 0 < later <= left == 60.0
    await first.close()
    await second.close()


class Model:
    """The rule, as docs have it."""

    def __init__(self):
        self.minutes = {}

    def add(self, now, sender, weight):
        ends, used = self.minutes.get(sender, (now, 0))
        if not now < ends <= now + 2 * MINUTE_MS:
            ends, used = now + MINUTE_MS, 0
        self.minutes[sender] = ends, used + weight
        return used + weight, (ends - now) / 1000


numbers = itertools.count()
steps = st.integers(-3 * MINUTE_MS, 3 * MINUTE_MS) | st.integers(0, 2000)
added = st.dictionaries(st.integers(0, 4), st.integers(1, 2**40), min_size=1)


@given(st.lists(st.tuples(steps, added), max_size=25))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_is_counted_as_by_the_rule(store_database, sequence):
    example, clock, model = next(numbers).to_bytes(15), Clock(), Model()

    async def play():
        rates = Rates(store_database, clock)
        await rates.open()
        for step, weights in sequence:
            clock.ms += step
            named = {example + bytes([n]): weight for n, weight in weights.items()}
            expected = {who: model.add(clock.ms, who, weight) for who, weight in named.items()}
            assert await rates.add(named) == expected
        await rates.close()

    asyncio.run(play())


async def test_who_add_at_the_same_time_in_any_order_lose_nothing_and_wait_in_no_ring(
    store_database, query
):
    senders = [os.urandom(16) for _ in range(40)]
    both = [Rates(store_database) for _ in range(4)]
    for each in both:
        await each.open()

    async def add(rates, seed):
        drawn = random.Random(seed)
        for _ in range(60):
            shuffled = drawn.sample(senders, len(senders))
            await rates.add(dict.fromkeys(shuffled, 1))  # a deadlock would be Unavailable

    async def keep_house():
        async with await connect(store_database, HOUSEKEEPING) as connection:
            for _ in range(20):
                await forget(connection, 0)  # as if all had been set back: everything goes

    await asyncio.gather(*(add(rates, seed) for seed, rates in enumerate(both)))
    assert query("SELECT DISTINCT used FROM footfall.rate_windows") == [(240,)]
    assert query("SELECT count(*) FROM footfall.rate_windows") == [(40,)]
    await asyncio.gather(keep_house(), *(add(rates, seed) for seed, rates in enumerate(both)))
    for each in both:
        await each.close()


async def test_a_thousand_senders_fit_in_a_statement(rates):
    senders = [os.urandom(16) for _ in range(5000)]
    assert await used(rates, dict.fromkeys(senders, 2)) == dict.fromkeys(senders, 2)
    assert await used(rates, {}) == {}


# When Postgres is away


async def test_a_connection_that_ends_is_told_of_at_once_and_can_be_opened_again(rates, query):
    await rates.add({ANA: 1})
    query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'footfall rates' AND datname = current_database()"
    )
    for _ in range(2):
        with pytest.raises(Unavailable):
            await rates.add({BEN: 1})
    await rates.open()
    assert await used(rates, {ANA: 1}) == {ANA: 2}


async def test_what_is_closed_or_was_never_open_does_not_answer(store_database):
    rates = Rates(store_database)
    with pytest.raises(Unavailable):
        await rates.add({ANA: 1})
    await rates.open()
    await rates.close()
    with pytest.raises(Unavailable):
        await rates.add({ANA: 1})
    with pytest.raises(Unavailable):
        await Rates("host=/nowhere").open()


async def test_a_lock_that_somebody_keeps_is_not_waited_for_without_end(
    store_database, query, monkeypatch
):
    monkeypatch.setattr(module, "COUNTING", replace(COUNTING, lock="100ms"))
    rates = Rates(store_database)
    await rates.open()
    await rates.add({ANA: 1})
    query("BEGIN")
    query("SELECT * FROM footfall.rate_windows FOR UPDATE")
    with pytest.raises(Unavailable, match="LockNotAvailable"):
        await rates.add({ANA: 1})
    query("ROLLBACK")
    assert await used(rates, {ANA: 1}) == {ANA: 2}  # the session goes on
    await rates.close()


# Housekeeping


async def test_minutes_that_have_ended_are_deleted_without_waiting_for_anybody(
    store_database, rates, clock, query
):
    await rates.add({ANA: 1})
    clock.ms += 30_000
    await rates.add({BEN: 1})
    async with await connect(store_database, HOUSEKEEPING) as connection:
        assert await forget(connection, NOON + MINUTE_MS) == 0
        query("BEGIN")
        query("SELECT * FROM footfall.rate_windows WHERE sender = %s FOR UPDATE", ANA)
        assert await forget(connection, NOON + 3 * MINUTE_MS) == 1
        query("COMMIT")
        assert query("SELECT sender FROM footfall.rate_windows") == [(ANA,)]
        assert await forget(connection, NOON + 3 * MINUTE_MS) == 1
        await rates.add({ANA: 1})
        assert await forget(connection, NOON - 10 * MINUTE_MS) == 1  # of a clock that was set back


async def test_the_task_of_housekeeping_does_it(rates, keeper, query):
    await rates.add({ANA: 1, BEN: 1})
    [ran] = await keeper(NOON * 1000, NOON * 1000).run_due({"rates"})
    assert (ran.ok, ran.number) == (True, 0)
    later = (NOON + 2 * MINUTE_MS) * 1000
    assert (await keeper(later, NOON * 1000).run_due({"rates"}))[
        0
    ].number == 0  # one clock is wrong
    [ran] = await keeper(later, later).run_due({"rates"})
    assert (ran.number, ran.outcome) == (2, "2 minutes forgotten")
    assert query("SELECT count(*) FROM footfall.rate_windows") == [(0,)]


# Nobody is known


def test_users_and_addresses_are_known_by_keyed_hashes_that_say_nothing_of_each_other():
    names = {
        Senders(key, kind).known_as(who)
        for key in (b"k" * 32, b"l" * 32)
        for kind in ("user", "address")
        for who in (b"192.0.2.1", b"192.0.2.2")
    }
    assert len(names) == 8
    assert {len(name) for name in names} == {16}
    assert Senders(b"k" * 32, "user").known_as(b"x") == Senders(b"k" * 32, "user").known_as(b"x")


async def key_of(dsn):
    rates = Rates(dsn)
    key = await rates.open()
    await rates.close()
    return key


async def test_the_key_is_made_once_for_all_collectors_and_every_database_has_its_own(
    store_database, own_database, query
):
    keys = await asyncio.gather(*(key_of(store_database) for _ in range(3)))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    assert await key_of(own_database) not in keys
    query("SET ROLE footfall_writer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query("SELECT key FROM footfall.rate_key")


async def test_neither_senders_nor_the_key_are_in_the_write_ahead_log_or_in_statistics(
    own_server, own_database
):
    rates = Rates(own_database)
    key = await rates.open()
    senders = [Senders(key, "address").known_as(b"192.0.2.%d" % n) for n in range(250)]
    for _ in range(3):
        await rates.add(dict.fromkeys(senders, 1))
    await rates.close()
    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute("ANALYZE")
        assert found(connection) == []
        [[path]] = connection.execute(
            "SELECT pg_relation_filepath('footfall.rate_windows')"
        ).fetchall()
        kinds = "SELECT DISTINCT relpersistence FROM pg_class WHERE relname LIKE 'rate\\_%'"
        assert connection.execute(kinds).fetchall() == [("u",)]
    own_server.stop()
    data = own_server.log_file.parent / "data"
    assert hits(senders, read_all((data / path).parent)) == 250  # what is looked for would be found
    assert hits([key, *senders], read_all(data / "pg_wal")) == 0
    own_server.start()


async def test_a_crash_of_postgres_takes_the_key_along_with_what_it_keys(own_server, own_database):
    rates = Rates(own_database)
    key = await rates.open()
    await rates.add({ANA: 7})
    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    crash(own_server.log_file.parent)
    own_server.start()
    assert await rates.open() != key
    assert await used(rates, {ANA: 1}) == {ANA: 1}
    await rates.close()
