"""Rows → the bytes of a binary COPY (PostgreSQL, "COPY", Binary Format). Part of the hot path.

psycopg's own adapters write 435k rows a second. A row's layout is known from its shape, so that one
`struct.pack` writes it whole; rows of unusual layout take `_row`, the plain form of the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from struct import Struct, pack

from footfall_processors import Batch, Dimension, Shape, Value

HEADER = b"PGCOPY\n\xff\r\n\x00" + pack(">ii", 0, 0)
TRAILER = pack(">h", -1)
EPOCH_US = 946_684_800_000_000
"""2000-01-01, from which Postgres counts, in µs since the Unix epoch."""
NULL = pack(">i", -1)
FIXED = ("time", "ordinal", "duration_ms", "batch_id", "dim_id", "sample_rate")


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the rows of one shape in one batch are written.

    Attributes:
        middle: The encoded fields from batch_id up to the first value.
        gaps: The NULLs after each value, for columns that the shape lacks.
        packer: Writes a row whose duration and single uuid are there; None if the shape has another form.
        rest: What follows that uuid.
    """

    middle: bytes
    gaps: tuple[bytes, ...]
    packer: Struct
    rest: bytes


class Encoder:
    """Encodes batches for a table with these catalog columns.

    Args:
        columns: The attributes that are columns of feature_events, in the order of the COPY.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._width = len(FIXED) + len(columns)

    def encode(self, batch: Batch, batch_id: int, ids: Mapping[Dimension, int]) -> list[bytes]:
        """A batch's rows, each as it stands between HEADER and TRAILER."""
        layouts = {shape: self._layout(shape, batch_id, ids) for shape in set(batch.shapes)}
        rows: list[bytes] = []
        append = rows.append
        width, epoch = self._width, EPOCH_US
        columns = zip(
            count(), batch.times, batch.durations, batch.shapes, batch.values, strict=False
        )
        for ordinal, time, duration, shape, values in columns:
            layout = layouts[shape]
            # A uuid has exactly the 16 bytes that the packer leaves for it; nothing else has.
            if duration is not None and len(values) == 1 and type(values[0]) is bytes:
                append(
                    layout.packer.pack(
                        width,
                        8,
                        time - epoch,
                        4,
                        ordinal,
                        4,
                        duration,
                        layout.middle,
                        16,
                        values[0],
                        layout.rest,
                    )
                )
            else:
                append(self._row(layout, ordinal, time, duration, values))
        return rows

    def _layout(self, shape: Shape, batch_id: int, ids: Mapping[Dimension, int]) -> _Layout:
        gaps = [0]
        for name in self.columns:
            if name in shape.columns:
                gaps.append(0)
            else:
                gaps[-1] += 1
        nulls = [NULL * gap for gap in gaps]
        fixed = pack(">iqiiif", 8, batch_id, 4, ids[shape.dimension], 4, shape.sample_rate)
        middle, rest = fixed + nulls[0], nulls[1] if len(nulls) > 1 else b""
        packer = Struct(f">hiqiiii{len(middle)}si16s{len(rest)}s")
        return _Layout(middle, tuple(nulls[1:]), packer, rest)

    def _row(
        self,
        layout: _Layout,
        ordinal: int,
        time: int,
        duration: int | None,
        values: Sequence[Value | None],
    ) -> bytes:
        """One row, field by field."""
        length = NULL if duration is None else pack(">ii", 4, duration)
        fields = [
            pack(">hiqii", self._width, 8, time - EPOCH_US, 4, ordinal),
            length,
            layout.middle,
        ]
        for value, gap in zip(values, layout.gaps, strict=True):
            fields += (field(value), gap)
        return b"".join(fields)


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
