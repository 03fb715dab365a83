"""Every page in Chromium, with two months of a product: no error, the reports' figures, keys, readers."""

import contextlib
import datetime as dt
import re
from collections import Counter

import httpx
import pytest
from playwright.sync_api import TimeoutError

from collector.page.conftest import LOOKS, PATIENCE
from collector.page.drawn import flaws, pictured
from collector.page.told import DASH, THIN, duration, percent, whole
from support.stores import TODAY

PAGES = {
    "/": "features are in use",
    "/feature?event=api.sglive.seed": "Event seeds",
    "/releases": "fails more",
    "/failures": "of what ended failed",
    "/speed": "is the slowest",
    "/groups": "guilds on",
    "/live": "Live",
    "/catalog": "17 declared events",
    "/trust": "of what was counted is stored",
}


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_drawn_without_an_error_or_a_violation_and_asks_nobody_else(
    tabs, site, axe, look, path
):
    at = tabs(look)
    page = at.go(path)
    assert PAGES[path] in page.inner_text("h1")
    pictured(page, f"{path.partition('?')[0].strip('/') or 'overview'} {look}")
    assert flaws(page) == []
    assert at.wrong == []
    assert {url for url in at.asked if not url.startswith((site, "data:"))} == set()
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    assert [(each["id"], [n["target"] for n in each["nodes"]]) for each in found] == []


def between(low, high):
    """The bounds of a change, in whole per cent."""
    return f"{percent(low, True, 0)} to {percent(high, True, 0)}".replace(f"{THIN}% to", " to")


WORDS = {"too few to tell": "Too few to tell"}


def told(row):
    """A row of `features` as the table is to show it."""
    verdict = WORDS.get(row["verdict"], row["verdict"].capitalize())
    moved = row["change"] if row["verdict"] not in ("unused", "too few to tell") else None
    change = "" if moved is None else "no change" if not moved else percent(moved, signed=True)
    if moved is not None and row["change_low"] is not None:
        change += between(row["change_low"], row["change_high"])
    share = row["failures"]
    return [
        row["event"],
        whole(row["uses"]),
        verdict + change,
        DASH if share is None else percent(share),
        DASH if row["p95_ms"] is None else duration(row["p95_ms"]),
        DASH if row["adoption"] is None else percent(row["adoption"]),
        row["owner"] or "nobody",
    ]


CELLS = """() => [...document.querySelectorAll(".inventory tbody tr")].map((row) =>
    ["event", "uses", "verdict", "failed", "p95", "adoption", "owner"].map((name) => {
        const cell = row.querySelector("td." + name).cloneNode(true);
        cell.querySelectorAll(".since").forEach((each) => each.remove());
        return cell.textContent;
    }))"""


VERSIONS = """() => [...document.querySelectorAll("table:has(button.linkish) tbody tr")]
    .map((row) => [row.cells[0].innerText, row.querySelectorAll("td.num, th.num")[0].innerText])"""


def test_the_table_of_features_says_what_the_report_says(opened, report):
    page = opened().go("/")
    listed = report("features", by="product,event,title,owner,verdict")
    assert page.evaluate(CELLS) == [told(row) for row in listed]
    assert Counter(row["verdict"] for row in listed).keys() >= {"growing", "fading", "expired"}


def test_figures_are_sums_of_the_reports(opened, report):
    page = opened().go("/?period=7d")
    rows = report("usage", since=f"{TODAY - dt.timedelta(days=6)}", by="action,status")
    uses = sum(row["count"] for row in rows)
    failed = sum(row["count"] for row in rows if row["status"] != "ok")
    values = page.locator(".tile .value").all_inner_texts()
    assert values[:2] == [whole(uses), percent(failed / uses)]


BANDS = """() => [...document.querySelectorAll(".chart")].filter((each) => each.chart)
    .map((each) => each.chart.getOption().series)
    .map((all) => all.filter((one) => one.name === "band").map((one) => one.data))"""


