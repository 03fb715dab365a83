"""Before the first event the page says how to begin; with it the overview comes by itself."""

import time

import httpx
import pytest

from collector.page.conftest import LOOKS, PATIENCE, collecting
from collector.page.drawn import flaws, pictured
from conftest import new_database


@pytest.fixture
def empty(postgres_server, store):
    with new_database(postgres_server) as dsn, collecting(dsn, store[1]) as addresses:
        yield addresses


def one_event(name):
    action = {"key": "feature.action", "value": {"stringValue": "success"}}
    record = {"eventName": name, "timeUnixNano": str(time.time_ns()), "attributes": [action]}
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def test_an_empty_store_is_drawn_without_a_flaw_or_a_violation(opened, empty, axe):
    for look in LOOKS:
        page = opened(look, at=empty.page).go("/")
        pictured(page, f"empty {look}")
        assert flaws(page) == [], look
        page.evaluate(axe)
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        assert [each["id"] for each in found] == [], look


def test_an_empty_store_says_how_to_begin_and_then_shows_the_first_event(opened, empty):
    at = opened(at=empty.page)
    for path, said in (
        ("/catalog", "17 declared events"),
        ("/trust", "unknown"),
        ("/live", "Live"),
    ):
        assert said in at.go(path).inner_text("h1")
    at.page.clock.install()
    page = at.go("/")
    assert page.inner_text("h1") == "Nothing has arrived yet."
    assert page.locator(".teach li").count() == 3
    sent = httpx.post(f"{empty.otlp}/v1/logs", json=one_event("discord.generator"), verify=False)
    assert (sent.status_code, sent.json()) == (200, {})
    at.hurry("h1:has-text('1 of 17 features is in use')")
    row = page.locator(".inventory tbody tr").first
    assert "Seed generator" in row.inner_text()
    assert row.locator("td.uses").inner_text() == "1"
    assert at.wrong == []
    at = opened(at=empty.page)  # by the clock on the wall
    page = at.go("/live")
    page.wait_for_selector("text=Listening", timeout=PATIENCE)
    [first] = page.locator("table.live tbody tr").all_inner_texts()
    assert "Seed generator" in first  # it came before the page was opened
    httpx.post(f"{empty.otlp}/v1/logs", json=one_event("web.tracker"), verify=False)
    httpx.post(f"{empty.otlp}/v1/logs", json=one_event("nobody.declares.this"), verify=False)
    page.wait_for_selector("table.live tr:has-text('Map tracker')", timeout=PATIENCE)
    page.wait_for_selector(
        "table.live tr:has-text('No such event in the catalog')", timeout=PATIENCE
    )
    assert "nobody.declares.this" not in page.content()
    assert page.locator("table.live tbody tr").count() == 3
    assert at.wrong == []
