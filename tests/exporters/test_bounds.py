"""Bounds of shares and percentiles: what they are reckoned to be here, and that they hold what they say."""

import datetime as dt
import math
import random

import psycopg
import pytest

from footfall_exporters.postgres import bounds, reports
from footfall_exporters.postgres.housekeeping import Housekeeper
from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked, Period, last_days
from footfall_exporters.postgres.tasks import House
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, writing

SURE = 1.959964
ENDED = {"smz3": (200, 3), "alttpr": (40, 0), "smr": (7, 7)}
"""By provider how many ended, and how many of these failed."""


def wilson(failed, ends):
    """Where the score test of a share just does not refuse it, found by halving."""

    def refused(share):
        return (failed / ends - share) ** 2 > SURE**2 * share * (1 - share) / ends

    def edge(inside, outside):
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if refused(middle) else (middle, outside)
        return inside

    share = failed / ends
    return edge(share, 0.0) if failed else 0.0, edge(share, 1.0) if failed < ends else 1.0


@pytest.fixture
async def ended(store_database, catalog):
    counts = {}
    for provider, (ends, failed) in ENDED.items():
        for action, status, number in (
            ("success", "ok", ends - failed),
            ("failure", "error", failed),
        ):
            of = dimension("shop.order", action, status, provider=provider)
            counts |= {(MIDNIGHT - DAY, of): number} if number else {}
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=counts))


def asked(dsn, name, **question):
    period = last_days(7, dt.datetime.now(dt.UTC))
    with psycopg.connect(dsn) as connection:
        return ask(connection, name, Asked(period, **question)).records()


async def test_shares_have_the_bounds_of_wilson(store_database, ended):
    rows = {row["provider"]: row for row in asked(store_database, "outcomes", by=["provider"])}
    assert {name: (row["ends"], row["failures"]) for name, row in rows.items()} == ENDED
    for name, (ends, failed) in ENDED.items():
        assert rows[name]["share"] == pytest.approx(failed / ends)
        found = rows[name]["share_low"], rows[name]["share_high"]
        assert found == pytest.approx(wilson(failed, ends), abs=6e-5)


async def test_outcomes_are_of_what_fits(store_database, ended):
    [row] = asked(store_database, "outcomes", by=["event"], where={"provider": ["smz3", "smr"]})
    assert (row["event"], row["ends"], row["failures"]) == ("shop.order", 207, 10)


async def test_outcomes_of_days_and_a_part_of_one_are_the_same(store_database, ended):
    begin = dt.datetime.fromtimestamp((MIDNIGHT - 3 * DAY) / 1e6, dt.UTC)
    period = Period(begin, begin + dt.timedelta(days=3, hours=5))
    with psycopg.connect(store_database) as connection:
        [row] = ask(connection, "outcomes", Asked(period, by=["event"])).records()
    assert (row["ends"], row["failures"]) == (247, 10)


async def test_what_was_erased_to_nothing_has_no_share(store_database, ended, query):
    query("UPDATE footfall.feature_counts SET count = 0")  # as erasing leaves them
    stale = "SELECT DISTINCT day FROM footfall.feature_counts_days"
    query(f"INSERT INTO footfall.feature_counts_stale {stale} ON CONFLICT DO NOTHING")
    [row] = asked(store_database, "outcomes", by=["event"])
    assert (row["ends"], row["failures"]) == (0, 0)
    assert [row[name] for name in ("share", "share_low", "share_high")] == [None] * 3


def binomial(number, share):
    """How likely each number of successes is."""
    logs = [
        math.lgamma(number + 1) - math.lgamma(k + 1) - math.lgamma(number - k + 1)
        + k * math.log(share) + (number - k) * math.log(1 - share)
        for k in range(number + 1)
    ]  # fmt: skip
    return [math.exp(log) for log in logs]


@pytest.mark.parametrize("number", [73, 80, 100, 137, 250, 500, 1000, 3000])
def test_the_ranks_hold_the_percentile_as_often_as_they_say(number):
    low, high = bounds.ranks(number)
    assert 1 <= low < high <= number
    # It lies between them where as many durations are below it.
    assert 0.95 <= sum(binomial(number, 0.95)[low:high]) <= 0.985


def test_of_few_there_is_no_upper_bound():
    assert [n for n in range(20, 200) if bounds.ranks(n)[1] > n] == list(range(20, 73))


@pytest.mark.parametrize("summed", [False, True])
async def test_percentiles_lie_between_two_of_the_durations(
    store_database, catalog, monkeypatch, summed
):
    """Whether they are of single ones or of histograms."""
    chance = random.Random(4)
    durations = [round(chance.lognormvariate(6, 0.7)) for _ in range(400)]
    few = durations[:50]
    rows = [one_row(MIDNIGHT - DAY + HOUR, dimension("shop.order"), n) for n in durations]
    rows += [one_row(MIDNIGHT - DAY + HOUR, dimension("shop.survey"), n) for n in few]
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*rows))
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"latency"})
    if summed:
        monkeypatch.setattr(reports, "MOST_OBSERVATIONS", 0)
    found = {row["event"]: row for row in asked(store_database, "latency", by=["event"])}
    order, survey = found["shop.order"], found["shop.survey"]
    reach = SURE * math.sqrt(400 * 0.95 * 0.05)
    ranks = math.floor(380 - reach), math.ceil(380 + reach)
    low, high = (sorted(durations)[rank - 1] for rank in ranks)
    near = 0.025 if summed else 0
    assert order["p95_low_ms"] == pytest.approx(low, rel=near)
    assert order["p95_high_ms"] == pytest.approx(high, rel=near)
    lowest = sorted(few)[math.floor(47.5 - SURE * math.sqrt(50 * 0.0475)) - 1]
    assert survey["p95_low_ms"] == pytest.approx(lowest, rel=near)
    assert survey["p95_high_ms"] is None


async def test_the_inventory_says_how_sure_it_is(store_database, catalog):
    ok, bad = dimension("shop.order"), dimension("shop.order", "failure", "error")
    counts = {}
    for back in range(1, 57):
        counts |= {
            (MIDNIGHT - back * DAY, ok): 40 + (back <= 28) * 20,
            (MIDNIGHT - back * DAY, bad): 2,
        }
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=counts))
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due({"inventory"})
    with psycopg.connect(store_database) as connection:
        [row] = ask(connection, "features", Asked(where={"event": ["shop.order"]})).records()
    assert row["change_low"] < row["change"] < row["change_high"]
    found = row["failures_low"], row["failures_high"]
    assert found == pytest.approx(wilson(56, 62 * 28), abs=6e-5)
