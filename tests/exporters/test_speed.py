"""Whether a version is slower: a test that holds at every look, and how durations are spread."""

import bisect
import datetime as dt
import json
import math
import random
from collections import Counter
from functools import partial

import psycopg
import pytest

from footfall_exporters.postgres.housekeeping import Housekeeper
from footfall_exporters.postgres.reports import ask, speed
from footfall_exporters.postgres.reports.asked import Asked, Period
from footfall_exporters.postgres.reports.sequential import LEVEL
from footfall_exporters.postgres.reports.speed import FEW, FEWEST_DAYS, slower
from footfall_exporters.postgres.reports.state import views_of
from footfall_exporters.postgres.tasks import House
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.days import Day, together
from support.stores import MIDNIGHT, TODAY, writing

LOOKS, BACK = 25, 28


def durations(chance, number, times, uneven):
    """Those of a day, whose uses are all a little faster or slower."""
    of_day = times * math.exp(chance.gauss(0, uneven))
    return sorted(500 * of_day * math.exp(chance.gauss(0, 0.5)) for _ in range(number))


def counted(days, limit):
    return together(Day(len(day), len(day) - bisect.bisect_right(day, limit)) for day in days)


def ever(chance, number, times, uneven):
    """What somebody is told who looks every day, once it is anything but that nothing is seen."""
    former = [durations(chance, number, 1, uneven) for _ in range(BACK)]
    present = []
    for _ in range(LOOKS):
        present.append(durations(chance, number, times, uneven))
        every = sorted(ms for day in (*former, *present) for ms in day)
        limit = every[math.ceil(0.95 * len(every)) - 1]
        said = slower(counted(former, limit), counted(present, limit), LEVEL)
        if said in ("slower", "faster"):
            return said
    return ""


@pytest.mark.parametrize("uneven", [0, 0.1, 0.2])
@pytest.mark.parametrize("number", [20, 80])
def test_who_looks_every_day_is_told_nothing_that_is_not_so(number, uneven):
    chance = random.Random(f"speed {number} {uneven}")
    wrong = sum(bool(ever(chance, number, 1, uneven)) for _ in range(60))
    assert wrong <= LEVEL * 60


@pytest.mark.parametrize(("times", "said"), [(1.5, "slower"), (1 / 1.5, "faster")])
def test_what_takes_half_as_long_again_is_found(times, said):
    chance = random.Random(6)
    assert [ever(chance, 60, times, 0.1) for _ in range(10)] == [said] * 10


def test_of_few_durations_or_days_nothing_is_told():
    former = together([Day(50, 0)] * BACK)
    for present in ([Day(FEW - 1, FEW - 1)] * (FEWEST_DAYS - 1), [Day(30, 30)] * FEWEST_DAYS):
        assert slower(former, together(present), LEVEL) == "too few to tell"
    assert slower(former, together([Day(FEW, FEW)] * FEWEST_DAYS), LEVEL) == "slower"


@pytest.fixture
async def shop(store_database, catalog):
    """Two versions; orders take twice as long in the newer one, surveys as long as before."""
    chance = random.Random(9)
    rows = []
    for back in range(1, 21):
        version, times = ("2.1", 2) if back <= 8 else ("2.0", 1)
        for event, slow in (("shop.order", times), ("shop.survey", 1)):
            of = partial(dimension, event, service="shop", service_version=version)
            moment = MIDNIGHT - back * DAY + 5 * HOUR
            rows += [
                one_row(moment, of(), duration=round(ms))
                for ms in durations(chance, 40, slow, 0.05)
            ]
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*rows))
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"latency"})
    return rows


def asked(dsn, name, **question):
    with psycopg.connect(dsn) as connection:
        return ask(connection, name, Asked(**question)).records()


async def test_versions_are_compared_event_by_event(store_database, shop):
    found = {row["event"]: row["speed"] for row in asked(store_database, "releases")}
    assert found == {"(all)": None, "shop.order": "slower", "shop.survey": "no difference seen"}
    where = {"version": ["2.1"]}
    assert asked(store_database, "releases", where=where) == [], "one version is not compared"


@pytest.mark.parametrize(
    ("event", "speed"), [("shop.order", "slower"), ("shop.survey", "no difference seen")]
)
async def test_one_event_is_compared_as_among_several(store_database, shop, event, speed):
    alone, among = (
        asked(store_database, "releases", where={"event": events})
        for events in ([event], [event, "shop.nowhere"])
    )
    assert alone == among
    assert [row["speed"] for row in alone] == [None, speed]


