"""Limits per user and per address: exact for all processes of a store, and kept without it as well."""

import asyncio
import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall_collector.security import limits as module
from footfall_collector.security import windows
from footfall_collector.security.limits import Limiter, Limits, Verdict, weigh
from footfall_collector.security.rate_headers import rate_headers
from footfall_exporters.background import beside
from footfall_exporters.postgres.rates import Rates
from support.waiting import until

_SESSIONS = (
    "FROM pg_stat_activity"
    " WHERE application_name = 'footfall rates' AND datname = current_database()"
)
ANA, BEN, HOME, OFFICE = b"ana", b"ben", b"192.0.2.1", b"2001:db8::1"


class Clock:
    """Of a process, in seconds; and of Postgres."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def ms(self):
        return int(self.now * 1000)


@pytest.fixture
def clock():
    return Clock()


class Counted(Rates):
    """Rates that count what they ask."""

    asked = 0

    async def add(self, weights):
        self.asked += 1
        return await super().add(weights)


@asynccontextmanager
async def sharing(dsn, limits=None, clock=None):
    """A process that limits, once it knows the store; and what it asks of it."""
    rates = Counted(dsn, clock and clock.ms)
    limiter = Limiter(limits, rates, clock) if clock else Limiter(limits, rates)
    async with beside(limiter.run()):
        await until(lambda: not limiter.away)
        yield limiter, rates


async def allowed(limiter, number, identity=ANA, address=HOME, weight=1):
    """How many of so many requests at once may come in."""
    verdicts = await asyncio.gather(
        *(limiter.take(identity, address, weight) for _ in range(number))
    )
    return sum(verdict.allowed for verdict in verdicts)


# Alone


async def test_a_user_may_send_120_requests_a_minute_and_is_told_how_many_are_left(clock):
    limiter = Limiter(clock=clock)
    assert await limiter.take(ANA, HOME) == Verdict(True, "user", 120, 119, 60, 0)
    clock.now += 20.5
    assert await allowed(limiter, 200) == 119
    assert await limiter.take(ANA, HOME) == Verdict(False, "user", 120, 0, 40, 40)
    assert await limiter.take(BEN, HOME) == Verdict(True, "user", 120, 119, 60, 0)
    clock.now += 39.5
    assert await limiter.take(ANA, HOME) == Verdict(True, "user", 120, 119, 60, 0)


@pytest.mark.parametrize(
    ("events", "weight"),
    [(0, 1), (1, 1), (49, 1), (50, 1), (51, 2), (100, 2), (101, 3), (5000, 100)],
)
def test_a_request_of_up_to_50_events_weighs_1_and_larger_ones_more(events, weight):
    assert weigh(events) == weight


async def test_every_request_may_have_50_events_at_the_full_rate():
    assert await allowed(Limiter(), 130, weight=weigh(50)) == 120


async def test_what_does_not_fit_closes_the_minute_and_what_never_would_weighs_all_of_it(clock):
    limiter = Limiter(Limits(user=10), clock=clock)
    assert await allowed(limiter, 3, weight=4) == 2
    assert await allowed(limiter, 1, weight=1) == 0
    clock.now += 60
    assert await allowed(limiter, 2, weight=10**9) == 1


async def test_an_address_has_a_limit_of_its_own_for_all_users_behind_it(clock):
    limiter = Limiter(Limits(user=3, address=5), clock=clock)
    assert await allowed(limiter, 4) == 3
    assert await allowed(limiter, 3, identity=BEN) == 2
    assert (await limiter.take(b"carl", HOME))[:4] == (False, "address", 5, 0)
    assert await allowed(limiter, 4, identity=b"carl", address=OFFICE) == 3
    clock.now += 30
    await limiter.take(b"dora", OFFICE)
    clock.now += 29
    assert await allowed(limiter, 5, identity=b"dora", address=b"") == 2
    assert (
        await limiter.take(b"dora", HOME)
    ).reset == 31  # of two limits, the one that holds longer


async def test_where_there_is_no_user_the_address_is_limited_and_nothing_where_there_is_neither():
    limiter = Limiter(Limits(user=2, address=4))
    assert await limiter.take(b"", HOME) == Verdict(True, "address", 4, 3, 60, 0)
    assert await allowed(limiter, 9, identity=b"") == 3
    assert await limiter.take(b"", b"") == Verdict(True, "", 0, 0, 0, 0)
    assert await allowed(limiter, 9, identity=b"", address=b"") == 9
    assert await allowed(limiter, 9, address=b"") == 2
    assert await allowed(limiter, 9, identity=HOME, address=b"") == 2  # a user, not the address


requests = st.tuples(
    st.floats(0, 90, allow_subnormal=False),
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(1, 12),
)


@given(st.integers(1, 10), st.integers(1, 20), st.lists(requests, max_size=60))
def test_any_pattern_is_judged_as_by_the_rule(user_limit, address_limit, pattern):
    clock, minutes = Clock(), {}
    limiter = Limiter(Limits(user_limit, address_limit), clock=clock)

    async def play():
        for pause, user, address, weight in pattern:
            clock.now += pause
            senders = [(("u", user), user_limit), (("a", address), address_limit)]
            for name, _ in senders:
                if name in minutes and minutes[name][0] <= clock.now:
                    del minutes[name]
            full = [n for n, limit in senders if n in minutes and minutes[n][1] >= limit]
            if not full:
                for name, limit in senders:
                    ends, used = minutes.get(name, (clock.now + 60, 0))
                    minutes[name] = ends, used + min(weight, limit)
                full = [name for name, limit in senders if minutes[name][1] > limit]
            verdict = await limiter.take(b"user %d" % user, b"address %d" % address, weight)
            assert verdict.allowed == (not full)
            assert verdict.remaining == (0 if full else user_limit - minutes[senders[0][0]][1])
            longest = max(minutes[name][0] for name in full) if full else minutes["u", user][0]
            assert verdict.reset == max(1, math.ceil(longest - clock.now))

    asyncio.run(play())


async def test_memory_is_bounded_and_who_has_sent_the_most_is_remembered(clock, monkeypatch):
    monkeypatch.setattr(windows, "MOST", 100)
    limiter = Limiter(Limits(address=10**6), clock=clock)
    assert await allowed(limiter, 130) == 120
    for number in range(5000):
        clock.now += 0.01
        await limiter.take(b"%d" % number, b"")
        assert len(limiter._windows) <= 100
    assert await allowed(limiter, 5) == 0


async def test_nothing_in_memory_is_a_user_or_an_address():
    limiter = Limiter()
    await limiter.take(b"somebody@example.org", b"198.51.100.77")
    held = repr([(w.sender, w.used) for w in limiter._windows._windows.values()])
    assert "example" not in held
    assert "198" not in held


# Shared


async def test_two_that_share_a_store_let_through_what_one_would(store_database):
    async with sharing(store_database) as (one, _), sharing(store_database) as (two, _):
        let = await asyncio.gather(*(allowed(each, 150) for each in (one, two)))
        assert sum(let) == 120
        assert await allowed(one, 10) == await allowed(two, 10) == 0
        assert await allowed(two, 120, identity=BEN, address=OFFICE) == 120
        assert await allowed(one, 1, identity=BEN, address=OFFICE) == 0


_PROCESS = """
import asyncio, json, sys
from footfall_collector.security.limits import Limiter, Limits
from footfall_exporters.background import beside
from footfall_exporters.postgres.rates import Rates