def test_bounds_are_those_of_the_reports(opened, report):
    """A feature's share, by day and in all, and its p95."""
    event = "api.seeds.lookup"
    page = opened().go(f"/feature?event={event}&period=14d")
    days = [TODAY - dt.timedelta(days=ago) for ago in range(13, -1, -1)]
    of = {"since": f"{days[0]}", "event": event}
    [all_of], [fast] = report("outcomes", by="event", **of), report("latency", by="event", **of)
    tile = page.inner_text(".tiles")
    low, high = percent(all_of["share_low"]), percent(all_of["share_high"])
    assert f"{low[:-2]} to {high}" in tile
    assert f"{fast['p95_low_ms']} to {fast['p95_high_ms']} ms" in tile
    by_day = {row["day"]: row for row in report("outcomes", by="day", **of)}
    [foot, on], *more = [found for found in page.evaluate(BANDS) if found]
    for day, bottom, height in zip(map(str, days), foot, on, strict=False):
        row = by_day[day]
        assert (bottom, bottom + height) == pytest.approx((row["share_low"], row["share_high"]))
    assert len(foot) == 13, "the day that goes on is left out"
    assert len(more) == 1, "so has the p95"


def test_completeness_is_one_figure_and_what_is_too_much_makes_up_for_nothing(opened, report):
    rows = report("completeness")
    emitted, stored, untallied, surplus = (
        sum(row[column] or 0 for row in rows)
        for column in ("emitted", "stored", "untallied", "surplus")
    )
    assert min(untallied, surplus) > 0
    share = f"{(stored - surplus) * 1000 // emitted / 10:.1f}\N{NARROW NO-BREAK SPACE}%"
    known = f"of the {stored * 100 // (stored + untallied)}\N{NARROW NO-BREAK SPACE}% that senders"
    missing = whole(emitted - stored + surplus)
    at = opened()
    page = at.go("/")
    tile = page.locator(".tile", has=page.locator("dt:text-is('Complete')")).inner_text()
    for text in (tile, page.inner_text("footer")):
        assert [word for word in (share, known, missing) if word not in text] == []
    assert known in at.go("/trust").inner_text(".title p")
    assert page.inner_text("h1") == f"{share} of what was counted is stored."


def test_a_version_is_first_seen_when_the_report_says(opened, report):
    rows = report("annotations", since="2000-01-01", where="kind=version", by="service,version")
    first = {(row["service"], row["version"]): dt.datetime.fromisoformat(row["at"]) for row in rows}
    page = opened().go("/releases?service=api-service&period=7d")
    shown = dict(page.evaluate(VERSIONS))
    at = first["api-service", "2.14.0"]
    assert shown["2.14.0"] == f"{at.day} {at:%b}"


SINCE = """async () => {
    const main = document.querySelector("script[src$='/main.js']").src;
    const { sinceHour } = await import(main.replace("main.js", "words.js"));
    const hour = Math.floor(Date.now() / 3600e3) * 3600e3;
    return [hour, hour - 1, hour - 3600e3 * 5, hour - 3600e3 * 70].map(sinceHour);
}"""


def test_of_what_is_known_to_the_hour_no_minute_is_said(opened):
    this, last, five, days = opened().go("/catalog").evaluate(SINCE)
    assert (this, last, days) == ("this hour", "last hour", "3 days ago")
    assert five in ("5 hours ago", "6 hours ago")


def test_a_release_that_fails_more_is_said_where_it_matters(opened, report):
    [worse] = [
        r for r in report("releases") if r["verdict"] == "fails more" and r["event"] != "(all)"
    ]
    assert worse["event"] == "api.sglive.seed"
    at = opened()
    page = at.go("/")
    assert "Event seeds fails more since 2.14.0" in page.inner_text("h1")
    assert page.inner_text(".findings li:first-child").startswith(
        "Event seeds fails more since 2.14.0"
    )
    page = at.go("/releases?release=2.14.0")
    assert "saved presets; new seed client" in page.inner_text("tr:has(button[aria-pressed=true])")
    row = page.inner_text("tr:has-text('api.sglive.seed')")
    assert percent(worse["failed_before"]) in row
    assert percent(worse["failed"]) in row


