"""Attributes that were read of JSON → the same in protobuf's encoding.

By all of its attributes a counter is told apart from others, so that what is in a list, a map or bytes of
them is encoded as well, in whatever form of ProtoJSON it came; nobody else looks into such values.

Source: opentelemetry/proto/common/v1/common.proto; protobuf, "ProtoJSON Format" (bytes).
"""

import re
import struct
from binascii import a2b_base64
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from msgspec import Raw

from footfall_collector.decoding.otlp_json.messages import ArrayValue, KeyValueList
from footfall_collector.decoding.otlp_json.reading import as_text, is_null, read
from footfall_collector.decoding.wire import TooLarge, varint

DEEPEST = 32
"""Lists and maps within each other that are opened: with more than 100 messages within each other, three for
each map, protobuf's parsers take none."""
MOST, STRETCH = 20_000, 256
"""Values in lists and maps of a request that are opened, and bytes that take as long to look at as one; odd
ones take up to 40 µs."""
_BASE64 = re.compile("[A-Za-z0-9+/]*={0,2}")
_ALPHABET = str.maketrans("-_", "+/")
double = struct.Struct("<d").pack
sfixed64 = struct.Struct("<q").pack


Held = Callable[[int, Raw], bytes]
"""Encodes a list, a map or bytes, by its field in an AnyValue."""


def left_out(field: int, _: Raw) -> bytes:
    """Nothing of what it holds."""
    return block(field, b"")


def attributes(field: int, pairs: Sequence[Any] | None, held: Held) -> bytes:
    """The repeated field `attributes`."""
    return b"".join(
        block(field, text(1, pair.key) + block(2, value(pair.value, held))) for pair in pairs or ()
    )


def value(found: Any, held: Held) -> bytes:
    """An AnyValue."""
    if found is None:
        return b""
    if found.string_value is not None:
        return block(1, found.string_value.encode())
    if found.bool_value is not None:
        return b"\x10\x01" if found.bool_value else b"\x10\x00"
    if found.int_value is not None:
        sfixed64(found.int_value)  # raises when it is beyond 64 bits
        return b"\x18" + varint(found.int_value)
    if found.double_value is not None:
        return b"\x21" + double(found.double_value)
    kinds = ((5, found.array_value), (6, found.kvlist_value), (7, found.bytes_value))
    given = [(field, raw) for field, raw in kinds if raw is not None and not is_null(raw)]
    return b"".join(held(field, raw) for field, raw in given)


class Kept:
    """Encodes the lists, maps and bytes of one request with all that they hold.

    Where one is wrong, or too much to be opened, a digest stands for how it is written, as bytes of a length
    that nothing declared has.
    """

    def __init__(self) -> None:
        self._deep, self._left = DEEPEST, MOST
        self._kinds = {5: self._list, 6: self._map, 7: _bytes}

    def __call__(self, field: int, raw: Raw) -> bytes:
        """As `Held`."""
        written = bytes(raw)
        effort = 1 + written.count(b",") + len(written) // STRETCH
        if self._deep and effort <= self._left:
            self._left -= effort
            self._deep -= 1
            try:
                return block(field, self._kinds[field](raw))
            except (ValueError, struct.error, TooLarge):
                pass
            finally:
                self._deep += 1
        return block(7, blake2b(b"%d" % field + written, digest_size=20).digest())

    def _list(self, raw: Raw) -> bytes:
        return b"".join(block(1, value(each, self)) for each in read(ArrayValue, raw).values or ())

    def _map(self, raw: Raw) -> bytes:
        return attributes(1, read(KeyValueList, raw).values, self)


def _bytes(raw: Raw) -> bytes:
    """In either alphabet, with padding or without."""
    written = as_text(raw).translate(_ALPHABET)
    if not _BASE64.fullmatch(written):
        raise ValueError
    return a2b_base64(written.rstrip("=") + "==")


def text(field: int, said: str | None) -> bytes:
    """A field with a text, nothing for the empty one."""
    return block(field, said.encode()) if said else b""


def number(field: int, said: int | None) -> bytes:
    """A varint field; what does not fit 32 bits is no enum, flag or truth."""
    if not said:
        return b""
    if not -(2**31) <= said < 2**32:
        raise ValueError
    return bytes([field << 3]) + varint(said)


def block(field: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return head(field, len(content)) + content


@lru_cache(8192)
def head(field: int, size: int) -> bytes:
    """What comes before a length-delimited field's content."""
    return bytes([field << 3 | 2]) + varint(size)
