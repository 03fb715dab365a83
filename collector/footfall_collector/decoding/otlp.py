"""OTLP's common messages as plain Python values, decoded with the official classes."""

from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from footfall_collector.decoding.wire import (
    BYTES,
    INT32,
    MANY,
    ONE,
    Schema,
    TooLarge,
    check_tags,
    classes,
)

MOST_BYTES = 2**16 + 2**10
"""Of an encoded KeyValue: the longest text kept (`values.LONGEST`) in four-byte letters, and a key."""
MOST_RESOURCE_ATTRIBUTES = 1000
MOST_SETTLED = 2**20
"""Bytes of lists and maps of a request that are looked into, of two a value: about 0.2 s."""
_SCHEMA: Schema = {
    "Resource": [("attributes", 1, BYTES, MANY, None), ("dropped", 2, BYTES, ONE, None)],
    "Long": [("key", 1, BYTES, ONE, None), ("value", 2, BYTES, ONE, None)],
    "Status": [("message", 2, BYTES, ONE, None), ("code", 3, INT32, ONE, None)],
}
_PLAIN = {"string_value", "bool_value", "int_value", "double_value", "bytes_value"}
_CODES = frozenset(Status.StatusCode.values())
_Resource, _Long, _Status = classes(_SCHEMA, "Resource", "Long", "Status")


def any_value(value: AnyValue) -> Any:
    """An AnyValue as str, int, float, bool, bytes, list, dict or None.

    Lists and maps are empty: nothing declared is one, so that what they hold is of no consequence.
    """
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return []
    if kind == "kvlist_value":
        return {}
    return getattr(value, kind) if kind else None


def key_value(encoded: bytes) -> tuple[str, Any]:
    """An encoded KeyValue; one that cannot be parsed at all has the empty key, which nobody can declare.

    What is too long to be kept is None, whatever it is: to open it is what could take memory and time. So is
    a value that cannot be parsed, or is no text.
    """
    if len(encoded) > MOST_BYTES:
        return _key(encoded), None
    try:
        pair = KeyValue.FromString(encoded)
    except DecodeError:
        return _key(encoded), None
    return pair.key, any_value(pair.value)


def _key(encoded: bytes) -> str:
    """The key of a KeyValue whose value is not opened."""
    try:
        return _Long.FromString(encoded).key.decode("utf-8", "replace")  # type: ignore[no-any-return]
    except DecodeError:
        return ""


class Identities(dict[bytes, bytes]):
    """Of one request: an encoded KeyValue → as equal ones are encoded.

    Some encoders pad lengths, or write a value before its key. Maps have no order, and no value is an empty
    one. One that is too long or cannot be parsed stays as it is, and so does each list or map after
    `MOST_SETTLED`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._left = MOST_SETTLED

    def __missing__(self, encoded: bytes) -> bytes:
        self[encoded] = found = self._found(encoded)
        return found

    def _found(self, encoded: bytes) -> bytes:
        if len(encoded) > MOST_BYTES:
            return encoded
        try:
            pair = KeyValue.FromString(encoded)
        except DecodeError:
            return encoded
        if pair.value.WhichOneof("value") in _PLAIN:
            return pair.SerializeToString()
        if len(encoded) > self._left:
            return encoded
        self._left -= len(encoded)
        _settle(pair)
        return pair.SerializeToString()


def _settle(pair: KeyValue) -> None:
    pair.value.SetInParent()
    _settle_value(pair.value)


def _settle_value(value: AnyValue) -> None:
    for each in value.array_value.values:
        _settle_value(each)
    if value.WhichOneof("value") == "kvlist_value":
        pairs = value.kvlist_value.values
        for pair in pairs:
            _settle(pair)
        pairs.sort(key=KeyValue.SerializeToString)


def encoded_text(key: str, value: str) -> bytes:
    """How a KeyValue with this text is usually encoded."""
    return KeyValue(key=key, value=AnyValue(string_value=value)).SerializeToString()


def resource_attributes(encoded: bytes) -> dict[str, Any]:
    """An encoded Resource's attributes; empty when it cannot be parsed.

    Raises:
        TooLarge: it has more than `MOST_RESOURCE_ATTRIBUTES`.
    """
    return dict(map(key_value, resource_pairs(encoded)))


def resource_pairs(encoded: bytes) -> list[bytes]:
    """The same, encoded; see `resource_attributes`."""
    check_tags(encoded, 1)
    try:
        attributes: list[bytes] = _Resource.FromString(encoded).attributes[:]
    except DecodeError:
        return []
    if len(attributes) > MOST_RESOURCE_ATTRIBUTES:
        raise TooLarge(MOST_RESOURCE_ATTRIBUTES, "attributes of a resource")
    return attributes


def status_code(encoded: bytes) -> int:
    """The code of an encoded span Status, UNSET for one that is not known; its message may be anything."""
    try:
        code = int(_Status.FromString(encoded).code)
    except DecodeError:
        return Status.STATUS_CODE_UNSET
    return code if code in _CODES else Status.STATUS_CODE_UNSET
