"""Rows → the bytes of a binary COPY (PostgreSQL, "COPY", Binary Format). Part of the hot path.

psycopg's own adapters write 435k rows a second. Here the rows of a batch that have the same layout are
written together: the layout once, repeated, and then each field of all rows at once, byte by byte, by
slices with the row's length as their step. `plain_row` is the definition; rows of variable length (text)
use it, and tests compare the two.
"""

from collections.abc import Iterator, Mapping, Sequence
from struct import pack
from typing import Any, TypeVar

from footfall_processors import Batch, Dimension, Value

HEADER = b"PGCOPY\n\xff\r\n\x00" + pack(">ii", 0, 0)
TRAILER = pack(">h", -1)
EPOCH_US = 946_684_800_000_000
"""2000-01-01, from which Postgres counts, in µs since the Unix epoch."""
NULL = pack(">i", -1)
FIXED = ("time", "ordinal", "duration_ms", "batch_id", "dim_id", "sample_rate")

T = TypeVar("T")


class Encoder:
    """Encodes batches for a table with these catalog columns.

    Args:
        columns: The attributes that are columns of feature_events, in the order of the COPY.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._width = len(FIXED) + len(columns)

    def encode(self, batch: Batch, batch_id: int, ids: Mapping[Dimension, int]) -> Iterator[bytes]:
        """A batch's rows, in pieces that stand between HEADER and TRAILER in any order."""
        for rows in _alike(batch):
            values = _pick(batch.values, rows)
            columns = [[row[n] for row in values] for n in range(len(values[0]))]
            kinds = [set(map(type, column)) for column in columns]
            if all(len(kind) == 1 and str not in kind for kind in kinds):
                yield self._together(batch, rows, columns, batch_id, ids)
            else:
                yield from (self.plain_row(batch, i, batch_id, ids) for i in rows)

    def plain_row(
        self, batch: Batch, index: int, batch_id: int, ids: Mapping[Dimension, int]
    ) -> bytes:
        """One row, field by field."""
        shape, duration = batch.shapes[index], batch.durations[index]
        values = dict(zip(shape.columns, batch.values[index], strict=True))
        return b"".join(
            (
                pack(">hiqii", self._width, 8, batch.times[index] - EPOCH_US, 4, index),
                NULL if duration is None else pack(">ii", 4, duration),
                pack(">iqiiif", 8, batch_id, 4, ids[shape.dimension], 4, shape.sample_rate),
                *(field(values.get(column)) for column in self._columns),
            )
        )

    def _together(
        self,
        batch: Batch,
        rows: Sequence[int],
        columns: Sequence[Sequence[Value | None]],
        batch_id: int,
        ids: Mapping[Dimension, int],
    ) -> bytes:
        """Rows of one layout: the first row as the pattern, then the fields that differ."""
        size = len(rows)
        pattern = self.plain_row(batch, rows[0], batch_id, ids)
        result = bytearray(pattern * size)
        shapes = _pick(batch.shapes, rows)
        numbers = {shape: ids[shape.dimension] for shape in set(shapes)}
        fields = [  # (offset, bytes per row, all rows' bytes)
            (6, 8, pack(f">{size}q", *[t - EPOCH_US for t in _pick(batch.times, rows)])),
            (18, 4, pack(f">{size}i", *rows)),
        ]
        offset = 26
        if batch.durations[rows[0]] is not None:
            fields.append((26, 4, pack(f">{size}i", *_pick(batch.durations, rows))))
            offset += 4
        fields.append((offset + 16, 4, pack(f">{size}i", *map(numbers.__getitem__, shapes))))
        offset += 28
        sent = dict(zip(batch.shapes[rows[0]].columns, columns, strict=True))
        for name in self._columns:
            width, data = _fixed(sent.get(name, (None,)))
            fields.append((offset + 4, width, data))
            offset += 4 + width
        step = len(pattern)
        for start, width, data in fields:
            for byte in range(width):
                result[start + byte :: step] = data[byte::width]
        return bytes(result)


def _alike(batch: Batch) -> Iterator[Sequence[int]]:
    """The rows' indexes, those of the same layout together."""
    forms = {shape: (shape.columns, shape.sample_rate) for shape in set(batch.shapes)}
    if len(set(forms.values())) == 1 and None not in batch.durations:  # nearly always
        yield range(len(batch.times))
        return
    groups: dict[object, list[int]] = {}
    rows = zip(batch.shapes, batch.durations, batch.values, strict=True)
    for index, (shape, duration, values) in enumerate(rows):
        layout = (forms[shape], duration is None, *map(type, values))
        groups.setdefault(layout, []).append(index)
    yield from groups.values()


def _pick(column: Sequence[T], rows: Sequence[int]) -> Sequence[T]:
    return column if len(column) == len(rows) else [column[i] for i in rows]


def _fixed(column: Sequence[Any]) -> tuple[int, bytes]:
    """A column of values of one type of fixed length: bytes per value, and all of them."""
    match column[0]:
        case None:
            return 0, b""
        case bool():
            return 1, pack(f">{len(column)}?", *column)
        case int():
            return 8, pack(f">{len(column)}q", *column)
        case float():
            return 8, pack(f">{len(column)}d", *column)
        case _:
            return 16, b"".join(column)


def field(value: Value | None) -> bytes:
    """One value with its length: uuid from 16 bytes, bigint, double precision, boolean or text."""
    match value:
        case None:
            return NULL
        case bool():
            return pack(">i?", 1, value)
        case int():
            return pack(">iq", 8, value)
        case float():
            return pack(">id", 8, value)
        case bytes():
            return pack(">i", len(value)) + value
        case str():
            encoded = value.encode()
            return pack(">i", len(encoded)) + encoded
