"""R-numbers C1 to C3: `POST …/track` takes events of pages and servers, one or many."""

import datetime as dt

import pytest

NOW = dt.datetime.now(dt.UTC)


def event(name="button_click", **changed):
    return {
        "event": name,
        "timestamp": NOW.isoformat(),
        "properties": {"button_id": "signup_cta", "page": "/landing"},
        "source": "client",
        **changed,
    }


@pytest.mark.requirement("C2")
def test_an_event_is_stored_with_what_is_declared(api):
    answer = api.post("/telemetry/track", event(sessionId="sess_123"))
    said = answer.json()
    assert answer.status_code == 200
    assert said == {"accepted": 1, "rejected": 0, "trace_id": said["trace_id"]}
    assert api.query("SELECT event, button_id, source, created_at FROM reporting.events") == [
        ("button_click", "signup_cta", "client", NOW.replace(microsecond=0))
    ]
    assert api.query("SELECT session_hash IS NOT NULL FROM footfall.feature_events") == [(True,)]
    assert api.losses() == {"undeclared_attribute": 1}


@pytest.mark.requirement("C3")
@pytest.mark.parametrize("form", [lambda e: e, lambda e: {"events": e}], ids=["a list", "events"])
def test_a_hundred_are_taken_together_and_no_more(api, form):
    assert api.post("/telemetry/track", form([event()] * 100)).json()["accepted"] == 100
    answer = api.post("/telemetry/track", form([event()] * 101))
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert api.counts() == {"button_click": 100}


@pytest.mark.requirement("C2")
@pytest.mark.parametrize(
    "wrong",
    [
        event("Invalid-Event-Name"),
        event(""),
        event(None),
        event("x" * 200),
        event(timestamp=None),
        event(timestamp=""),
        event(timestamp="yesterday"),
        event(timestamp=True),
        event(properties=[1]),
        "button_click",
        7,
        None,
    ],
    ids=[
        *("capitals", "empty", "null", "long", "no time", "empty time", "word", "bool"),
        *("list", "text", "number", "nothing"),
    ],
)
def test_what_is_wrong_costs_itself_alone(api, wrong):
    answer = api.post("/telemetry/track", [event(), wrong, event()])
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (200, 2, 1)
    alone = api.post("/telemetry/track", [wrong])
    assert (alone.status_code, alone.json()["error"]) == (400, "invalid_event")
    assert api.counts() == {"button_click": 2}
    assert api.losses()["malformed"] == 2


@pytest.mark.parametrize(
    ("timestamp", "stored"),
    [
        (NOW.astimezone(dt.timezone(dt.timedelta(hours=9))).isoformat(), True),
        (NOW.replace(tzinfo=None).isoformat(), True),
        (NOW.strftime("%Y-%m-%dT%H:%M:%SZ"), True),
        (NOW.timestamp() * 1000, True),
        ((NOW - dt.timedelta(days=6)).isoformat(), True),
        ((NOW - dt.timedelta(days=8)).isoformat(), False),
        ((NOW + dt.timedelta(hours=1)).isoformat(), False),
        ("2999-01-01T00:00:00Z", False),
        ("0001-01-01T00:00:00Z", False),
        (-1, False),
        (1e300, False),
    ],
    ids=[
        "zone",
        "no zone",
        "Z",
        "ms",
        "6 days ago",
        "8 days ago",
        "in an hour",
        "far",
        "old",
        "-1",
        "huge",
    ],
)
def test_times_have_a_zone_or_are_utc_and_must_be_of_these_days(api, timestamp, stored):
    answer = api.post("/telemetry/track", event(timestamp=timestamp))
    assert answer.status_code == (200 if stored else 400)
    assert api.counts() == ({"button_click": 1} if stored else {})
    assert api.losses().get("out_of_window", 0) == (0 if stored else 1)


@pytest.mark.requirement("C8")
def test_addresses_and_names_go_nowhere(api):
    personal = {"email": "ada@example.org", "phone": "+44 20 7946 0958", "address": "1 Main St"}
    sent = event(userId="ada-lovelace", properties={"button_id": "buy", **personal})
    assert api.post("/telemetry/track", sent).json()["accepted"] == 1
    assert api.losses() == {"undeclared_attribute": 3}
    [row] = api.query("SELECT to_jsonb(e) || to_jsonb(d) FROM footfall.feature_events e"
                      " JOIN footfall.feature_dims d ON d.id = e.dim_id")  # fmt: skip
    assert not [v for v in (*personal.values(), "ada-lovelace") if v in str(row)]


def test_a_key_of_a_server_is_enough_and_nobody_is_not(api):
    by_key = api.post("/telemetry/track", event(), viewer=None, authorization=f"Bearer {api.key}")
    assert by_key.json()["accepted"] == 1
    nobody = api.post("/telemetry/track", event(), viewer=None)
    assert (nobody.status_code, nobody.json()["error"]) == (401, "no_viewer")
    assert nobody.headers["www-authenticate"] == "Bearer"


def test_pages_of_an_allowed_origin_may_post_and_others_may_not(api):
    asks = {"access-control-request-method": "POST"}
    wants = {"access-control-request-headers": "content-type,idempotency-key,authorization"}
    for origin, allowed in (("https://shop.example", True), ("https://elsewhere.example", False)):
        asked = api.http.options("/telemetry/track", headers={"origin": origin} | asks | wants)
        assert (asked.status_code == 200) is allowed
        assert asked.headers.get("access-control-allow-origin") == (origin if allowed else None)
        answer = api.post("/telemetry/track", event(), origin=origin)
        assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)


@pytest.mark.parametrize("body", [b"", b"{", b"7", b"NaN", b"[" * 5000, b"\xff", b'{"events": 7}'])
def test_what_is_no_such_json_is_an_invalid_request(api, body):
    answer = api.post("/telemetry/track", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
