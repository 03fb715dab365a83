import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall_collector.security import rate
from footfall_collector.security.rate import RateLimit

BOT, WEB = b"b" * 16, b"w" * 16


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limit(clock):
    return RateLimit(clock)


def take(limit, number, key=BOT, per_minute=60):
    """How many of so many requests are let through."""
    return sum(limit.take(key, per_minute) == 0.0 for _ in range(number))


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600, 9999])
def test_a_silent_key_may_send_a_minutes_requests_at_once_and_no_more(limit, per_minute):
    assert take(limit, per_minute + 5, per_minute=per_minute) == per_minute


def test_the_bucket_fills_evenly(limit, clock):
    assert take(limit, 60) == 60
    for _ in range(5):
        clock.now += 1
        assert take(limit, 3) == 1
    clock.now += 10
    assert take(limit, 20) == 10
    clock.now += 3600
    assert take(limit, 100) == 60


def test_who_waits_as_long_as_told_is_let_through(limit, clock):
    take(limit, 60)
    wait = limit.take(BOT, 60)
    assert wait == pytest.approx(1.0)
    clock.now += wait * 0.9
    assert limit.take(BOT, 60) == pytest.approx(0.1)  # a refused request costs nothing
    clock.now += wait * 0.1
    assert limit.take(BOT, 60) == 0.0


def test_every_key_has_a_bucket_of_its_own(limit):
    assert take(limit, 100) == 60
    assert take(limit, 100, key=WEB) == 60


def test_a_key_without_a_limit_is_never_refused(limit):
    assert take(limit, 10_000, per_minute=None) == 10_000


def test_a_new_limit_counts_at_once(limit, clock):
    take(limit, 60)
    clock.now += 1
    assert take(limit, 100, per_minute=6000) >= 1
    assert limit.take(BOT, 1) > 0


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 120, allow_subnormal=False), st.integers(1, 50)), max_size=40),
)
def test_no_pattern_gets_more_than_a_minutes_requests_and_what_was_refilled(per_minute, pattern):
    clock = Clock()
    limit, taken, passed = RateLimit(clock), 0, 0.0
    for pause, number in pattern:
        clock.now += pause
        passed += pause
        taken += take(limit, number, per_minute=per_minute)
        assert taken <= per_minute + passed * per_minute / 60 + 1e-3


def test_memory_is_bounded_and_a_full_bucket_is_what_is_forgotten(limit, clock, monkeypatch):
    monkeypatch.setattr(rate, "MOST", 100)
    take(limit, 60, key=BOT)
    for number in range(1000):
        clock.now += 0.001
        limit.take(number.to_bytes(16), 60)
        assert len(limit._full_at) <= 100
    assert take(limit, 10) <= 1  # the emptiest one is still known
