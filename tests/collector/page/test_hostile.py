"""What others write is text: markup in every string, 500 features, long and right-to-left names."""

import asyncio
import datetime as dt
from functools import partial

import psycopg
import pytest

from collector.page.conftest import apart, collecting
from collector.page.drawn import flaws
from collector.page.test_pages import PAGES
from conftest import new_database
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import annotations, prepare
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_processors import Loss, load_catalog
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, writing

MARKUP = (
    "<img src=x onerror=\"window.ran='image'\">",
    "\"><script>window.ran='script'</script>",
    "'-alert(1)-'<svg onload=\"window.ran='svg'\">",
    "</title><style>*{display:none}</style>",
    "${window.ran='template'}{{7*7}}",
    "javascript:window.ran='address'",
)
IMAGE, SCRIPT, DRAWING, TITLE, TEMPLATE, ADDRESS = MARKUP
MANY = 500
LONG, HEBREW = "n" * 128, "שלום עולם"
BAD = "shop.bad"
PLANTED = """
    UPDATE footfall.catalog_events SET title = %(title)s, owner = %(owner)s, description = %(description)s,
        surface = %(surface)s, product = %(product)s WHERE event = 'shop.bad'
"""


def catalog_text():
    lines = ["product: shop", "attributes:", "  provider: {type: enum, values: [one]}", "events:"]
    names = [BAD, *(f"shop.e{n}" for n in range(MANY - 1))]
    return "\n".join(
        lines
        + [
            f"  {name}: {{surface: web, feature: f{n}, attributes: [provider]}}"
            for n, name in enumerate(names)
        ]
    )


async def fill(dsn, folder):
    path = folder / "events.yaml"
    path.write_text(catalog_text())
    catalog = load_catalog(path)
    prepare(dsn, Settings(catalog))
    rows, counts = [], {}
    for ago in range(1, 21):
        version = DRAWING if ago < 10 else SCRIPT
        of = partial(
            dimension, BAD, surface=IMAGE, service=TITLE, service_version=version,
            environment=TEMPLATE, provider=IMAGE,
        )  # fmt: skip
        at = MIDNIGHT - ago * DAY + HOUR
        for _ in range(10):
            rows.append(one_row(at, of("success", "ok"), 80))
        for _ in range(9 if ago < 10 else 1):
            rows.append(one_row(at, of("failure", "error", SCRIPT), 90))
        for n in range(MANY - 1 if ago == 1 else 0):
            counts[at, dimension(f"shop.e{n}", service=TITLE)] = 1 + n % 3
    async with writing(dsn, catalog) as writer:
        await writer.consume(batch(*rows, counts=counts, losses={Loss.MALFORMED: 1}))
    await Housekeeper(dsn, House(catalog, 30, 400)).run_due({"latency", "inventory"})
    return catalog


def plant(dsn):
    """Puts markup, a long and a right-to-left name where a catalog's words are."""
    values = (IMAGE, SCRIPT, DRAWING, TITLE, ADDRESS)
    columns = ("title", "owner", "description", "surface", "product")
    named = "UPDATE footfall.catalog_events SET title = %s WHERE event = %s"
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute(PLANTED, dict(zip(columns, values, strict=True)))
        for event, title in (("shop.e0", LONG), ("shop.e1", HEBREW)):
            session.execute(named, [title, event])
        at = dt.datetime.combine(TODAY - dt.timedelta(days=3), dt.time(), dt.UTC)
        annotations.add(session, annotations.Annotation(at, IMAGE, version=DRAWING))


@pytest.fixture(scope="module")
def hostile(postgres_server, tmp_path_factory):
    """The address of a page whose store is full of markup."""
    folder = tmp_path_factory.mktemp("hostile")
    with new_database(postgres_server) as dsn:
        catalog = apart(lambda: asyncio.run(fill(dsn, folder)))
        with collecting(dsn, catalog) as addresses:
            plant(dsn)  # now: a collector that starts declares its own catalog
            yield addresses.page


def test_markup_is_text_on_every_page(opened, hostile):
    at = opened(at=hostile)
    seen = ""
    for path in PAGES:
        page = at.go(path.replace("api.sglive.seed", BAD))
        seen += page.inner_text("body") + page.title()
        assert page.evaluate("window.ran") is None, path
        assert page.locator("main img, main script, body style, svg[onload]").count() == 0, path
        links = page.eval_on_selector_all("a", "(all) => all.map((each) => each.protocol)")
        assert set(links) <= {"http:"}, path
    assert [text for text in MARKUP if text not in seen] == []
    assert at.wrong == []
    assert all(url.startswith((hostile, "data:")) for url in at.asked)


def test_markup_in_the_address_is_text(opened, hostile):
    at = opened(at=hostile)
    query = "&".join(
        f"{key}=%3Cimg%20src%3Dx%20onerror%3D%22window.ran%3D1%22%3E"
        for key in ("q", "owner", "surface", "verdict", "event", "sort", "service", "release")
    )
    for path in ("/", "/feature", "/releases", "/catalog"):
        page = at.go(f"{path}?{query}")
        assert page.evaluate("window.ran") is None
        assert page.locator("main img").count() == 0


def test_five_hundred_features_are_paged_and_found(opened, hostile):
    page = opened(at=hostile).go("/")
    rows = page.locator(".inventory tbody tr")
    assert rows.count() == 30
    page.get_by_role("button", name="Next").click()
    assert rows.count() == 30
    assert "31 to 60 of 500" in page.inner_text(".pages")
    page.fill("input[type=search]", "shop.e499")
    assert rows.count() == 0 + page.locator("td.empty").count()
    page.fill("input[type=search]", "shop.e498")
    assert rows.count() == 1
    page.fill("input[type=search]", HEBREW)
    assert rows.count() == 1


@pytest.mark.parametrize("look", ["light", "phone"])
def test_long_names_do_not_break_the_page(opened, hostile, look):
    at = opened(look, at=hostile)
    for path in ("/catalog?q=nnnn", "/feature?event=shop.e0", "/?q=nnnn"):
        assert flaws(at.go(path)) == [], path
    assert at.page.locator(".inventory tbody tr").count() == 1
