"""What OTLP/HTTP bodies are written in; an answer is written in what its request was."""

from typing import NamedTuple, Protocol

from google.protobuf import json_format
from google.protobuf.message import Message

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_PLAIN_PROTOBUF = "application/protobuf"
"""The name that is registered for it; some senders use it."""


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


def _protobuf(message: Message) -> bytes:
    return message.SerializeToString()


_ENCODINGS = {
    PROTOBUF: Encoding(PROTOBUF, _protobuf),
    _PLAIN_PROTOBUF: Encoding(_PLAIN_PROTOBUF, _protobuf),
    JSON: Encoding(JSON, _json),
}


def of(content_type: str, *, page: bool = False) -> Encoding | None:
    """The encoding that a Content-Type names, whatever its parameters; None for any other.

    Args:
        content_type: The header's value.
        page: Whether a page of an allowed origin sends it: `navigator.sendBeacon` calls a text `text/plain`.
            From others, who could be any page in anybody's browser, that is not taken.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    return _ENCODINGS.get(JSON if page and media_type == "text/plain" else media_type)


FALLBACK = _ENCODINGS[PROTOBUF]
"""For answers to requests in neither."""
