"""What each backend is sent, checked by servers that hold it against the limits of its documented API."""

import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import json
import os
import re
import stat
import subprocess
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall_exporters import json_log, testing
from footfall_exporters.contracts import Rejected, Settings, Unavailable
from footfall_exporters.events import split
from footfall_exporters.ga4 import Ga4Config
from footfall_exporters.json_log import JsonLogConfig
from footfall_exporters.posthog import PostHogConfig
from footfall_exporters.segment import SegmentConfig
from footfall_exporters.webhook import WebhookConfig
from footfall_processors import Attribute, Batch, Catalog, Dimension, Event, Hash, Rows, Shape, Type
from support.batches import HOUR, batch
from support.http_server import serving, status

NOW = time.time_ns() // 1000 // HOUR * HOUR - 2 * HOUR
SECRET = "s3cr3t-key-of-24-bytes-or-more"
GUILD, SEED = uuid.UUID(int=0xBEEF), uuid.UUID(int=7)
ATTRIBUTES = {
    "guild_id": Attribute(type=Type.STRING, hash=Hash.DAILY),
    "provider": Attribute(type=Type.ENUM, values=("alttpr", "smz3")),
    "attempts": Attribute(type=Type.INT),
    "note": Attribute(type=Type.STRING, max_length=1024),
    "ranked": Attribute(type=Type.BOOL),
    "seed": Attribute(type=Type.UUID),
    "token": Attribute(type=Type.STRING),
}
CATALOG = Catalog(
    products=("shop",),
    events={"shop.order": Event(surface="web", feature="order", attributes=tuple(ATTRIBUTES))},
    attributes=ATTRIBUTES,
)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def dimension(event="shop.order", **enums):
    fixed = ("web", "order", "failure", "error", "timeout", "shop", None, "production")
    return Dimension(event, *fixed, tuple(enums.items()))


def everything(event):
    fixed = ("web", "order", "failure", "error", "timeout", "shop", "1.2", "production")
    return Dimension(event, *fixed, ())


def uses(times=(NOW + 1_500_000,), counts=None, digest=b"\7" * 16, **values):
    """A batch of rows with the same values, and counts beyond them, by the hour."""
    of = dimension(provider="smz3")
    rows = [(moment, 250, of, values) for moment in times]
    more = {(hour, of): number for hour, number in (counts or {}).items()}
    return batch(*rows, counts=more, digest=digest)


FULL = uses(
    counts={NOW: 41},
    guild_id=GUILD.bytes,
    attempts=3,
    note="läßt 🎲",
    ranked=True,
    seed=SEED.bytes,
    token="blue",
)


def event_id(ordinal, digest=b"\7" * 16):
    name = hashlib.sha256(b"footfall event\0" + digest + ordinal.to_bytes(8, "big")).digest()
    return str(uuid.UUID(bytes=name[:16]))


