"""What was read of a request in JSON → the same in protobuf's encoding.

Field numbers as in opentelemetry/proto/*.proto. What cannot be encoded (a time before 1970, a number of more
bits than its field has) makes its span, record or point `BROKEN`, as does None, which stands for what could
not be read; it is counted where other bytes are counted that are no protobuf.
"""

import struct
from abc import ABC, abstractmethod
from binascii import unhexlify
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from footfall_collector.decoding.otlp_json import values
from footfall_collector.signals import LOGS, METRICS, TRACES

BROKEN = b"\x00"
"""No message at all: there is no field 0."""
_times = struct.Struct("<BQBQ").pack
"""Two fields of type fixed64, each after its tag."""


class Encoder(ABC):
    """The encoder of one request: its spans, log records or metrics, and whose they are.

    Args:
        attributes: The number of the items' field `attributes`.
        held: What becomes of lists, maps and bytes.
    """

    def __init__(self, attributes: int, held: values.Held = values.left_out) -> None:
        self._number, self._held = attributes, held
        self._heads = _Heads(attributes)

    def __call__(self, item: Any) -> bytes:
        """One item, None for one that could not be read; `BROKEN` when it cannot be."""
        try:
            return BROKEN if item is None else self.encoded(item)
        except (ValueError, struct.error):
            return BROKEN

    def resource(self, found: Any) -> bytes:
        """A Resource, None for one that is not there."""
        return b"" if found is None else values.attributes(1, found.attributes, self._held)

    def scope(self, found: Any) -> bytes:
        """An InstrumentationScope, None for one that is not there."""
        if found is None:
            return b""
        named = values.text(1, found.name) + values.text(2, found.version)
        return named + values.attributes(3, found.attributes, self._held)

    @abstractmethod
    def encoded(self, item: Any) -> bytes:
        """One item.

        Raises:
            ValueError, struct.error: it cannot be.
        """

    def _add_attributes(self, parts: list[bytes], pairs: Sequence[Any] | None) -> None:
        """As `values.attributes`; texts, which nearly all values are, in a third of the time."""
        heads = self._heads
        for pair in pairs or ():
            value = pair.value
            if value is not None and (text := value.string_value) is not None:
                encoded = text.encode()
                parts.append(heads[pair.key or "", len(encoded)])
                parts.append(encoded)
            else:
                parts.append(values.attributes(self._number, (pair,), self._held))


class _Spans(Encoder):
    def __init__(self) -> None:
        super().__init__(attributes=9)
        self._names = _Names()

    def encoded(self, span: Any) -> bytes:
        times = _times(0x39, span.start_time_unix_nano or 0, 0x41, span.end_time_unix_nano or 0)
        ids = _id(b"\x0a\x10", span.trace_id), _id(b"\x12\x08", span.span_id)
        parts = [*ids, self._names[span.name], times]
        if span.kind is not None:
            parts.append(_kind(bytes(span.kind)))
        self._add_attributes(parts, span.attributes)
        if span.status is not None:
            parts.append(_status(span.status.code))
        return b"".join(parts)


class _LogRecords(Encoder):
    def __init__(self) -> None:
        super().__init__(attributes=6)

    def encoded(self, record: Any) -> bytes:
        time, observed = record.time_unix_nano, record.observed_time_unix_nano
        parts = [
            _times(0x09, time or 0, 0x59, observed or 0),
            values.number(2, record.severity_number),
        ]
        self._add_attributes(parts, record.attributes)
        parts += values.text(12, record.event_name), _id(b"\x52\x08", record.span_id)
        return b"".join(parts)


class _Metrics(Encoder):
    def __init__(self) -> None:
        super().__init__(attributes=7, held=values.Kept())

    def encoded(self, metric: Any) -> bytes:
        # The last of several counts, as in protobuf; there is one.
        data = [
            values.block(number, self._points(kind))
            for number, kind in ((5, metric.gauge), (7, metric.sum))
            if kind is not None
        ]
        rest = (
            (4, metric.int_gauge),
            (6, metric.int_sum),
            (8, metric.int_histogram),
            (9, metric.histogram),
            (10, metric.exponential_histogram),
            (11, metric.summary),
        )
        data += [values.block(number, _unread(kind)) for number, kind in rest if kind is not None]
        return values.text(1, metric.name) + values.text(3, metric.unit) + b"".join(data)

    def _points(self, points: Any) -> bytes:
        return (
            b"".join(values.block(1, self._point(point)) for point in points.data_points or ())
            + values.number(2, points.aggregation_temporality)
            + values.number(3, points.is_monotonic)
        )

    def _point(self, point: Any) -> bytes:
        try:
            return BROKEN if point is None else self._encoded_point(point)
        except (ValueError, struct.error):
            return BROKEN

    def _encoded_point(self, point: Any) -> bytes:
        value = b""
        if point.as_int is not None:
            value = b"\x31" + values.sfixed64(point.as_int)
        elif point.as_double is not None:
            value = b"\x21" + values.double(point.as_double)
        times = _times(0x11, point.start_time_unix_nano or 0, 0x19, point.time_unix_nano or 0)
        parts = [
            times,
            value,
            values.number(8, point.flags),
            values.block(1, b"") * len(point.labels or ()),
        ]
        self._add_attributes(parts, point.attributes)
        return b"".join(parts)


def _unread(kind: Any) -> bytes:
    """A kind of metric of which no point is read: how many there are, where that is known."""
    return values.block(1, b"") * len(getattr(kind, "data_points", None) or ())


class _Names(dict[str | None, bytes]):
    """A span's name → its field."""

    def __missing__(self, name: str | None) -> bytes:
        encoded = self[name] = values.text(5, name)
        return encoded


class _Heads(dict[tuple[str, int], bytes]):
    """(key, size) → everything of an attribute but its value, a text of so many bytes."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def __missing__(self, wanted: tuple[str, int]) -> bytes:
        key, size = wanted
        text = values.head(1, size)
        pair = values.text(1, key) + values.head(2, len(text) + size) + text
        head = self[wanted] = values.head(self._number, len(pair) + size) + pair
        return head


def _id(head: bytes, found: str | None) -> bytes:
    """A field with an id; nothing when it is not as long as its head says, or not in hex."""
    try:
        encoded = unhexlify(found or "")
    except ValueError:
        return b""
    return head + encoded if len(encoded) == head[1] else b""


@lru_cache(16)
def _status(code: int | None) -> bytes:
    """A span's field `status`."""
    return values.block(15, values.number(3, code))


@lru_cache(64)
def _kind(written: bytes) -> bytes:
    """A span's field `kind`; ProtoJSON takes names, and numbers in every form, as strings as well."""
    name = written.strip(b'"').decode("utf-8", "replace")
    try:
        number = Span.SpanKind.Value(name) if name.startswith("SPAN") else float(name)
    except ValueError:
        return b""
    return values.number(6, int(number)) if number in Span.SpanKind.values() else b""


ENCODERS: dict[str, Callable[[], Encoder]] = {
    TRACES.name: _Spans,
    METRICS.name: _Metrics,
    LOGS.name: _LogRecords,
}
"""Signal → what makes the encoder of one request."""
