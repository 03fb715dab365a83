"""Days, weeks and months of a time zone: sums of the hours that the clocks there show, whatever they do."""

import datetime as dt
import random
from collections import Counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall_exporters.postgres import connect, connect_sync, latency, reports
from footfall_exporters.postgres.connecting import HOUSEKEEPING, READING
from footfall_exporters.postgres.reports import ask, zones
from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion, last_days
from footfall_exporters.postgres.reports.asked import period as written
from footfall_exporters.postgres.reports.trends import trends
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, writing

UTC = dt.UTC
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"
SPANS = [  # in which clocks change, somewhere
    (dt.datetime(2026, 3, 6, tzinfo=UTC), dt.datetime(2026, 4, 7, tzinfo=UTC)),
    (dt.datetime(2026, 10, 1, tzinfo=UTC), dt.datetime(2026, 11, 4, tzinfo=UTC)),
]
WHOLE = [
    "Europe/Berlin", "America/New_York", "America/Santiago", "Pacific/Auckland", "Pacific/Apia",
    "Asia/Tokyo", "Etc/GMT+12", "Pacific/Kiritimati", "Africa/Casablanca", "UTC", "CET",
]  # fmt: skip
UNITS = {
    "day": lambda at: at.date(),
    "week": lambda at: at.date() - dt.timedelta(days=at.weekday()),
    "month": lambda at: at.date().replace(day=1),
}
GOOD = dimension("shop.order", "success")
BAD = dimension("shop.order", "failure", "error", "invalid_preset")


def hours():
    """Each hour, with how often something was good and bad in it."""
    chance = random.Random(3)
    for since, until in SPANS:
        for n in range((until - since) // dt.timedelta(hours=1)):
            yield since + n * dt.timedelta(hours=1), chance.randrange(1, 9), chance.randrange(1, 5)


@pytest.fixture
async def filled(store_database, catalog):
    counts = {}
    for hour, good, bad in hours():
        at = (hour - EPOCH) // dt.timedelta(microseconds=1)
        counts[at, GOOD], counts[at, BAD] = good, bad
        counts[at, dimension("shop.ping", "invoke")] = 1
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=counts, losses={}))
    with connect_sync(store_database, READING) as connection:
        yield connection


def local(day, zone):
    """The midnight with which a day begins there."""
    return dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("day", "number"),
    [
        ("2026-03-28", 24),
        ("2026-03-29", 23),
        ("2026-03-30", 24),
        ("2026-10-25", 25),
        ("2026-10-26", 24),
    ],
)
def test_days_on_which_clocks_change_have_23_or_25_hours(filled, day, number):
    day = dt.date.fromisoformat(day)
    zone = zones.zone_of(BERLIN)
    now = dt.datetime.now(UTC)
    period = written(str(day), str(day + dt.timedelta(days=1)), dt.timedelta(), now, zone)
    asked = Asked(period, {"event": ["shop.ping"]}, ["day"], zone=BERLIN)
    assert ask(filled, "usage", asked).rows == [(day, number)]
    by_hour = ask(filled, "usage", Asked(period, asked.where, ["hour"], zone=BERLIN)).rows
    assert len(by_hour) == number


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    zone=st.sampled_from(WHOLE),
    unit=st.sampled_from(list(UNITS)),
    span=st.sampled_from(SPANS),
    first=st.integers(1, 29),
    length=st.integers(1, 20),
    name=st.sampled_from(["usage", "errors"]),
)
def test_days_weeks_and_months_are_sums_of_hours_there(
    filled, zone, unit, span, first, length, name
):
    since = local(span[0].date() + dt.timedelta(days=first), zone)
    until = local(span[0].date() + dt.timedelta(days=first + length), zone)
    expected, ended = Counter(), Counter()
    for hour, good, bad in hours():
        if since <= hour < until:
            key = UNITS[unit](hour.astimezone(ZoneInfo(zone)))
            expected[key] += bad if name == "errors" else good + bad + 1
            ended[key] += good + bad
    found = ask(filled, name, Asked(Period(since, until), by=[unit], zone=zone))
    assert {row[0]: row[1] for row in found.rows} == expected
    if name == "errors":
        for key, number, share in found.rows:
            assert share == pytest.approx(number / ended[key])


def test_a_trend_is_by_days_there(filled):
    zone = "America/New_York"
    period = Period(local(dt.date(2026, 3, 5), zone), local(dt.date(2026, 3, 11), zone))
    asked = Asked(period, {"event": ["shop.ping"]}, ["event"], zone=zone)
    [trend] = trends(filled, asked, ask(filled, "usage", asked))
    assert trend == [5, 24, 24, 23, 24, 24]  # they are stored from midnight UTC on, 19:00 there


def test_the_last_days_begin_at_midnight_there():
    now = dt.datetime(2026, 3, 29, 22, 30, tzinfo=UTC)  # 0:30 of the 30th in Berlin
    berlin = ZoneInfo("Europe/Berlin")
    assert last_days(1, now, berlin).since == dt.datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert last_days(2, now, berlin).since == dt.datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert last_days(1, now).since == dt.datetime(2026, 3, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "since", "until", "offset"),
    [
        ("Asia/Kolkata", "2026-01-01", "2026-01-02", "+5:30"),
        ("America/St_Johns", "2026-01-01", "2026-01-02", "-3:30"),
        ("Australia/Lord_Howe", "2026-03-01", "2026-05-01", "+10:30"),  # from April on
        ("Asia/Pyongyang", "2018-05-01", "2018-06-01", "+8:30"),  # until May 5th
        ("Asia/Pyongyang", "2018-06-01", "2018-07-01", None),
        ("Europe/Berlin", "2026-01-01", "2026-12-31", None),
    ],
)
def test_days_that_begin_within_an_hour_are_refused(zone, since, until, offset):
    period = Period(*(dt.datetime.fromisoformat(d).replace(tzinfo=UTC) for d in (since, until)))
    if offset is None:
        zones.clocks(zone, period, period.until)
        return
    with pytest.raises(WrongQuestion, match=rf"are \{offset} from UTC"):
        zones.clocks(zone, period, period.until)


async def test_durations_are_of_days_there_one_by_one_or_added_up(
    store_database, catalog, monkeypatch
):
    rows, moments = [], []
    for n in range(60):
        at = MIDNIGHT - 3 * DAY + n * HOUR + 60_000_000
        if at < MIDNIGHT:
            rows.append(one_row(at, GOOD, 20 + n))
            moments.append(EPOCH + dt.timedelta(microseconds=at))
    zone = "America/New_York"
    expected = Counter(at.astimezone(ZoneInfo(zone)).date() for at in moments)
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*rows))
    async with await connect(store_database, HOUSEKEEPING) as connection:
        await latency.keep_up(connection)
    since = local(TODAY - dt.timedelta(days=5), zone)
    asked = Asked(Period(since, None), by=["day"], zone=zone)
    with connect_sync(store_database, READING) as connection:
        exact = ask(connection, "latency", asked)
        monkeypatch.setattr(reports, "MOST_OBSERVATIONS", 0)
        added = ask(connection, "latency", asked)
        for found in (exact, added):
            assert {row[0]: row[1] for row in found.rows} == expected
        assert (bool(exact.notes), bool(added.notes)) == (False, True)
        before = Asked(Period(since - dt.timedelta(days=9), None), by=["day"], zone=zone)
        with pytest.raises(WrongQuestion, match="by days of UTC alone; ask in UTC, or for a later"):
            ask(connection, "latency", before)
