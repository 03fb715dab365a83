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
from hashlib import blake2b
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from footfall_collector.decoding.wire import varint
from footfall_collector.signals import LOGS, METRICS, TRACES

BROKEN = b"\x00"
"""No message at all: there is no field 0."""
_double = struct.Struct("<d").pack
_times = struct.Struct("<BQBQ").pack
"""Two fields of type fixed64, each after its tag."""
_sfixed64 = struct.Struct("<q").pack
Encoder = Callable[[Any], bytes]
"""Encodes a span, a log record or a metric, None for one that could not be read."""


def resource(found: Any) -> bytes:
    """A Resource, None for one that is not there."""
    return _attributes(1, found.attributes, apart=True) if found is not None else b""


def scope(found: Any) -> bytes:
    """An InstrumentationScope, None for one that is not there."""
    if found is None:
        return b""
    return (
        _text(1, found.name)
        + _text(2, found.version)
        + _attributes(3, found.attributes, apart=True)
    )


class _Messages(ABC):
    """The encoder of one request's items.

    Args:
        attributes: The number of the items' field `attributes`.
        apart: See `_value`.
    """

    def __init__(self, attributes: int, *, apart: bool = False) -> None:
        self._number, self._apart = attributes, apart
        self._heads = _Heads(attributes)

    def __call__(self, item: Any) -> bytes:
        """One item; `BROKEN` when it cannot be."""
        try:
            return BROKEN if item is None else self.encoded(item)
        except (ValueError, struct.error):
            return BROKEN

    @abstractmethod
    def encoded(self, item: Any) -> bytes:
        """One item.

        Raises:
            ValueError, struct.error: it cannot be.
        """

    def _add_attributes(self, parts: list[bytes], pairs: Sequence[Any] | None) -> None:
        """As `_attributes`; texts, which nearly all values are, in a third of the time."""
        heads = self._heads
        for pair in pairs or ():
            value = pair.value
            if value is not None and (text := value.string_value) is not None:
                encoded = text.encode()
                parts.append(heads[pair.key or "", len(encoded)])
                parts.append(encoded)
            else:
                parts.append(_attributes(self._number, (pair,), apart=self._apart))


class _Spans(_Messages):
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


class _LogRecords(_Messages):
    def __init__(self) -> None:
        super().__init__(attributes=6)

    def encoded(self, record: Any) -> bytes:
        time, observed = record.time_unix_nano, record.observed_time_unix_nano
        parts = [_times(0x09, time or 0, 0x59, observed or 0), _number(2, record.severity_number)]
        self._add_attributes(parts, record.attributes)
        parts += _text(12, record.event_name), _id(b"\x52\x08", record.span_id)
        return b"".join(parts)


