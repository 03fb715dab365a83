"""`footfall publish`: the site says what is published and nothing else, whatever a catalog says."""

import csv
import datetime as dt
import io
import json
import os
import re
import secrets
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import psycopg
import pytest
from click.testing import CliRunner
from playwright.sync_api import sync_playwright
from psycopg import sql
from psycopg.conninfo import make_conninfo

from footfall_collector.cli import main
from instrumentation.browser_client.conftest import FLAGS, chromium  # noqa: F401  # a fixture
from support.stores import TODAY
from support.waiting import wait_until

YESTERDAY = TODAY - dt.timedelta(days=1)
HOSTILE = """</script><script>alert(1)</script>"><img src=x onerror=alert(2)> & 'more' ]]>"""
FORMULA = '=HYPERLINK("https://evil.example","go")'
TITLES = {"shop.order": HOSTILE, "shop.find": FORMULA, "shop.cart": "Carts"}


def figures():
    """(day, event or None, uses): more on some days than on others, and some days without."""
    for ago in range(1, 31):
        day = TODAY - dt.timedelta(days=ago)
        yield day, "shop.order", 1000 + 7 * ago
        if ago % 3:
            yield day, "shop.find", 30 + ago
        if ago > 9:
            yield day, "shop.cart", 11
        if ago % 5 == 0:
            yield day, None, 6


@pytest.fixture
def published(query):
    """A store in which all of `figures` is published, of a catalog that means no good."""
    for event, title in TITLES.items():
        query(
            "INSERT INTO footfall.catalog_events (product, event, title, description, owner, surface,"
            " feature, actions, version) VALUES ('shop', %s, %s, '', '', 'web', 'feature', '{success}', '')",
            event,
            title,
        )
    query("INSERT INTO footfall.publishing VALUES ('shop', 5)")
    for day in sorted({day for day, *_ in figures()}):
        query("INSERT INTO footfall.published_days VALUES (%s, 'shop', 5)", day)
    for day, event, uses in figures():
        query("INSERT INTO footfall.published VALUES (%s, 'shop', %s, %s)", day, event or "", uses)


@pytest.fixture
def publish(store_database, monkeypatch, tmp_path):
    """Runs the command; its result."""
    monkeypatch.setenv("FOOTFALL_DSN", store_database)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, ["publish", *map(str, words)])


@pytest.fixture
def site(published, publish, tmp_path):
    """The folder of a site."""
    done = publish("site")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return tmp_path / "site"


