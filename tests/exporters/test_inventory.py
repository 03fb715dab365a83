"""The inventory: verdicts that hold for counts as they are, and what is stored of each event."""

import datetime as dt
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.housekeeping import Housekeeper
from footfall_exporters.postgres.inventory.comparing import FEW, LEVEL, compare, discoveries
from footfall_exporters.postgres.tasks import House
from footfall_processors import load_catalog
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, writing

RHYTHM = [1.3, 1.2, 1.2, 1.1, 1.0, 0.6, 0.6]
DAYS = 28


def poisson(chance, mean):
    if mean > 30:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    bound, product, number = math.exp(-mean), chance.random(), 0
    while product > bound:
        product, number = product * chance.random(), number + 1
    return number


def pure(chance):
    while True:
        yield 1.0


def uneven(chance):
    """Days that vary by a third more than chance has them vary."""
    while True:
        yield chance.gammavariate(10, 0.1)


def bursting(chance):
    """Now and then three days with four times as much."""
    left = 0
    while True:
        left = 3 if chance.random() < 0.015 else left - 1
        yield chance.gammavariate(10, 0.1) * (4 if left > 0 else 1)


def counted(chance, uses, noise, growth=1.0):
    """Uses by day, of two periods."""
    factors = noise(chance)
    return [
        poisson(chance, uses / DAYS * RHYTHM[n % 7] * next(factors) * (growth if n >= DAYS else 1))
        for n in range(2 * DAYS)
    ]


def said(features):
    """Of which of these something is said to have changed."""
    tested = [counts for counts in features if sum(counts) >= FEW]
    return discoveries([compare(counts).p for counts in tested])


@pytest.mark.parametrize("noise", [pure, uneven, bursting])
@pytest.mark.parametrize(("features", "products"), [(5, 200), (60, 20)])
def test_where_nothing_changes_nothing_is_said_to_but_for_the_stated_share(
    noise, features, products
):
    chance = random.Random(f"{noise.__name__} {features}")
    sizes = [3000 / (1 + rank) for rank in range(features)]
    wrong = sum(
        any(said([counted(chance, uses, noise) for uses in sizes])) for _ in range(products)
    )
    assert wrong <= LEVEL * products


def lively(chance):
    """Days that vary by a seventh more than chance has them vary."""
    while True:
        yield chance.gammavariate(50, 0.02)


@pytest.mark.parametrize("growth", [1.3, 1 / 1.3])
def test_a_change_of_thirty_percent_is_found(growth):
    chance = random.Random(growth)
    found = 0
    for _ in range(50):
        others = [counted(chance, 3000 / (2 + rank), lively) for rank in range(20)]
        found += said([counted(chance, 3000, lively, growth), *others])[0]
    assert found >= 45


def test_the_interval_holds_the_true_ratio_as_often_as_it_says():
    chance = random.Random(5)
    held = 0
    for _ in range(400):
        change = compare(counted(chance, 2000, uneven, 1.2))
        held += change.low <= 1.2 <= change.high
    assert held >= 0.93 * 400


def test_of_persistent_noise_the_interval_is_wider():
    """The same days, once in an order in which high ones follow each other."""
    chance = random.Random(8)
    counts = counted(chance, 3000, uneven)
    halves = counts[:DAYS], counts[DAYS:]
    in_order = [*sorted(halves[0]), *sorted(halves[1])]
    mixed, ordered = compare(counts), compare(in_order)
    assert ordered.high / ordered.low > 1.3 * mixed.high / mixed.low


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_discoveries_are_those_of_the_step_up_procedure(probabilities):
    order = sorted(range(len(probabilities)), key=lambda n: probabilities[n])
    last = -1
    for rank, index in enumerate(order):
        if probabilities[index] <= LEVEL * (rank + 1) / len(order):
            last = rank
    bound = probabilities[order[last]] if last >= 0 else -1
    assert discoveries(probabilities) == [p <= bound for p in probabilities]


@given(st.lists(st.integers(0, 10**6), min_size=28, max_size=28))
def test_any_counts_can_be_compared(counts):
    change = compare(counts)
    assert 0 <= change.p <= 1.000001
    assert 0 < change.low <= change.high < math.inf


# In the store

EVENTS = {
    "shop.growing": "",
    "shop.fading": "",
    "shop.steady": "",
    "shop.unused": "",
    "shop.rare": "",
    "shop.fresh": "",
    "shop.gone": f", expires: {TODAY - dt.timedelta(days=3)}",
    "shop.going": f", expires: {TODAY + dt.timedelta(days=3)}",
}


