"""A request in JSON, part by part: what is odd in it costs itself.

Slow, and only for requests that `messages.decoder` refuses. Every object is opened without looking at what
its fields hold (`msgspec.Raw`), so that one of them may be anything; then each field that is read is read
as its type, in every form that ProtoJSON permits. In a list of attributes, one that is wrong is left without
what is wrong, and counted where everything is counted. A span, record or point that is wrong in a field
that is read becomes `encode.BROKEN`, as bytes that are no protobuf are.

Source: protobuf, "ProtoJSON Format"; RFC 8259, sections 8.2 (lone surrogates) and 6 (numbers).
"""

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, DecimalException
from functools import cache
from typing import Any

import msgspec
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from msgspec import Raw, defstruct, field

from footfall_collector.decoding import halves, wire
from footfall_collector.decoding.otlp_json import encode
from footfall_collector.decoding.otlp_json.messages import (
    EARLIER,
    FIELDS,
    PARTS,
    AnyValue,
    Id,
    KeyValue,
    Many,
    Name,
    Point,
    Present,
    Resource,
    Scope,
    Written,
    names,
)
from footfall_collector.decoding.turns import Work

SLICE_BYTES = 2**15
"""Of spans, records or metrics that are read at a stretch; between slices the event loop runs (10 ms)."""
MOST_SURROGATES = 500_000
"""Escapes of surrogates in such a request; to look at each takes a microsecond."""
_NULL, _WRONG = Raw(b"null"), Raw(b"0")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 1000
_REAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_list = msgspec.json.Decoder(list[Raw]).decode


async def groups(signal: str, body: bytes, work: Work) -> wire.Groups:
    """As `otlp_json.groups`.

    Raises:
        ValueError, RecursionError: it is no JSON object, or its parts are no list.
        wire.TooLarge: it has too many parts.
    """
    group_field, scope_field, item_field, item = PARTS[signal]
    scope_names = names(scope_field) + names(EARLIER[scope_field])
    item_names = names(item_field) + names(EARLIER.get(item_field, ""))
    (found,) = _open(_readable(body), names(group_field))
    resources = [_part(each, ("resource",), scope_names) for each in _elements(found)]
    parts = [
        (resource, [_part(each, ("scope",), item_names) for each in scopes])
        for resource, scopes in resources
    ]
    wire.check_numbers(
        len(parts),
        (len(scopes) for _, scopes in parts),
        (len(items) for _, scopes in parts for _, items in scopes),
    )
    encoder = encode.ENCODERS[signal]()
    return [
        part
        for resource, scopes in parts
        for part in wire.parted(
            signal,
            encode.resource(_optional(Resource, resource)),
            [
                (encode.scope(_optional(Scope, said)), await _items(item, items, encoder, work))
                for said, items in scopes
            ],
        )
    ]


async def _items(
    kind: Any, items: Sequence[Raw], encoder: encode.Encoder, work: Work
) -> list[bytes]:
    """Encoded spans, log records or metrics."""
    encoded: list[bytes] = []
    read = 0
    for each in items:
        encoded.append(encoder(_or_none(kind, each)))
        read += len(memoryview(each)) + SLICE_BYTES // 100  # the smallest takes time as well
        if read > SLICE_BYTES:
            read = 0
            await work.pause()
    return encoded


def _optional(kind: Any, raw: Raw | None) -> Any:
    """A resource or a scope; one that cannot be read has no attributes, as in protobuf."""
    return None if raw is None else _or_none(kind, raw)


def _readable(body: bytes) -> bytes:
    """`body` with a byte that is no UTF-8 for each lone surrogate, which msgspec refuses wherever it is.

    Raises:
        wire.TooLarge: it has more than `MOST_SURROGATES`.
    """
    found = halves.number(body)
    if found > MOST_SURROGATES:
        raise wire.TooLarge(MOST_SURROGATES, "escaped surrogates")
    return halves.replaced(body, b"\xff") if found else body


@cache
def _opener(*fields: tuple[str, ...]) -> Callable[[bytes | Raw], Any]:
    """Reads objects with such fields, each of several names, without reading what they hold."""
    own: list[Any] = [
        (f"field_{at}_{name}", Raw, field(default=_NULL, name=name))
        for at, several in enumerate(fields)
        for name in several
    ]
    return msgspec.json.Decoder(defstruct("Object", own)).decode


def _open(raw: bytes | Raw, *fields: tuple[str, ...]) -> list[Raw | None]:
    """What an object has in these fields; None for null, or for none of a field's names.

    Raises:
        ValueError: it is no object.
    """
    found = iter(msgspec.structs.astuple(_opener(*fields)(raw)))
    return [
        next((r for r in [next(found) for _ in several] if not _is_null(r)), None)
        for several in fields
    ]