class Tables(HTMLParser):
    """The tables of a page, as rows of texts, and every element that it has."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.elements, self._cell, self._skip = [], [], None, 0
        self.data = ""
        self._in_data = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self._cell = []
        self._skip += tag == "svg"
        self._in_data = tag == "script"

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self.tables[-1][-1].append("".join(self._cell))
            self._cell = None
        self._skip -= tag == "svg"
        self._in_data = False

    def handle_data(self, data):
        if self._cell is not None and not self._skip:
            self._cell.append(data)
        if self._in_data:
            self.data += data


def last(number):
    return {TODAY - dt.timedelta(days=ago) for ago in range(1, number + 1)}


def summed(days):
    """By event, None for what stands together."""
    found = defaultdict(int)
    for day, event, uses in figures():
        found[event] += uses if day in days else 0
    return found


# What is in it


def content(place):
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


@pytest.mark.requirement("H5")
def test_the_page_has_the_figures_their_sums_and_nothing_else(site):
    page = Tables((site / "index.html").read_text("utf-8"))
    by_event, by_day = page.tables
    week, four, ever = (summed(last(number)) for number in (7, 28, 30))
    names = {"shop.order": f"{HOSTILE}shop.order", "shop.find": f"{FORMULA}shop.find",
             "shop.cart": "Cartsshop.cart", None: "Other"}  # fmt: skip

    def cells(*numbers):
        return [f"{number:,}" if number else "-" for number in numbers]

    order = ["shop.order", "shop.find", "shop.cart", None]
    assert by_event[1:-1] == [
        [names[event], "", *cells(week[event], four[event], ever[event])] for event in order
    ]
    sums = [sum(found.values()) for found in (week, four, ever)]
    assert by_event[-1] == ["Total", "", *cells(*sums)]
    assert len(by_day) == 29
    for row, day in zip(by_day[1:], sorted(last(28), reverse=True), strict=True):
        found = summed({day})
        assert row[0] == f"{day.day} {day:%B %Y}"
        assert row[1:] == cells(*(found[event] for event in order), sum(found.values()))


def test_json_csv_and_the_page_hold_the_rows_of_the_view(site, query):
    columns = ["day", "product", "event", "title", "surface", "feature", "count"]
    view = query(f"SELECT {', '.join(columns)} FROM reporting.published")
    assert len(view) == len(list(figures()))
    rows = sorted([[str(row[0]), *row[1:]] for row in view], key=str)
    told = json.loads((site / "published.json").read_bytes())
    page = Tables((site / "index.html").read_text("utf-8"))
    inside = json.loads(page.data)
    assert [list(figure) for figure in told["figures"]] == [columns] * len(rows)
    assert sorted([list(figure.values()) for figure in told["figures"]], key=str) == rows
    apart = [
        [day, *(event[column] for column in columns[1:-1]), count]
        for event in inside["events"]
        for day, count in event["by_day"].items()
    ]
    assert sorted(apart, key=str) == rows
    for document in (told, inside):
        assert {day["day"] for day in document["days"]} == {str(day) for day in last(30)}
        assert {(day["product"], day["k"]) for day in document["days"]} == {("shop", 5)}
    heading, *lines = csv.reader(io.StringIO((site / "published.csv").read_text("utf-8")))
    assert heading == columns
    plain = [["" if cell is None else str(cell) for cell in row] for row in rows]
    # A spreadsheet would run what begins like a formula.
    harmless = [[f"'{c}" if c == FORMULA else c for c in row] for row in plain]
    assert sorted(lines) == sorted(harmless)


def test_a_badge_says_the_week_of_its_event_and_that_few_used_it(site):
    badges = site / "badges"
    files = {str(path.relative_to(badges)) for path in badges.rglob("*.svg")}
    assert files == {"shop.svg", "shop/shop.order.svg", "shop/shop.find.svg", "shop/shop.cart.svg"}
    week = summed(last(7))

    def says(name):
        drawn = ET.parse(badges / name).getroot()
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        tags = {each.tag.partition("}")[2] for each in drawn.iter()}
        assert tags == {"svg", "title", "rect", "path", "g", "text"}
        assert f"(to {YESTERDAY.day} {YESTERDAY:%B %Y})" in drawn.get("aria-label")
        return [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]

    assert says("shop.svg") == ["shop", f"{sum(week.values()):,} this week"]
    title, figure = says("shop/shop.order.svg")
    assert (title, figure) == (f"{HOSTILE[:39]}…", f"{week['shop.order']:,} this week")
    assert says("shop/shop.cart.svg") == ["Carts", "few this week"]


def test_whatever_a_catalog_says_is_text(site):
    page = Tables((site / "index.html").read_text("utf-8"))
    tags = [tag for tag, _ in page.elements]
    assert "img" not in tags
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "figures"}]
    allowed = {"data:,", "published.json", "published.csv"}
    links = [a[name] for _, a in page.elements for name in ("href", "src") if name in a]
    assert {unquote(link) for link in links if not link.startswith("badges/")} == allowed
    assert not [
        a for _, a in page.elements if any(name.startswith("on") or name == "style" for name in a)
    ]


def test_a_browser_runs_nothing_asks_nobody_and_refuses_nothing_of_it(site, chromium):  # noqa: F811
    said, asked = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        assert said == []
        assert asked == [(site / "index.html").as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.locator("h2").first.inner_text() == "shop"
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.emulate_media(color_scheme="light")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert sum(map(int, re.findall(r"\d+", dark))) < 150
        assert sum(map(int, re.findall(r"\d+", light))) > 600
        # Whoever found a way to write into it would still run nothing, and be told nothing.
        page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=\"https://evil.example/x.png\""
            ' onerror="alert(3)"><p style="color: red">.</p>\')'
        )
        wait_until(lambda: page.evaluate("true") and len(said) == 3)
        assert all("Content Security Policy" in message for message in said)
        browser.close()


def test_the_same_figures_make_the_same_files(site, publish, tmp_path):
    before = content(site)
    assert publish("other").exit_code == 0
    assert content(tmp_path / "other") == before


# What is said of it


def test_what_was_written_is_told(published, publish):
    number = len(list(figures()))
    assert (
        publish("site").stdout == f"site: 7 files, {number} figures of 30 days up to {YESTERDAY}\n"
    )
    told = json.loads(publish("site", "--json").stdout)
    assert told == {
        "directory": "site",
        "files": told["files"],
        "products": ["shop"],
        "first_day": str(TODAY - dt.timedelta(days=30)),
        "last_day": str(YESTERDAY),
        "figures": number,
    }
    assert set(told["files"]) == content(Path("site")).keys()


def test_where_nothing_is_published_the_site_says_so(store_database, publish):
    done = publish("site")
    assert done.exit_code == 0
    assert done.stdout == "site: 3 files, without figures\n"
    assert "exporters.postgres.published" in done.stderr
    page = Path("site/index.html").read_text("utf-8")
    assert "Nothing is published yet" in page
    assert json.loads(Path("site/published.json").read_bytes())["figures"] == []
    told = json.loads(publish("site", "--json").stdout)
    assert (told["figures"], told["last_day"]) == (0, None)


def test_a_store_of_a_former_schema_is_told_in_one_line(publish, query):
    query("DROP VIEW reporting.published")
    done = publish("site")
    assert (done.exit_code, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert "another version" in line
    assert "footfall migrate" in line
    assert not Path("site").exists()


def test_an_empty_database_is_told_in_one_line(publish, empty_database, monkeypatch):
    monkeypatch.setenv("FOOTFALL_DSN", empty_database)
    [line] = publish("site").stderr.splitlines()
    assert "holds nothing of Footfall yet" in line


# With which rights


@pytest.fixture(params=["footfall_public", "footfall_reader"])
def login(postgres_server, store_database, request):
    """The connection string of a login that is a member of one role and nothing else."""
    name = sql.Identifier(f"site_{secrets.token_hex(4)}")
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x' IN ROLE {}")
        admin.execute(made.format(name, sql.Identifier(request.param)))
        yield make_conninfo(store_database, user=name._obj[0], password="x")
        admin.execute(sql.SQL("DROP ROLE {}").format(name))


def test_a_login_that_sees_nothing_else_writes_the_same_site(site, login, publish, monkeypatch):
    monkeypatch.setenv("FOOTFALL_DSN", login)
    assert publish("other").exit_code == 0
    assert content(Path("other")) == content(site)


def test_the_owner_writes_it_as_that_role(published, publish, query):
    query("REVOKE SELECT ON reporting.published FROM footfall_public")
    done = publish("site")
    assert done.exit_code == 1
    assert "permission denied" in done.stderr


# Where it is written


def test_a_site_takes_the_place_of_the_former_one_as_a_whole(site, publish, query):
    before = content(site)
    site.chmod(0o750)
    query("DELETE FROM footfall.published WHERE event = 'shop.cart'")
    assert publish(site).exit_code == 0
    after = content(site)
    assert before.keys() - after.keys() == {"badges/shop/shop.cart.svg"}
    assert site.stat().st_mode & 0o777 == 0o750
    assert [path.name for path in site.parent.iterdir()] == ["site"]


@pytest.mark.parametrize("strange", ["notes.txt", "badges/own.svg", ".git/config"])
def test_a_folder_with_anything_else_in_it_is_left_alone(site, publish, strange):
    (site / strange).parent.mkdir(exist_ok=True)
    (site / strange).write_text("mine")
    before = content(site)
    done = publish(site)
    assert (done.exit_code, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert strange in line
    assert content(site) == before


def test_somebody_elses_page_is_no_site_of_ours(published, publish, tmp_path):
    mine = tmp_path / "site"
    mine.mkdir()
    for said in (None, "[1]", '{"generator": "me", "files": ["index.html"]}', "{"):
        (mine / "index.html").write_text("mine")
        if said:
            (mine / "published.json").write_text(said)
        assert "index.html" in publish(mine).stderr
        assert (mine / "index.html").read_text() == "mine"


def test_an_empty_folder_is_taken_and_a_link_is_followed(published, publish, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "site").symlink_to("there")
    assert publish("site").exit_code == 0
    assert (tmp_path / "site").is_symlink()
    assert (tmp_path / "there/index.html").exists()


def test_what_cannot_be_written_is_told_in_one_line(published, publish, tmp_path):
    (tmp_path / "file").write_text("")
    for place, words in (
        ("none/site", "no folder"),
        ("file", "is a file"),
        ("/", "no folder of a site"),
    ):
        done = publish(place)
        assert done.exit_code == 1
        [line] = done.stderr.splitlines()
        assert words in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(published, publish, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    [line] = publish(closed / "site").stderr.splitlines()
    assert "Permission denied" in line
