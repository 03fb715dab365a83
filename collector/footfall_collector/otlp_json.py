"""OTLP/JSON → the encoded spans, log records and metrics that everything else reads.

Only what the collector looks at is carried over: ids, kinds, bodies, events, links, exemplars and all that
nobody reads are checked to be JSON and skipped. What is in a list, a map or bytes can be no declared
value; such a value stays a list, a map or bytes, and is empty. Nothing is remembered beyond a request.

Source: OTLP specification, "JSON Protobuf Encoding"; protobuf, "ProtoJSON Format"; field numbers as in
opentelemetry/proto/*.proto. msgspec's lax mode is ProtoJSON's: numbers may come as strings.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from msgspec import defstruct, field

from footfall_collector import wire

SLICE = 2000
"""Spans, records or metrics encoded at a stretch; between slices the event loop runs."""
MOST_OBJECTS = 1_000_000
"""In one request, about 50,000 spans. An object of two bytes takes 300 in memory, so that the size alone
bounds too little."""
_double = struct.Struct("<d").pack
_times = struct.Struct("<BQBQ").pack
"""Two fields of type fixed64, each after its tag."""
_sfixed64 = struct.Struct("<q").pack


class _Message(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """Null stands for a field that is left out."""


class _Present(_Message, frozen=True, gc=False):
    """A message of which nothing is read but that it is there."""


class _AnyValue(_Message, frozen=True, gc=False):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | None = None
    double_value: float | None = None
    array_value: _Present | None = None
    kvlist_value: _Present | None = None
    bytes_value: str | None = None


class _KeyValue(_Message, frozen=True, gc=False):
    key: str | None = None
    value: _AnyValue | None = None


class _Resource(_Message, frozen=True, gc=False):
    attributes: list[_KeyValue] | None = None


class _Scope(_Message, frozen=True, gc=False):
    name: str | None = None
    version: str | None = None
    attributes: list[_KeyValue] | None = None


class _Status(_Message, frozen=True, gc=False):
    code: int | None = None


class _Span(_Message, frozen=True, gc=False):
    name: str | None = None
    start_time_unix_nano: int | None = None
    end_time_unix_nano: int | None = None
    attributes: list[_KeyValue] | None = None
    status: _Status | None = None


class _LogRecord(_Message, frozen=True, gc=False):
    time_unix_nano: int | None = None
    observed_time_unix_nano: int | None = None
    severity_number: int | None = None
    event_name: str | None = None
    attributes: list[_KeyValue] | None = None


class _Point(_Message, frozen=True, gc=False):
    attributes: list[_KeyValue] | None = None
    start_time_unix_nano: int | None = None
    time_unix_nano: int | None = None
    as_double: float | None = None
    as_int: int | None = None
    flags: int | None = None


class _Points(_Message, frozen=True, gc=False):
    """A sum, or a gauge, which has only the first."""

    data_points: list[_Point] | None = None
    aggregation_temporality: int | None = None
    is_monotonic: bool | None = None


class _Metric(_Message, frozen=True, gc=False):
    name: str | None = None
    unit: str | None = None
    gauge: _Points | None = None
    sum: _Points | None = None
    histogram: _Present | None = None
    exponential_histogram: _Present | None = None
    summary: _Present | None = None


async def groups(signal: str, body: bytes) -> wire.Groups:
    """What a request in JSON says, as `wire.groups`, of metrics `wire.scopes`, gives it for protobuf.

    Args:
        signal: `traces`, `metrics` or `logs`.
        body: Decompressed.

    Raises:
        google.protobuf.message.DecodeError: it is not one; nothing of it is kept.
        wire.TooLarge: it has too many parts; nothing of it is kept.
    """
    decoder, message = _SIGNALS[signal]
    try:
        found = decoder.decode(body).groups or ()
        wire.check_numbers(
            len(found),
            (len(group.scopes or ()) for group in found),
            (len(scope.items or ()) for group in found for scope in group.scopes or ()),
        )
        if signal == "metrics":
            return [part for group in found for part in await _scopes(group, message())]
        return [await _group(group, message()) for group in found]
    except (ValueError, RecursionError, struct.error):  # their texts quote what was sent
        raise DecodeError("not OTLP/JSON") from None


async def _group(group: Any, message: Callable[[Any], bytes]) -> tuple[bytes, bytes, list[bytes]]:
    """A ResourceSpans or ResourceLogs: its resource, and all that its scopes have."""
    items = [item for scope in group.scopes or () for item in await _items(scope, message)]
    return _resource(group), b"", items


async def _scopes(group: Any, message: Callable[[Any], bytes]) -> wire.Groups:
    """A ResourceMetrics, scope by scope."""
    resource = _resource(group)
    return [
        (resource, _scope(scope.scope), await _items(scope, message))
        for scope in group.scopes or ()
    ]


async def _items(scope: Any, message: Callable[[Any], bytes]) -> list[bytes]:
    items: list[bytes] = []
    for start in range(0, len(scope.items or ()), SLICE):
        items += map(message, scope.items[start : start + SLICE])
        await asyncio.sleep(0)
    return items


def _resource(group: Any) -> bytes:
    return _attributes(1, group.resource.attributes) if group.resource else b""


def _scope(scope: _Scope | None) -> bytes:
    if scope is None:
        return b""
    return _text(1, scope.name) + _text(2, scope.version) + _attributes(3, scope.attributes)


class _Messages:
    """The encoder of one request's items.

    Args:
        attributes: The number of the items' field `attributes`.
    """

    def __init__(self, attributes: int) -> None:
        self._number = attributes
        self._heads = _Heads(attributes)

    def _add_attributes(self, parts: list[bytes], pairs: Sequence[_KeyValue] | None) -> None:
        """As `_attributes`; texts, which nearly all values are, in a third of the time."""
        heads = self._heads
        for pair in pairs or ():
            value = pair.value
            if value is not None and (text := value.string_value) is not None:
                encoded = text.encode()
                parts.append(heads[pair.key or "", len(encoded)])
                parts.append(encoded)
            else:
                parts.append(_attributes(self._number, (pair,)))


class _Spans(_Messages):
    def __init__(self) -> None:
        super().__init__(attributes=9)
        self._names = _Names()

    def __call__(self, span: _Span) -> bytes:
        times = _times(0x39, span.start_time_unix_nano or 0, 0x41, span.end_time_unix_nano or 0)
        parts = [self._names[span.name], times]
        self._add_attributes(parts, span.attributes)
        if span.status is not None:
            parts.append(_status(span.status.code))
        return b"".join(parts)


class _LogRecords(_Messages):
    def __init__(self) -> None:
        super().__init__(attributes=6)

    def __call__(self, record: _LogRecord) -> bytes:
        time, observed = record.time_unix_nano, record.observed_time_unix_nano
        parts = [_times(0x09, time or 0, 0x59, observed or 0), _number(2, record.severity_number)]
        self._add_attributes(parts, record.attributes)
        parts.append(_text(12, record.event_name))
        return b"".join(parts)


class _Metrics(_Messages):
    def __init__(self) -> None:
        super().__init__(attributes=7)

    def __call__(self, metric: _Metric) -> bytes:
        kinds = (
            (5, metric.gauge),
            (7, metric.sum),
            (9, metric.histogram),
            (10, metric.exponential_histogram),
            (11, metric.summary),
        )
        data = [_block(number, self._points(kind)) for number, kind in kinds if kind is not None]
        return _text(1, metric.name) + _text(3, metric.unit) + b"".join(data)

    def _points(self, points: _Points | _Present) -> bytes:
        if isinstance(points, _Present):
            return b""
        return (
            b"".join(_block(1, self._point(point)) for point in points.data_points or ())
            + _number(2, points.aggregation_temporality)
            + _number(3, points.is_monotonic)
        )

    def _point(self, point: _Point) -> bytes:
        value = b""
        if point.as_int is not None:
            value = b"\x31" + _sfixed64(point.as_int)
        elif point.as_double is not None:
            value = b"\x21" + _double(point.as_double)
        times = _times(0x11, point.start_time_unix_nano or 0, 0x19, point.time_unix_nano or 0)
        parts = [times, value, _number(8, point.flags)]
        self._add_attributes(parts, point.attributes)
        return b"".join(parts)


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


def _attributes(number: int, pairs: Sequence[_KeyValue] | None) -> bytes:
    """The repeated field `attributes`."""
    return b"".join(
        _block(number, _text(1, pair.key) + _block(2, _value(pair.value))) for pair in pairs or ()
    )


def _value(value: _AnyValue | None) -> bytes:
    if value is None:
        return b""
    if value.string_value is not None:
        return _block(1, value.string_value.encode())
    if value.bool_value is not None:
        return b"\x10\x01" if value.bool_value else b"\x10\x00"
    if value.int_value is not None:
        _sfixed64(value.int_value)  # raises when it is beyond 64 bits
        return b"\x18" + _varint(value.int_value)
    if value.double_value is not None:
        return b"\x21" + _double(value.double_value)
    kinds = ((5, value.array_value), (6, value.kvlist_value), (7, value.bytes_value))
    return b"".join(_block(number, b"") for number, given in kinds if given is not None)


def _text(number: int, text: str | None) -> bytes:
    return _block(number, text.encode()) if text else b""


def _number(number: int, value: int | None) -> bytes:
    """A varint field; what does not fit 32 bits is no enum, flag or truth."""
    if not value:
        return b""
    if not -(2**31) <= value < 2**32:
        raise ValueError
    return bytes([number << 3]) + _varint(value)


def _block(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return _head(number, len(content)) + content


@lru_cache(8192)
def _head(number: int, size: int) -> bytes:
    return bytes([number << 3 | 2]) + _varint(size)


@lru_cache(16)
def _status(code: int | None) -> bytes:
    """A span's field `status`."""
    return _block(15, _number(3, code))


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _decoder(groups: str, scopes: str, items: str, item: Any) -> msgspec.json.Decoder[Any]:
    """Reads requests of a signal, whose messages differ in the names of three fields."""

    def many(name: str, kind: Any) -> tuple[str, Any, Any]:
        return name, list[kind] | None, field(default=None, name=names[name])

    names = {"groups": groups, "scopes": scopes, "items": items}
    scope = defstruct("Scope", [many("items", item), ("scope", _Scope | None, None)])
    group = defstruct("Group", [many("scopes", scope), ("resource", _Resource | None, None)])
    return msgspec.json.Decoder(defstruct("Request", [many("groups", group)]), strict=False)


_SIGNALS: dict[str, tuple[msgspec.json.Decoder[Any], Callable[[], Callable[[Any], bytes]]]] = {
    "traces": (_decoder("resourceSpans", "scopeSpans", "spans", _Span), _Spans),
    "metrics": (_decoder("resourceMetrics", "scopeMetrics", "metrics", _Metric), _Metrics),
    "logs": (_decoder("resourceLogs", "scopeLogs", "logRecords", _LogRecord), _LogRecords),
}
