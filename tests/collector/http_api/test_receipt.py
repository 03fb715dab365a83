"""R-number G7: a client that keeps a token finds what is stored under it, and has it erased."""

import datetime as dt
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from footfall_collector.receivers.api.receipt import LONGEST, SHORTEST

TOKEN, OTHER = "k3-Q_m1xRr0aY7pTz5uWcg", "b" * SHORTEST
SHOWN = {"event": "suggestion_shown", "count": 3}
NOTHING = {"ok": True, "events": 0, "stored": []}


def post(api, token=TOKEN, body=SHOWN, viewer="walker-1"):
    digest = hashlib.sha256(token.encode()).hexdigest()
    return api.post("/telemetry/ingest", body, viewer=viewer, footfall_receipt=digest)


def ask(api, token=TOKEN, method="GET"):
    headers = {} if token is None else {"footfall-receipt-token": token}
    return api.http.request(method, "/telemetry/receipt", headers=headers)


@pytest.mark.requirement("G7")
def test_whoever_has_the_token_is_told_what_is_stored_under_it(api):
    for token, viewer in ((TOKEN, "walker-1"), (TOKEN, "walker-2"), (OTHER, "walker-1")):
        assert post(api, token, viewer=viewer).json() == {"ok": True}
    api.post("/telemetry/ingest", SHOWN)  # without
    said = ask(api)
    assert said.status_code == 200
    assert said.json() == {
        "ok": True,
        "events": 6,
        "stored": [
            {"day": said.json()["stored"][0]["day"], "event": "suggestion_shown", "count": 6}
        ],
    }
    assert ask(api, "n" * SHORTEST).json() == NOTHING


def test_whoever_asks_for_the_head_alone_gets_it_and_erases_nothing(api):
    post(api)
    head = ask(api, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert ask(api).json()["events"] == 3


def test_nobody_waits_for_all_who_came_before_while_the_store_hangs(api):
    with psycopg.connect(api.dsn) as holding, ThreadPoolExecutor(6) as pool:
        holding.execute("LOCK footfall.feature_events IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        answers = [*pool.map(lambda _: ask(api), range(6))]
        assert time.monotonic() - begun < 12  # each takes 3 seconds to be refused the table
    assert {answer.status_code for answer in answers} == {503}
    assert all(answer.json()["error"] == "unavailable" for answer in answers)
    assert all("retry-after" in answer.headers for answer in answers)
    assert ask(api).json() == NOTHING


@pytest.mark.requirement("G7")
def test_and_has_it_erased_with_its_counts_and_nobody_elses(api):
    api.query("WITH d AS (DELETE FROM footfall.losses_daily RETURNING 1) SELECT count(*) FROM d")
    post(api)
    post(api, OTHER)
    before = ask(api).json()
    assert ask(api, method="DELETE").json() == before
    assert before["events"] == 3
    assert ask(api).json() == ask(api, method="DELETE").json() == NOTHING
    assert ask(api, OTHER).json()["events"] == 3
    assert api.counts() == {"suggestion_shown": 3}
    assert api.losses() == {"erased": 3}
    summary = api.http.get("/telemetry/summary", headers={"x-viewer": "walker-1"})
    assert summary.json()["counts"]["suggestion_shown"] == 3


@pytest.mark.requirement("G7")
def test_the_token_is_stored_nowhere_nor_its_digest(api):
    post(api)
    ask(api)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    rows = str(api.query("SELECT e::text FROM footfall.feature_events e"))
    assert all(s not in rows for s in (TOKEN, digest, digest[:32]))
    log = api.up.log.read_text()
    assert TOKEN not in log
    assert digest not in log


def test_what_a_client_says_of_the_attribute_itself_does_not_count(api):
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    event = {"event": "suggestion_shown", "ts": dt.datetime.now(dt.UTC).isoformat()}
    posted = {"events": [event | {"receipt_id": digest}]}
    assert api.post("/telemetry/events", posted).json()["accepted"] == 1
    assert ask(api).json() == NOTHING


@pytest.mark.parametrize("token", [None, "", "short", "x" * (LONGEST + 1)])
def test_what_is_no_token_is_refused(api, token):
    for method in ("GET", "DELETE"):
        answer = ask(api, token, method)
        said = {"ok": False, "error": "invalid_request"}
        assert (answer.status_code, answer.json()) == (400, said)


@pytest.mark.parametrize("digest", ["", "abc", "G" * 64, "A" * 64, TOKEN])
def test_what_is_no_receipt_is_refused_with_what_came_with_it(api, digest):
    answer = api.post("/telemetry/ingest", SHOWN, footfall_receipt=digest)
    assert (answer.status_code, answer.json()) == (400, {"ok": False, "error": "invalid_request"})
    assert api.counts() == {}
