"""What must hold between the times that follow from the window: of each, what would go wrong otherwise."""

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall._recording.recorder import LONGEST_MS
from footfall_collector.decoding import plans
from footfall_collector.doctor import store as doctor
from footfall_exporters.postgres import counters, salts, tasks
from footfall_exporters.postgres.store import PostgresConfig
from footfall_processors import Hash, load_catalog, period, window
from footfall_processors.batch import DAY_US
from footfall_processors.statement import statement

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
MICROSECOND, MILLISECOND = dt.timedelta(microseconds=1), dt.timedelta(milliseconds=1)
EVERY = {task.name: dt.timedelta(seconds=task.every) for task in tasks.TASKS}
NOW = 20_000 * DAY_US + DAY_US // 2
CATALOG = """
product: shop
attributes: {guild_id: {type: string, hash: daily}}
events: {shop.order: {surface: web, feature: order, attributes: [guild_id]}}
"""


@pytest.fixture
def catalog(tmp_path):
    path = tmp_path / "events.yaml"
    path.write_text(CATALOG)
    return load_catalog(path)


@pytest.mark.parametrize(
    ("age", "taken"),
    [
        (window.PAST, True),
        (window.PAST + MICROSECOND, False),
        (-window.FUTURE, True),
        (-window.FUTURE - MICROSECOND, False),
    ],
)
def test_the_window_has_two_ends(age, taken):
    assert window.accepted(NOW - age // MICROSECOND, NOW) is taken


def test_a_request_is_known_until_none_of_its_events_would_be_taken_again():
    assert window.LEDGER >= window.PAST + window.FUTURE


def test_a_request_is_known_for_longer_than_its_commit():
    assert window.LEDGER > window.COMMITS


def test_a_span_is_known_until_it_would_not_be_taken_again_even_from_a_spool():
    assert window.SPANS >= window.PAST + window.COMMITS


def test_a_counter_that_was_forgotten_is_a_baseline_when_it_comes_back():
    """It began before it was heard of last, but for a clock that is ahead."""
    assert window.COUNTERS >= window.BASELINE + window.FUTURE
    assert counters.OLD_US == window.BASELINE // MICROSECOND


def test_every_event_that_is_taken_finds_the_salt_of_its_time(catalog):
    needed = {number for _, number in salts.needed(catalog, NOW)}
    taken = range(-window.PAST // DAY, window.FUTURE // DAY + 2)
    assert {period(Hash.DAILY, NOW + n * DAY_US)[1] for n in taken} <= needed


def test_a_salt_is_kept_no_longer_than_events_are_taken_and_users_are_told(catalog):
    assert window.PAST <= window.SALT_GRACE < window.PAST + DAY
    assert dt.timedelta(0) == window.SALT_GRACE % DAY
    oldest = min(number for _, number in salts.needed(catalog, NOW))
    grace = period(Hash.DAILY, NOW)[1] - oldest
    assert f"destroyed {grace} days after its day" in statement(catalog)


@given(days=st.integers(1, 3650), second=st.integers(0, 86_399), behind=st.integers(0, 3600))
def test_no_day_is_dropped_that_still_takes_events(days, second, behind):
    """Housekeeping may reckon by a clock that is an hour ahead of the one that events are held against."""
    now = dt.datetime(2026, 3, 29, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    kept = now.date() - dt.timedelta(days=days)
    oldest = now - dt.timedelta(seconds=behind) - window.past(days)
    assert oldest.date() >= kept


@pytest.mark.parametrize(
    ("days", "past"),
    [(1, 23 * HOUR), (2, 47 * HOUR), (7, 167 * HOUR), (8, 7 * DAY), (30, 7 * DAY)],
)
def test_the_window_shrinks_with_the_retention(days, past):
    assert window.past(days) == past


def test_a_day_is_the_shortest_retention():
    assert msgspec.convert({"retention_days": 1}, PostgresConfig).retention_days == 1
    with pytest.raises(msgspec.ValidationError, match=">= 1"):
        msgspec.convert({"retention_days": 0}, PostgresConfig)


def test_there_is_a_partition_for_whatever_is_taken_until_the_next_look():
    assert window.FUTURE + EVERY["partitions"] + DAY <= tasks.AHEAD_DAYS * DAY


def test_the_hashes_of_all_days_that_events_fall_into_are_remembered_at_once():
    assert window.PAST // DAY + 2 <= plans.DAYS


def test_a_subscriber_is_a_problem_before_it_misses_something():
    assert dt.timedelta(seconds=doctor.TOO_LATE) < window.COMMITS


def test_an_application_measures_nothing_that_began_too_early_to_be_taken():
    assert window.PAST == LONGEST_MS * MILLISECOND
