import datetime as dt
import json
import uuid

from exporters.sending import (
    COUNTED,
    FULL,
    NOW,
    OBSERVED,
    PLAIN,
    SECRET,
    event_id,
    rfc3339,
    sent,
    uses,
)
from footfall_exporters.posthog import PostHogConfig

POSTHOG = (PostHogConfig, {"api_key": SECRET})
NOBODY = {"$process_person_profile": False, "$geoip_disable": True, "$ip": None, "$lib": "footfall"}


def check_posthog(request):
    assert len(request.sent) <= 20_000_000
    body = json.loads(request.body)
    assert set(body) == {"api_key", "batch"}
    assert body["batch"]  # an empty batch is refused
    for event in body["batch"]:
        assert len(json.dumps(event)) <= 1_000_000
        assert uuid.UUID(event["uuid"])
        assert 0 < len(event["event"]) <= 200
        assert 0 < len(event["distinct_id"]) <= 200
        assert dt.datetime.fromisoformat(event["timestamp"]).utcoffset() == dt.timedelta(0)
        assert event["properties"]["$process_person_profile"] is False
    return body


async def test_posthog_gets_events_without_persons():
    (request,) = await sent(POSTHOG, FULL, path="/batch/")
    assert request.target == "/batch/"
    assert request.headers["content-encoding"] == "gzip"
    body = check_posthog(request)
    assert body["api_key"] == SECRET
    assert body["batch"] == [
        {
            "uuid": event_id(0),
            "event": "shop.order",
            "distinct_id": event_id(0),
            "timestamp": rfc3339(NOW + 1_500_000),
            "properties": OBSERVED | PLAIN | {"attribute_token": "blue"} | NOBODY,
        },
        {
            "uuid": event_id(1),
            "event": "shop.order",
            "distinct_id": event_id(1),
            "timestamp": rfc3339(NOW),
            "properties": COUNTED | NOBODY,
        },
    ]


async def test_posthog_gets_many_events_in_bounded_requests():
    many = uses(times=[NOW + n for n in range(2_300)], note="🎲" * 1024, digest=b"\1" * 16)
    bodies = [check_posthog(request) for request in await sent(POSTHOG, many)]
    ids = [event["uuid"] for body in bodies for event in body["batch"]]
    assert ids == [event_id(n, b"\1" * 16) for n in range(2_300)]
    assert len(bodies) == 3
