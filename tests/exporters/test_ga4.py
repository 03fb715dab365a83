import json
import re
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from exporters.sending import (
    CATALOG,
    COUNTED,
    FULL,
    NOW,
    OBSERVED,
    PLAIN,
    SECRET,
    event_id,
    everything,
    sent,
    uses,
)
from footfall_exporters.contracts import Rejected, Settings
from footfall_exporters.ga4 import Ga4Config
from footfall_processors import Attribute, Batch, Catalog, Event, Rows, Shape, Type
from support.batches import HOUR
from support.http_server import serving

GA4 = (Ga4Config, {"measurement_id": "G-ABC123", "api_secret": SECRET})
GA4_NAME = re.compile(r"(?!firebase_|ga_|google_)[a-z][a-z0-9_]{0,39}")


def check_ga4(request):
    assert "content-encoding" not in request.headers
    query = parse_qs(urlsplit(request.target).query)
    assert query == {"measurement_id": ["G-ABC123"], "api_secret": [SECRET]}
    assert len(request.sent) < 130_000
    body = json.loads(request.body)
    assert re.fullmatch(r"[1-9][0-9]*\.[1-9][0-9]*", body["client_id"])
    assert body["consent"] == {"ad_user_data": "DENIED", "ad_personalization": "DENIED"}
    assert 0 < len(body["events"]) <= 25
    for event in body["events"]:
        assert GA4_NAME.fullmatch(event["name"])
        assert event["name"] not in {"error", "session_start", "first_open"}
        assert len(event["params"]) <= 25
        for name, value in event["params"].items():
            assert GA4_NAME.fullmatch(name)
            assert type(value) in (str, int, float)
            assert not (isinstance(value, str) and len(value) > 100)
        assert not {"session_id", "engagement_time_msec", "user_id"} & set(event["params"])
    return body


async def test_ga4_gets_events_with_custom_dimensions():
    (request,) = await sent(GA4, FULL, path="/mp/collect")
    assert urlsplit(request.target).path == "/mp/collect"
    body = check_ga4(request)
    assert body["timestamp_micros"] == NOW
    own = {"event": "shop.order"}
    assert body["events"] == [
        {
            "name": "shop_order",
            "params": COUNTED | own | {"event_id": event_id(1), "timestamp_micros": NOW},
        },
        {
            "name": "shop_order",
            "params": OBSERVED
            | PLAIN
            | own
            | {"ranked": "true", "token": "blue", "event_id": event_id(0)}
            | {"timestamp_micros": NOW + 1_500_000},
        },
    ]


async def test_ga4_gets_many_events_in_bounded_requests_each_within_an_hour():
    times = [NOW - (n % 3) * HOUR + n for n in range(400)]
    many = uses(times=times, note="🎲" * 1024, digest=b"\1" * 16)
    requests = await sent(GA4, many)
    bodies = [check_ga4(request) for request in requests]
    ids = [event["params"]["event_id"] for body in bodies for event in body["events"]]
    assert sorted(ids) == sorted(event_id(n, b"\1" * 16) for n in range(400))
    for body in bodies:
        stamps = [event["params"]["timestamp_micros"] for event in body["events"]]
        assert stamps == sorted(stamps)
        assert body["timestamp_micros"] == stamps[0]
        assert stamps[0] // HOUR == stamps[-1] // HOUR


async def test_ga4_is_not_sent_what_it_would_misdate():
    old = NOW - 73 * HOUR
    async with serving() as server:
        config = msgspec.convert({"endpoint": server.url} | GA4[1], Ga4Config)
        async with config.open(Settings(CATALOG)) as subscriber:
            requests = list(subscriber.requests(uses(times=(old, NOW, NOW - 68 * HOUR))))
            with pytest.raises(Rejected, match="72 hours"):
                await subscriber.send(requests[0])
            for request in requests[1:]:
                await subscriber.send(request)
    moments = [check_ga4(request)["timestamp_micros"] for request in server.requests]
    assert moments == [NOW - 68 * HOUR, NOW]


async def test_ga4_names_fit_and_stay_apart(caplog):
    long = [f"{'very_' * 8}long_{n:02}" for n in range(14)]
    names = {name: Attribute(type=Type.INT) for name in ("ga_x", "session_id", *long)}
    events = ["error", "ga_thing", "a." + "b" * 60 + "1", "a." + "b" * 60 + "2"]
    catalog = Catalog(
        products=("shop",),
        events={e: Event(surface="web", feature="f", attributes=tuple(names)) for e in events},
        attributes=names,
    )
    rows = [
        Rows([NOW], [5], [Shape(everything(e), 1.0, tuple(sorted(names)))], [[1]] * len(names))
        for e in events
    ]
    counts = {(NOW, r.shapes[0].dimension): 1 for r in rows}
    made = Batch(digest=b"\1" * 16, signal="logs", rows=rows, counts=counts)
    (request,) = await sent(GA4, made, catalog=catalog)
    found = check_ga4(request)["events"]
    assert [e["name"] for e in found][:2] == ["event_error", "event_ga_thing"]
    assert len({e["name"] for e in found}) == 4
    params = found[0]["params"]
    assert params["attribute_ga_x"] == params["attribute_session_id"] == 1
    # By name, the first twelve; what is left out is said at the start.
    assert len(params) == 25
    assert sum(name.startswith("very_") for name in params) == 10
    left_out = {name for name in long if name in caplog.text}
    assert left_out == set(long[10:])
