"""The contract test of subscribers: what each one promises, ours and those of other packages.

    async def test_contract() -> None:
        await testing.check(MyConfig(endpoint="http://127.0.0.1:9"))

The backend need not be there. What its API wants to see is for the exporter's own tests.
"""

import asyncio
import dataclasses
import hashlib
import importlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence

import msgspec

from footfall_exporters.contracts import Settings, SubscriberConfig
from footfall_processors import (
    Attribute,
    Batch,
    Catalog,
    Dimension,
    Event,
    Hash,
    Loss,
    Rows,
    Shape,
    Type,
    Value,
)
from footfall_processors.batch import HOUR_US
from footfall_processors.catalog import EMITTED, with_builtins

PSEUDONYM = uuid.UUID("a1b2c3d4-0000-4000-8000-00000000beef").bytes
"""The value of the hashed attribute in `batches`."""
MANY = 1_200
"""Rows of the largest of `batches`: more than a request holds, for most backends."""


FORMS: tuple[Callable[[uuid.UUID], bytes], ...] = (
    lambda name: str(name).encode(),
    lambda name: name.hex.encode(),
    lambda name: name.bytes,
)
"""How a request may write an event id."""


class BrokenPromise(AssertionError):
    """A subscriber does not keep the contract; the message says which part of it."""


async def check(config: SubscriberConfig) -> None:
    """Checks everything that every subscriber must do, with or without its backend.

    Args:
        config: Its configuration: a msgspec Struct whose class can be imported by its name.

    Raises:
        BrokenPromise: it does not.
    """
    now_us = time.time_ns() // 1000
    made = batches(now_us)
    settings = Settings(catalog())
    async with config.open(settings) as subscriber:
        first = [list(subscriber.requests(batch)) for batch in made]
        again = [list(subscriber.requests(batch)) for batch in made]
    async with config.open(settings) as subscriber:
        reopened = [list(subscriber.requests(_reordered(batch))) for batch in made]
    _require(all(type(r) is bytes for part in first for r in part), "requests are bytes")
    _require(first == again == reopened, "requests of a batch are the same bytes every time")
    elsewhere = await _elsewhere(config, now_us)
    _require(elsewhere == _digest(first), "requests of a batch are the same bytes in every process")
    _check_frozen(config)
    for batch, requests in zip(made, first, strict=True):
        _check_requests(config, batch, requests)


def catalog() -> Catalog:
    """A catalog with every type of attribute."""
    attributes = {
        "guild_id": Attribute(type=Type.STRING, hash=Hash.DAILY),
        "provider": Attribute(type=Type.ENUM, values=("alttpr", "smz3")),
        "attempts": Attribute(type=Type.INT),
        "ratio": Attribute(type=Type.FLOAT),
        "ranked": Attribute(type=Type.BOOL),
        "note": Attribute(type=Type.STRING),
        "seed": Attribute(type=Type.UUID),
    }
    order = Event(surface="web", feature="order", attributes=tuple(attributes))
    ping = Event(surface="api", feature="ping", actions=("invoke",))
    events = {"shop.order": order, "shop.ping": ping}
    return with_builtins(Catalog(products=("contract",), events=events, attributes=attributes))


