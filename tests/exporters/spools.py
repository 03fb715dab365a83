"""Batches for a spool, and what one that is full or was emptied has."""

from dataclasses import replace

from footfall_exporters.batch_codec import Decoder
from footfall_exporters.contracts import Unavailable
from footfall_processors import Batch, Dimension, Loss, Point, Rows
from footfall_processors.batch import Shape


def dimension(**changed):
    fields = {
        "event": "shop.sold", "surface": "web", "feature": "shop", "action": "success",
        "status": "ok", "error_type": None, "service": "till", "service_version": None,
        "environment": None, "enums": (("size", "large"),),
    }  # fmt: skip
    return Dimension(**{**fields, **changed})


def numbered(number=0, size=2):
    dim = dimension()
    shape = Shape(dim, 0.5, ("guild_id", "note", "price", "fast"))
    values = [[b"\x00" * 16] * size, ["text"] * size, [2**60] * size, [True] * size]
    return Batch(
        digest=number.to_bytes(16, "big"),
        signal="traces",
        rows=[Rows([1_000_000] * size, [5, *[None] * (size - 1)], [shape] * size, values)],
        counts={(0, dim): size, (3_600_000_000, dimension(action="invoke")): 7},
        points=[Point(b"s" * 16, b"t" * 16, dim, 1, 2, 3)],
        losses={Loss.ENUM_VALUE: 2},
        layout={"guild_id": "guild_hash"},
    )


def shown(entry):
    """A batch that waits, with its digest."""
    found = Decoder().decode(entry.body)
    assert found.digest == entry.name != entry.digest
    return replace(found, digest=entry.digest)


def plain(found):
    """A batch as plain values; dimensions have no equality of their own."""

    def dim(d):
        return tuple(getattr(d, name) for name in Dimension.__slots__)

    return (
        found.digest,
        found.signal,
        [
            (
                list(r.times),
                list(r.durations),
                [(dim(s.dimension), s.sample_rate, s.columns) for s in r.shapes],
                [list(column) for column in r.values],
            )
            for r in found.rows
        ],
        {(hour, dim(d)): n for (hour, d), n in found.counts.items()},
        [
            (p.stream, p.series, dim(p.dimension), p.start_us, p.time_us, p.value)
            for p in found.points
        ],
        dict(found.losses),
        dict(found.layout),
    )


async def put_until_refused(spool, numbers):
    """How many were taken, and the refusal of the next."""
    for taken, number in enumerate(numbers):
        try:
            await spool.put(numbered(number, size=300))
        except Unavailable as refused:
            return taken, refused
    raise AssertionError("nothing was refused")
