"""R-numbers E1 to E7: a plugin's sessions, from start-session to end-session, and what is known of them."""

import base64
import os
import subprocess
import sys
import time
import uuid

import psycopg
import pytest

from collector.http_api.conftest import HERE, collector
from conftest import copied, new_database
from footfall_exporters.embedded import EmbeddedPostgres
from support.up import HURRIED
from support.waiting import wait_until


@pytest.fixture(scope="module")
def plugins(postgres_server, tmp_path_factory):
    with new_database(postgres_server) as dsn:
        api = collector(
            tmp_path_factory.mktemp("sessions"),
            dsn,
            catalog=HERE / "plugin.yaml",
            prefixes=["/telemetry"],
            command=HURRIED,
        )
        yield api
        api.http.close()
        api.up.stop()


@pytest.fixture
def plugin(plugins):
    """A collector that knows of no session."""
    with psycopg.connect(plugins.dsn, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE footfall.feature_events, footfall.feature_counts, footfall.ingest_batches,"
            " footfall.sessions, footfall.session_marks, footfall.sessions_gone, footfall.session_times_gone"
        )
    return plugins


def get(api, path, token=None, **query):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return api.http.get(f"/telemetry/{path}", params=query, headers=headers)


def start(api, **query):
    answer = get(api, "start-session", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def metric(api, token, *events):
    body = {"events": list(events)} if len(events) > 1 else events[0]
    return api.post("/telemetry/ingest", body, viewer=None, authorization=f"Bearer {token}")


def followed(api):
    """Waits until all that is committed has been followed, which is due at once."""
    due(api)
    behind = (
        "SELECT position FROM footfall.session_state",
        "SELECT position FROM footfall.commit_clock",
    )
    wait_until(lambda: api.query(behind[0]) == api.query(behind[1]), 60)


def due(api):
    """Has what is known of sessions be looked at next."""
    api.query(
        "UPDATE footfall.housekeeping SET next_run = now() WHERE task = 'sessions' RETURNING 1"
    )


def is_uuid(value):
    return str(uuid.UUID(value)) == value


@pytest.mark.requirement("E2")
@pytest.mark.requirement("E5")
def test_the_first_start_gives_a_session_an_installation_and_a_token(plugin):
    first = start(plugin)
    assert sorted(first) == ["expires_in", "installation_id", "ok", "session_id", "session_token"]
    assert is_uuid(first["session_id"])
    assert is_uuid(first["installation_id"])
    assert first["expires_in"] == 3600
    alive = get(plugin, "still-alive", first["session_token"])
    assert alive.headers["ratelimit"].startswith('"user";r=11')
    again = start(plugin, installation_id=first["installation_id"])
    assert sorted(again) == ["expires_in", "ok", "session_id", "session_token"]
    assert again["session_id"] != first["session_id"]
    [(sessions, installations)] = plugin.query(
        "SELECT count(*), count(DISTINCT installation) FROM footfall.sessions"
    )
    assert (sessions, installations) == (2, 1)


@pytest.mark.requirement("E2")
def test_each_route_takes_get_and_post(plugin):
    installation = start(plugin)["installation_id"]
    posted = plugin.post("/telemetry/start-session", {"installation_id": installation}, viewer=None)
    token = posted.json()["session_token"]
    assert "installation_id" not in posted.json()
    for path in ("still-alive", "end-session"):
        answer = plugin.post(f"/telemetry/{path}", {"session_token": token}, viewer=None)
        assert answer.status_code == 200, answer.text
    assert plugin.post("/telemetry/start-session", b"", viewer=None).status_code == 200


@pytest.mark.requirement("E3")
def test_what_happens_in_a_session_is_stored_with_it(plugin):
    begun = start(plugin)
    token, now = begun["session_token"], time.time() * 1000
    assert metric(plugin, token, {"event": "plugin.page", "page": "settings"}).json() == {
        "ok": True
    }
    answer = metric(
        plugin,
        token,
        {"event": "plugin.story.open", "ts": now},
        {"event": "plugin.story.close", "ts": now + 1500},
        {"event": "plugin.page", "page": "story", "session_id": str(uuid.uuid4())},
    )
    assert answer.json() == {"ok": True}
    assert get(plugin, "end-session", token).json() == {"ok": True}
    assert plugin.losses() == {}
    rows = plugin.query(
        "SELECT event || '.' || action, session_id::text, installation_hash IS NOT NULL"
        " FROM footfall.feature_events JOIN footfall.feature_dims d ON d.id = dim_id ORDER BY 1"
    )
    session = begun["session_id"]
    assert rows == [
        ("plugin.page.navigate", session, False),
        ("plugin.page.navigate", session, False),
        ("plugin.session.end", session, True),
        ("plugin.session.start", session, True),
        ("plugin.story.close", session, True),
        ("plugin.story.open", session, True),
    ]
    pages = plugin.query(
        "SELECT page, sum(count)::int FROM reporting.usage WHERE page IS NOT NULL GROUP BY 1"
    )
    assert dict(pages) == {"settings": 1, "story": 1}
    followed(plugin)
    [(event, sessions, opened, seconds)] = plugin.query(
        "SELECT event, sessions, opened, seconds FROM reporting.time_open"
    )
    assert (event, sessions, opened, round(seconds, 3)) == ("plugin.story", 1, 1, 1.5)


@pytest.mark.requirement("E5")
def test_a_body_may_have_the_token_where_no_header_can_be_set(plugin):
    token = start(plugin)["session_token"]
    body = {"event": "plugin.page", "page": "home", "session_token": token}
    assert plugin.post("/telemetry/ingest", body, viewer=None).json() == {"ok": True}
    events = {
        "session_token": token,
        "events": [{"event": "plugin.page", "ts": time.time() * 1000}],
    }
    assert plugin.post("/telemetry/events", events, viewer=None).json()["accepted"] == 1
    assert plugin.counts() == {"plugin.session": 1, "plugin.page": 2}
    [(sessions,)] = plugin.query("SELECT count(DISTINCT session_id) FROM footfall.feature_events")
    assert sessions == 1


@pytest.mark.requirement("E2")
def test_a_session_that_has_ended_takes_nothing_more(plugin):
    token = start(plugin)["session_token"]
    renewed = get(plugin, "still-alive", token).json()["session_token"]
    assert get(plugin, "end-session", token).json() == {"ok": True}
    assert get(plugin, "end-session", token).json() == {"ok": True}
    for each in (token, renewed):
        assert metric(plugin, each, {"event": "plugin.page"}).status_code == 401
        answer = get(plugin, "still-alive", each)
        assert (answer.status_code, answer.json()["error"]) == (401, "no_viewer")
        assert "start another" in answer.json()["message"]
    assert plugin.counts() == {"plugin.session": 3}  # start, alive, end


@pytest.mark.requirement("E5")
@pytest.mark.parametrize("path", ["still-alive", "end-session"])
def test_a_token_that_is_none_of_ours_is_refused(plugin, path):
    token = start(plugin)["session_token"]
    content, signature = token.split(".", 1)
    other = base64.urlsafe_b64encode(b'["another","another"]').decode()
    for wrong in (None, "ffs_x", f"ffs_{other}.{signature}", content + ".x"):
        answer = get(plugin, path, wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "no_viewer"), wrong
        assert "another" not in answer.text.replace("start another", "")
    wrong = plugin.post(f"/telemetry/{path}", {"session_token": 7}, viewer=None)
    assert wrong.status_code == 401
    assert get(plugin, path, token).status_code == 200


@pytest.mark.parametrize("wrong", ["walker@example.org", "1", "x" * 5000, "null"])
def test_an_installation_is_a_random_id_and_nothing_that_names_somebody(plugin, wrong):
    answer = get(plugin, "start-session", installation_id=wrong)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert wrong not in answer.text.replace("null", "") or wrong == "1"
    assert plugin.query("SELECT count(*) FROM footfall.sessions") == [(0,)]


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"{" * 3000, b'{"installation_id": 7}'])
def test_a_body_that_is_none_is_refused(plugin, body):
    answer = plugin.post("/telemetry/start-session", body, viewer=None)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.requirement("E5")
