"""A `Batch` as bytes and back, for the time it waits on disk (MessagePack)."""

from typing import Any

import msgspec

from footfall_processors import Batch, Dimension, Loss, Point, Rows
from footfall_processors.batch import Shape

VERSION = 2
"""Of the layout; a spool that another version wrote is read by that version."""
Fields = tuple[
    str, str, str, str, str, str | None, str | None, str | None, str | None,
    tuple[tuple[str, str], ...],
]  # fmt: skip


Hops = tuple[str | None, str | None]
"""`relayed_from` and `telemetry_distro` of a dimension."""


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    version: int
    digest: bytes
    signal: str
    dimensions: list[Fields]
    shapes: list[tuple[int, float, tuple[str, ...]]]
    rows: list[tuple[list[int], list[int | None], list[int], list[list[Any]]]]
    counts: list[tuple[int, int, int]]
    points: list[tuple[bytes, bytes, int, int, int, int]]
    losses: dict[str, int]
    layout: dict[str, str]
    hops: list[Hops] = []  # of each dimension; an older version wrote none
    identified: bool = True
    spans: list[list[bytes]] = []
    quantities: list[int] = []  # of each shape; none where all are 1
    content: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Stored)


def encode(batch: Batch) -> bytes:
    """A batch as bytes."""
    shapes = {shape: n for n, shape in enumerate({s: 0 for r in batch.rows for s in r.shapes})}
    used = [s.dimension for s in shapes] + [d for _, d in batch.counts]
    used += [point.dimension for point in batch.points]
    dimensions = {dimension: n for n, dimension in enumerate(dict.fromkeys(used))}
    return _encoder.encode(
        _Stored(
            version=VERSION,
            digest=batch.digest,
            signal=batch.signal,
            dimensions=[_fields(dimension) for dimension in dimensions],
            hops=[(d.relayed_from, d.telemetry_distro) for d in dimensions],
            shapes=[(dimensions[s.dimension], s.sample_rate, s.columns) for s in shapes],
            rows=[
                (
                    list(r.times),
                    list(r.durations),
                    [shapes[s] for s in r.shapes],
                    list(map(list, r.values)),
                )
                for r in batch.rows
            ],
            counts=[(hour, dimensions[d], n) for (hour, d), n in batch.counts.items()],
            points=[
                (p.stream, p.series, dimensions[p.dimension], p.start_us, p.time_us, p.value)
                for p in batch.points
            ],
            losses={str(reason): n for reason, n in batch.losses.items()},
            layout=dict(batch.layout),
            identified=batch.identified,
            spans=[list(r.spans) for r in batch.rows] if any(r.spans for r in batch.rows) else [],
            content=batch.content,
            quantities=[s.quantity for s in shapes] if any(s.quantity > 1 for s in shapes) else [],
        )
    )


def content_of(data: bytes) -> bytes:
    """The content of an encoded batch that its sender has named; empty where there is none to be read."""
    try:
        return _decoder.decode(data).content
    except ValueError:
        return b""


class Decoder:
    """Reads batches; equal dimensions of all of them are one object, as the policy makes them."""

    def __init__(self) -> None:
        self._dimensions: dict[tuple[Fields, Hops], Dimension] = {}

    def decode(self, data: bytes) -> Batch:
        """The batch that was encoded.

        Raises:
            msgspec.DecodeError: these are not the bytes of one.
        """
        try:
            return self._batch(_decoder.decode(data))
        except (ValueError, IndexError, TypeError) as error:  # msgspec's own is a ValueError
            raise msgspec.DecodeError(type(error).__name__) from None

    def _batch(self, stored: _Stored) -> Batch:
        if stored.version != VERSION:
            raise msgspec.DecodeError(f"layout {stored.version}, not {VERSION}")
        hops = stored.hops or [(None, None)] * len(stored.dimensions)
        dimensions = list(map(self._dimension, stored.dimensions, hops))
        quantities = stored.quantities or [1] * len(stored.shapes)
        shapes = [
            Shape(dimensions[d], rate, columns, quantity)
            for (d, rate, columns), quantity in zip(stored.shapes, quantities, strict=True)
        ]
        return Batch(
            digest=stored.digest,
            signal=stored.signal,
            rows=[
                Rows(times, durations, [shapes[n] for n in numbers], values, spans)
                for (times, durations, numbers, values), spans in zip(
                    stored.rows, stored.spans or [[]] * len(stored.rows), strict=True
                )
            ],
            counts={(hour, dimensions[d]): n for hour, d, n in stored.counts},
            points=[
                Point(stream, series, dimensions[d], start, time, value)
                for stream, series, d, start, time, value in stored.points
            ],
            losses={Loss(reason): n for reason, n in stored.losses.items()},
            layout=stored.layout,
            identified=stored.identified,
            content=stored.content,
        )

    def _dimension(self, fields: Fields, hops: Hops) -> Dimension:
        if (fields, hops) not in self._dimensions:
            self._dimensions[fields, hops] = Dimension(*fields, *hops)
        return self._dimensions[fields, hops]


def _fields(d: Dimension) -> Fields:
    return (
        d.event, d.surface, d.feature, d.action, d.status, d.error_type,
        d.service, d.service_version, d.environment, d.enums,
    )  # fmt: skip
