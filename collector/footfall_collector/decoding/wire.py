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

An element of two bytes takes hundreds in memory and microseconds to look at, so that a request's size alone
bounds too little: more elements than any sender has reason to send are refused (`TooLarge`), those that
would fill the memory before they are parsed.

Source: opentelemetry/proto/trace/v1/trace.proto, field numbers as there.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from footfall_collector.decoding.attributes import (
    MARK,
    Aligned,
    Attributes,
    Ragged,
    arrange,
    collect,
)

_Field = descriptor_pb2.FieldDescriptorProto
ONE, MANY = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED
BYTES, INT32, UINT32 = _Field.TYPE_BYTES, _Field.TYPE_INT32, _Field.TYPE_UINT32
BOOL, FIXED32, FIXED64, SFIXED64, DOUBLE, MESSAGE = (
    _Field.TYPE_BOOL,
    _Field.TYPE_FIXED32,
    _Field.TYPE_FIXED64,
    _Field.TYPE_SFIXED64,
    _Field.TYPE_DOUBLE,
    _Field.TYPE_MESSAGE,
)

Schema = Mapping[str, Sequence[tuple[str, int, Any, Any, str | None]]]
"""Message → its fields: name, number, type, label, the message that a field of type message has."""
_SCHEMA: dict[str, Sequence[tuple[str, int, Any, Any, str | None]]] = {
    "Request": [("resource_spans", 1, MESSAGE, MANY, ".footfall.ResourceSpans")],
    "ResourceSpans": [
        ("resource", 1, BYTES, MANY, None),  # in several pieces it is what they say together
        ("scope_spans", 2, MESSAGE, MANY, ".footfall.ScopeSpans"),
        # instrumentation_library_spans, until 2022; its comment said how receivers should read it.
        ("earlier", 1000, MESSAGE, MANY, ".footfall.ScopeSpans"),
    ],
    "ScopeSpans": [("scope", 1, BYTES, MANY, None), ("spans", 2, BYTES, MANY, None)],
    "Spans": [
        ("names", 5, BYTES, MANY, None),
        ("kinds", 6, INT32, MANY, None),
        ("starts", 7, FIXED64, MANY, None),
        ("ends", 8, FIXED64, MANY, None),
        ("attributes", 9, BYTES, MANY, None),
        ("statuses", 15, BYTES, MANY, None),
        # Declared only because an unknown field would be copied aside for every span.
        ("trace_id", 1, BYTES, ONE, None),
        ("span_id", 2, BYTES, ONE, None),
        ("parent_span_id", 4, BYTES, ONE, None),
        ("flags", 16, FIXED32, ONE, None),
    ],
}
_SCHEMA["Identified"] = [
    (name, number, kind, MANY if name in ("trace_id", "span_id") else label, of)
    for name, number, kind, label, of in _SCHEMA["Spans"]
]
MOST_GROUPS = 20_000
"""Resources and scopes in a request."""
MOST_ITEMS = 250_000
"""Spans, log records or data points in a request."""
MOST_ATTRIBUTES = 256_000
"""Of spans or records read at a stretch (`spans.SLICE`): 128 of each, which is OpenTelemetry's limit."""
MOST_TAGS = 1_000_000
"""Repeated fields of one number that the parser is given at once; they take it 120 bytes each, at most."""
Take = Callable[[int], None]
"""Is told how many bytes a request takes in memory beside its body; may raise."""


def take_nothing(_: int) -> None:
    """Where nobody counts."""


_BYTES = [bytes((number,)) for number in range(2**7)]
_BETWEEN = b"\x4a\x10" + MARK  # field 9, `attributes`, of length 16


class TooLarge(DecodeError):
    """A request has too many elements; nothing of it is kept, and smaller ones should be sent.

    Args:
        most: How many there may be.
        elements: Of what.
    """

    def __init__(self, most: int, elements: str) -> None:
        super().__init__(f"the request has more than {most:,} {elements}")


def check_tags(encoded: bytes, *numbers: int) -> None:
    """Refuses what could fill the memory when it is parsed; a cheap bound, from the bytes alone.

    Args:
        encoded: A message.
        numbers: Of repeated fields of it, or of messages in it. The tag of one below 16 begins with one of
            two bytes, padded or not; that of another with one.

    Raises:
        TooLarge: there may be more than `MOST_TAGS` of one.
    """
    if len(encoded) <= 2 * MOST_TAGS:  # an element has two bytes at least
        return
    for number in numbers:
        tag = number << 3 | 2
        first = {tag, tag | 0x80} if number < 16 else {tag & 0x7F | 0x80}
        if sum(map(encoded.count, first)) > MOST_TAGS:
            raise TooLarge(MOST_TAGS, "elements")


