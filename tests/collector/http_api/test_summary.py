"""R-numbers B2, B3, B6: `GET …/summary?days=N` counts what the viewer who asks did, within a window."""

import asyncio
import datetime as dt

import psycopg
import pytest

from collector.keyed import NAMES
from footfall_exporters.postgres import purge
from support.waiting import wait_until

EVENTS = {"suggestion_shown", "suggestion_accepted"}
"""Those of the catalog that are kept by viewer."""


def summary(api, days=None, viewer="walker-1", prefix="/telemetry", **headers):
    named = {} if viewer is None else {"x-viewer": viewer}
    query = {} if days is None else {"days": days}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.http.get(f"{prefix}/summary", params=query, headers=named | more)


def counts(api, days=7, **asked):
    answer = summary(api, days, **asked)
    assert answer.status_code == 200, answer.text
    return {event: number for event, number in answer.json()["counts"].items() if number}


def happened(api, ago):
    """Has what is stored have happened so long ago."""
    with psycopg.connect(api.dsn, autocommit=True) as connection:
        connection.execute("UPDATE footfall.feature_events SET time = time - %s", [ago])


@pytest.mark.requirement("B2")
@pytest.mark.parametrize("prefix", ["/telemetry", "/api/telemetry"])
def test_every_event_of_the_allowlist_is_present(api, prefix):
    api.post("/telemetry/ingest", {"event": "suggestion_shown", "count": 12})
    api.post("/telemetry/ingest", {"event": "suggestion_shown"})
    answer = summary(api, prefix=prefix)
    assert answer.status_code == 200
    assert answer.json() == {
        "ok": True,
        "days": 7,
        "counts": {"suggestion_shown": 13, "suggestion_accepted": 0},
    }
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "ratelimit" in answer.headers


@pytest.mark.requirement("B2")
@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("1", 1), ("30", 30), ("31", 30), ("0", 1), ("-3", 1), ("9" * 4000, 30), (" 5 ", 5), ("+5", 5),
        ("", 7), ("abc", 7), ("2.5", 7), ("9" * 5000, 7), (None, 7),
    ],
)  # fmt: skip
def test_days_are_made_an_int_and_clamped(api, asked, taken):
    answer = summary(api, asked)
    assert (answer.status_code, answer.json()["days"]) == (200, taken)
    assert answer.json()["counts"].keys() == EVENTS


@pytest.mark.requirement("B2")
def test_the_window_is_so_many_times_24_hours(api):
    api.post("/telemetry/ingest", {"event": "suggestion_accepted", "count": 2})
    happened(api, dt.timedelta(days=2, minutes=-5))
    assert (counts(api, 1), counts(api, 2)) == ({}, {"suggestion_accepted": 2})
    happened(api, dt.timedelta(minutes=10))
    assert (counts(api, 2), counts(api, 3)) == ({}, {"suggestion_accepted": 2})


@pytest.mark.requirement("B2")
@pytest.mark.requirement("B3")
def test_a_viewer_sees_nobody_elses_counts(api):
    for viewer, count in (("walker-1", 3), ("walker-2", 5), ("Walker-1", 7)):
        body = {"event": "suggestion_shown", "count": count}
        assert api.post("/telemetry/ingest", body, viewer=viewer).status_code == 200
    backend = {"authorization": f"Bearer {NAMES}", "footfall_viewer": "walker-2"}
    assert counts(api) == {"suggestion_shown": 3}
    assert counts(api, viewer="walker-2") == {"suggestion_shown": 5}
    assert counts(api, viewer=None, **backend) == {"suggestion_shown": 5}
    assert counts(api, viewer="walker-3") == {}
    lie = api.http.get(
        "/telemetry/summary",
        params={"viewer_id": "walker-2", "viewer": "walker-2", "user_id": "walker-2"},
        headers={"x-viewer": "walker-3"},
    )
    assert set(lie.json()["counts"].values()) == {0}


@pytest.mark.requirement("B2")
@pytest.mark.requirement("B6")
def test_nobody_is_no_viewer(api):
    for answer in (
        summary(api, viewer=None),
        summary(api, viewer=None, authorization=f"Bearer {api.key}"),
        summary(api, authorization="Bearer ffk_wrong"),
    ):
        assert (answer.status_code, answer.json()) == (401, {"ok": False, "error": "no_viewer"})


def test_other_events_of_the_same_viewer_are_not_told(api):
    """What does not declare the viewer is stored without one."""
    api.post("/telemetry/ingest", {"event": "button_click"})
    answer = summary(api)
    assert answer.json()["counts"] == dict.fromkeys(EVENTS, 0)


@pytest.mark.requirement("B2")
def test_a_purge_lowers_what_the_summary_counts(api):
    api.post("/telemetry/ingest", {"event": "suggestion_shown", "count": 4})
    happened(api, dt.timedelta(days=3))
    api.post("/telemetry/ingest", {"event": "suggestion_shown"})
    assert counts(api) == {"suggestion_shown": 5}
    purged = asyncio.run(purge(api.dsn, 1, dry_run=False))
    assert sum(purged.rows.values()) == 1
    assert counts(api) == {"suggestion_shown": 1}


def test_every_day_has_an_index_of_viewers(api):
    """Housekeeping has seen to those that were there before the collector knew of them."""
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'footfall.by_viewer_hash'::regclass"
    wait_until(lambda: api.query(valid) == [(True,)])


def test_without_the_store_it_says_come_again(api):
    with psycopg.connect(api.dsn) as holding:
        holding.execute("LOCK TABLE footfall.feature_dims IN ACCESS EXCLUSIVE MODE")
        answer = summary(api)
    assert (answer.status_code, answer.json()) == (503, {"ok": False, "error": "unavailable"})
    assert int(answer.headers["retry-after"]) >= 1
    assert summary(api).status_code == 200
    assert "walker" not in api.up.log.read_text()
