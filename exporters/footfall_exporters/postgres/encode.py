"""Rows → the bytes of a binary COPY (PostgreSQL, "COPY", Binary Format). Part of the hot path.

psycopg's own adapters write 435k rows a second. Here the rows of a batch that have the same layout are
written together: the layout once, repeated, and then each field of all rows at once, byte by byte, by
slices with the row's length as their step. `plain_row` is the definition; rows of variable length (text)
use it, and tests compare the two.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from struct import pack
from typing import Any

from footfall_processors import Batch, Dimension, Rows, Shape, Value

HEADER = b"PGCOPY\n\xff\r\n\x00" + pack(">ii", 0, 0)
TRAILER = pack(">h", -1)
EPOCH_US = 946_684_800_000_000
"""2000-01-01, from which Postgres counts, in µs since the Unix epoch."""
NULL = pack(">i", -1)
FIXED = ("time", "ordinal", "duration_ms", "batch_id", "dim_id", "sample_rate", "quantity")


class Encoder:
    """Encodes batches for a table with these catalog columns.

    Args:
        columns: The attributes that are columns of feature_events, in the order of the COPY.
        layout: Attribute → column. What a batch has for another column is left out: it may be the raw value
            of what is hashed now.
    """

    def __init__(self, columns: Sequence[str], layout: Mapping[str, str] | None = None) -> None:
        self._columns, self._layout = tuple(columns), layout or {}
        self._width = len(FIXED) + len(columns)

    def encode(self, batch: Batch, batch_id: int, ids: Mapping[Dimension, int]) -> Iterator[bytes]:
        """A batch's rows, in pieces that stand between HEADER and TRAILER in any order."""
        first = 0
        for rows in self._fitting(batch):
            if len(rows.times) == 1:
                yield self.plain_row(rows, 0, first, batch_id, ids)
                first += 1
                continue
            shapes = set(rows.shapes)
            for alike, ordinals in _alike(rows, range(first, first + len(rows.times)), shapes):
                if str in {type(column[0]) for column in alike.values}:
                    for at, ordinal in enumerate(ordinals):
                        yield self.plain_row(alike, at, ordinal, batch_id, ids)
                else:
                    yield self._together(alike, ordinals, batch_id, ids, shapes)
            first += len(rows.times)

    def _fitting(self, batch: Batch) -> Sequence[Rows]:
        """The batch's rows without values for columns that are others by now."""
        if batch.layout is self._layout or not batch.layout or batch.layout == self._layout:
            return batch.rows
        now = self._layout
        stale = {a for a, column in batch.layout.items() if now.get(a, column) != column}
        return [_without(rows, stale) for rows in batch.rows] if stale else batch.rows

    def plain_row(
        self, rows: Rows, at: int, ordinal: int, batch_id: int, ids: Mapping[Dimension, int]
    ) -> bytes:
        """One row, field by field."""
        shape, duration = rows.shapes[at], rows.durations[at]
        values = {name: column[at] for name, column in _named(rows)}
        return b"".join(
            (
                pack(">hiqii", self._width, 8, rows.times[at] - EPOCH_US, 4, ordinal),
                NULL if duration is None else pack(">ii", 4, duration),
                pack(">iqiiif", 8, batch_id, 4, ids[shape.dimension], 4, shape.sample_rate),
                pack(">ii", 4, shape.quantity),
                *(field(values.get(column)) for column in self._columns),
            )
        )

    def _together(
        self,
        rows: Rows,
        ordinals: Sequence[int],
        batch_id: int,
        ids: Mapping[Dimension, int],
        shapes: Set[Shape],
    ) -> bytes:
        """Rows of one layout: the first row as the pattern, then the fields that differ."""
        size = len(ordinals)
        pattern = self.plain_row(rows, 0, ordinals[0], batch_id, ids)
        result = bytearray(pattern * size)
        numbers = {shape: ids[shape.dimension] for shape in shapes}
        fields = [  # (offset, bytes per row, all rows' bytes)
            (6, 8, pack(f">{size}q", *[time - EPOCH_US for time in rows.times])),
            (18, 4, pack(f">{size}i", *ordinals)),
        ]
        offset = 26
        if rows.durations[0] is not None:
            fields.append((26, 4, pack(f">{size}i", *rows.durations)))
            offset += 4
        fields.append((offset + 16, 4, pack(f">{size}i", *map(numbers.__getitem__, rows.shapes))))
        offset += 36
        sent = dict(_named(rows))
        for name in self._columns:
            width, data = _fixed(sent.get(name, (None,)))
            fields.append((offset + 4, width, data))
            offset += 4 + width
        step = len(pattern)
        for start, width, data in fields:
            for byte in range(width):
                result[start + byte :: step] = data[byte::width]
        return bytes(result)


def _without(rows: Rows, attributes: Set[str]) -> Rows:
    empty: Sequence[Value | None] = [None] * len(rows.times)
    columns = rows.shapes[0].columns
    values = [
        empty if name in attributes else column
        for name, column in zip(columns, rows.values, strict=True)
    ]
    return Rows(rows.times, rows.durations, rows.shapes, values)


def _named(rows: Rows) -> Iterator[tuple[str, Sequence[Value | None]]]:
    return zip(rows.shapes[0].columns, rows.values, strict=True)


def _alike(
    rows: Rows, ordinals: Sequence[int], shapes: Set[Shape]
) -> Iterator[tuple[Rows, Sequence[int]]]:
    """The rows and their ordinals, those of the same layout together."""
    rates = {(shape.sample_rate, shape.quantity) for shape in shapes}
    types = [set(map(type, column)) for column in rows.values]
    if len(rates) == 1 and None not in rows.durations and all(len(t) == 1 for t in types):
        yield rows, ordinals  # nearly always
        return
    groups: dict[object, list[int]] = {}
    for at, (shape, duration) in enumerate(zip(rows.shapes, rows.durations, strict=True)):
        layout = (
            shape.sample_rate,
            shape.quantity,
            duration is None,
            *[type(c[at]) for c in rows.values],
        )
        groups.setdefault(layout, []).append(at)
    for chosen in groups.values():
        yield rows.take(chosen), [ordinals[at] for at in chosen]


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