def classes(schema: Schema, *wanted: str, oneof: Collection[str] = ()) -> list[Any]:
    """The message classes of these names; the schema refers to its messages in package `footfall`.

    Args:
        schema: All messages.
        wanted: The names of some.
        oneof: Fields of which a message has one at most, `data`.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="footfall/wire.proto", package="footfall", syntax="proto3"
    )
    for name, fields in schema.items():
        message = file.message_type.add(name=name)
        if any(field[0] in oneof for field in fields):
            message.oneof_decl.add(name="data")
        for field, number, kind, label, of in fields:
            message.field.add(name=field, number=number, type=kind, label=label, type_name=of)
            if field in oneof:
                message.field[-1].oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = [pool.FindMessageTypeByName(f"footfall.{name}") for name in wanted]
    return [message_factory.GetMessageClass(each) for each in found]


_Request, _Spans, _Identified = classes(_SCHEMA, "Request", "Spans", "Identified")


@dataclass(slots=True)
class Columns:
    """Spans as columns of equal length.

    Attributes:
        names: Span names, undecoded.
        starts: Start times, Unix nanoseconds; where absent the end time, 0 without either.
        ends: End times, Unix nanoseconds; where absent the start time.
        statuses: Encoded `Status` messages; empty where absent.
        attributes: Encoded attributes.
        kinds: Kinds of spans, by number; empty when nobody asked for them, or these are no spans.
        malformed: Spans that could not be parsed and are in no column.
        identified: Whether they have ids, as far as was looked.
        ids: Trace id and span id, one after the other, where they were asked for; empty where absent.
    """

    names: Sequence[bytes]
    starts: Sequence[int]
    ends: Sequence[int]
    statuses: Sequence[bytes]
    attributes: Attributes
    kinds: Sequence[int] = ()
    malformed: int = 0
    identified: bool = True
    ids: Sequence[bytes] = ()


Groups = list[tuple[bytes, bytes, list[bytes]]]
"""A request: each resource, a scope of it, and its spans, log records or metrics; all encoded. Spans and log
records of all scopes are together, and the scope is left out."""


def groups(body: bytes) -> Groups:
    """What an Export*ServiceRequest says, its scopes together; the signals' have the same field numbers.

    Raises:
        DecodeError: it is not one.
        TooLarge: it has more than `MOST_GROUPS` or `MOST_ITEMS`.
    """
    return [
        part
        for group, scopes in _parsed(body)
        for part in parted(
            "", b"".join(group.resource), [(b"", scope.spans[:]) for scope in scopes]
        )
    ]


def scopes(body: bytes) -> Groups:
    """The same for a request whose scopes matter."""
    return [
        (b"".join(group.resource), b"".join(scope.scope), scope.spans[:])
        for group, scopes in _parsed(body)
        for scope in scopes
    ]


def parted(
    signal: str, resource: bytes, scopes: Sequence[tuple[bytes, list[bytes]]]
) -> Iterator[tuple[bytes, bytes, list[bytes]]]:
    """A resource's part of `Groups`."""
    if signal == "metrics":
        yield from ((resource, scope, items) for scope, items in scopes)
    else:
        yield resource, b"", [item for _, items in scopes for item in items]


def _parsed(body: bytes) -> list[tuple[Any, Sequence[Any]]]:
    check_tags(body, 1, 2, 1000)
    found = _Request.FromString(body).resource_spans
    check_numbers(
        len(found),
        (len(_scopes(group)) for group in found),
        (len(scope.spans) for group in found for scope in _scopes(group)),
    )
    return [(group, _scopes(group)) for group in found]


def _scopes(group: Any) -> Any:
    """A resource's scopes; where there are none, those in their earlier field."""
    return group.scope_spans or group.earlier