def test_a_products_groups_are_asked_for(opened):
    at = opened()
    for path in ("/groups", "/"):
        at.go(f"{path}?product=sahasrahbot")
    asked = [url for url in at.asked if "/api/reports/groups?" in url]
    assert len(asked) >= 3
    assert all("where=product%3Dsahasrahbot" in url for url in asked)


DEPTH = ("mean", "median", "p90", "groups_1", "groups_2_3", "groups_4_7", "groups_8_up")


def test_how_many_features_a_guild_uses_is_what_the_report_says(opened, report):
    rows = {dt.date.fromisoformat(row["day"]).day: row for row in report("depth", since="7d")}
    page = opened().go("/groups?period=7d")
    page.get_by_role("button", name="Features per guild as a table").click()
    panel = page.locator(".panel", has=page.locator("h2:text-is('Features per guild')"))
    lines = [text.split("\t") for text in panel.locator("tbody tr").all_inner_texts()]
    shown = {int(re.findall(r"\d+", day)[0]): figures for day, *figures in lines}
    told = [
        (shown[day][n], row[name])
        for day, row in rows.items()
        for n, name in enumerate(DEPTH)
        if day in shown
    ]
    assert all(cell == "not known" for cell, figure in told if figure is None)
    known = [(float(cell), figure) for cell, figure in told if figure is not None]
    assert len(known) >= 7
    assert [cell for cell, _ in known] == [figure for _, figure in known]


def test_a_stream_that_is_refused_says_why_and_is_tried_again(opened, site):
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(httpx.stream("GET", f"{site}/api/live", timeout=60, verify=False))
        at = opened()
        at.page.clock.install()
        at.go("/live").wait_for_selector("text=16 streams are open", timeout=PATIENCE)
    at.hurry("text=Listening")


def test_the_stream_is_of_what_was_chosen(opened):
    at = opened()
    page = at.go("/live?product=sahasrahbot&env=production")
    page.wait_for_selector("text=Listening", timeout=PATIENCE)
    [asked] = [url for url in at.asked if "/api/live" in url]
    assert "/api/live?product=sahasrahbot&environment=production&after=" in asked


@pytest.mark.parametrize(("chosen", "environment"), [("", None), ("?env=production", "production")])
def test_live_begins_with_the_newest_of_what_was_chosen(opened, site, chosen, environment):
    shown = times_of_live(opened().go(f"/live{chosen}"))
    now = dt.datetime.now(dt.UTC)
    asked = {"since": (now - dt.timedelta(days=1)).isoformat()}
    events = httpx.get(f"{site}/api/reports/recent", params=asked, verify=False).json()["events"]
    newest = [e["created_at"] for e in events if environment in (None, e["environment"])][:24]
    assert len(newest) == 24
    assert [each.rpartition(", ")[2][:5] for each in shown] == [at[11:16] for at in newest]
    assert [", " in each for each in shown] == [at[:10] != f"{now:%Y-%m-%d}" for at in newest]


def test_live_says_where_nothing_of_it_came(opened):
    shown = times_of_live(opened().go("/live?env=nowhere"))
    assert shown == ["Nothing has arrived in the last 24 hours."]


def times_of_live(page):
    """The first column, once it listens."""
    page.wait_for_selector("text=Listening", timeout=PATIENCE)
    return page.locator("table.live tbody tr td:first-child").all_inner_texts()


def test_keys_lead_from_the_overview_to_a_features_failures(opened):
    at = opened()
    page = at.go("/")
    page.keyboard.press("/")
    page.keyboard.type("event seeds")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent") == "Event seeds"
    page.keyboard.press("Enter")
    page.wait_for_url("**/feature?event=api.sglive.seed")
    page.wait_for_selector("h2:text('How it ends')")
    for _ in range(5):  # on a machine that is busy the second key may come too late
        page.keyboard.press("g")
        page.keyboard.press("f")
        with contextlib.suppress(TimeoutError):
            page.wait_for_url("**/failures", timeout=5000)
            break
    page.wait_for_selector("tr:has-text('api.sglive.seed')")
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    page.wait_for_selector("#help", state="hidden")
    page.keyboard.press("u")
    page.wait_for_url(re.compile("/$"))


