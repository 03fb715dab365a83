"""What a client posts, as what the decoder takes: it goes the way of OTLP's log records, under their rules.

What a client says of who it is never counts: the attributes that identities are stored in are the server's.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from footfall_collector.decoding.posts import Post, attribute
from footfall_processors.names import QUANTITY, SERVICE_NAME

MOST_AT_ONCE = 50
"""Occurrences that one post may stand for (R-number B1)."""


class Posted(NamedTuple):
    """One event as it was posted.

    Attributes:
        event: Its name, which need not be declared.
        time_ns: When, in nanoseconds since the Unix epoch.
        properties: What else was said, as JSON has it.
        quantity: How many occurrences it stands for, 1 to `MOST_AT_ONCE`.
    """

    event: str
    time_ns: int
    properties: Mapping[str, Any]
    quantity: int = 1


def post(
    posted: Posted,
    known: Sequence[bytes],
    reserved: Container[str],
    opened: Container[str] = (),
) -> Post:
    """What the decoder takes.

    Args:
        posted: As the client has it.
        known: What the server knows of the sender, as encoded attributes.
        reserved: What only the server may say, the quantity among it; a client's is left out.
        opened: The objects in which attributes are nested; `b` in `a` is `a.b`.
    """
    attributes = [*known]
    for name, value in posted.properties.items():
        if type(value) is dict and name in opened:
            attributes += [
                attribute(*leaf) for leaf in _leaves(name, value, opened) if leaf[0] not in reserved
            ]
        elif value is not None and name not in reserved:
            attributes.append(attribute(name, value))
    if posted.quantity > 1:
        attributes.append(attribute(QUANTITY, posted.quantity))
    return Post(posted.event.encode(), posted.time_ns, attributes)


def resource(service: str | None) -> bytes:
    """The encoded resource that names a service; an empty one names none."""
    if service is None:
        return b""
    named = KeyValue(key=SERVICE_NAME, value=AnyValue(string_value=service))
    return Resource(attributes=[named]).SerializeToString()


def _leaves(name: str, value: Any, opened: Container[str]) -> Iterator[tuple[str, Any]]:
    """What is nested in an object, by its path; null says nothing."""
    if type(value) is dict and name in opened:
        for inner, each in value.items():
            yield from _leaves(f"{name}.{inner}", each, opened)
    elif value is not None:
        yield name, value
