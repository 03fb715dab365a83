import asyncio
import hashlib
import logging
import time
from contextlib import asynccontextmanager
from itertools import count

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from conftest import known_by
from footfall_collector.subscribers.delivery import FAULTS, LONGEST_HINT, Backoff, Delivery
from footfall_collector.subscribers.follower import Follower, following
from footfall_exporters.background import beside
from footfall_exporters.contracts import PartlyRejected, Rejected, Unavailable
from footfall_exporters.postgres import subscriptions
from footfall_exporters.postgres.subscriptions import lags
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Batch, Dimension, Rows, Shape
from support.waiting import until

HOUR = 3600 * 10**6
NOW = time.time_ns() // 1000
ORDER = Dimension("shop.order", "web", "order", "success", "ok", None, None, None, None, ())
QUICK = Backoff(first=0.01, longest=0.05)
NUMBERS = count(1)
PARTS = 2


def order(number=1, signal="traces", beyond=0):
    rows = Rows([NOW] * number, [1] * number, [Shape(ORDER, 1.0, ())] * number, [])
    counts = {(NOW // HOUR * HOUR, ORDER): number + beyond}
    digest = hashlib.sha256(str(next(NUMBERS)).encode()).digest()[:16]
    return Batch(digest, signal, [rows] if number else [], counts)


class Recorder:
    """A subscriber that says what it was sent: a batch makes two requests, its name and `.0` or `.1`.

    `answer`, called with a request, may raise or be awaited.
    """

    def __init__(self, answer=None):
        self.taken, self.seen, self.arrived = [], [], asyncio.Event()
        self.answer = answer or (lambda request: None)

    def requests(self, batch):
        yield from (f"{batch.digest.hex()}.{part}".encode() for part in range(PARTS))

    async def send(self, request):
        self.seen.append(request)
        self.arrived.set()
        waiting = self.answer(request)
        if waiting is not None:
            await waiting
        self.taken.append(request)


def expected(*batches):
    return [f"{known_by(b.digest).hex()}.{part}".encode() for b in batches for part in range(PARTS)]


def failing(*errors):
    """An answer that raises these, one a time, and then nothing."""
    left = list(errors)

    def answer(request):
        if left:
            raise left.pop(0)

    return answer


@asynccontextmanager
async def writing(dsn, catalog):
    writer = Writer(dsn, catalog, reconnect=0.05)
    async with beside(writer.run()):
        yield writer


async def store(dsn, catalog, *batches):
    async with writing(dsn, catalog) as writer:
        for each in batches:
            await writer.consume(each)


def follow(subscriber, dsn, catalog, name="webhook", backoff=QUICK):
    return following(name, subscriber, dsn, catalog, backoff=backoff, poll=0.02)


def cursor(query, name="webhook"):
    return dict(query("SELECT name, position FROM footfall.subscribers")).get(name)


async def test_a_new_subscriber_gets_what_is_stored_from_now_on(store_database, catalog, query):
    old, new = [order() for _ in range(2)], [order() for _ in range(3)]
    await store(store_database, catalog, *old)
    subscriber = Recorder()
    async with follow(subscriber, store_database, catalog):
        await store(store_database, catalog, *new)
        await until(lambda: cursor(query) == 5)
    assert subscriber.taken == expected(*new)


async def test_it_goes_on_where_it_stopped(store_database, catalog, query):
    first, second = Recorder(), Recorder()
    sent = [order() for _ in range(4)]
    async with follow(first, store_database, catalog):
        await store(store_database, catalog, *sent[:2])
        await until(lambda: cursor(query) == 2)
    await store(store_database, catalog, *sent[2:])  # nobody follows
    async with follow(second, store_database, catalog):
        await until(lambda: cursor(query) == 4)
    assert (first.taken, second.taken) == (expected(*sent[:2]), expected(*sent[2:]))


async def test_each_subscriber_has_a_cursor_of_its_own(store_database, catalog, query):
    quick, stuck = Recorder(), Recorder(lambda request: asyncio.sleep(3600))
    sent = [order() for _ in range(3)]
    async with (
        follow(quick, store_database, catalog, "quick"),
        follow(stuck, store_database, catalog, "stuck"),
    ):
        await store(store_database, catalog, *sent)
        await until(lambda: cursor(query, "quick") == 3)
        await until(lambda: stuck.seen)
    assert quick.taken == expected(*sent)
    assert cursor(query, "stuck") == 0


async def test_a_backend_that_is_away_gets_everything_afterwards(
    store_database, catalog, query, caplog
):
    away = True

    def answer(request):
        if away:
            raise Unavailable("it is away for someone@example.org")

    subscriber, sent = Recorder(answer), [order(3), order(2)]
    async with follow(subscriber, store_database, catalog) as follower:
        await store(store_database, catalog, *sent)
        await until(lambda: len(subscriber.seen) >= 2, 60)
        async with await AsyncConnection.connect(store_database, autocommit=True) as connection:
            [lag] = await lags(connection)
            assert (lag.name, lag.behind, lag.parked) == ("webhook", 2, 0)
            assert 0 < lag.age < 60
        assert cursor(query) == 0
        away = False
        await until(lambda: cursor(query) == 2)
        async with await AsyncConnection.connect(store_database, autocommit=True) as connection:
            [lag] = await lags(connection)
            assert (lag.behind, lag.age, lag.parked) == (0, 0, 0)
    assert subscriber.taken == expected(*sent)
    assert follower.delivery.sent == 4
    assert follower.delivery.retries >= 2
    assert "webhook is not available (it is away for " in caplog.text
    assert "someone@" not in caplog.text


async def test_the_backends_hint_is_waited_for(store_database, catalog):
    subscriber = Recorder(failing(Unavailable("later", 0.8)))
    async with follow(subscriber, store_database, catalog):
        await store(store_database, catalog, order())
        await until(lambda: subscriber.seen)
        began = time.monotonic()
        await until(lambda: subscriber.taken)
    assert time.monotonic() - began > 0.7


@given(attempt=st.integers(0, 2000), hint=st.floats(0, 1e12), first=st.floats(0.01, 5))
def test_waits_grow_to_a_limit_are_jittered_and_never_shorter_than_the_hint(attempt, hint, first):
    backoff = Backoff(first=first)
    waits = [backoff.wait(attempt, hint) for _ in range(3)]
    most = min(60.0, first * 2.0 ** min(attempt, 40))
    for wait in waits:
        assert max(most / 2, min(hint, LONGEST_HINT)) <= wait <= max(most, LONGEST_HINT)
    assert hint > 60 or len(set(waits)) > 1 or max(waits) == hint


async def test_what_is_refused_for_good_is_parked_without_what_was_in_it(
    store_database, catalog, query, caplog
):
    secret = "someone@example.org"
    sent = [order(3), order(2, beyond=40), order()]
    poison = expected(sent[1])[1]

    def answer(request):
        if request == poison:
            raise Rejected(f"HTTP 400 {secret}" + "x" * 1000)

    subscriber = Recorder(answer)
    async with follow(subscriber, store_database, catalog) as follower:
        await store(store_database, catalog, *sent)
        await until(lambda: cursor(query) == 3)
    increments = [r for r in subscriber.taken if r not in expected(*sent)]
    assert [r for r in subscriber.taken if r not in increments] == [
        r for r in expected(*sent) if r != poison
    ]
    assert len(increments) == 2
    [[name, position, batch_id, part, events, reason]] = query(
        "SELECT name, position, batch_id, part, events, reason FROM footfall.parked"
    )
    assert (name, position, part, events) == ("webhook", 2, 1, 2)
    [[digest]] = query(f"SELECT digest FROM footfall.ingest_batches WHERE id = {batch_id}")
    assert digest.bytes == known_by(sent[1].digest)
    assert reason.startswith("HTTP 400 ")
    assert len(reason) <= 200
    assert secret not in reason
    assert secret not in caplog.text
    assert (follower.delivery.sent, follower.delivery.parked) == (7, 1)


class Counting(Recorder):
    """Says that `.0` has three events and `.1` two."""

    def occurrences(self, request):
        return {b"0": 3, b"1": 2}[request[-1:]]


PARTLY = PartlyRejected("two of them", 2)


@pytest.mark.parametrize(
    ("kind", "error", "events"),
    [
        (Counting, Rejected("no"), [3, 2]),
        (Counting, PARTLY, [2, 2]),
        (Counting, KeyError("fault"), [3, 2]),
        (Recorder, Rejected("no"), [5, 0]),  # who cannot say it is taken to mean all of the batch
        (Recorder, PARTLY, [2, 2]),
        (Recorder, PartlyRejected("some"), [5, 0]),
        (Recorder, PartlyRejected("more than there are", 9), [5, 0]),
    ],
)
async def test_what_is_parked_counts_no_event_twice(
    store_database, catalog, query, kind, error, events
):
    def refuse(request):
        raise error

    async with follow(kind(refuse), store_database, catalog):
        await store(store_database, catalog, order(5))
        await until(lambda: cursor(query) == 1)
    assert query("SELECT events FROM footfall.parked ORDER BY part") == [(n,) for n in events]
    found = "SELECT sum(count) FROM reporting.losses WHERE signal = 'subscriber'"
    assert query(found) == [(sum(events),)]


@pytest.mark.parametrize("fault", [KeyError("secret"), ValueError("secret"), OSError("secret")])
async def test_an_error_that_an_exporter_did_not_foresee_is_tried_again_and_then_parked(
    store_database, catalog, query, caplog, fault
):
    caplog.set_level(logging.DEBUG)
    subscriber = Recorder(failing(*[fault] * (FAULTS + 1)))
    sent = [order()]
    async with follow(subscriber, store_database, catalog):
        await store(store_database, catalog, *sent)
        await until(lambda: cursor(query) == 1)
    assert subscriber.seen == [expected(*sent)[0]] * FAULTS + [expected(*sent)[1]] * 2
    assert subscriber.taken == expected(*sent)[1:]
    assert query("SELECT reason FROM footfall.parked") == [(type(fault).__name__,)]
    assert "secret" not in caplog.text


async def test_a_batch_that_an_exporter_cannot_put_into_words_is_parked(
    store_database, catalog, query
):
    sent = [order(), order(), order()]

    class Clumsy(Recorder):
        def requests(self, batch):
            yield b"first " + batch.digest
            if batch.digest == known_by(sent[1].digest):
                raise KeyError("secret")

    subscriber = Clumsy()
    async with follow(subscriber, store_database, catalog):
        await store(store_database, catalog, *sent)
        await until(lambda: cursor(query) == 3)
    assert subscriber.taken == [b"first " + known_by(b.digest) for b in sent]
    assert query("SELECT position, part, reason FROM footfall.parked") == [(2, 1, "KeyError")]


async def test_of_several_collectors_one_follows_and_another_takes_its_place(
    store_database, catalog, query
):
    first, second = Recorder(), Recorder()
    sent = [order() for _ in range(4)]
    async with follow(second, store_database, catalog) as waiting:
        # The one that came first has the lock; whichever it is, there is only one.
        async with follow(first, store_database, catalog):
            await store(store_database, catalog, *sent[:2])
            await until(lambda: cursor(query) == 2)
            await asyncio.sleep(0.3)
        assert sorted(first.taken + second.taken) == sorted(expected(*sent[:2]))
        assert not first.taken or not second.taken
        await store(store_database, catalog, *sent[2:])
        await until(lambda: cursor(query) == 4)
        assert waiting.delivery.sent >= 4
    assert sorted(first.taken + second.taken) == sorted(expected(*sent))


async def test_a_commit_that_was_under_way_is_sent_again_as_the_same_bytes(
    store_database, catalog, query
):
    held = asyncio.Event()
    batches = [order(), order()]
    sent = expected(*batches)
    stuck = Recorder(lambda request: held.wait() if request == sent[3] else None)
    async with follow(stuck, store_database, catalog):
        await store(store_database, catalog, *batches)
        await until(lambda: sent[3] in stuck.seen)
    assert (stuck.taken, cursor(query)) == (sent[:3], 1)
    again = Recorder()
    async with follow(again, store_database, catalog):
        await until(lambda: cursor(query) == 2)
    assert again.taken == sent[2:]


async def test_a_late_collector_does_not_move_the_cursor_back(store_database, catalog, query):
    await store(store_database, catalog, order())
    follower = Follower("webhook", Delivery("webhook", Recorder()), store_database, catalog)
    async with await AsyncConnection.connect(store_database, autocommit=True) as connection:
        await follower.register(connection)
        await subscriptions.advance(connection, "webhook", 7)
        await subscriptions.advance(connection, "webhook", 3)
        await follower.register(connection)
    assert cursor(query) == 7


async def test_what_retention_took_first_is_counted(store_database, catalog, query):
    sent = [order() for _ in range(4)]
    with psycopg.connect(store_database, autocommit=True) as connection:
        connection.execute("INSERT INTO footfall.subscribers VALUES ('webhook', 0)")
        await store(store_database, catalog, *sent)
        connection.execute("DELETE FROM footfall.commits WHERE position < 3")
    subscriber = Recorder()
    async with follow(subscriber, store_database, catalog) as follower:
        await until(lambda: cursor(query) == 4)
        await until(lambda: follower.gone == 2)
    assert subscriber.taken == expected(*sent[2:])


async def test_postgres_going_away_does_not_end_it(own_server, own_database, catalog, caplog):
    sent = [order(), order()]
    subscriber = Recorder()
    async with follow(subscriber, own_database, catalog) as follower:
        await store(own_database, catalog, sent[0])
        await until(lambda: subscriber.taken == expected(sent[0]))
        await asyncio.to_thread(own_server.stop)
        await until(lambda: "does not reach the store" in caplog.text)
        await asyncio.to_thread(own_server.start)
        await store(own_database, catalog, sent[1])
        await until(lambda: subscriber.taken[-2:] == expected(sent[1]))
    assert follower.delivery.parked == 0
    assert dict.fromkeys(subscriber.taken) == dict.fromkeys(expected(*sent))


async def test_postgres_may_be_away_when_it_begins(own_server, own_database, catalog):
    await asyncio.to_thread(own_server.stop)
    subscriber, sent = Recorder(), order()
    async with follow(subscriber, own_database, catalog):
        await asyncio.to_thread(own_server.start)
        with psycopg.connect(own_database, autocommit=True) as connection:
            find = "SELECT name FROM footfall.subscribers"
            await until(lambda: connection.execute(find).fetchall())
        await store(own_database, catalog, sent)
        await until(lambda: subscriber.taken == expected(sent))


async def test_many_requests_of_one_commit_are_all_sent(store_database, catalog, query):
    sent = [order() for _ in range(200)]
    subscriber = Recorder()
    async with follow(subscriber, store_database, catalog):
        async with writing(store_database, catalog) as writer:
            await asyncio.gather(*map(writer.consume, sent))
        last = query("SELECT position FROM footfall.commit_clock")[0][0]
        await until(lambda: cursor(query) == last)
    assert sorted(subscriber.taken) == sorted(expected(*sent))


async def test_a_follower_of_a_server_that_became_read_only_connects_anew(
    own_server, own_database, catalog
):
    """Nothing new comes to an old primary, and reading it never fails."""
    name, subscriber, sent = conninfo_to_dict(own_database)["dbname"], Recorder(), order()
    follower = "SELECT pid FROM pg_stat_activity WHERE application_name = 'footfall subscriber'"
    with psycopg.connect(own_server.start(), autocommit=True) as admin:
        async with follow(subscriber, own_database, catalog):
            await until(lambda: admin.execute(follower).fetchall())
            before = admin.execute(follower).fetchall()
            admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
            admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            admin.execute("SELECT pg_reload_conf()")
            try:
                await until(lambda: admin.execute(follower).fetchall() not in (before, []))
            finally:
                admin.execute("SET default_transaction_read_only = off")
                admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
                admin.execute("SELECT pg_reload_conf()")
            await store(own_database, catalog, sent)
            await until(lambda: subscriber.taken == expected(sent))
