"""The nine weeks that the demo makes up: the page says what its books say."""

import asyncio
import datetime as dt
from collections import Counter

import pytest

from collector.page.conftest import SHOWN, apart, collecting
from collector.page.drawn import flaws, pictured
from collector.page.told import day, whole
from conftest import new_database
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_processors import load_catalog
from support.stores import TODAY

BEGINNINGS = ("invoke", "start")
PATHS = (
    "/",
    "/feature?event=discord.generator",
    "/releases",
    "/failures",
    "/speed",
    "/groups",
    "/trust",
)


@pytest.fixture(scope="module")
def demo(postgres_server):
    """The page's address, and the demo's books of the days before today."""
    from footfall_examples.sahasrahbot.past import Past
    from footfall_examples.sahasrahbot.stage import CATALOG

    catalog = load_catalog(CATALOG)
    past = Past(catalog, "production", TODAY)
    with new_database(postgres_server) as dsn:
        prepare(dsn, Settings(catalog))
        apart(lambda: asyncio.run(past.store(dsn)))
        with collecting(dsn, catalog) as addresses:
            yield addresses.page, past


@pytest.fixture
def books(demo):
    """Of each day and event the uses, and of each day and surface."""
    found = Counter()
    for (date, event, action), number in demo[1].books.items():
        if action not in BEGINNINGS:
            found[date, event] += number
            found[date, event.partition(".")[0]] += number
    return found


def last(number):
    return [TODAY - dt.timedelta(days=ago) for ago in range(number - 1, -1, -1)]


def test_the_overview_says_what_the_books_say(opened, demo, books):
    page = opened(at=demo[0]).go("/").evaluate(SHOWN)
    days, surfaces = last(30), ("api", "discord", "racetime")
    assert page["tiles"]["Uses"][0] == whole(sum(books[d, s] for d in days for s in surfaces))
    assert [[row[s] for s in surfaces] for row in page["Uses by surface"]] == [
        [whole(books[d, s]) for s in surfaces] for d in days
    ]


@pytest.mark.parametrize("event", ["discord.generator", "api.sglive.seed_generate"])
def test_a_feature_says_what_the_books_say(opened, demo, books, event):
    page = opened(at=demo[0]).go(f"/feature?event={event}").evaluate(SHOWN)
    days = last(30)
    assert page["tiles"]["Uses"][0] == whole(sum(books[d, event] for d in days))
    assert [[row["Day (UTC)"], row["Uses"]] for row in page["Uses"]] == [
        [day(d), whole(books[d, event])] for d in days
    ]


def test_groups_are_those_of_the_books(opened, demo):
    page = opened(at=demo[0]).go("/groups").evaluate(SHOWN)
    guilds = demo[1].guilds
    shown = {row["Day (UTC)"]: row["Guilds"] for row in page["Guilds"]}
    known = {d: number for d, number in shown.items() if number != "not known"}
    assert len(known) >= 25
    assert known.items() <= {day(d): whole(number) for d, number in guilds.items()}.items()


@pytest.mark.parametrize("look", ["light", "phone"])
def test_the_demos_pages_are_drawn(opened, demo, look):
    at = opened(look, at=demo[0])
    for path in PATHS:
        page = at.go(path)
        pictured(page, f"demo {path.partition('?')[0].strip('/') or 'overview'} {look}")
        assert flaws(page) == [], path
    assert at.wrong == []
