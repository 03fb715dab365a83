"""OTLP's common messages as plain Python values, decoded with the official classes."""

from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Status

DEPTH = 8
"""Lists and maps nested deeper than this are not followed; nothing declared is nested at all."""


def any_value(value: AnyValue, depth: int = 0) -> Any:
    """An AnyValue as str, int, float, bool, bytes, list, dict or None."""
    kind = value.WhichOneof("value")
    if kind is None or depth > DEPTH:
        return None
    if kind == "array_value":
        return [any_value(item, depth + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {kv.key: any_value(kv.value, depth + 1) for kv in value.kvlist_value.values}
    return getattr(value, kind)


def key_value(encoded: bytes) -> tuple[str, Any]:
    """An encoded KeyValue; one that cannot be parsed has the empty key, which nobody can declare."""
    try:
        pair = KeyValue.FromString(encoded)
    except DecodeError:
        return "", None
    return pair.key, any_value(pair.value)


def resource_attributes(encoded: bytes) -> dict[str, Any]:
    """An encoded Resource's attributes; empty when it cannot be parsed."""
    try:
        resource = Resource.FromString(encoded)
    except DecodeError:
        return {}
    return {kv.key: any_value(kv.value) for kv in resource.attributes}


def is_error(encoded: bytes) -> bool:
    """Whether an encoded span Status has the code ERROR (its message is not looked at)."""
    try:
        return Status.FromString(encoded).code == Status.STATUS_CODE_ERROR
    except DecodeError:
        return False
