"""Batches that are sent by OTLP, and how their events are named."""

import hashlib
import uuid
from functools import partial

from footfall_processors import Dimension, Point, Rows, Shape
from support.batches import HOUR, batch_of

NOW = 1_760_000_000_123_456


DIGEST = b"digest of 16 byt"
GUILD, SEED = bytes(range(16)), uuid.UUID("12345678-1234-5678-1234-567812345678")


def dimension(
    event="shop.order",
    action="success",
    status="ok",
    error=None,
    who=("shop", "1.2", "production"),
    **enums,
):
    fixed = (event, "web", event.rpartition(".")[2], action, status, error, *who)
    return Dimension(*fixed, tuple(sorted(enums.items())))


def one_row(columns=(), values=(), duration=83, rate=1.0, of=None):
    return Rows([NOW], [duration], [Shape(of or dimension(), rate, columns)], [[v] for v in values])


batch = partial(batch_of, digest=DIGEST)


def counted(event="shop.order", number=5, hour=NOW // HOUR * HOUR, **fields):
    return batch(counts={(hour, dimension(event, **fields)): number}, signal="metrics")


def event_id(ordinal, digest=DIGEST):
    return hashlib.sha256(b"footfall event\0" + digest + ordinal.to_bytes(8, "big")).digest()[:16]


def everything():
    """A batch with some of all there is."""
    of = [dimension(who=(name, None, None), provider="smr") for name in "abc"]
    shapes = [Shape(each, 0.5, ("guild_id", "note")) for each in of]
    rows = Rows([NOW + n for n in range(30)], [1] * 30, [shapes[n % 3] for n in range(30)],
                [[GUILD] * 30, [str(n) for n in range(30)]])  # fmt: skip
    counts = {(NOW // HOUR * HOUR - n % 4 * HOUR, each): 5 + n for n, each in enumerate(of * 4)}
    points = [Point(bytes([n]) * 16, b"s" * 16, each, NOW, NOW, n) for n, each in enumerate(of)]
    return batch(rows, counts=counts, points=points)