def _part(
    raw: Raw, head: tuple[str, ...], elements: tuple[str, ...]
) -> tuple[Raw | None, list[Raw]]:
    """A resource or scope, and what is in it: something that is wrong, where it is no such part."""
    if _is_null(raw):
        return None, []
    try:
        said, found = _open(raw, head, elements)
        return said, _elements(found)
    except (ValueError, RecursionError):
        return None, [_WRONG]


def _is_null(raw: Raw) -> bool:
    return bytes(raw) == b"null" if len(memoryview(raw)) == 4 else False


def _elements(raw: Raw | None) -> list[Raw]:
    return [] if raw is None else _list(raw)


def _or_none(kind: Any, raw: Raw) -> Any:
    try:
        return _read(kind, raw)
    except (ValueError, RecursionError):
        return None


def _read(kind: Any, raw: Raw) -> Any:
    """A value of a type that `messages.FIELDS` names.

    Raises:
        ValueError: it is none.
    """
    if isinstance(kind, Many):
        return _many(kind.of, raw)
    if kind in FIELDS:
        return _message(kind, raw)
    if isinstance(kind, EnumTypeWrapper):
        return _enum(kind, raw)
    return _SCALARS[kind](raw)


def _message(kind: Any, raw: Raw) -> Any:
    try:
        return _strict(kind)(raw)
    except (ValueError, RecursionError):
        pass
    fields = FIELDS[kind]
    found = zip(fields.items(), _open(raw, *map(names, fields)), strict=True)
    return kind(**{name: _read(each, value) for (name, each), value in found if value is not None})


@cache
def _strict(kind: Any) -> Callable[[Raw], Any]:
    return msgspec.json.Decoder(kind, strict=False).decode


def _many(kind: Any, raw: Raw) -> list[Any]:
    """A list's elements; of attributes and points those that are wrong, too.

    Raises:
        ValueError: it is no list.
        wire.TooLarge: it has more than `wire.MOST_ATTRIBUTES`.
    """
    elements = _list(raw)
    wire.check_attributes(len(elements))
    if kind is KeyValue:
        return [_pair(each) for each in elements]
    if kind is Point:
        return [_or_none(Point, each) for each in elements]
    return [Present() for _ in elements]


def _pair(raw: Raw) -> Any:
    """An attribute: without its value when that is wrong, without its key when that is.

    What is wrong stands as bytes in its place: nobody can declare it, and it is not like any other.
    """
    try:
        key, value = _open(raw, ("key",), ("value",))
        text = None if key is None else _text(key)
    except (ValueError, RecursionError):
        return KeyValue(value=AnyValue(bytes_value=raw))
    if value is None:
        return KeyValue(key=text)
    return KeyValue(key=text, value=_or_none(AnyValue, value) or AnyValue(bytes_value=value))


def _text(raw: Raw) -> str:
    return msgspec.json.decode(raw, type=str)


def _name(raw: Raw) -> str:
    """A text; what of it is no Unicode is replaced, as in protobuf."""
    try:
        return _text(raw)
    except ValueError:
        text = json.loads(bytes(raw).decode("utf-8", "replace"))
    if not isinstance(text, str):
        raise ValueError
    return text


def _id(raw: Raw) -> str:
    """A text; none where something else stands."""
    try:
        return _text(raw)
    except ValueError:
        return ""


def _digits(raw: Raw) -> str:
    """A number, or a text, as it is written.

    Raises:
        ValueError: it is too long to be a number, or neither.
    """
    written = bytes(memoryview(raw)[: _LONGEST_NUMBER + 1]).decode()
    if len(written) > _LONGEST_NUMBER:
        raise ValueError
    return _text(raw) if written.startswith('"') else written


def _integer(raw: Raw) -> int:
    written = _digits(raw)
    if not _NUMBER.fullmatch(written):
        raise ValueError
    try:
        number = Decimal(written)
        if number.adjusted() > 20 or number % 1:
            raise ValueError
    except DecimalException:  # an exponent beyond all
        raise ValueError from None
    return int(number)


def _int64(raw: Raw) -> int:
    number = _integer(raw)
    if not -(2**63) <= number < 2**63:
        raise ValueError
    return number


def _enum(kind: EnumTypeWrapper, raw: Raw) -> int | None:
    """A name that is not known is left out, as an unknown field is."""
    try:
        return _integer(raw)
    except ValueError:
        return dict(kind.items()).get(_text(raw))


def _double(raw: Raw) -> float:
    written = _digits(raw)
    if written in _REAL:
        return _REAL[written]
    if not _NUMBER.fullmatch(written):
        raise ValueError
    return float(written)


def _truth(raw: Raw) -> bool:
    return msgspec.json.decode(raw, type=bool, strict=False)


_SCALARS: dict[Any, Callable[[Raw], Any]] = {
    str: _text,
    Name: _name,
    Id: _id,
    Written: lambda raw: raw,
    int: _integer,
    FIELDS[FIELDS[KeyValue]["value"]]["int_value"]: _int64,
    float: _double,
    bool: _truth,
}