def test_keys_lead_on_as_soon_as_the_help_is_closed(opened):
    """Until the browser draws the next time, the focus is where it was in it."""
    at = opened()
    page = at.go("/failures")
    page.evaluate(
        """() => {
            const help = document.querySelector("#help");
            help.showModal();
            help.querySelector("button").focus();
            help.close();
            const pressed = new KeyboardEvent("keydown", { key: "u", bubbles: true });
            document.activeElement.dispatchEvent(pressed);
        }"""
    )
    page.wait_for_url(re.compile("/$"))


def test_what_is_chosen_stands_in_the_address_and_goes_along(opened):
    at = opened()
    page = at.go("/?owner=bot-team&sort=look&period=14d")
    shown = page.locator(".inventory td.owner").all_inner_texts()
    assert set(shown) == {"bot-team"}
    assert page.locator(".inventory td.verdict").first.inner_text().startswith("Fading")
    page.get_by_role("button", name="7 days").click()
    page.wait_for_url("**period=7d**")
    assert "owner=bot-team" in page.url
    page.wait_for_selector("nav a[href='/failures?period=7d']")
    page.locator(".verdicts .fading").click()
    assert "verdict=fading" in page.url
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")
    assert page.locator(".inventory tbody tr").count() == 1


def test_charts_mark_versions_and_what_was_noted(opened):
    page = opened().go("/feature?event=api.sglive.seed")
    said = page.inner_text(".chart[aria-label^='Uses of Event seeds']")
    assert [mark for mark in ("2.13.1", "2.14.0", "spring tournament ") if mark not in said] == []


def test_every_chart_has_its_table(opened):
    page = opened().go("/feature?event=api.sglive.seed")
    buttons = page.get_by_role("button", name="as a table")
    names = [button.get_attribute("aria-label") for button in buttons.all()]
    assert len(names) >= 5
    for name in names:
        page.get_by_role("button", name=name).click()
    assert page.locator("table.plain").count() == len(names)
    assert page.locator(".chart").count() == 0
    for name in names:
        page.get_by_role("button", name=name.replace("a table", "a chart")).click()
    assert page.locator(".chart svg path").count() > 0


def test_a_theme_that_was_chosen_stays(opened):
    at = opened("light")
    page = at.go("/catalog")
    page.get_by_role("button", name="Switch between light and dark").click()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(ground) == "rgb(15, 18, 21)"
    assert at.go("/trust").evaluate(ground) == "rgb(15, 18, 21)"


def test_a_feature_that_nobody_declares_is_said_to_be_none(opened):
    page = opened().go("/feature?event=no.such")
    assert "No such feature" in page.inner_text("main")


@pytest.mark.parametrize("width", [1280, 1366, 1440])
def test_the_features_stay_within_their_card(tabs, width):
    page = tabs("light").page
    size = page.viewport_size
    page.set_viewport_size({"width": width, "height": 900})
    try:
        tabs("light").go("/?period=30d")
        table, card = (
            page.eval_on_selector(of, "(node) => node.getBoundingClientRect().right")
            for of in (".inventory table", ".inventory")
        )
    finally:
        page.set_viewport_size(size)
    assert table <= card


def test_a_line_that_ends_before_others_has_no_name_at_their_end(tabs, report):
    rows = sorted(report("depth", since="30d"), key=lambda row: row["day"])
    means = [row["mean"] is not None for row in rows if row["median"] is not None]
    assert any(means)
    assert not means[-1]
    page = tabs("light").go("/groups?period=30d")
    said = page.locator(".chart[aria-label^='Different features'] svg text").all_text_contents()
    assert "Median" in said
    assert "Average" not in said
