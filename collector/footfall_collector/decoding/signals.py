"""OTLP's signals, as everything that comes in, is read or is answered knows them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from footfall_collector.decoding.wire import Groups, Take
from footfall_collector.security.keys import Key
from footfall_processors import Batch

FIELDS = {
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
    "logs": "rejected_log_records",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One OTLP signal.

    Attributes:
        name: `traces`, `metrics` or `logs`.
        service: The gRPC service's full name.
        response: Makes the response message.
        decode: A request, its sender's key, what the request says when it is not protobuf, and what counts
            the memory that it takes → a batch.
    """

    name: str
    service: str
    response: Callable[[], Message]
    decode: Callable[[bytes, Key | None, Groups | None, Take], Awaitable[Batch]]


def sender(key: Key | None) -> bytes:
    """What distinguishes senders in the ledger."""
    return key.id if key else b""
