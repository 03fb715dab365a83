"""What a feature may carry, how durations are spread, what is slower, and to whom all is passed on."""

import datetime as dt

import psycopg

from collector.page.told import duration, whole
from support.stores import TODAY

DETAILS = """() => Object.fromEntries([...document.querySelectorAll(".facts > div")]
    .map((each) => [each.firstChild.innerText, each.lastChild.innerText]))"""
PLAIN = """() => [...document.querySelectorAll("table.plain tbody tr")]
    .map((row) => [...row.cells].map((cell) => cell.innerText))"""
HELD = {"guild_id": "hash of a day, stands for somebody", "provider": "one of a list, names nobody"}


def test_a_feature_says_what_it_may_carry_and_whether_that_names_somebody(opened):
    facts = opened().go("/feature?event=discord.generator").evaluate(DETAILS)
    assert facts["Carries"].splitlines() == [f"{name} {held}" for name, held in HELD.items()]
    assert [line.split()[0] for line in facts["Actions"].split("\n") if line] == [
        "invoke", "success", "failure",
    ]  # fmt: skip
    facts = opened().go("/feature?event=web.tracker").evaluate(DETAILS)
    assert facts["Carries"] == f"provider {HELD['provider']}"


def test_the_catalog_says_the_worst_of_what_an_event_may_carry(opened, store):
    page = opened().go("/catalog")
    for event, of in carried(store).items():
        said = page.locator("tr", has=page.get_by_text(event, exact=True)).inner_text()
        assert ", ".join(of) in said
        assert ("stands for somebody" if "guild_id" in of else "names nobody") in said


def carried(store):
    """What each event may carry, as it is written, in order of names."""
    found = {name: sorted(event.attributes) for name, event in store[1].events.items()}
    return {name: of for name, of in found.items() if not name.startswith("footfall.")}


def test_durations_are_spread_as_the_report_says(opened, report):
    page = opened().go("/feature?event=api.seeds.lookup&period=14d")
    page.get_by_role("button", name="Durations as a table").click()
    since = f"{TODAY - dt.timedelta(days=13)}"
    rows = report("distribution", since=since, by="event", event="api.seeds.lookup")
    assert sum(row["observations"] for row in rows) > 1000
    assert page.evaluate(PLAIN) == [
        [duration(row["from_ms"]), duration(row["to_ms"]), whole(row["observations"])]
        for row in rows
    ]


def test_what_is_slower_since_a_release_is_said_where_it_matters(opened, report):
    told = {row["event"]: row["speed"] for row in report("releases") if row["speed"]}
    assert [event for event, speed in told.items() if speed == "slower"] == ["api.sglive.seed"]
    at = opened()
    page = at.go("/speed")
    assert page.inner_text("h1").startswith("Event seeds is slower since 2.14.0.")
    words = {"slower": "Slower", "no difference seen": "No difference"}
    for event, speed in told.items():
        row = page.locator("tr", has=page.get_by_text(event, exact=True)).inner_text()
        assert words.get(speed, "Too few to tell") in row
    assert "Slower since 2.14.0" in at.go("/feature?event=api.sglive.seed").inner_text("h1")
    row = at.go("/releases?service=api-service").inner_text("tr:has-text('api.sglive.seed')")
    assert "Slower" in row


def test_trust_says_how_far_each_backend_is(opened, store):
    at = opened()
    assert at.go("/trust").get_by_role("heading", name="Passed on").count() == 0
    with psycopg.connect(store[0], autocommit=True) as owner:
        owner.execute(
            "INSERT INTO footfall.subscribers SELECT name, position - behind, now() FROM"
            " footfall.commit_clock, (VALUES ('posthog', 2), ('warehouse', 0)) AS s (name, behind)"
        )
        try:
            page = at.go("/trust")
        finally:
            owner.execute("DELETE FROM footfall.subscribers")
    panel = page.locator("section", has=page.get_by_role("heading", name="Passed on"))
    assert panel.locator(".note").inner_text() == "1 backend behind"
    said = [row.inner_text() for row in panel.locator("tbody tr").all()]
    assert "2 commits behind" in said[0]
    assert said[0].startswith("posthog")
    assert "Has all" in said[1]
    assert said[1].startswith("warehouse")
