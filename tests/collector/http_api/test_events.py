"""R-numbers D1 to D3, D5: `POST …/events` takes batches of declared events, and nothing anybody wrote."""

import json
import time
import uuid

import pytest

PROMPT = str(uuid.uuid4())


def event(name="prompt_copied", **changed):
    return {
        "event": name,
        "ts": time.time() * 1000,
        "session_id": "s-1",
        "prompt_id": PROMPT,
        "variant": "json",
        "source": "card",
        "latency_ms": 12,
        **changed,
    }


def send(api, *events, **options):
    return api.post("/telemetry/events", {"events": events}, **options)


@pytest.mark.requirement("D2")
def test_an_event_is_stored_with_the_owner_that_the_server_knows(api):
    answer = send(api, event(user_id="somebody-else", owner_id="somebody-else"))
    said = answer.json()
    assert said == {"accepted": 1, "rejected": 0, "trace_id": said["trace_id"]}
    send(api, event())
    send(api, event(), viewer="walker-2")
    owners = api.query("SELECT owner_hash, count(*)::int FROM footfall.feature_events GROUP BY 1")
    assert sorted(number for _, number in owners) == [1, 2]
    assert api.query("SELECT DISTINCT variant, source, latency_ms FROM reporting.events") == [
        ("json", "card", 12)
    ]


@pytest.mark.requirement("D5")
def test_the_trace_is_the_clients_or_a_new_one_and_comes_back(api):
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    answer = send(api, event(), traceparent=f"00-{trace}-{parent}-01")
    assert answer.json()["trace_id"] == trace
    assert answer.headers["traceparent"].split("-")[1] == trace
    first, second = (send(api, event()).json()["trace_id"] for _ in range(2))
    assert len(first) == len(second) == 32
    assert first != second


@pytest.mark.requirement("D1")
def test_events_may_name_their_action_as_the_documents_list_does(api):
    sent = ("auth.login.success", "auth.login.failure", "vault.search_performed")
    assert send(api, *map(event, sent)).json()["accepted"] == 3
    assert dict(api.query("SELECT event_name, count(*)::int FROM reporting.events GROUP BY 1")) == {
        "auth.login.success": 1, "auth.login.failure": 1, "vault.search_performed.search": 1,
    }  # fmt: skip


@pytest.mark.requirement("D1")
def test_one_to_fifty_are_taken(api):
    assert send(api, *[event()] * 50).json()["accepted"] == 50
    many = send(api, *[event()] * 51)
    assert (many.status_code, many.json()["error"]) == (413, "too_large")
    none = send(api)
    assert (none.status_code, none.json()["error"]) == (400, "invalid_request")
    assert api.counts() == {"prompt_copied": 50}


@pytest.mark.requirement("D1")
def test_a_mixed_batch_is_200_and_one_with_nothing_valid_400(api):
    mixed = send(api, event(), event("prompt_stolen"), event(ts="never"))
    assert (mixed.status_code, mixed.json()["accepted"], mixed.json()["rejected"]) == (200, 1, 2)
    nothing = send(api, event("prompt_stolen"), event(ts="never"))
    said = nothing.json()
    assert (nothing.status_code, said["accepted"], said["rejected"]) == (400, 0, 2)
    assert said["error"] == "invalid_event"
    assert api.counts() == {"prompt_copied": 1}
    assert api.losses() == {"undeclared_event": 2, "malformed": 2}


@pytest.mark.requirement("D3")
@pytest.mark.parametrize(
    "hidden",
    [{"body": "x"}, {"body": None}, {"more": {"body": 1}}, {"more": [[{"a": {"body": []}}]]}],
)
def test_a_body_anywhere_rejects_its_event_and_no_other(api, hidden):
    answer = send(api, event(), event(**hidden))
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (200, 1, 1)
    assert api.losses()["body"] == 1
    assert api.counts() == {"prompt_copied": 1}


@pytest.mark.requirement("D1")
def test_four_kilobytes_are_for_each_event(api):
    def padded(size):
        import json

        bare = len(json.dumps(event(ts=1.5, title="")))
        return event(ts=time.time_ns() // 10**6, title="x" * (size - bare - 20))

    answer = send(api, padded(4000), padded(5000), event())
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 1)


def test_unknown_keys_and_raw_queries_are_stripped_and_counted(api):
    answer = send(api, event(title="Love letter", query="my query", nested={"a": [1]}, q=["x"]))
    assert answer.json()["accepted"] == 1
    assert api.losses() == {"undeclared_attribute": 4}
    assert "Love letter" not in api.up.log.read_text()


def test_a_body_that_is_spelt_otherwise_is_one_all_the_same(api):
    hidden = json.dumps(event(more={"body": "walker"})).replace("body", "b\\u006fdy").encode()
    plain = json.dumps(event(more="\u00e9 somebody")).encode()
    answer = api.post("/telemetry/events", b'{"events":[%b,%b]}' % (hidden, plain))
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 1)
    assert api.losses()["body"] == 1


@pytest.mark.parametrize(
    "text", ["cut \ud83d", "\udca9\ud83d", "\\\ud83d\\ud83d", "\ud83d\udca9 whole"]
)
def test_a_text_that_was_cut_within_an_emoji_costs_nothing(api, text):
    """As JavaScript's `slice` cuts, and its `JSON.stringify` writes it."""
    said = {"events": [event(variant="json", title=text), event()], text: 1}
    answer = api.post("/telemetry/events", json.dumps(said).encode("ascii"))
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 0)


def test_nesting_costs_its_event_and_numbers_are_those_of_the_catalog(api):
    deep = [1]
    for _ in range(50):
        deep = [deep]
    answer = send(api, event(more=deep), event(latency_ms=10**30), event(latency_ms=1.5))
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 1)
    assert api.query("SELECT latency_ms FROM reporting.events") == [(600000,), (2,)]