async def main(dsn):
    limiter = Limiter(Limits(address=150), Rates(dsn))
    async with beside(limiter.run()):
        while limiter.away:
            await asyncio.sleep(0.01)
        print("ready", flush=True)
        sys.stdin.readline()
        found = []
        for part in range(30):
            asked = [limiter.take(b"user %d" % (n % 2), b"192.0.2.1") for n in range(10)]
            found += [v.allowed for v in await asyncio.gather(*asked)]
            await asyncio.sleep(0.002)
        print(json.dumps(sum(found)))

asyncio.run(main(sys.argv[1]))
"""


def test_two_processes_let_through_exactly_the_limit(store_database):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", _PROCESS, store_database]
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for each in both:
        assert each.stdout.readline() == "ready\n"
    for each in both:
        each.stdin.write("\n")
        each.stdin.flush()
    let = [json.loads(each.communicate(timeout=60)[0]) for each in both]
    assert sum(let) == 150
    assert all(let)  # both had their part


async def test_a_minute_ends_for_both_when_the_clock_says_so(store_database, clock):
    async with (
        sharing(store_database, clock=clock) as (one, _),
        sharing(store_database, clock=clock) as (two, _),
    ):
        assert await allowed(one, 60) == 60
        clock.now += 59.5
        assert await allowed(two, 100) == 60
        assert await two.take(ANA, HOME) == Verdict(False, "user", 120, 0, 1, 1)
        clock.now += 0.6
        assert await one.take(ANA, HOME) == Verdict(True, "user", 120, 119, 60, 0)
        assert await allowed(two, 200) == 119


async def test_what_comes_at_the_same_time_is_asked_in_one_statement(store_database):
    async with sharing(store_database, Limits(address=10**6)) as (limiter, rates):
        users = [b"%d" % n for n in range(500)]
        verdicts = await asyncio.gather(*(limiter.take(user, HOME) for user in users))
        assert all(verdict.allowed for verdict in verdicts)
        assert rates.asked <= 2


async def test_an_exhausted_user_asks_nothing_of_postgres(store_database, query):
    async with sharing(store_database) as (limiter, rates):
        assert await allowed(limiter, 200) == 120
        before, stored = rates.asked, query("SELECT used FROM footfall.rate_windows ORDER BY 1")
        for _ in range(20):
            assert await allowed(limiter, 100) == 0
        assert rates.asked == before
        assert query("SELECT used FROM footfall.rate_windows ORDER BY 1") == stored
        assert await allowed(limiter, 1, identity=BEN) == 1
        assert rates.asked == before + 1


async def test_who_leaves_while_the_store_is_asked_is_counted_and_disturbs_nobody(store_database):
    async with sharing(store_database, Limits(user=3)) as (limiter, _):
        leaving = asyncio.create_task(limiter.take(ANA, HOME))
        staying = asyncio.create_task(limiter.take(ANA, HOME))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying).remaining == 1


# Without Postgres


async def test_a_process_that_has_not_found_its_store_yet_limits_by_itself(caplog, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    limiter = Limiter(rates=Rates("host=/nowhere"))
    async with beside(limiter.run()):
        await until(lambda: caplog.records)
        assert await allowed(limiter, 200) == 120
        await asyncio.sleep(0.1)
    assert [(r.levelno, r.name) for r in caplog.records] == [(logging.WARNING, "footfall.limits")]


async def test_while_postgres_is_stopped_each_limits_by_itself_from_what_was_known(
    own_server, own_database, caplog, monkeypatch
):
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    async with sharing(own_database) as (one, rates), sharing(own_database) as (two, _):
        assert await allowed(one, 100) == 100
        own_server.stop()
        assert await allowed(one, 50) == 20
        assert await allowed(two, 130) == 120
        await until(lambda: one.away and two.away)
        asked = rates.asked
        assert await allowed(one, 50, identity=BEN) == 50
        assert rates.asked == asked
        own_server.start()
        await until(lambda: not one.away and not two.away)
        let = await asyncio.gather(*(allowed(each, 100, b"carl") for each in (one, two)))
        assert sum(let) == 120
    said = [record.getMessage() for record in caplog.records]
    assert len([s for s in said if "limits requests by itself" in s]) == 2  # each once
    assert len([s for s in said if "shared with the other" in s]) == 2
    assert not [s for s in said if "ana" in s or "192" in s]


async def test_a_postgres_that_does_not_answer_in_time_keeps_nobody_waiting(own_database):
    async with sharing(own_database) as (limiter, _):
        assert await allowed(limiter, 100) == 100
        with psycopg.connect(own_database) as connection:
            [[pid]] = connection.execute(f"SELECT pid {_SESSIONS}").fetchall()
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(20):
                assert await allowed(limiter, 100) == 20
                assert limiter.away
                assert await allowed(limiter, 5, identity=BEN) == 5
        finally:
            os.kill(pid, signal.SIGCONT)
        await until(lambda: not limiter.away)
        assert await allowed(limiter, 119, identity=b"carl") == 119


class Busy(Counted):
    """In a process that does something else for long just when it has asked."""

    async def add(self, weights):
        asyncio.get_running_loop().call_soon(time.sleep, 0.2)
        return await super().add(weights)


async def test_a_process_that_was_busy_does_not_take_an_answer_for_late(
    store_database, caplog, monkeypatch
):
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    limiter = Limiter(rates=Busy(store_database))
    async with beside(limiter.run()):
        await until(lambda: not limiter.away)
        for left in (119, 118, 117):
            assert (await limiter.take(ANA, HOME)).remaining == left
            assert not limiter.away
    assert not caplog.records


async def test_a_session_that_is_ended_is_made_anew(store_database, query, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    async with sharing(store_database) as (limiter, _):
        assert await allowed(limiter, 50) == 50
        query(f"SELECT pg_terminate_backend(pid) {_SESSIONS}")
        assert await allowed(limiter, 1) == 1  # by memory
        await until(lambda: not limiter.away)
        assert await allowed(limiter, 100) == 70  # the store has not heard of that one


async def test_at_its_end_nobody_is_left_waiting(store_database, query):
    async with sharing(store_database) as (limiter, _):
        asked = [asyncio.create_task(limiter.take(ANA, HOME)) for _ in range(3)]
        await asyncio.sleep(0)
    assert [verdict.allowed for verdict in await asyncio.gather(*asked)] == [True] * 3
    await until(lambda: query(f"SELECT count(*) {_SESSIONS}") == [(0,)])


# What is said


def test_the_fields_are_those_of_the_draft():
    allowed = Verdict(True, "user", 120, 119, 57, 0)
    assert rate_headers(Limits(), allowed) == [
        ("RateLimit-Policy", '"user";q=120;w=60, "address";q=1200;w=60'),
        ("RateLimit", '"user";r=119;t=57'),
    ]
    refused = Verdict(False, "address", 600, 0, 12, 12)
    assert rate_headers(Limits(60, 600), refused) == [
        ("RateLimit-Policy", '"user";q=60;w=60, "address";q=600;w=60'),
        ("RateLimit", '"address";r=0;t=12'),
        ("Retry-After", "12"),
    ]
    assert rate_headers(Limits(), Verdict(True, "", 0, 0, 0, 0)) == []


async def test_who_waits_as_long_as_told_is_let_through(clock):
    limiter = Limiter(Limits(user=2), clock=clock)
    assert await allowed(limiter, 2) == 2
    clock.now += 12.345
    fields = dict(rate_headers(Limits(user=2), await limiter.take(ANA, HOME)))
    assert fields["Retry-After"] == "48"
    clock.now += float(fields["Retry-After"])
    assert await allowed(limiter, 2) == 2
