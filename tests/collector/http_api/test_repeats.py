"""A request that its client named is stored once, however often it comes; nothing else is under its name."""

import asyncio
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from collector.http_api.conftest import collector
from conftest import new_database
from support.up import Up

BODY = {"event": "suggestion_shown", "count": 2}


def post(api, body=BODY, key="key-1", path="/telemetry/ingest", **options):
    return api.post(path, body, idempotency_key=key, **options)


def test_a_retry_under_the_same_name_is_stored_once_and_answered_as_the_first(api):
    for _ in range(3):
        assert post(api).json() == {"ok": True}
    assert api.counts() == {"suggestion_shown": 2}
    mixed = [{"event": "auth.login.success", "ts": 1}, {"event": "auth.login.success"}]
    answers = [post(api, {"events": mixed}, path="/telemetry/events").json() for _ in range(2)]
    assert [(a["accepted"], a["rejected"]) for a in answers] == [(0, 2), (0, 2)]


def test_another_body_under_the_same_name_is_422_and_not_stored(api):
    assert post(api).json() == {"ok": True}
    answer = post(api, BODY | {"count": 3})
    assert answer.status_code == 422
    assert answer.json() == {"ok": False, "error": "idempotency_conflict"}
    assert post(api).json() == {"ok": True}
    assert api.counts() == {"suggestion_shown": 2}


def test_the_ids_of_its_events_name_a_request_too(api):
    def send(*ids, **more):
        now = time.time() * 1000
        events = [{"event": "prompt_copied", "ts": now, "event_id": each, **more} for each in ids]
        return json.dumps(
            {"events": [{k: v for k, v in e.items() if v is not None} for e in events]}
        )

    def sent(body):
        return api.post("/telemetry/events", body.encode())

    body = send("a", "b")
    assert [sent(body).json()["accepted"] for _ in range(3)] == [2, 2, 2]
    assert api.counts() == {"prompt_copied": 2}
    assert sent(send("a", "b", variant="json")).status_code == 422
    assert sent(send("b", "a")).json()["accepted"] == 2
    for unnamed in (send("c", None), send("x" * 300), send("")):
        assert [sent(unnamed).status_code for _ in range(2)] == [200, 200]
    assert api.counts() == {"prompt_copied": 4 + 4 + 2 + 2}
    assert not [reason for reason in api.losses() if "attribute" in reason]  # an id is none


def test_names_are_each_viewers_own_and_each_routes(api):
    for viewer in ("walker-1", "walker-2"):
        assert post(api, viewer=viewer).json() == {"ok": True}
    event = {"event": "button_click", "timestamp": 1}
    assert post(api, event, path="/telemetry/track").status_code == 400  # of 1970, and no conflict
    assert api.counts() == {"suggestion_shown": 4}


def test_of_many_at_once_one_is_stored_and_those_who_say_otherwise_are_told(api):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: post(api, BODY | {"count": 1 + n % 2}), range(32)))
    codes = [answer.status_code for answer in answers]
    [(stored,)] = api.query("SELECT quantity FROM footfall.feature_events")
    expected = [200 if 1 + n % 2 == stored else 422 for n in range(32)]
    assert codes == expected


@pytest.mark.parametrize("key", ["", "x" * 256, "ä"], ids=["empty", "long", "letters"])
def test_a_name_that_cannot_be_used_is_refused(api, key):
    answer = post(api, key=key.encode("latin-1"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert api.counts() == {}


@pytest.mark.parametrize(("key", "stored"), [("key-1", 2), (None, 4)], ids=["named", "unnamed"])
def test_after_kill_9_a_retry_is_what_its_name_says(postgres_server, tmp_path, key, stored):
    """What was committed when the collector was killed, and not answered, is sent again."""
    with new_database(postgres_server) as dsn:
        api = collector(tmp_path, dsn)
        headers = {} if key is None else {"idempotency_key": key}
        assert api.post("/telemetry/ingest", BODY, **headers).json() == {"ok": True}
        os.killpg(api.up.process.pid, signal.SIGKILL)
        api.up.process.wait()
        with pytest.raises(httpx.TransportError):
            api.post("/telemetry/ingest", BODY, **headers)
        api.http.close()
        again = Up(tmp_path / "collector.yaml")
        try:
            address = asyncio.run(again.address("OTLP/HTTP"))
            sent = {k.replace("_", "-"): v for k, v in headers.items()} | {"x-viewer": "walker-1"}
            sent["content-type"] = "application/json"
            url, body = f"http://{address}/telemetry/ingest", json.dumps(BODY)
            answer = httpx.post(url, content=body, headers=sent, verify=False)
            assert answer.json() == {"ok": True}
            assert api.counts() == {"suggestion_shown": stored}
        finally:
            again.stop()


def test_names_and_bodies_leave_nothing_that_could_be_guessed(api):
    import hashlib

    post(api, key="walker-secret-name")
    [(digest, content)] = api.query(
        "SELECT digest::text, content::text FROM footfall.ingest_batches"
    )
    body = json.dumps(BODY).encode()
    assert content.replace("-", "") != hashlib.sha256(body).hexdigest()[:32]
    assert "walker-secret-name" not in api.up.log.read_text() + digest
