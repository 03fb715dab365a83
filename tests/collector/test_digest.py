"""The digest: what was used, what changed, what died, what expires, in three forms."""

import datetime as dt

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from footfall_collector.cli import main
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.housekeeping import Housekeeper
from footfall_exporters.postgres.tasks import House
from footfall_processors import Loss, load_catalog
from support.batches import DAY, batch, dimension
from support.stores import MIDNIGHT, TODAY, writing

YESTERDAY = TODAY - dt.timedelta(days=1)
SOON, PAST = TODAY + dt.timedelta(days=9), TODAY - dt.timedelta(days=9)
CATALOG = f"""
product: bakery
events:
  bakery.order: {{surface: web, feature: order}}
  bakery.cart: {{surface: web, feature: cart, owner: till}}
  bakery.dead: {{surface: web, feature: dead, owner: "<b>till</b>"}}
  bakery.going: {{surface: web, feature: going, expires: {SOON}}}
  bakery.gone: {{surface: web, feature: gone, expires: {PAST}}}
"""


@pytest.fixture
async def digest(store_database, tmp_path, monkeypatch, query):
    """Runs the command for a store in which orders fail four times as often since a week."""
    (tmp_path / "events.yaml").write_text(CATALOG)
    catalog = load_catalog(tmp_path / "events.yaml")
    prepare(store_database, Settings(catalog))
    query("UPDATE footfall.catalog_events SET first_declared = first_declared - interval '1 year'")
    counts = {}
    for back in range(1, 61):
        moment = MIDNIGHT - back * DAY
        counts[moment, dimension("bakery.order")] = 100
        failed = dimension("bakery.order", "failure", "error", "empty_cart")
        counts[moment, failed] = 20 if back <= 7 else 5
        counts[moment, dimension("bakery.cart")] = 40 if back <= 28 else 80
    counts[MIDNIGHT - 50 * DAY, dimension("bakery.dead")] = 3
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=counts, losses={Loss.MALFORMED: 4}))
    query("UPDATE footfall.ingest_batches SET received_at = received_at - interval '1 day'")
    await Housekeeper(store_database, House(catalog, 30, 400)).run_due()
    monkeypatch.setenv("FOOTFALL_DSN", store_database)
    monkeypatch.chdir(tmp_path)

    def run(*words):
        done = CliRunner().invoke(main, ["digest", *words])
        assert (done.exit_code, done.stderr) == (0, ""), done
        return done.stdout

    return run


def test_a_week_is_told(digest):
    said = digest()
    assert said.startswith(f"Features, {TODAY - dt.timedelta(days=7)} to {YESTERDAY} (UTC)\n====")
    for line in (
        "- bakery.order: 840 (+14%)",
        "- bakery.cart: 280 (as before)",
        "- event=bakery.order: failures, 35 before, 140 now",
        "- bakery.order empty_cart: 140",
        "- bakery.cart: fading: 1,120 uses, 2,240 before (till)",
        f"- bakery.dead: unused: last used {TODAY - dt.timedelta(days=50)} (<b>till</b>)",
        f"- bakery.going: expiring: last day {SOON}",
        f"- bakery.gone: expired: last day {PAST}",
        "- traces malformed: 4",
    ):
        assert line in said.splitlines(), line


def test_a_day_is_yesterday(digest):
    said = digest("--daily")
    assert said.startswith(f"Features, {YESTERDAY} (UTC)\n")
    assert "- bakery.order: 120 (as before)" in said
    changed = said.partition("What changed")[2].partition("What failed")[0]
    assert changed.split() == ["------------", "Nothing."]


def test_what_a_catalog_says_is_no_markup(digest):
    page = digest("--format", "html")
    assert "&lt;b&gt;till&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "<b>" not in MarkdownIt().render(digest("--format", "markdown")).replace("&lt;b&gt;", "")


def test_without_a_store_it_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv("FOOTFALL_DSN", raising=False)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["digest"])
    assert (done.exit_code, done.stderr) == (
        1,
        "Error: there is no database yet; run `footfall up`\n",
    )
