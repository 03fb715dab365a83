"""One event and one count as every backend is sent them, and the requests that its server gets."""

import datetime as dt
import hashlib
import time
import uuid

import msgspec

from footfall_exporters.contracts import Settings
from footfall_processors import Attribute, Catalog, Dimension, Event, Hash, Type
from support.batches import HOUR, batch
from support.http_server import serving

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
