import base64
import datetime as dt
import json

from exporters.sending import (
    COUNTED,
    FULL,
    NOW,
    OBSERVED,
    PLAIN,
    SECRET,
    dimension,
    event_id,
    rfc3339,
    sent,
    uses,
)
from footfall_exporters.contracts import Rejected, Settings
from footfall_exporters.segment import SegmentConfig
from footfall_processors import Attribute, Batch, Catalog, Event, Type
from support.http_server import serving, status

SEGMENT = (SegmentConfig, {"write_key": SECRET, "headers": {"X-Tenant": "shop"}})


def check_segment(request):
    key = base64.b64encode(f"{SECRET}:".encode()).decode()
    assert request.headers["authorization"] == f"Basic {key}"
    assert len(request.body) <= 500_000
    body = json.loads(request.body)
    assert set(body) == {"batch"}  # with sentAt, times would be shifted
    assert 0 < len(body["batch"]) <= 2_500
    for event in body["batch"]:
        assert event["type"] == "track"
        assert event["event"]
        assert len(json.dumps(event, ensure_ascii=False).encode()) <= 32_000
        assert 0 < len(event["messageId"]) <= 100
        assert dt.datetime.fromisoformat(event["timestamp"])
        assert "userId" not in event
    return body


async def test_segment_gets_track_calls_of_one_anonymous_id():
    (request,) = await sent(SEGMENT, FULL, path="/v1/batch")
    assert (request.target, request.headers["x-tenant"]) == ("/v1/batch", "shop")
    common = {
        "type": "track",
        "event": "shop.order",
        "anonymousId": "footfall",
        "context": {"ip": "0.0.0.0", "library": {"name": "footfall"}},
    }
    assert check_segment(request)["batch"] == [
        common
        | {
            "messageId": event_id(0),
            "timestamp": rfc3339(NOW + 1_500_000),
            "properties": OBSERVED | PLAIN | {"token": "blue"},
        },
        common | {"messageId": event_id(1), "timestamp": rfc3339(NOW), "properties": COUNTED},
    ]


async def test_segment_gets_many_events_in_bounded_requests():
    many = uses(times=[NOW + n for n in range(2_700)], note="🎲" * 200, digest=b"\1" * 16)
    few = uses(times=[NOW + n for n in range(2_501)], digest=b"\2" * 16)
    bodies = [check_segment(request) for request in await sent(SEGMENT, many, few)]
    ids = [event["messageId"] for body in bodies for event in body["batch"]]
    assert ids[:2_700] == [event_id(n, b"\1" * 16) for n in range(2_700)]
    assert len(ids) == 5_201


async def test_an_event_too_large_for_segment_costs_no_other_event():
    wide = {f"note_{n}": Attribute(type=Type.STRING, max_length=1024) for n in range(10)}
    event = Event(surface="web", feature="order", attributes=tuple(wide))
    catalog = Catalog(products=("shop",), events={"shop.order": event}, attributes=wide)
    text = dict.fromkeys(wide, "🎲" * 1024)
    batches = [uses(), uses(digest=b"\1" * 16, **text)]
    joined = Batch(
        digest=b"\2" * 16,
        signal="traces",
        rows=[r for each in (*batches, batches[0]) for r in each.rows],
        counts={(NOW, dimension()): 3},
    )
    async with serving() as server:

        def segment(request):
            events = json.loads(request.body)["batch"]
            large = any(len(json.dumps(e, ensure_ascii=False).encode()) > 32_000 for e in events)
            return status(400 if large else 200)

        server.answer = segment
        config = SegmentConfig(endpoint=server.url, write_key=SECRET)
        taken, refused = [], 0
        async with config.open(Settings(catalog)) as subscriber:
            for request in subscriber.requests(joined):
                try:
                    await subscriber.send(request)
                    taken += [e["messageId"] for e in json.loads(request)["batch"]]
                except Rejected:
                    refused += 1
    assert refused == 1
    assert {event_id(0, b"\2" * 16), event_id(2, b"\2" * 16)} <= set(taken)
    assert event_id(1, b"\2" * 16) not in taken