def rfc3339(moment_us):
    whole = dt.datetime.fromtimestamp(moment_us // 1_000_000, dt.UTC)
    fraction = f".{moment_us % 1_000_000:06}" if moment_us % 1_000_000 else ""
    return f"{whole:%Y-%m-%dT%H:%M:%S}{fraction}Z"


FIXED = {
    "surface": "web",
    "feature": "order",
    "action": "failure",
    "status": "error",
    "error_type": "timeout",
    "service": "shop",
    "environment": "production",
}
OBSERVED = FIXED | {"quantity": 1, "duration_ms": 250}
COUNTED = FIXED | {"quantity": 41, "hour": rfc3339(NOW), "provider": "smz3"}
PLAIN = {"provider": "smz3", "attempts": 3, "note": "läßt 🎲", "ranked": True, "seed": str(SEED)}


async def sent(config, *batches, catalog=CATALOG, path=""):
    """The requests that the backend's server gets; the configuration is made with its URL."""
    async with serving() as server:
        made = msgspec.convert({"endpoint": server.url + path} | config[1], config[0])
        async with made.open(Settings(catalog)) as subscriber:
            for each in batches:
                for request in subscriber.requests(each):
                    await subscriber.send(request)
    for request in server.requests:
        assert request.method == "POST"
        assert request.headers["content-type"] == "application/json"
    return server.requests


# PostHog: https://posthog.com/docs/api/capture

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


# Segment: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/

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


# GA4: https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference

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


# Webhook: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def check_webhook(request, key):
    assert "content-encoding" not in request.headers
    name, moment, signature = (
        request.headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature")
    )
    assert abs(int(moment) - time.time()) < 300
    signed = hmac.new(key, f"{name}.{moment}.".encode() + request.body, hashlib.sha256).digest()
    assert signature == "v1," + base64.b64encode(signed).decode()
    return json.loads(request.body)


@pytest.mark.parametrize(("secret", "key"), [(SECRET, SECRET.encode()), (WHSEC, bytes(range(32)))])
async def test_a_webhook_gets_signed_batches(secret, key):
    (request,) = await sent((WebhookConfig, {"secret": secret}), FULL, path="/hook?x=1")
    assert request.target == "/hook?x=1"
    named = {"event": "shop.order"}
    assert check_webhook(request, key) == {
        "batch": "07" * 16,
        "part": 0,
        "events": [
            OBSERVED
            | named
            | {"event_id": event_id(0), "time": rfc3339(NOW + 1_500_000)}
            | {"attributes": PLAIN | {"token": "blue"}}
        ],
        "counts": [
            FIXED
            | named
            | {"event_id": event_id(1), "time": rfc3339(NOW), "hour": rfc3339(NOW)}
            | {"quantity": 41, "attributes": {"provider": "smz3"}}
        ],
    }


async def test_a_retry_of_a_webhook_has_the_id_of_the_first_try():
    async with serving() as server:
        server.script(status(500))
        config = WebhookConfig(endpoint=server.url, secret=SECRET)
        async with config.open(Settings(CATALOG)) as subscriber:
            (request,) = subscriber.requests(FULL)
            (other,) = subscriber.requests(uses(digest=b"\1" * 16))
            with pytest.raises(Unavailable):
                await subscriber.send(request)
            await subscriber.send(request)
            await subscriber.send(other)
    first, again, other = (request.headers["webhook-id"] for request in server.requests)
    assert first == again != other


async def test_a_webhook_gets_many_events_in_bounded_requests():
    times = [NOW + n for n in range(1_990)]
    many = uses(times=times, counts={NOW - n * HOUR: 5 for n in range(30)}, digest=b"\1" * 16)
    requests = await sent((WebhookConfig, {"secret": SECRET}), many)
    bodies = [check_webhook(request, SECRET.encode()) for request in requests]
    assert [(len(b["events"]), len(b["counts"])) for b in bodies] == [(1000, 0), (990, 10), (0, 20)]
    assert [body["part"] for body in bodies] == [0, 1, 2]
    assert len({request.headers["webhook-id"] for request in requests}) == 3


@pytest.mark.parametrize(
    "secret", ["short", "whsec_" + "%" * 40, "whsec_c2hvcnQ=", f"{WHSEC}x", SECRET + "\n"]
)
def test_a_weak_secret_is_refused_and_not_repeated(secret):
    with pytest.raises(msgspec.ValidationError, match="secret") as caught:
        msgspec.convert({"endpoint": "https://host/", "secret": secret}, WebhookConfig)
    assert secret not in str(caught.value)


# JSON log


async def logged(config, *batches):
    async with config.open(Settings(CATALOG)) as log:
        for each in batches:
            for request in log.requests(each):
                await log.send(request)


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().split("\n") if line]


async def test_the_log_gets_a_line_of_json_an_event(tmp_path):
    path = tmp_path / "events.jsonl"
    await logged(JsonLogConfig(path=str(path)), FULL)
    await logged(JsonLogConfig(path=str(path)), uses(digest=b"\1" * 16))
    assert path.read_bytes().endswith(b"\n")
    first, count, second = lines(path)
    assert first == OBSERVED | {
        "event": "shop.order",
        "event_id": event_id(0),
        "time": rfc3339(NOW + 1_500_000),
        "attributes": PLAIN | {"token": "blue"},
    }
    assert (count["quantity"], count["hour"], count["time"]) == (41, rfc3339(NOW), rfc3339(NOW))
    assert second["event_id"] == event_id(0, b"\1" * 16)
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


async def test_the_log_goes_on_in_a_new_file_after_a_rotation(tmp_path):
    path, moved = tmp_path / "events.jsonl", tmp_path / "events.jsonl.1"
    async with JsonLogConfig(path=str(path)).open(Settings(CATALOG)) as log:
        (request,) = log.requests(uses())
        await log.send(request)
        path.rename(moved)
        await log.send(request)
        path.unlink()
        await log.send(request)
        path.write_bytes(b"")  # logrotate's copytruncate
        await log.send(request)
    assert moved.read_bytes() == path.read_bytes() == request