def test_an_installation_is_forgotten_and_what_its_days_came_to_stays(plugin):
    mine = start(plugin)
    other = start(plugin)
    for begun in (mine, other):
        metric(plugin, begun["session_token"], {"event": "plugin.page", "page": "home"})
        later(plugin, 40)
        assert get(plugin, "still-alive", begun["session_token"]).status_code == 200
    followed(plugin)
    before = plugin.query(
        "SELECT day, sessions, installations, daily_active FROM reporting.sessions"
    )
    assert [row[1:] for row in before] == [(2, 2, 2)]
    headers = {"authorization": f"Bearer {mine['session_token']}"}
    answer = plugin.http.delete("/telemetry/installation", headers=headers)
    assert answer.json() == {"ok": True, "sessions": 1}
    assert (
        plugin.query("SELECT day, sessions, installations, daily_active FROM reporting.sessions")
        == before
    )
    assert plugin.query("SELECT session::text FROM footfall.sessions") == [(other["session_id"],)]
    linked = "SELECT count(*) FROM footfall.feature_events WHERE session_id IS NOT NULL"
    assert plugin.query(linked) == [(3,)]
    assert plugin.counts() == {"plugin.session": 4, "plugin.page": 2}
    assert get(plugin, "still-alive", mine["session_token"]).status_code == 401
    assert get(plugin, "still-alive", other["session_token"]).status_code == 200


