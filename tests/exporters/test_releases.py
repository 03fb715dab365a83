"""Two versions side by side: an interval that holds at every look, and figures of each event."""

import asyncio
import random
from collections import defaultdict
from functools import partial

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from conftest import new_database
from exporters.test_groups import count
from footfall_exporters.postgres import comparisons
from footfall_exporters.postgres.housekeeping import Housekeeper
from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked, WrongQuestion
from footfall_exporters.postgres.reports.sequential import ALL, FEW, LEVEL, difference, narrowest
from footfall_exporters.postgres.tasks import House
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.days import Day, plainly_compared, together
from support.stores import MIDNIGHT, TODAY, writing

LOOKS = 60
VERSIONS = (("1.9", 24, 10, 50), ("2.0", 20, 10, 100), ("2.1", 9, 30, 200))
"""With since how many days ago, failures a day, and milliseconds."""


def ended(chance, ends, rate, alike):
    """A day; the fewer are alike, the more days differ."""
    rate = chance.betavariate(rate * alike, (1 - rate) * alike)
    return Day(ends, sum(chance.random() < rate for _ in range(ends)))


def is_ever_said(chance, ends, rates, alike):
    """Whether somebody who looks every day is told that one version fails more."""
    days = ([], [])
    for _ in range(LOOKS):
        for each, rate in zip(days, rates, strict=True):
            each.append(ended(chance, ends, rate, alike))
        found = difference(*map(together, days), LEVEL)
        if found and not found.low <= 0 <= found.high:
            return True
    return False


@pytest.mark.parametrize("alike", [10_000, 100, 30])
@pytest.mark.parametrize(("ends", "rate"), [(50, 0.1), (100, 0.02)])
def test_who_looks_every_day_is_told_nothing_that_is_not_so(alike, ends, rate):
    chance = random.Random(f"{alike} {ends}")
    wrong = sum(is_ever_said(chance, ends, (rate, rate), alike) for _ in range(60))
    assert wrong <= LEVEL * 60


def test_a_version_that_fails_by_a_third_more_is_found():
    chance = random.Random(2)
    found = sum(is_ever_said(chance, 100, (0.1, 0.13), 10_000) for _ in range(30))
    assert found >= 27


days = st.lists(
    st.integers(0, 1000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=20
).map(lambda every: [Day(*each) for each in every])


@given(days, days)
def test_any_days_can_be_compared(former, present):
    both = together(former), together(present)
    found, least = difference(*both, LEVEL), narrowest(*both, LEVEL)
    is_enough = min(of.ends for of in both) >= FEW
    assert (found is not None) == (least is not None) == is_enough
    if found is not None:
        assert found == pytest.approx(plainly_compared(former, present, LEVEL))
        assert -1 <= found.low <= least.low <= found.rate == least.rate
        assert found.rate <= least.high <= found.high <= 1


async def sell(dsn, catalog):
    """Three versions; the last one fails more where orders are, and takes longer."""
    counts, rows = {}, []
    for version, begun, failures, length in VERSIONS:
        of = partial(dimension, service="shop", service_version=version)
        for back in range(1, begun + 1):
            moment = MIDNIGHT - back * DAY + 5 * HOUR
            for event, failed in (("shop.order", failures), ("shop.survey", 5)):
                counts[moment, of(event, "success", "ok")] = 90
                counts[moment, of(event, "failure", "error")] = failed
            rows += [one_row(moment, of("shop.order"), duration=length)] * 3
    alone = dimension("shop.order", service="bot", service_version="7")
    counts[MIDNIGHT - DAY, alone] = 500
    async with writing(dsn, catalog) as writer:
        await writer.consume(batch(*rows, counts=counts))
    await Housekeeper(dsn, House(catalog, 30, 400)).run_due({"latency"})


@pytest.fixture(scope="module")
def sold(postgres_server, store_template, catalog):
    """The name of a database in which that is."""
    with new_database(postgres_server, store_template) as dsn:
        asyncio.run(sell(dsn, catalog))
        yield conninfo_to_dict(dsn)["dbname"]


@pytest.fixture
def store_database(request, postgres_server, making, dropping):
    """A copy of it for a test of this shop; for others a database that is ready to store batches."""
    template = "sold" if "shop" in request.fixturenames else "store_template"
    with new_database(postgres_server, request.getfixturevalue(template), making, dropping) as dsn:
        yield dsn


@pytest.fixture
def shop():
    """Has the test's database be one of a shop (`sell`)."""


def asked(dsn, **question):
    with psycopg.connect(dsn) as connection:
        return ask(connection, "releases", Asked(**question)).records()


async def test_the_two_newest_versions_are_compared_event_by_event(store_database, shop):
    every, order, survey = asked(store_database)
    assert [row["event"] for row in (every, order, survey)] == [ALL, "shop.order", "shop.survey"]
    assert {(row["service"], row["former"], row["version"]) for row in (every, order, survey)} == {
        ("shop", "2.0", "2.1")
    }
    assert (order["ends_before"], order["ends"]) == (103 * 20, 123 * 9)
    assert order["failed_before"] == pytest.approx(10 / 103, abs=1e-4)
    assert order["failed"] == pytest.approx(30 / 123, abs=1e-4)
    assert order["difference"] == pytest.approx(30 / 123 - 10 / 103, abs=1e-4)
    assert [row["verdict"] for row in (every, order, survey)] == [
        "fails more", "fails more", "no difference seen",
    ]  # fmt: skip
    assert order["p95_before_ms"] == pytest.approx(100, rel=0.03)
    assert order["p95_ms"] == pytest.approx(200, rel=0.03)


async def test_differences_are_those_of_the_days_one_by_one(store_database, catalog, query):
    chance, counts = random.Random(4), {}
    known = {(version, event): [] for version in "12" for event in ("shop.order", "shop.survey")}
    for (version, event), days in known.items():
        of = partial(dimension, event, service="shop", service_version=version)
        for back in range(1, 9):
            day = Day(chance.randint(40, 300), chance.randint(0, 40))
            days.append(day)
            at = MIDNIGHT - (back + 8 * (version == "1")) * DAY
            counts[at, of("success", "ok")] = day.ends - day.failures
            counts[at + HOUR, of("failure", "error")] = day.failures
    counts = {key: count for key, count in counts.items() if count}
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=counts))
    for version in "12":
        both = zip(known[version, "shop.order"], known[version, "shop.survey"], strict=True)
        known[version, ALL] = [Day(a.ends + b.ends, a.failures + b.failures) for a, b in both]
    for row in asked(store_database):
        of = known["1", row["event"]], known["2", row["event"]]
        figures = [row[name] for name in ("difference", "low", "high")]
        assert figures == pytest.approx(plainly_compared(*of, LEVEL / 3), abs=1e-4)
        assert row["ends"] == sum(day.ends for day in of[1])