class _Metrics(_Messages):
    def __init__(self) -> None:
        super().__init__(attributes=7, apart=True)

    def encoded(self, metric: Any) -> bytes:
        # The last of several counts, as in protobuf; there is one.
        data = [
            _block(number, self._points(kind))
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
        data += [_block(number, _unread(kind)) for number, kind in rest if kind is not None]
        return _text(1, metric.name) + _text(3, metric.unit) + b"".join(data)

    def _points(self, points: Any) -> bytes:
        return (
            b"".join(_block(1, self._point(point)) for point in points.data_points or ())
            + _number(2, points.aggregation_temporality)
            + _number(3, points.is_monotonic)
        )

    def _point(self, point: Any) -> bytes:
        try:
            return BROKEN if point is None else self._encoded_point(point)
        except (ValueError, struct.error):
            return BROKEN

    def _encoded_point(self, point: Any) -> bytes:
        value = b""
        if point.as_int is not None:
            value = b"\x31" + _sfixed64(point.as_int)
        elif point.as_double is not None:
            value = b"\x21" + _double(point.as_double)
        times = _times(0x11, point.start_time_unix_nano or 0, 0x19, point.time_unix_nano or 0)
        parts = [times, value, _number(8, point.flags), _block(1, b"") * len(point.labels or ())]
        self._add_attributes(parts, point.attributes)
        return b"".join(parts)


def _unread(kind: Any) -> bytes:
    """A kind of metric of which no point is read: how many there are, where that is known."""
    return _block(1, b"") * len(getattr(kind, "data_points", None) or ())


class _Names(dict[str | None, bytes]):
    """A span's name → its field."""

    def __missing__(self, name: str | None) -> bytes:
        encoded = self[name] = _text(5, name)
        return encoded


class _Heads(dict[tuple[str, int], bytes]):
    """(key, size) → everything of an attribute but its value, a text of so many bytes."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def __missing__(self, wanted: tuple[str, int]) -> bytes:
        key, size = wanted
        text = _head(1, size)
        pair = _text(1, key) + _head(2, len(text) + size) + text
        head = self[wanted] = _head(self._number, len(pair) + size) + pair
        return head


def _attributes(number: int, pairs: Sequence[Any] | None, *, apart: bool = False) -> bytes:
    """The repeated field `attributes`."""
    return b"".join(
        _block(number, _text(1, pair.key) + _block(2, _value(pair.value, apart)))
        for pair in pairs or ()
    )


def _value(value: Any, apart: bool) -> bytes:
    """An AnyValue; what is in a list, a map or bytes is left out.

    Args:
        value: As it was read.
        apart: Whether those that differ must still differ: by all of its attributes a counter is told apart
            from others. A digest stands for what they hold, as bytes of a length that nothing declared has.
    """
    if value is None:
        return b""
    if value.string_value is not None:
        return _block(1, value.string_value.encode())
    if value.bool_value is not None:
        return b"\x10\x01" if value.bool_value else b"\x10\x00"
    if value.int_value is not None:
        _sfixed64(value.int_value)  # raises when it is beyond 64 bits
        return b"\x18" + varint(value.int_value)
    if value.double_value is not None:
        return b"\x21" + _double(value.double_value)
    kinds = ((5, value.array_value), (6, value.kvlist_value), (7, value.bytes_value))
    given = [(number, bytes(raw)) for number, raw in kinds if raw is not None]
    return b"".join(
        _block(7, blake2b(b"%d" % number + raw, digest_size=20).digest())
        if apart
        else _block(number, b"")
        for number, raw in given
        if raw != b"null"
    )


def _id(head: bytes, found: str | None) -> bytes:
    """A field with an id; nothing when it is not as long as its head says, or not in hex."""
    try:
        encoded = unhexlify(found or "")
    except ValueError:
        return b""
    return head + encoded if len(encoded) == head[1] else b""


def _text(number: int, text: str | None) -> bytes:
    return _block(number, text.encode()) if text else b""


def _number(number: int, value: int | None) -> bytes:
    """A varint field; what does not fit 32 bits is no enum, flag or truth."""
    if not value:
        return b""
    if not -(2**31) <= value < 2**32:
        raise ValueError
    return bytes([number << 3]) + varint(value)


def _block(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return _head(number, len(content)) + content


@lru_cache(8192)
def _head(number: int, size: int) -> bytes:
    return bytes([number << 3 | 2]) + varint(size)


@lru_cache(16)
def _status(code: int | None) -> bytes:
    """A span's field `status`."""
    return _block(15, _number(3, code))


@lru_cache(64)
def _kind(written: bytes) -> bytes:
    """A span's field `kind`; ProtoJSON takes names, and numbers in every form, as strings as well."""
    name = written.strip(b'"').decode("utf-8", "replace")
    try:
        number = Span.SpanKind.Value(name) if name.startswith("SPAN") else float(name)
    except ValueError:
        return b""
    return _number(6, int(number)) if number in Span.SpanKind.values() else b""


ENCODERS: dict[str, Callable[[], Encoder]] = {
    TRACES.name: _Spans,
    METRICS.name: _Metrics,
    LOGS.name: _LogRecords,
}
"""Signal → what makes the encoder of one request."""
