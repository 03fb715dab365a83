"""R-number C7: `GET …/health` says with 200 whether events come in: the last one, rates, alerts."""

import datetime as dt

import psycopg
import pytest

from collector.keyed import NAMES
from footfall_collector.receivers.api.health import verdict
from footfall_exporters.postgres.pulse import reckon
from support.waiting import wait_until

NOON = dt.datetime(2026, 11, 29, 12, 15, tzinfo=dt.UTC)
QUARTER = dt.timedelta(minutes=15)


def health(api, viewer=None, key=True, **headers):
    named = {} if viewer is None else {"x-viewer": viewer}
    keyed = {"authorization": f"Bearer {api.key}"} if key else {}
    return api.http.get("/telemetry/health", headers=named | keyed | headers)


def said(api, holds):
    """The answer, once it is that: for seconds it is what it was."""
    wait_until(lambda: holds(health(api).json()))
    return health(api).json()


def counted(api, hours_ago, number, status="ok"):
    """Has had so many events in an hour, in the counts alone."""
    with psycopg.connect(api.dsn, autocommit=True) as connection:
        connection.execute(
            "WITH of AS (INSERT INTO footfall.feature_dims"
            " (fingerprint, event, surface, feature, action, status)"
            " VALUES (gen_random_uuid(), 'auth.login', 'web', 'login', 'failure', %s) RETURNING id)"
            " INSERT INTO footfall.feature_counts (hour, dim_id, count)"
            " SELECT date_trunc('hour', now(), 'UTC') - %s * interval '1 hour', id, %s FROM of",
            [status, hours_ago, number],
        )


@pytest.mark.requirement("C7")
def test_after_an_event_it_is_healthy_and_names_the_time(api):
    began = dt.datetime.now(dt.UTC).replace(microsecond=0)
    api.post("/telemetry/ingest", {"event": "suggestion_shown", "count": 30})
    answer = said(api, lambda found: found["eventRate"] == 0.5)
    last = dt.datetime.fromisoformat(answer.pop("lastEventTime"))
    assert began <= last <= dt.datetime.now(dt.UTC)
    assert answer == {"isHealthy": True, "eventRate": 0.5, "errorRate": 0.0, "alerts": []}


@pytest.mark.requirement("C7")
@pytest.mark.parametrize(("ago", "healthy"), [("4 minutes 50 seconds", True), ("6 minutes", False)])
def test_without_an_event_for_five_minutes_it_is_not(api, ago, healthy):
    api.post("/telemetry/ingest", {"event": "suggestion_shown"})
    api.query("WITH w AS (UPDATE footfall.commits SET committed_at = now() - %s::interval"
              " RETURNING 1) SELECT count(*) FROM w", ago)  # fmt: skip
    answer = said(api, lambda found: found["isHealthy"] is healthy and found["eventRate"] > 0)
    last = dt.datetime.fromisoformat(answer["lastEventTime"])
    assert (dt.datetime.now(dt.UTC) - last < dt.timedelta(minutes=5, seconds=1)) is healthy


@pytest.mark.requirement("C7")
def test_where_nothing_ever_happened_it_is_not(api):
    api.query("WITH d AS (DELETE FROM footfall.commits RETURNING 1) SELECT count(*) FROM d")
    assert said(api, lambda found: found["lastEventTime"] is None) == {
        "isHealthy": False, "lastEventTime": None, "eventRate": 0.0, "errorRate": 0.0, "alerts": [],
    }  # fmt: skip


@pytest.mark.requirement("C7")
def test_the_error_rate_is_the_share_of_failures(api):
    counted(api, 0, 90)
    counted(api, 0, 10, status="error")
    assert said(api, lambda found: found["errorRate"] > 0)["errorRate"] == 0.1


@pytest.mark.requirement("C7")
def test_a_rate_under_half_its_average_is_an_alert(api):
    for hours_ago in range(2, 25):
        counted(api, hours_ago, 600)
    answer = said(api, lambda found: found["alerts"])
    [alert] = answer["alerts"]
    assert alert.pop("message").startswith("Event rate dropped to 0.00 a minute")
    assert alert == {"type": "low_event_rate", "severity": "warning"}
    counted(api, 0, 600)
    assert said(api, lambda found: not found["alerts"])["eventRate"] == 10.0


@pytest.mark.requirement("C7")
def test_the_last_hour_has_a_share_of_the_one_before():
    hour = dt.timedelta(hours=1)
    this = NOON - QUARTER
    hours = {this: (100, 10), this - hour: (400, 40), this - 2 * hour: (200, 0)}
    found = reckon(NOON, None, hours)
    assert found.rate == pytest.approx((100 + 0.75 * 400) / 60)
    assert found.failed == pytest.approx(0.1)
    assert found.average is None  # of two hours
    whole = hours | {this - 3 * hour: (0, 0), this - 4 * hour: (200, 0)}
    assert reckon(NOON, None, whole).average == pytest.approx(800 / 4 / 60)
    old = {this - 25 * hour: (10**6, 0)}
    assert reckon(NOON, None, whole | old).average == pytest.approx(800 / 4 / 60)


@pytest.mark.requirement("C7")
@pytest.mark.parametrize(("number", "alerts"), [(28, 1), (29, 0)])
def test_half_the_average_is_the_line(number, alerts):
    this = NOON.replace(minute=0)
    day = {this - n * dt.timedelta(hours=1): (60, 0) for n in range(2, 25)}
    pulse = reckon(NOON, NOON, day | {this: (number, 0), this - dt.timedelta(hours=1): (0, 0)})
    assert pulse.average == pytest.approx(23 / 24)
    assert len(verdict(pulse)["alerts"]) == alerts


@pytest.mark.requirement("C7")
def test_it_is_told_to_servers_alone(api):
    nobody = health(api, key=False)
    assert (nobody.status_code, nobody.json()["error"]) == (401, "no_viewer")
    user = health(api, key=False, viewer="walker-1")
    assert (user.status_code, user.json()["error"]) == (403, "forbidden")
    backend = health(api, key=False, authorization=f"Bearer {NAMES}")
    assert backend.status_code == 200


@pytest.mark.requirement("C7")
def test_while_the_store_does_not_answer_the_verdict_says_so(api):
    with psycopg.connect(api.dsn) as holding:
        holding.execute("LOCK TABLE footfall.feature_dims IN ACCESS EXCLUSIVE MODE")
        answer = said(api, lambda found: found["alerts"])
    assert not answer["isHealthy"]
    assert [alert["type"] for alert in answer["alerts"]] == ["store_unavailable"]
    assert said(api, lambda found: not found["alerts"])