def compared(connection, *, asking, meanwhile=""):
    """What is told of versions 1 and 2, and of which events days were looked at.

    Args:
        connection: To the store.
        asking: The question.
        meanwhile: What is executed before they are.
    """
    views = views_of(connection)
    answer, rows, days = speed.compared(("1", "2"), asking, views), None, []
    while True:
        try:
            statement = answer.send(rows)
        except StopIteration as done:
            return dict(done.value.verdicts), days
        if digits := statement.parameters.get("digits"):
            days += json.loads(digits)
            connection.execute(meanwhile)
        rows = connection.execute(statement.text, statement.parameters).fetchall()


async def test_days_are_looked_at_where_they_may_decide(store_database, catalog, query):
    """Of two hundred uses on a day so many are long; days on which uses are rare are nine weeks apart."""
    former = [0, 8] * 6
    present = {
        "shop.noisy": [120, *[0] * 7],
        "shop.slow": [15] * 8,
        "shop.same": [0, 8] * 4,
        "shop.brief": [120, 0],
        "shop.rare": [24] * 5,
    }
    rows = [
        one_row(
            MIDNIGHT - back * DAY,
            dimension(event, service="shop", service_version=version),
            duration=1000 if n < long else 100,
        )
        for event, newer in present.items()
        for version, first, days in (("1", 9, former), ("2", 1, newer))
        for back, long in enumerate(days, first)
        for n in range(200)
    ]
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*rows))
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"latency"})
    query(
        "UPDATE footfall.latency_days SET day = day - 63 * (current_date - day) WHERE dim_id IN"
        " (SELECT id FROM footfall.feature_dims WHERE event = 'shop.rare' AND service_version = '2')"
    )
    with psycopg.connect(store_database) as connection:
        asking = Asked(where={"service_version": ["1", "2"]}, by=("service_version", "event"))
        verdicts, days = compared(connection, asking=asking)
    assert verdicts == {
        "shop.noisy": "no difference seen",
        "shop.slow": "slower",
        "shop.same": "no difference seen",
        "shop.brief": "too few to tell",
        "shop.rare": "slower",
    }
    assert sorted(days) == ["shop.brief", "shop.noisy", "shop.rare", "shop.slow"]
    erased = "DELETE FROM footfall.latency_days"
    with psycopg.connect(store_database) as connection:
        verdicts, days = compared(connection, asking=asking, meanwhile=erased)
        assert verdicts.keys() == set(present)
        assert compared(connection, asking=asking) == ({}, [])


async def test_uses_that_take_hours_are_compared_as_well(store_database, catalog):
    """From one hour to thirteen: their histograms have more digits than Python reads as a number."""
    rows = [
        one_row(
            MIDNIGHT - back * DAY + n,
            dimension("shop.order", service="shop", service_version="1" if back > 10 else "2"),
            duration=(2 if back > 10 else 9) * 90_000 * (20 + n),
        )
        for back in range(1, 21)
        for n in range(40)
    ]
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*rows))
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"latency"})
    for events in (["shop.order"], ["shop.order", "shop.survey"]):
        _, row = asked(store_database, "releases", where={"event": events})
        assert row["speed"] == "slower"
        assert row["p95_before_ms"] == pytest.approx(2 * 90_000 * 57, rel=0.022)
        assert row["p95_ms"] == pytest.approx(9 * 90_000 * 57, rel=0.022)


async def test_durations_are_spread_over_steps_that_add_up(store_database, shop):
    since = dt.datetime.combine(TODAY - dt.timedelta(days=30), dt.time(), dt.UTC)
    rows = asked(store_database, "distribution", period=Period(since, None), by=["event"])
    for event in ("shop.order", "shop.survey"):
        lengths = Counter(row[1] for row in shop if row[2].event == event)
        steps = [row for row in rows if row["event"] == event]
        assert [a["to_ms"] for a in steps[:-1]] == [b["from_ms"] for b in steps[1:]]
        for step in steps:
            within = range(step["from_ms"] + 1, step["to_ms"] + 1)
            assert step["observations"] == sum(lengths[ms] for ms in within)
            assert step["to_ms"] <= 1.3 * step["from_ms"]
        assert sum(step["observations"] for step in steps) == lengths.total() == 800


async def test_a_part_of_a_day_is_told_apart_while_hours_are_kept(store_database, shop):
    begin = dt.datetime.fromtimestamp((MIDNIGHT - DAY) / 1e6, dt.UTC)
    five, six = (begin + dt.timedelta(hours=n) for n in (5, 6))
    for period, number in ((Period(five, six), 80), (Period(six, None), 0)):
        rows = asked(store_database, "distribution", period=period)
        assert sum(row["observations"] for row in rows) == number