async def test_a_line_that_was_cut_short_is_ended_before_the_next(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "sh')
    await logged(JsonLogConfig(path=str(path)), uses())
    torn, *whole = path.read_bytes().split(b"\n")
    assert torn == b'{"event": "sh'
    assert json.loads(whole[0])["event_id"] == event_id(0)


async def test_lines_are_on_the_disk_before_they_are_acknowledged(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    synced = []
    real = os.fsync

    def fsync(file):
        synced.append((os.fstat(file).st_ino, os.fstat(file).st_size))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    await logged(JsonLogConfig(path=str(path)), FULL)
    found = path.stat()
    assert synced[-1] == (found.st_ino, found.st_size)
    assert tmp_path.stat().st_ino in [inode for inode, _ in synced]  # the new file's name


async def test_a_full_disk_or_a_missing_folder_is_tried_again(tmp_path):
    folder = tmp_path / "later"
    for path, reason in (("/dev/full", "No space left"), (f"{folder}/events.jsonl", "No such")):
        async with JsonLogConfig(path=path).open(Settings(CATALOG)) as log:
            (request,) = log.requests(uses())
            with pytest.raises(Unavailable, match=f"the log cannot be written: {reason}"):
                await log.send(request)
            if not path.startswith("/dev"):
                folder.mkdir()
                await log.send(request)
    assert (folder / "events.jsonl").read_bytes() == request


async def test_a_pipe_that_nobody_reads_blocks_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(json_log, "PATIENCE", 0.1)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        async with JsonLogConfig(path=str(path)).open(Settings(CATALOG)) as log:
            (request,) = log.requests(uses(times=[NOW + n for n in range(500)]))
            with pytest.raises(Unavailable, match="nobody reads it"):
                await log.send(request)
            read = os.read(reader, 1_000_000)
            sending = asyncio.create_task(log.send(request))
            while not (sending.done() and read.endswith(request)):
                await asyncio.sleep(0.001)
                with contextlib.suppress(BlockingIOError):
                    read += os.read(reader, 1_000_000)
            await sending
    finally:
        os.close(reader)
    # The line that was cut short has an end, and the retry is whole.
    assert read.endswith(b"\n" + request)


def test_standard_output_gets_the_lines():
    program = (
        "import asyncio, sys\n"
        "from footfall_exporters import testing\n"
        "from footfall_exporters.contracts import Settings\n"
        "from footfall_exporters.json_log import JsonLogConfig\n"
        "async def main():\n"
        "    async with JsonLogConfig().open(Settings(testing.catalog())) as log:\n"
        "        for batch in testing.batches(int(sys.argv[1])):\n"
        "            for request in log.requests(batch):\n"
        "                await log.send(request)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(NOW)], capture_output=True, check=True
    )
    found = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(found) == 4 + 2 + 7 + testing.MANY
    assert len({line["event_id"] for line in found}) == len(found)


# All of them

CONFIGS = [
    PostHogConfig(endpoint="http://h/", api_key=SECRET),
    SegmentConfig(endpoint="http://h/", write_key=SECRET),
    Ga4Config(endpoint="http://h/", measurement_id="G-1", api_secret=SECRET),
    WebhookConfig(endpoint="http://h/", secret=SECRET),
    JsonLogConfig(),
]


async def text_of(config, *batches, catalog=CATALOG):
    async with config.open(Settings(catalog)) as subscriber:
        return b"".join(r for b in batches for r in subscriber.requests(b)).decode()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
async def test_pseudonyms_are_sent_only_when_that_is_asked_for(config):
    assert str(GUILD) not in await text_of(config, FULL)
    asked = await text_of(msgspec.structs.replace(config, pseudonyms=True), FULL)
    assert f'"guild_hash":"{GUILD}"' in asked


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
async def test_what_is_not_declared_any_more_stays_here(config):
    text = await text_of(config, FULL, catalog=msgspec.structs.replace(CATALOG, attributes={}))
    assert "shop.order" in text
    assert "smz3" not in text
    assert "blue" not in text


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
async def test_footfalls_own_events_stay_here(config):
    made = testing.batches(NOW)
    own = await text_of(config, *made, catalog=testing.catalog())
    assert "footfall.emitted" not in own
    assert "emitted_event" not in own


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
async def test_the_order_of_columns_does_not_change_the_bytes(config):
    (rows,) = FULL.rows
    columns = tuple(reversed(rows.shapes[0].columns))
    shape = Shape(rows.shapes[0].dimension, 1.0, columns)
    turned = Rows(rows.times, rows.durations, [shape], rows.values[::-1])
    other = Batch(digest=FULL.digest, signal="traces", rows=[turned], counts=FULL.counts)
    assert await text_of(config, other) == await text_of(config, FULL)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
def test_every_key_is_documented(config):
    text = Path(__file__).parents[2].joinpath("docs/subscribers.md").read_text()
    keys = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    assert set(config.__struct_fields__) <= keys


@given(
    st.lists(st.integers(0, 60).map(lambda n: json.dumps("x" * n).encode()), max_size=60),
    st.integers(1, 10),
    st.integers(20, 100),
    st.none() | st.integers(5, 50),
)
def test_parts_hold_everything_in_order_and_within_their_limits(items, most, size, largest):
    parts = [[bytes(item) for item in part] for part in split(items, most, size, largest)]
    assert [item for part in parts for item in part] == items
    for part in parts:
        assert 1 <= len(part) <= most
        assert len(part) == 1 or len(b",".join(part)) <= size
        assert len(part) == 1 or max(map(len, part)) <= (size if largest is None else largest)
