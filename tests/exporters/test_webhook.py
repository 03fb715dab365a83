import base64
import hashlib
import hmac
import json
import time

import msgspec
import pytest

from exporters.sending import (
    CATALOG,
    FIXED,
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
from footfall_exporters.contracts import Settings, Unavailable
from footfall_exporters.webhook import WebhookConfig
from support.batches import HOUR
from support.http_server import serving, status

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
