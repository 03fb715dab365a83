"""OTLP traces read as columns: a wire-compatible schema that never builds a span.

The official classes cost about 9 µs a span to build and walk in Python, most of it for objects that
are thrown away. Two properties of the protobuf encoding avoid them:

* a sub-message and `bytes` are encoded alike, so that a span, and each of its attributes, can be left
  as the bytes they are; equal attributes are equal bytes and can be looked up as such (`memo.py`);
* concatenated messages parse as one merged message, whose repeated fields are concatenated. All spans
  of a scope, joined, are therefore parsed at once by a schema in which a span's fields are repeated:
  one list of names, one of start times, one of attributes. An attribute between the spans, which no
  sender can know (`MARK`), tells where one ends.

A request whose bytes are unusual (a span without a name or a time, a status on some spans only, a broken
span) is read span by span instead, with the same result.

Source: opentelemetry/proto/trace/v1/trace.proto, field numbers as there.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_Field = descriptor_pb2.FieldDescriptorProto
ONE, MANY = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED
BYTES, INT32 = _Field.TYPE_BYTES, _Field.TYPE_INT32
FIXED32, FIXED64, _MESSAGE = _Field.TYPE_FIXED32, _Field.TYPE_FIXED64, _Field.TYPE_MESSAGE

Schema = Mapping[str, Sequence[tuple[str, int, Any, Any, str | None]]]
"""Message → its fields: name, number, type, label, the message that a field of type message has."""
_SCHEMA: Schema = {
    "Request": [("resource_spans", 1, _MESSAGE, MANY, ".footfall.ResourceSpans")],
    "ResourceSpans": [
        ("resource", 1, BYTES, ONE, None),
        ("scope_spans", 2, _MESSAGE, MANY, ".footfall.ScopeSpans"),
    ],
    "ScopeSpans": [("spans", 2, BYTES, MANY, None)],
    "Spans": [
        ("names", 5, BYTES, MANY, None),
        ("starts", 7, FIXED64, MANY, None),
        ("ends", 8, FIXED64, MANY, None),
        ("attributes", 9, BYTES, MANY, None),
        ("statuses", 15, BYTES, MANY, None),
        # Declared only because an unknown field would be copied aside for every span.
        ("trace_id", 1, BYTES, ONE, None),
        ("span_id", 2, BYTES, ONE, None),
        ("parent_span_id", 4, BYTES, ONE, None),
        ("kind", 6, INT32, ONE, None),
        ("flags", 16, FIXED32, ONE, None),
    ],
}
MARK = secrets.token_bytes(16)
"""Stands for an attribute after each span's own. A sender who could guess it could move attributes from
one of its spans to another."""
_BETWEEN = b"\x4a\x10" + MARK  # field 9, `attributes`, of length 16


def classes(schema: Schema, *wanted: str) -> list[Any]:
    """The message classes of these names; the schema refers to its messages in package `footfall`."""
    file = descriptor_pb2.FileDescriptorProto(
        name="footfall/wire.proto", package="footfall", syntax="proto3"
    )
    for name, fields in schema.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label, of in fields:
            message.field.add(name=field, number=number, type=kind, label=label, type_name=of)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = [pool.FindMessageTypeByName(f"footfall.{name}") for name in wanted]
    return [message_factory.GetMessageClass(each) for each in found]


_Request, _Spans = classes(_SCHEMA, "Request", "Spans")


@dataclass(slots=True)
class Columns:
    """Spans as columns of equal length.

    Attributes:
        names: Span names, undecoded.
        starts: Start times, Unix nanoseconds; where absent the end time, 0 without either.
        ends: End times, Unix nanoseconds; where absent the start time.
        statuses: Encoded `Status` messages; empty where absent.
        attributes: All encoded attributes, one after the other, `MARK` after each span's.
        stops: The positions of those marks: where each span's attributes stop; a range when all
            spans have the same number.
        malformed: Spans that could not be parsed and are in no column.
    """

    names: Sequence[bytes]
    starts: Sequence[int]
    ends: Sequence[int]
    statuses: Sequence[bytes]
    attributes: Sequence[bytes]
    stops: Sequence[int]
    malformed: int = 0


def resource_spans(body: bytes) -> list[tuple[bytes, list[bytes]]]:
    """An ExportTraceServiceRequest as (encoded resource, encoded spans) pairs.

    An ExportLogsServiceRequest has the same field numbers, with log records in place of the spans.

    Raises:
        DecodeError: it is not one.
    """
    return [
        (group.resource, [s for scope in group.scope_spans for s in scope.spans[:]])
        for group in _Request.FromString(body).resource_spans
    ]


def columns(spans: Sequence[bytes]) -> Columns:
    """Encoded spans as columns."""
    size = len(spans)
    if not size:
        return Columns((), (), (), (), (), ())
    try:
        merged = _Spans.FromString(_BETWEEN.join(spans))
    except DecodeError:
        return _one_by_one(spans)
    names, starts, ends = merged.names[:], merged.starts[:], merged.ends[:]
    statuses = merged.statuses[:] or [b""] * size
    attributes = merged.attributes[:]
    attributes.append(MARK)
    stops = find_stops(attributes, size)
    # A singular field occurs at most once in a span, so equal lengths mean: once in each.
    if not len(names) == len(starts) == len(ends) == len(statuses) == len(stops) == size:
        return _one_by_one(spans)
    if not (all(starts) and all(ends)):
        return _one_by_one(spans)
    return Columns(names, starts, ends, statuses, attributes, stops)


def find_stops(attributes: list[bytes], size: int) -> Sequence[int]:
    """The positions of the marks; fewer than `size` when a broken span swallowed one."""
    step = len(attributes) // size
    if attributes[step - 1 :: step] == [MARK] * size:
        return range(step - 1, len(attributes), step)
    return [position for position, encoded in enumerate(attributes) if encoded == MARK]


def _one_by_one(spans: Sequence[bytes]) -> Columns:
    """The same for any bytes: absent fields get their proto3 defaults, broken spans are counted."""
    names: list[bytes] = []
    statuses: list[bytes] = []
    attributes: list[bytes] = []
    starts, ends, stops, malformed = [], [], [], 0
    for encoded in spans:
        try:
            span = _Spans.FromString(encoded)
        except DecodeError:
            malformed += 1
            continue
        names.append(span.names[-1] if span.names else b"")
        start = span.starts[-1] if span.starts else 0
        end = span.ends[-1] if span.ends else 0
        starts.append(start or end)
        ends.append(end or start)
        statuses.append(b"".join(span.statuses))  # merged, as protobuf does
        attributes.extend(span.attributes)
        stops.append(len(attributes))
        attributes.append(MARK)
    return Columns(names, starts, ends, statuses, attributes, stops, malformed)