def later(api, seconds):
    """So much time goes by, for what is known of sessions."""
    with psycopg.connect(api.dsn, autocommit=True) as connection:
        ago = f"interval '{seconds} seconds'"
        connection.execute(
            f"UPDATE footfall.sessions SET opened_at = opened_at - {ago}, last_seen = last_seen - {ago},"
            f" ended_at = ended_at - {ago}"
        )


PROGRAM = """
import os, sys, footfall
footfall.configure(catalog=sys.argv[1], endpoint=sys.argv[2], protocol="http/protobuf",
                   headers={"authorization": sys.argv[3]})
with footfall.session("plugin.session"):
    footfall.event("plugin.story", "open")
    footfall.event("plugin.story", "close")
"""


@pytest.mark.requirement("E7")
def test_sessions_of_the_sdk_end_in_the_same_tables(plugin):
    begun = start(plugin)
    metric(plugin, begun["session_token"], {"event": "plugin.page", "page": "home"})
    arguments = [HERE / "plugin.yaml", str(plugin.http.base_url), f"Bearer {plugin.key}"]
    environment = {**os.environ, "TELEMETRY_ENABLED": "true"}
    subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], check=True, env=environment, timeout=60
    )
    followed(plugin)
    known = "SELECT opened, acted, ended_by FROM footfall.sessions ORDER BY ended_by NULLS FIRST"
    assert plugin.query(known) == [(True, True, None), (True, True, "call")]
    assert plugin.query("SELECT sessions, ended FROM reporting.sessions WHERE service IS NOT NULL")
    assert plugin.query("SELECT sum(opened)::int FROM reporting.time_open") == [(1,)]


@pytest.mark.requirement("E2")
def test_two_collectors_are_one_to_a_session(plugin, tmp_path):
    known = {"catalog": HERE / "plugin.yaml", "prefixes": ["/telemetry"], "command": HURRIED}
    other = collector(tmp_path, plugin.dsn, **known)
    try:
        begun = start(plugin)
        assert metric(other, begun["session_token"], {"event": "plugin.page"}).json() == {
            "ok": True
        }
        token = get(other, "still-alive", begun["session_token"]).json()["session_token"]
        assert get(other, "end-session", token).json() == {"ok": True}
        assert metric(plugin, token, {"event": "plugin.page"}).status_code == 401
        mine = start(other)["session_token"]
        followed(plugin)
        later(plugin, 3600)
        for each in (plugin, other):
            assert get(each, "still-alive", mine).status_code == 401
    finally:
        other.http.close()
        other.up.stop()
    due(plugin)
    ended = "SELECT ended_by FROM footfall.sessions ORDER BY opened_at"
    wait_until(lambda: plugin.query(ended) == [("call",), ("silence",)], 60)


def test_a_catalog_without_sessions_says_so(api):
    answer = get(api, "start-session")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert "action `start`" in answer.json()["message"]


def test_a_page_elsewhere_may_start_a_session_where_it_may_send(plugin):
    for origin, allowed in (("https://shop.example", True), ("https://elsewhere.example", False)):
        answer = plugin.http.get("/telemetry/start-session", headers={"origin": origin})
        assert ("access-control-allow-origin" in answer.headers) == allowed


def test_without_postgres_a_session_is_neither_begun_nor_believed(
    pristine, postgres_directory, tmp_path
):
    server = EmbeddedPostgres(copied(pristine, postgres_directory / "postgres"), {"fsync": "off"})
    api = collector(tmp_path, server.start(), catalog=HERE / "plugin.yaml", prefixes=["/telemetry"])
    try:
        token = start(api)["session_token"]
        server.stop()
        answers = [
            get(api, "start-session"),
            get(api, "still-alive", token),
            get(api, "end-session", token),
        ]
        answers.append(metric(api, token, {"event": "plugin.page"}))
        for answer in answers:
            assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        server.start()
        wait_until(lambda: get(api, "still-alive", token).status_code == 200, 60)
    finally:
        api.http.close()
        api.up.stop()
        server.stop()
