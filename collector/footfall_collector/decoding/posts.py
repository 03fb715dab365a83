"""Events that were posted as JSON, read as columns: a part of the hot path.

They go the way of log records, under the same rules; no record is made of them, only to be parsed again.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from footfall_collector.decoding import wire
from footfall_collector.decoding.attributes import collect
from footfall_collector.decoding.wire import varint

_SHORT = 126
"""Bytes of a text from which on the lengths around it take more than a byte each."""
_AROUND = [bytes((2 + length, 0x0A, length)) for length in range(_SHORT)]
"""What stands before a short text: how long the AnyValue is, field 1, how long the text is."""
_INT64 = range(-(2**63), 2**63)
_LIST, _OBJECT = b"\x2a\x00", b"\x32\x00"
"""Values that no declared attribute has: they stay empty."""


class Post(NamedTuple):
    """One event.

    Attributes:
        name: Not empty.
        time_ns: Nanoseconds since the Unix epoch.
        attributes: As `attribute` makes them.
    """

    name: bytes
    time_ns: int
    attributes: list[bytes]


def columns(posts: Sequence[Post]) -> wire.Columns:
    """Posted events as columns.

    Raises:
        TooLarge: they have more than `wire.MOST_ATTRIBUTES`.
    """
    names, times, attributes = map(list, zip(*posts, strict=True))
    wire.check_attributes(sum(map(len, attributes)))
    return wire.Columns(names, times, times, [b""] * len(times), collect(attributes))


def attribute(key: str, value: Any) -> bytes:
    """A JSON value as the encoded KeyValue that says the same (opentelemetry/proto/common/v1/common.proto).

    An integer that 64 bits do not hold is a float; null is no value, and must be left out before.
    """
    if type(value) is str:
        text = value.encode()
        if len(text) < _SHORT:  # nearly always
            return _before(key) + _AROUND[len(text)] + text
        inner = b"\x0a" + varint(len(text)) + text
    else:
        inner = _other(value)
    return _before(key) + varint(len(inner)) + inner


def _other(value: Any) -> bytes:
    """The encoded AnyValue of what is no text."""
    match value:
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case int() if value in _INT64:
            return b"\x18" + varint(value)
        case int() | float():
            return b"\x21" + struct.pack("<d", _double(value))
        case list():
            return _LIST
        case _:
            return _OBJECT


@lru_cache(maxsize=1024)
def _before(key: str) -> bytes:
    """What stands before a value: the key, and that a value follows."""
    encoded = key.encode()
    return (b"\x0a" + varint(len(encoded)) + encoded if key else b"") + b"\x12"


def _double(value: float) -> float:
    """As IEEE 754 rounds: an integer too large for it is infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
