"""What a client posts, as the log record that says the same: it goes OTLP's way, under its rules.

What a client says of who it is never counts: the attributes that identities are stored in are the server's.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from footfall_processors.names import QUANTITY, SERVICE_NAME

MOST_AT_ONCE = 50
"""Occurrences that one post may stand for (R-number B1)."""
INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Posted:
    """One event as it was posted.

    Attributes:
        event: Its name, which need not be declared.
        time_ns: When, in nanoseconds since the Unix epoch.
        properties: What else was said, as JSON has it.
        quantity: How many occurrences it stands for, 1 to `MOST_AT_ONCE`.
    """

    event: str
    time_ns: int
    properties: Mapping[str, Any] = field(default_factory=dict)
    quantity: int = 1


def record(
    posted: Posted,
    known: Mapping[str, str],
    reserved: Container[str],
    opened: Container[str] = (),
) -> bytes:
    """The encoded log record.

    Args:
        posted: As the client has it.
        known: What the server knows of the sender, by attribute.
        reserved: What only the server may say; a client's is left out.
        opened: The objects in which attributes are nested; `b` in `a` is `a.b`.
    """
    said = [
        (name, value)
        for each in posted.properties.items()
        for name, value in _leaves(*each, opened)
        if name not in reserved and name != QUANTITY and value is not None
    ]
    if posted.quantity > 1:
        said.append((QUANTITY, posted.quantity))
    attributes = [KeyValue(key=key, value=_value(value)) for key, value in (*known.items(), *said)]
    record = LogRecord(
        time_unix_nano=posted.time_ns, event_name=posted.event, attributes=attributes
    )
    return record.SerializeToString()


def resource(service: str | None) -> bytes:
    """The encoded resource that names a service; an empty one names none."""
    if service is None:
        return b""
    named = KeyValue(key=SERVICE_NAME, value=AnyValue(string_value=service))
    return Resource(attributes=[named]).SerializeToString()


def _leaves(name: str, value: Any, opened: Container[str]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and name in opened:
        for inner, each in value.items():
            yield from _leaves(f"{name}.{inner}", each, opened)
    else:
        yield name, value


def _value(value: Any) -> AnyValue:
    """A JSON value; what is nested can be no declared one, and stays empty."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int() if value in INT64:
            return AnyValue(int_value=value)
        case int() | float():
            return AnyValue(double_value=_double(value))
        case str():
            return AnyValue(string_value=value)
        case list():
            return AnyValue(array_value=ArrayValue())
        case _:
            return AnyValue(kvlist_value=KeyValueList())


def _double(value: float) -> float:
    """As IEEE 754 rounds: an integer too large for it is infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
