"""What OTLP/HTTP bodies are written in; an answer is written in what its request was."""

from typing import NamedTuple, Protocol

from google.protobuf import json_format
from google.protobuf.message import Message

PROTOBUF, JSON = "application/x-protobuf", "application/json"


class _Write(Protocol):
    def __call__(self, message: Message) -> bytes: ...


class Encoding(NamedTuple):
    """One of OTLP/HTTP's two encodings.

    Attributes:
        media_type: As in Content-Type.
        write: Encodes an answer, a response or a google.rpc.Status.
    """

    media_type: str
    write: _Write


def _json(message: Message) -> bytes:
    return json_format.MessageToJson(message, indent=None).encode()


_ENCODINGS = {
    PROTOBUF: Encoding(PROTOBUF, lambda message: message.SerializeToString()),
    JSON: Encoding(JSON, _json),
}


def of(content_type: str) -> Encoding | None:
    """The encoding that a Content-Type names, whatever its parameters; None for any other."""
    return _ENCODINGS.get(content_type.partition(";")[0].strip().lower())


FALLBACK = _ENCODINGS[PROTOBUF]
"""For answers to requests in neither."""