async def test_versions_that_are_named_are_compared(store_database, shop):
    rows = asked(store_database, where={"version": ["1.9", "2.1"], "event": ["shop.order"]})
    assert {(row["former"], row["version"]) for row in rows} == {("1.9", "2.1")}
    assert [row["event"] for row in rows] == [ALL, "shop.order"]
    assert rows[1]["p95_before_ms"] == pytest.approx(50, rel=0.03)


async def test_one_version_is_nothing_to_be_compared(store_database, shop):
    assert asked(store_database, where={"service": ["bot"]}) == []


async def test_it_is_counted_by_nothing_else(store_database, shop):
    with pytest.raises(WrongQuestion, match="event by event"):
        asked(store_database, by=["provider"])


async def test_use_by_group_is_told_of_days_on_which_one_version_was_alone(
    store_database, catalog, query
):
    """2.0 alone for three days, then with 2.1 for one, then 2.1 alone; today has no groups."""
    ends, active = defaultdict(lambda: defaultdict(int)), defaultdict(lambda: defaultdict(set))
    rows = []
    for back, versions in ((7, "0"), (6, "0"), (5, "0"), (4, "01"), (3, "1"), (2, "1"), (0, "1")):
        for n, version in enumerate(versions * 20):
            for event, guilds in (("shop.order", 5 + back), ("shop.survey", 7)):
                of = dimension(event, service="shop", service_version=f"2.{version}")
                guild = bytes([n % guilds]) * 16
                rows.append(one_row(MIDNIGHT - back * DAY + 2 * n, of, guild_id=guild))
                if len(versions) == 1 and back:
                    for name in (event, ALL):
                        ends[f"2.{version}", name][back] += 1
                        active[f"2.{version}", name][back].add(guild)
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*rows))
    await count(store_database, TODAY)
    expected = {
        key: round(sum(each.values()) / sum(map(len, active[key].values())), 2)
        for key, each in ends.items()
    }
    for role in ("NONE", "footfall_reader"):
        with psycopg.connect(store_database) as connection:
            connection.execute(f"SET ROLE {role}")
            found = ask(connection, "releases", Asked()).records()
        for row in found:
            told = row["uses_per_group_before"], row["uses_per_group"]
            assert told == tuple(expected[version, row["event"]] for version in ("2.0", "2.1"))
    [every, order] = asked(store_database, where={"event": ["shop.order"]})
    assert (every["uses_per_group"], order["uses_per_group"]) == (
        None,
        expected["2.1", "shop.order"],
    )
    assert {
        row["uses_per_group"] for row in asked(store_database, where={"action": ["success"]})
    } == {None}
    query("UPDATE footfall.groups_counts SET reason = 'sampled' WHERE event = 'shop.order'")
    assert [row["uses_per_group"] is None for row in asked(store_database)] == [False, True, False]


@pytest.mark.parametrize("event", ["shop.order", "shop.survey", "shop.nothing"])
@pytest.mark.parametrize("more", [{}, {"service": ["shop"]}, {"version": ["2.0", "2.1"]}], ids=str)
async def test_one_event_is_compared_as_among_several(store_database, shop, event, more):
    """It is read at once, and what is asked for with another that is not there is not."""
    [alone, among] = [
        asked(store_database, where={"event": events, **more})
        for events in ([event], [event, "shop.nowhere"])
    ]
    assert alone == among
    assert bool(alone) == (event != "shop.nothing")