def batches(now_us: int) -> list[Batch]:
    """Batches of `catalog`, of every sort: observations, counts, both, very many, none.

    Args:
        now_us: µs since the Unix epoch, shortly after everything in them.
    """
    hour = now_us // HOUR_US * HOUR_US - HOUR_US
    order = _dimension("shop.order", "web", "order", provider="alttpr")
    ping = _dimension("shop.ping", "api", "ping")
    own = _dimension(EMITTED, "footfall", "emitted", emitted_event="shop.ping")
    columns = ("attempts", "guild_id", "note", "ranked", "ratio", "seed")
    seed = uuid.UUID(int=7).bytes
    full: tuple[Value | None, ...] = (3, PSEUDONYM, 'a "quoted"\nläßt 🎲', True, 0.1, seed)
    rows = [
        Rows(
            times=[hour + 1, hour + 999_999],
            durations=[250, None],
            shapes=[Shape(order, 1.0, columns)] * 2,
            values=[[value, None] for value in full],
        ),
        _plain_rows(own, hour, 1),
        _plain_rows(ping, hour, 2),
    ]
    rows_only = {(hour, order): 2, (hour, own): 1, (hour, ping): 2}
    beyond = {(hour, ping): 40, (hour - HOUR_US, order): 2**40, (hour, own): 9}
    return [
        Batch(digest=b"\1" * 16, signal="traces", rows=rows, counts=rows_only),
        Batch(digest=b"\2" * 16, signal="metrics", counts=beyond),
        Batch(digest=b"\3" * 16, signal="traces", rows=rows, counts=beyond | {(hour, order): 7}),
        Batch(
            digest=b"\4" * 16,
            signal="logs",
            rows=[_plain_rows(ping, hour, MANY)],
            counts={(hour, ping): MANY},
        ),
        Batch(digest=b"\5" * 16, signal="traces", losses={Loss.UNDECLARED_EVENT: 3}),
    ]


def _dimension(event: str, surface: str, feature: str, **enums: str) -> Dimension:
    fixed = (None, "shop", "1.2.3", "production")
    named = tuple(sorted(enums.items()))
    return Dimension(event, surface, feature, "invoke", "ok", *fixed, named)


def _plain_rows(dimension: Dimension, hour: int, size: int) -> Rows:
    return Rows(
        times=range(hour + 5, hour + 5 + size),
        durations=[None] * size,
        shapes=[Shape(dimension, 1.0, ())] * size,
        values=[],
    )


def _reordered(batch: Batch) -> Batch:
    """The same batch, as it may come from another store: counts are a mapping and have no order."""
    return dataclasses.replace(batch, counts=dict(reversed(list(batch.counts.items()))))


def _require(kept: bool, promise: str) -> None:
    if not kept:
        raise BrokenPromise(promise)


def _check_frozen(config: SubscriberConfig) -> None:
    promise = "the configuration is a frozen msgspec.Struct that forbids unknown fields"
    _require(isinstance(config, msgspec.Struct), promise)
    struct: msgspec.Struct = config  # type: ignore[assignment]
    options = struct.__struct_config__
    _require(options.frozen and options.forbid_unknown_fields, promise)


def _check_requests(config: SubscriberConfig, batch: Batch, requests: Sequence[bytes]) -> None:
    _require(bool(requests) == bool(batch.counts), "what has nothing to send makes no request")
    events = [shape.dimension.event for rows in batch.rows for shape in rows.shapes]
    names = [
        batch.event_id(n) for n, event in enumerate(events) if not event.startswith("footfall.")
    ]
    forms = [form for form in FORMS if any(form(name) in r for name in names[:1] for r in requests)]
    for name in names:
        mentioned = sum(any(form(name) in request for form in forms) for request in requests)
        _require(mentioned == 1, "each observation is in one request, with its event id")
    if getattr(config, "pseudonyms", None) is False:
        hidden = [form(uuid.UUID(bytes=PSEUDONYM)) for form in FORMS]
        _require(not any(h in r for h in hidden for r in requests), "pseudonyms stay here")


def _digest(requests: Iterable[Iterable[bytes]]) -> str:
    found = hashlib.sha256()
    for part in requests:
        for request in part:
            found.update(len(request).to_bytes(8, "big") + request)
    return found.hexdigest()


async def _elsewhere(config: SubscriberConfig, now_us: int) -> str:
    """The digest that another process comes to, whose hashes have another seed."""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, type(config).__module__, type(config).__qualname__,
        str(now_us), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONHASHSEED": seed},
    )  # fmt: skip
    output, _ = await child.communicate(msgspec.json.encode(config))
    return output.decode().strip()


async def _main(module: str, name: str, now_us: str) -> None:
    config = msgspec.json.decode(
        sys.stdin.buffer.read(), type=getattr(importlib.import_module(module), name)
    )
    async with config.open(Settings(catalog())) as subscriber:
        print(_digest(subscriber.requests(batch) for batch in batches(int(now_us))))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
