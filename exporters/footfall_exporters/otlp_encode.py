"""Batches → OTLP requests: rows as spans.

What is sent for a batch are always the same bytes: ids derive from the batch, everything is sorted, and
protobuf is asked for its deterministic form. Another Footfall reads it back as what it was; its dimensions,
times, durations and, for a trusted relay, its pseudonyms are the same.

Source: opentelemetry/proto/trace/v1/trace.proto.
"""

from collections.abc import Iterator
from itertools import islice
from struct import Struct
from typing import NamedTuple
from uuid import UUID

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

from footfall_exporters.otlp_parts import MOST, SCOPE, Pairs, attributes, resource, sender, texts
from footfall_processors import Batch, Catalog, Shape, Value, names
from footfall_processors.hashing import marked

_SCOPE = ScopeSpans(scope=InstrumentationScope(name=SCOPE)).SerializeToString()
_TIMES = Struct("<BQBQ").pack
"""Start and end of a span, each after its tag: fields 7 and 8, fixed64."""


def trace_requests(batch: Batch, catalog: Catalog, pseudonyms: bool) -> Iterator[bytes]:
    """Encoded ExportTraceServiceRequests with a batch's rows, MOST spans at a time.

    Args:
        batch: Cleaned.
        catalog: Which of its values are hashes.
        pseudonyms: Whether these are sent.

    An encoded message is its encoded fields one after the other. What spans have in common is encoded once,
    by the official classes; building each span with them takes several times as long.
    """
    spans = _spans(batch, catalog, pseudonyms)
    while part := list(islice(spans, MOST)):
        by_sender: dict[Pairs, list[bytes]] = {}
        for who, span in part:
            by_sender.setdefault(who, [_SCOPE]).append(_field(2, span))
        yield b"".join(
            _field(1, _field(1, resource(who)) + _field(2, b"".join(scope)))
            for who, scope in by_sender.items()
        )


def _spans(batch: Batch, catalog: Catalog, pseudonyms: bool) -> Iterator[tuple[Pairs, bytes]]:
    """The rows as encoded spans, in their order."""
    position = 0
    parts: dict[Shape, _Parts] = {}
    for rows in batch.rows:
        columns = [
            (_Encoded(name, catalog.attributes[name].hash is not None), values)
            for name, values in zip(rows.shapes[0].columns, rows.values, strict=True)
            if pseudonyms or catalog.attributes[name].hash is None
        ]
        for at, shape in enumerate(rows.shapes):
            if shape not in parts:
                parts[shape] = _parts(shape, batch.origin)
            who, head, fixed, status = parts[shape]
            duration, end = rows.durations[at], rows.times[at] * 1000
            # An instant has no length; what took less than half a millisecond has one nanosecond.
            start = end - (0 if duration is None else max(duration * 10**6, 1))
            values = [encoded[values[at]] for encoded, values in columns]
            named = batch.event_id(position).bytes
            ids = b"\x0a\x10%b\x12\x08%b" % (named, named[:8])
            yield (
                who,
                b"".join((ids, head, _TIMES(0x39, start, 0x41, end), fixed, *values, status)),
            )
            position += 1


class _Parts(NamedTuple):
    """What the spans of a shape share, encoded, between the fields in which they differ."""

    who: Pairs
    head: bytes
    fixed: bytes
    status: bytes


def _parts(shape: Shape, origin: str) -> _Parts:
    dimension = shape.dimension
    fixed = texts(attributes(dimension))
    if shape.sample_rate < 1:
        rate = AnyValue(double_value=shape.sample_rate)
        fixed.append(KeyValue(key=names.SAMPLE_RATE, value=rate))
    code = Status.STATUS_CODE_OK if dimension.status == "ok" else Status.STATUS_CODE_ERROR
    return _Parts(
        sender(dimension, origin),
        Span(name=dimension.event, kind=Span.SPAN_KIND_INTERNAL).SerializeToString(),
        Span(attributes=fixed).SerializeToString(),
        Span(status=Status(code=code)).SerializeToString(),
    )


class _Encoded(dict[Value | None, bytes]):
    """An attribute's value → the attribute as a field of its span; None is left out."""

    def __init__(self, name: str, hashed: bool) -> None:
        super().__init__({None: b""})
        self._name, self._hashed = name, hashed

    def __missing__(self, value: Value) -> bytes:
        pair = KeyValue(key=self._name, value=_any(value, self._hashed))
        encoded = self[value] = Span(attributes=[pair]).SerializeToString()
        return encoded


def _any(value: Value, hashed: bool) -> AnyValue:
    """A value as it is stored; a hashed one marked as such, a plain uuid as text."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return (
                AnyValue(bytes_value=marked(value))
                if hashed
                else AnyValue(string_value=str(UUID(bytes=value)))
            )


def _field(number: int, content: bytes) -> bytes:
    """A field that has a length (protobuf, "Encoding"); its number is at most 15."""
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes((number << 3 | 2,)) + length + content