@pytest.fixture
async def kept(store_database, catalog, shop, query, monkeypatch):
    """What housekeeping has compared, of which each row says so."""
    monkeypatch.setattr(comparisons, "MANY", 1)
    query("UPDATE footfall.feature_dims SET environment = 'live' WHERE event = 'shop.order'")
    query("UPDATE footfall.feature_dims SET environment = 'test' WHERE event = 'shop.survey'")
    wheres = [{}, {"environment": ["live"]}, {"environment": ["test"]}]
    compared = [asked(store_database, where=where) for where in wheres]
    assert compared[0] != compared[1] != compared[2] != []
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"releases"})
    assert [asked(store_database, where=where) for where in wheres] == compared
    query(
        "UPDATE footfall.releases SET verdict = concat_ws(' of ', 'kept', nullif(environment, ''))"
    )


KEPT_QUESTIONS = (
    {}, {"service": ["shop"]}, {"version": ["2.1", "2.0"]},
    {"service": ["shop"], "service_version": ["2.0", "2.1", "1.9"]},
)  # fmt: skip
OTHER_QUESTIONS = (
    {"version": ["1.9", "2.1"]}, {"version": ["2.1", "2.2"]}, {"event": ["shop.order"]},
    {"service": ["shop", "bot"]}, {"service": ["bot"]}, {"service": ["shop", ""]},
    {"environment": [""]}, {"environment": ["live", "test"]}, {"environment": ["none"]}, {"surface": ["web"]},
)  # fmt: skip


@pytest.mark.parametrize("where", KEPT_QUESTIONS, ids=str)
async def test_what_is_kept_is_what_is_told(store_database, kept, where):
    assert {row["verdict"] for row in asked(store_database, where=where)} == {"kept"}


async def test_so_is_what_is_kept_of_an_environment(store_database, kept):
    for name in ("live", "test"):
        for more in ({}, {"service": ["shop"]}, {"version": ["2.1", "2.0"]}):
            found = asked(store_database, where={"environment": [name], **more})
            assert {row["verdict"] for row in found} == {f"kept of {name}"}


async def test_no_more_environments_are_compared_than_a_few(
    store_database, catalog, kept, query, monkeypatch
):
    monkeypatch.setattr(comparisons, "MOST", 1)
    query("UPDATE footfall.housekeeping SET next_run = now() WHERE task = 'releases'")
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"releases"})
    found = query("SELECT DISTINCT environment FROM reporting.releases ORDER BY 1 NULLS FIRST")
    assert len(found) == 2
    assert found[0] == (None,)


async def test_an_environment_may_have_as_many_rows_where_all_have_fewer(
    store_database, catalog, shop, query, monkeypatch
):
    """The two newest versions of all are those of one event; in an environment two events have a pair."""
    later = [
        dimension("shop.order", service="shop", service_version=f"9.{n}", environment="test")
        for n in range(2)
    ]
    query("UPDATE footfall.feature_dims SET environment = 'live'")
    counts = {(MIDNIGHT + n * HOUR, of): 90 for n, of in enumerate(later)}
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=counts))
    monkeypatch.setattr(comparisons, "MANY", 3)
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"releases"})
    found = query("SELECT environment, count(*) FROM reporting.releases GROUP BY 1")
    assert found == [("live", 3)]


@pytest.mark.parametrize("where", OTHER_QUESTIONS, ids=str)
async def test_what_was_not_compared_before_is_compared(store_database, kept, query, where):
    found = asked(store_database, where=where)
    query("DELETE FROM footfall.releases")
    assert found == asked(store_database, where=where)
    assert "kept" not in {row["verdict"] for row in found}


async def test_it_says_when_it_was_compared(store_database, kept, query):
    with psycopg.connect(store_database) as connection:
        connection.execute("UPDATE footfall.releases SET made_at = now() - interval '14 min'")
        connection.execute("SET ROLE footfall_reader")
        then = connection.execute(
            "SELECT to_char(max(made_at) AT TIME ZONE 'UTC', 'HH24:MI') FROM reporting.releases"
        ).fetchone()
        found = ask(connection, "releases", Asked(limit=2))
    assert then
    assert found.notes == (f"compared at {then[0]} UTC",)
    assert len(found.rows) == 2
    assert found.more


async def test_what_is_old_is_compared_anew(store_database, kept, query):
    query("UPDATE footfall.releases SET made_at = now() - interval '16 min'")
    assert "kept" not in {row["verdict"] for row in asked(store_database)}


async def test_few_rows_are_not_kept(store_database, catalog, shop, query):
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"releases"})
    assert query("SELECT count(*) FROM reporting.releases") == [(0,)]


async def test_versions_are_kept_anew_and_go_where_nothing_is_left(
    store_database, catalog, kept, query
):
    query("TRUNCATE footfall.feature_counts, footfall.feature_counts_days")
    query("UPDATE footfall.housekeeping SET next_run = now() WHERE task = 'releases'")
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"releases"})
    assert query("SELECT count(*) FROM reporting.releases") == [(0,)]
    assert asked(store_database) == []
