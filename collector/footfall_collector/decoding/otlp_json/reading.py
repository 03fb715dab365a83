"""What is in the fields of a message in JSON, in every form that ProtoJSON permits.

Every object is opened without looking at what its fields hold (`msgspec.Raw`), so that one of them may be
anything; then each field that is read is read as its type. In a list of attributes or values, one that is
wrong is left without what is wrong.

Source: protobuf, "ProtoJSON Format"; RFC 8259, section 6 (numbers).
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal, DecimalException
from functools import cache
from typing import Any

import msgspec
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from msgspec import Raw, defstruct, field

from footfall_collector.decoding import wire
from footfall_collector.decoding.otlp_json.messages import (
    FIELDS,
    AnyValue,
    Id,
    KeyValue,
    Many,
    Name,
    Present,
    Written,
    names,
)

_NULL = Raw(b"null")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 1000
_REAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_list = msgspec.json.Decoder(list[Raw]).decode


@cache
def _opener(*fields: tuple[str, ...]) -> Callable[[bytes | Raw], Any]:
    """Reads objects with such fields, each of several names, without reading what they hold."""
    own: list[Any] = [
        (f"field_{at}_{name}", Raw, field(default=_NULL, name=name))
        for at, several in enumerate(fields)
        for name in several
    ]
    return msgspec.json.Decoder(defstruct("Object", own)).decode


def opened(raw: bytes | Raw, *fields: tuple[str, ...]) -> list[Raw | None]:
    """What an object has in these fields; None for null, or for none of a field's names.

    Raises:
        ValueError: it is no object.
    """
    found = iter(msgspec.structs.astuple(_opener(*fields)(raw)))
    return [
        next((r for r in [next(found) for _ in several] if not is_null(r)), None)
        for several in fields
    ]


def is_null(raw: Raw) -> bool:
    """Whether it stands for what is left out."""
    return bytes(raw) == b"null" if len(memoryview(raw)) == 4 else False


def elements(raw: Raw | None) -> list[Raw]:
    """What is in a list.

    Raises:
        ValueError: it is none.
    """
    return [] if raw is None else _list(raw)


def or_none(kind: Any, raw: Raw) -> Any:
    """As `read`; None for what cannot be read."""
    try:
        return read(kind, raw)
    except ValueError:
        return None


def read(kind: Any, raw: Raw) -> Any:
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
    except ValueError:
        pass
    fields = FIELDS[kind]
    found = zip(fields.items(), opened(raw, *map(names, fields)), strict=True)
    return kind(**{name: read(each, value) for (name, each), value in found if value is not None})


@cache
def _strict(kind: Any) -> Callable[[Raw], Any]:
    return msgspec.json.Decoder(kind, strict=False).decode


def _many(kind: Any, raw: Raw) -> list[Any]:
    """A list's elements; of attributes, values and points those that are wrong, too.

    Raises:
        ValueError: it is no list.
        wire.TooLarge: it has more than `wire.MOST_ATTRIBUTES`.
    """
    found = _list(raw)
    wire.check_attributes(len(found))
    if kind is KeyValue:
        return [_pair(each) for each in found]
    if kind is AnyValue:
        return [_value(each) for each in found]
    if kind is Present:
        return [Present() for _ in found]
    return [or_none(kind, each) for each in found]


def _pair(raw: Raw) -> Any:
    """An attribute: without its value when that is wrong, without its key when that is.

    What is wrong stands as bytes in its place: nobody can declare it, and it is not like any other.
    """
    try:
        key, value = opened(raw, ("key",), ("value",))
        text = None if key is None else as_text(key)
    except ValueError:
        return KeyValue(value=_wrong(raw))
    if value is None:
        return KeyValue(key=text)
    return KeyValue(key=text, value=_value(value))


def _value(raw: Raw) -> Any:
    return None if is_null(raw) else or_none(AnyValue, raw) or _wrong(raw)


def _wrong(raw: Raw) -> Any:
    """Stands for what is no value; after a byte that no JSON begins with, lest it is like one."""
    return AnyValue(bytes_value=Raw(b"\xff" + memoryview(raw)))


def as_text(raw: Raw) -> str:
    """A text.

    Raises:
        ValueError: it is none.
    """
    return msgspec.json.decode(raw, type=str)


def _name(raw: Raw) -> str:
    """A text; what of it is no Unicode is replaced, as in protobuf."""
    try:
        return as_text(raw)
    except ValueError:
        text = json.loads(bytes(raw).decode("utf-8", "replace"))
    if not isinstance(text, str):
        raise ValueError
    return text


def _id(raw: Raw) -> str:
    """A text; none where something else stands."""
    try:
        return as_text(raw)
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
    return as_text(raw) if written.startswith('"') else written


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
        return dict(kind.items()).get(as_text(raw))


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
    str: as_text,
    Name: _name,
    Id: _id,
    Written: lambda raw: raw,
    int: _integer,
    FIELDS[FIELDS[KeyValue]["value"]]["int_value"]: _int64,
    float: _double,
    bool: _truth,
}
