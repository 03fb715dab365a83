"""Stores that are not as most: one event, nothing but counts, long names, and some from right to left."""

import asyncio
from contextlib import contextmanager

import pytest

from collector.page.conftest import apart, collecting
from collector.page.drawn import flaws, pictured
from conftest import new_database
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_processors import load_catalog
from support.batches import DAY, HOUR, batch, dimension
from support.stores import MIDNIGHT, writing

HEBREW, ARABIC = "שלום עולם (2)", "بحث 24"
LONG = "odd." + "n" * 124
EVENTS = {"odd.hebrew": HEBREW, "odd.arabic": ARABIC, LONG: "W" * 80, "odd.plain": "Plain"}
CATALOG = "product: odd\nevents:\n" + "".join(
    f"  {event}: {{surface: web, feature: {event[4:60]}, title: '{title}', description: '{title} 7',"
    f" owner: '{title}', actions: [success, failure]}}\n"
    for event, title in EVENTS.items()
)
PATHS = ("/", "/releases", "/failures", "/speed", "/groups", "/catalog", "/trust")
NOT_THERE = "Failed to load resource: the server responded with a status of 400"
"""What Chromium says of a report that a catalog without groups or providers does not have."""
SCRIPTS = r"/[\u0590-\u06ff]/"
LOOSE = f"""() => [...document.querySelectorAll("body *")].filter((node) => node.checkVisibility()
    && [...node.childNodes].some((each) => each.nodeType === 3 && {SCRIPTS}.test(each.data))
    && !node.closest("option, script, svg, h1:not(:has(*)), td, th, dd, p")
    && !["isolate", "plaintext"].includes(getComputedStyle(node).unicodeBidi))
    .map((node) => node.outerHTML.slice(0, 80))"""
ORDER = f"""() => [...document.querySelectorAll(".findings span > a, h1 a")]
    .filter((a) => {SCRIPTS}.test(a.textContent) && a.nextSibling?.nodeType === 3).map((a) => {{
        const range = document.createRange();
        range.selectNode(a.nextSibling);
        const [after] = range.getClientRects(), [name] = a.getClientRects();
        const isRight = name.right <= after.left + 1 || after.top >= name.bottom - 1;
        return [isRight, a.textContent + a.nextSibling.data];
    }})"""


async def fill(dsn, catalog, counts):
    prepare(dsn, Settings(catalog))
    async with writing(dsn, catalog) as writer:
        await writer.consume(batch(counts=counts, signal="metrics"))
    await Housekeeper(dsn, House(catalog, 30, 400)).run_due({"latency", "inventory"})


@contextmanager
def stored(server, folder, counts):
    """The page of a store with these counts, and nothing else."""
    (folder / "events.yaml").write_text(CATALOG)
    catalog = load_catalog(folder / "events.yaml")
    with new_database(server) as dsn:
        apart(lambda: asyncio.run(fill(dsn, catalog, counts)))
        with collecting(dsn, catalog) as addresses:
            yield addresses.page


@pytest.fixture(scope="module")
def plain(postgres_server, tmp_path_factory):
    """Counts of five weeks: no groups, durations, versions, services; one name fades, one begins."""
    counts = {}
    for ago in range(70):
        for event in EVENTS:
            usual = 4 if event == "odd.hebrew" and ago < 28 else 20
            at = MIDNIGHT - ago * DAY + (HOUR if ago else 0)
            counts[at, dimension(event)] = usual
            counts[at, dimension(event, "failure", "error", "provider_timeout")] = 2
    with stored(postgres_server, tmp_path_factory.mktemp("plain"), counts) as page:
        yield page


@pytest.fixture(scope="module")
def single(postgres_server, tmp_path_factory):
    """One event, and nothing more."""
    counts = {(MIDNIGHT, dimension("odd.plain")): 1}
    with stored(postgres_server, tmp_path_factory.mktemp("single"), counts) as page:
        yield page


@pytest.mark.parametrize("look", ["light", "phone"])
def test_long_names_and_those_from_right_to_left_have_their_place(opened, plain, look):
    at = opened(look, at=plain)
    features = [f"/feature?event={event}" for event in EVENTS]
    for number, path in enumerate((*PATHS, *features)):
        page = at.go(path)
        pictured(page, f"odd {number} {look}")
        assert flaws(page) == [], path
        assert page.evaluate(LOOSE) == [], path
        order = page.evaluate(ORDER)
        assert [text for is_right, text in order if not is_right] == [], path
        assert order or path != "/"
    assert [each for each in at.wrong if not each.startswith(NOT_THERE)] == []


def test_what_a_product_does_not_have_has_no_panel(opened, plain):
    at = opened(at=plain)
    page = at.go("/feature?event=odd.plain")
    heads = page.locator("section.panel h2").all_inner_texts()
    assert {"Uses", "How it ends", "Share that fails"} <= {*heads}
    assert {"How long it takes", "By provider", "Guilds that use it"} & {*heads} == set()
    assert page.inner_text(".tile:nth-child(3) .below") == "nothing with a duration"
    columns = at.go("/").locator(".inventory thead th").all_inner_texts()
    assert "Adoption" not in columns
    assert "Version" not in page.locator(".filter-row .choose").all_inner_texts()
    for path, said in (
        ("/releases", "There are no two versions to compare."),
        ("/speed", "Nothing to measure."),
        ("/groups", "No group is known."),
        ("/trust", "How complete it is is unknown."),
    ):
        assert at.go(path).inner_text("h1") == said
    assert [each for each in at.wrong if not each.startswith(NOT_THERE)] == []


@pytest.mark.parametrize("look", ["light", "phone"])
def test_one_event_is_shown(opened, single, look):
    at = opened(look, at=single)
    for path in (*PATHS, "/feature?event=odd.plain", "/feature?event=odd.hebrew"):
        page = at.go(path)
        pictured(page, f"single {path.partition('?')[0].strip('/') or 'overview'} {look}")
        assert flaws(page) == [], path
    page = at.go("/feature?event=odd.plain")
    assert page.inner_text(".tile .value") == "1"
    assert "1 of 4 features is in use" in at.go("/").inner_text("h1")
    assert [each for each in at.wrong if not each.startswith(NOT_THERE)] == []