def check_numbers(resources: int, scopes: Iterable[int], items: Iterable[int]) -> None:
    """Refuses a request of too many parts, looking at no more of them than it takes.

    Args:
        resources: How many there are.
        scopes: How many each resource has.
        items: How many spans, log records or metrics each scope has.

    Raises:
        TooLarge: there are more than `MOST_GROUPS` or `MOST_ITEMS`.
    """
    if resources > MOST_GROUPS:
        raise TooLarge(MOST_GROUPS, "resources")
    if sum(scopes) > MOST_GROUPS:
        raise TooLarge(MOST_GROUPS, "scopes")
    if sum(items) > MOST_ITEMS:
        raise TooLarge(MOST_ITEMS, "spans, records or metrics")


def columns(spans: Sequence[bytes], *, kinds: bool = False, ids: bool = False) -> Columns:
    """Encoded spans as columns.

    Args:
        spans: Of one resource.
        kinds: Whether their kinds are of interest.
        ids: Whether their ids are.

    Raises:
        TooLarge: they have more than `MOST_ATTRIBUTES`.
    """
    size = len(spans)
    if not size:
        return Columns((), (), (), (), Aligned(()))
    joined = _BETWEEN.join(spans)
    check_tags(joined, 5, 9, 15)
    try:
        merged = (_Identified if ids else _Spans).FromString(joined)
    except DecodeError:
        return _one_by_one(spans, kinds)
    # A singular field occurs at most once in a span, so equal lengths mean: once in each.
    if not len(merged.names) == len(merged.starts) == len(merged.ends) == size:
        return _one_by_one(spans, kinds)
    if len(merged.statuses) not in (0, size) or (kinds and len(merged.kinds) not in (0, size)):
        return _one_by_one(spans, kinds)
    if ids and not len(merged.trace_id) == len(merged.span_id) == size:
        return _one_by_one(spans, kinds)
    names, starts, ends = merged.names[:], merged.starts[:], merged.ends[:]
    statuses = merged.statuses[:] or [b""] * size
    check_attributes(len(merged.attributes) - size + 1)
    attributes = arrange(merged.attributes, size)
    if isinstance(attributes, Ragged) and len(attributes.stops) != size:  # a span swallowed a mark
        return _one_by_one(spans, kinds)
    if not (all(starts) and all(ends)):
        return _one_by_one(spans, kinds)
    numbers = (merged.kinds[:] or [0] * size) if kinds else ()
    identified = any(merged.span_id)  # of one span, which stands for all; or of all
    both = list(map(_id, merged.trace_id, merged.span_id)) if ids else ()
    return Columns(
        names, starts, ends, statuses, attributes, numbers, identified=identified, ids=both
    )


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; a negative number as 64 bits (protobuf, "Base 128 Varints")."""
    if 0 <= number < 2**7:
        return _BYTES[number]
    number &= 2**64 - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def check_attributes(number: int) -> None:
    """Raises `TooLarge` when spans that are read at a stretch have so many."""
    if number > MOST_ATTRIBUTES:
        raise TooLarge(MOST_ATTRIBUTES, "attributes of spans or records that follow each other")


def _id(trace_id: bytes, span_id: bytes) -> bytes:
    """Both ids, empty where one is not valid: of another length, or all zeros."""
    valid = len(trace_id) == 16 and len(span_id) == 8 and any(trace_id) and any(span_id)
    return trace_id + span_id if valid else b""


def _one_by_one(spans: Sequence[bytes], kinds: bool) -> Columns:
    """The same for any bytes: absent fields get their proto3 defaults, broken spans are counted."""
    names: list[bytes] = []
    statuses: list[bytes] = []
    attributes: list[list[bytes]] = []
    ids: list[bytes] = []
    starts, ends, numbers, number, malformed = [], [], [], 0, 0
    for encoded in spans:
        try:
            span = _Identified.FromString(encoded)
        except DecodeError:
            malformed += 1
            continue
        number += len(span.attributes) + len(span.statuses)
        check_attributes(number)
        names.append(span.names[-1] if span.names else b"")
        start = span.starts[-1] if span.starts else 0
        end = span.ends[-1] if span.ends else 0
        starts.append(start or end)
        ends.append(end or start)
        statuses.append(b"".join(span.statuses))  # merged, as protobuf does
        attributes.append(span.attributes[:])
        numbers.append(span.kinds[-1] if span.kinds else 0)
        ids.append(_id(*(part[-1] if part else b"" for part in (span.trace_id, span.span_id))))
    return Columns(
        names,
        starts,
        ends,
        statuses,
        collect(attributes),
        numbers if kinds else (),
        malformed,
        all(ids),
        ids,
    )
