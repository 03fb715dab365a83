"""R-numbers B1, B3, B6: `POST …/ingest` takes `{event, count}` of a viewer whom the server knows."""

import json
import uuid

import pytest

PERSONAL = "ada.lovelace@example.org"


@pytest.mark.requirement("B1")
@pytest.mark.parametrize("prefix", ["/telemetry", "/api/telemetry"])
def test_a_count_is_one_row_with_its_quantity(api, prefix):
    answer = api.post(f"{prefix}/ingest", {"event": "suggestion_accepted", "count": 3})
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert api.query("SELECT event_name, quantity FROM reporting.events") == [
        ("suggestion_accepted.accepted", 3)
    ]
    assert api.counts() == {"suggestion_accepted": 3}


@pytest.mark.requirement("B1")
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (1, 1), (50, 50), (51, 50), (10**30, 50), (0, 1), (-7, 1), ("3", 3), (" 4 ", 4), (2.9, 2),
        (-0.5, 1), (True, 1), ("three", 1), (None, 1), ([7], 1), ({"n": 7}, 1), ("9" * 4000, 50),
    ],
)  # fmt: skip
def test_a_count_is_made_an_int_and_clamped(api, sent, stored):
    answer = api.post("/telemetry/ingest", {"event": "suggestion_shown", "count": sent})
    assert answer.json() == {"ok": True}
    assert api.counts() == {"suggestion_shown": stored}


@pytest.mark.requirement("B1")
def test_a_count_that_is_not_said_is_one(api):
    assert api.post("/telemetry/ingest", {"event": "suggestion_shown"}).json() == {"ok": True}
    assert api.counts() == {"suggestion_shown": 1}


@pytest.mark.requirement("B1")
@pytest.mark.parametrize(
    "body",
    [
        {"event": "suggestion_stolen", "count": 1},
        {"event": PERSONAL},
        {"event": 7},
        {"event": None},
        {"event": "old_event"},
        {"count": 1},
        {},
        b"",
        b"{",
        b"[]",
        b'"suggestion_shown"',
        b"\xff\xfe",
        b'{"event": "suggestion_shown", "count": NaN}',
        b"[" * 100_000,
        b'{"event":' * 10_000,
    ],
    ids=lambda body: repr(body)[:30],
)
def test_whatever_else_is_an_invalid_event(api, body):
    answer = api.post("/telemetry/ingest", body)
    assert (answer.status_code, answer.json()) == (400, {"ok": False, "error": "invalid_event"})
    assert api.counts() == {}
    assert api.query("SELECT count(*) FROM footfall.feature_events") == [(0,)]
    assert PERSONAL not in api.up.log.read_text()


@pytest.mark.parametrize("hidden", [b'"body": "x"', b'"more": [{"b\\u006fdy": null}]'])
def test_a_body_anywhere_is_an_invalid_event_and_counted(api, hidden):
    answer = api.post("/telemetry/ingest", b'{"event": "suggestion_shown", %b}' % hidden)
    assert (answer.status_code, answer.json()) == (400, {"ok": False, "error": "invalid_event"})
    assert (api.counts(), api.losses()) == ({}, {"body": 1})


def test_more_than_four_kilobytes_are_an_invalid_event(api):
    answer = api.post("/telemetry/ingest", {"event": "suggestion_shown", "note": "x" * 4096})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_event")
    assert api.counts() == {}


def test_of_a_key_that_is_there_twice_the_last_counts(api):
    twice = b'{"event": "suggestion_stolen", "event": "suggestion_shown", "count": 9, "count": 2}'
    assert api.post("/telemetry/ingest", twice).json() == {"ok": True}
    assert api.counts() == {"suggestion_shown": 2}


@pytest.mark.requirement("B1")
def test_two_equal_posts_are_two(api):
    for _ in range(2):
        assert api.post("/telemetry/ingest", {"event": "suggestion_shown"}).json() == {"ok": True}
    assert api.counts() == {"suggestion_shown": 2}


@pytest.mark.requirement("B1")
def test_nobody_is_no_viewer_and_a_senders_key_names_nobody(api):
    body = {"event": "suggestion_shown"}
    for answer in (
        api.post("/telemetry/ingest", body, viewer=None),
        api.post("/telemetry/ingest", body, viewer=None, authorization=f"Bearer {api.key}"),
        api.post("/telemetry/ingest", body, authorization="Bearer ffk_wrong"),
        api.post("/telemetry/ingest", body, authorization="Basic d2Fsa2VyOng="),
    ):
        assert (answer.status_code, answer.json()) == (401, {"ok": False, "error": "no_viewer"})
    assert api.counts() == {}


@pytest.mark.requirement("B3")
def test_the_viewer_is_the_servers_word_and_stored_as_a_pseudonym(api):
    for viewer, lie in (("walker-1", "walker-2"), ("walker-1", None), ("walker-2", "walker-1")):
        body = {"event": "suggestion_shown", "viewer_id": lie, "viewer": lie}
        assert api.post("/telemetry/ingest", body, viewer=viewer).json() == {"ok": True}
    rows = api.query(
        "SELECT viewer_hash, sum(quantity)::int FROM footfall.feature_events GROUP BY 1"
    )
    assert sorted(number for _, number in rows) == [1, 2]
    assert all(isinstance(viewer, uuid.UUID) for viewer, _ in rows)


def test_other_media_types_and_methods_are_refused(api):
    body = {"event": "suggestion_shown"}
    answer = api.post("/telemetry/ingest", body, content_type="text/plain")
    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type")
    assert api.http.get("/telemetry/ingest").status_code == 405
    assert api.post("/telemetry/ingest/", body).status_code == 404
    assert api.counts() == {}


def test_a_body_that_is_too_long_is_refused(api):
    body = json.dumps({"event": "suggestion_shown", "note": "x" * 2**19}).encode()
    answer = api.post("/telemetry/ingest", body)
    assert (answer.status_code, answer.json()) == (413, {"ok": False, "error": "too_large"})
    assert api.counts() == {}