@pytest.fixture
async def inventory(store_database, tmp_path, query):
    """Takes the inventory of these uses by event and day, counted from today backwards."""
    path = tmp_path / "events.yaml"
    lines = [
        f"  {name}: {{surface: web, feature: {name[5:]}, owner: till{more}}}"
        for name, more in EVENTS.items()
    ]
    path.write_text("product: shop\nevents:\n" + "\n".join(lines) + "\n")
    catalog = load_catalog(path)
    prepare(store_database, Settings(catalog))
    query("UPDATE footfall.catalog_events SET first_declared = first_declared - interval '1 year'")

    async def take(uses, rows=()):
        counts = {
            (MIDNIGHT - back * DAY + 3 * HOUR, dimension(name, *how)): number
            for name, how, by_day in uses
            for back, number in enumerate(by_day)
            if number
        }
        async with writing(store_database, catalog) as writer:
            await writer.consume(batch(*rows, counts=counts))
        house = House(catalog, 30, 400)
        await Housekeeper(store_database, house).run_due({"latency", "inventory"})
        return {row[0]: row[1:] for row in query(
            "SELECT event, uses, uses_before, days, verdict FROM reporting.features"
            " WHERE event = ANY(%s)", list(EVENTS)
        )}  # fmt: skip

    return take


def steadily(number, days=70):
    return [0, *[number + n % 3 for n in range(days)]]


async def test_each_event_has_its_verdict(inventory):
    found = await inventory([
        ("shop.growing", (), [0, *[60] * 28, *[30] * 40]),
        ("shop.fading", (), [0, *[30] * 28, *[60] * 40]),
        ("shop.steady", (), steadily(50)),
        ("shop.unused", (), [0] * 40 + [20] * 10),
        ("shop.rare", (), [0, 1, *[0] * 50, 1, *[0] * 10, 1]),
        ("shop.fresh", (), [0, *[40] * 12]),
        ("shop.gone", (), steadily(50)),
        ("shop.going", (), steadily(50)),
    ])  # fmt: skip
    assert {name[5:]: verdict for name, (*_, verdict) in found.items()} == {
        "growing": "growing", "fading": "fading", "steady": "steady", "unused": "unused",
        "rare": "too few to tell", "fresh": "new", "gone": "expired", "going": "expiring",
    }  # fmt: skip
    assert found["shop.growing"][:3] == (60 * 28, 30 * 28, 28)
    assert found["shop.rare"][:3] == (1, 1, 28)


async def test_what_is_young_is_compared_over_fewer_weeks(inventory):
    found = await inventory([
        ("shop.steady", (), steadily(50)),
        ("shop.growing", (), [0, *[60] * 14, *[30] * 16]),
    ])  # fmt: skip
    assert found["shop.growing"] == (60 * 14, 30 * 14, 14, "growing")


async def test_in_a_young_store_nothing_is_new(inventory):
    found = await inventory([("shop.fresh", (), [0, *[40] * 12])])
    assert found["shop.fresh"][-1] == "too few to tell"
    assert found["shop.unused"][-1] == "unused"


async def test_today_and_beginnings_do_not_count_and_failures_are_a_share(inventory, query):
    uses = [
        ("shop.steady", ("start",), [0, *[90] * 60]),
        ("shop.steady", ("success",), [7, *[30] * 60]),
        ("shop.steady", ("failure", "error"), [9, *[10] * 60]),
    ]
    moment = MIDNIGHT - 2 * DAY
    rows = [one_row(moment, dimension("shop.steady"), duration=n) for n in range(1, 101)]
    found = await inventory(uses, rows)
    assert found["shop.steady"][:2] == (40 * 28 + 100, 40 * 28)
    [(failures, p95_ms, last_used, last_day)] = query(
        "SELECT failures, p95_ms, last_used, last_day FROM reporting.features"
        " WHERE event = 'shop.steady'"
    )
    assert failures == pytest.approx(280 / (40 * 28 + 100))
    assert p95_ms == pytest.approx(95, rel=0.022)
    yesterday = TODAY - dt.timedelta(days=1)
    assert last_day == yesterday
    assert last_used == dt.datetime.combine(yesterday, dt.time(3), dt.UTC)


async def test_what_is_not_looked_at_yet_has_no_verdict(inventory, query):
    query("DELETE FROM footfall.inventory")
    assert set(query("SELECT uses, verdict FROM reporting.features")) == {(None, None)}
