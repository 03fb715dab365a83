"""R-number D4: 120 requests a minute of a user; more are 429, with the time after which to come again."""

import httpx
import psycopg
import pytest

from collector.http_api.conftest import collector
from collector.keyed import SLOW
from conftest import new_database
from support.ports import free_port
from support.waiting import wait_until

BODY = {"event": "suggestion_shown"}
EVENT = {"event": "button_click", "timestamp": 1}


@pytest.fixture(scope="module")
def limited(postgres_server, tmp_path_factory):
    with new_database(postgres_server) as dsn:
        rate = {"user": 5, "address": 7}
        operator = f"127.0.0.1:{free_port()}"
        api = collector(tmp_path_factory.mktemp("limited"), dsn, rate_limit=rate, operator=operator)
        api.operator = operator
        wait_until(lambda: counts_in_the_store(api), 60)
        yield api
        api.http.close()
        api.up.stop()


def counts_in_the_store(api):
    """Whether it does by now: until it is connected it counts by itself."""
    api.post("/telemetry/ingest", {"event": "none"}, viewer="early")
    return api.query("SELECT count(*) FROM footfall.rate_windows") != [(0,)]


@pytest.mark.requirement("D4")
def test_a_user_has_so_many_a_minute_and_others_have_theirs(limited):
    first = [limited.post("/telemetry/ingest", BODY, viewer="busy") for _ in range(5)]
    assert {answer.status_code for answer in first} == {200}
    assert '"user";q=5;w=60' in first[0].headers["ratelimit-policy"]
    assert [a.headers["ratelimit"].partition(";t=")[0] for a in first] == [
        f'"user";r={left}' for left in (4, 3, 2, 1, 0)
    ]
    refused = limited.post("/telemetry/ingest", BODY, viewer="busy")
    assert (refused.status_code, refused.json()) == (429, {"ok": False, "error": "rate_limited"})
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert limited.post("/telemetry/ingest", BODY, viewer="calm").status_code == 200
    assert limited.counts()["suggestion_shown"] == 6


@pytest.mark.requirement("D4")
def test_who_is_refused_for_something_else_is_told_what_is_left(limited):
    answer = limited.post("/telemetry/events", b"{", viewer="clumsy")
    assert answer.status_code == 400
    assert answer.headers["ratelimit"].startswith('"user";r=4')


def test_a_metric_says_whether_collectors_count_together(limited):
    def shared():
        text = httpx.get(f"http://{limited.operator}/metrics").text
        return "\nfootfall_rate_limits_shared 1.0" in text

    wait_until(shared, 60)
    with psycopg.connect(limited.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE footfall.rate_windows RENAME TO elsewhere")
        limited.post("/telemetry/ingest", {"event": "none"}, viewer="alone")
        wait_until(lambda: not shared(), 60)
        connection.execute("ALTER TABLE footfall.elsewhere RENAME TO rate_windows")
    wait_until(shared, 60)


@pytest.mark.requirement("D4")
def test_a_request_of_more_than_fifty_events_is_two(limited):
    many = limited.post("/telemetry/track", [EVENT] * 60, viewer="batches")
    assert '"user";r=3' in many.headers.get("ratelimit", '"user";r=3')
    left = limited.post("/telemetry/ingest", BODY, viewer="batches").headers["ratelimit"]
    assert left.startswith('"user";r=2')


def test_whoever_names_nobody_is_counted_by_the_address(limited):
    answers = [limited.post("/telemetry/ingest", BODY, viewer=None).status_code for _ in range(9)]
    assert answers == [401] * 7 + [429] * 2
    assert limited.post("/telemetry/ingest", BODY, viewer="neighbour").status_code == 200


def test_a_senders_key_has_a_limit_of_its_own(limited):
    key = {"authorization": f"Bearer {limited.key}"}
    answers = {
        limited.post("/telemetry/track", [EVENT], viewer=None, **key).status_code for _ in range(9)
    }
    assert answers == {400}  # the event is of 1970
    slow = {"authorization": f"Bearer {SLOW}"}
    sent = [limited.post("/telemetry/track", [EVENT], viewer=None, **slow) for _ in range(3)]
    assert [answer.status_code for answer in sent] == [400, 400, 429]
    assert sent[2].json()["error"] == "rate_limited"
    assert int(sent[2].headers["retry-after"]) >= 1
