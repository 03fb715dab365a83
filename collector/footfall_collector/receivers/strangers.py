"""Senders that speak another protocol than the listener: gRPC, or TLS, to a port of plain HTTP/1.1.

A gRPC client takes an answer in HTTP/1.1 for a connection that failed, and tries again for a minute without a
word. It is told in HTTP/2, by as little of it as that takes (RFC 9113, sections 4.1, 6 and 6.8; fields of
RFC 7541, section 6.2.2; gRPC over HTTP/2, "Trailers-Only").
"""

import asyncio
import struct
from typing import Final

from footfall_collector.receivers.refusals import WRONG_PORT

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""A client's first words in HTTP/2."""
_HELLO: Final = (b"\x16\x03", 0x01)
"""Of TLS: a record of a handshake, and in it, at the sixth byte, the message of a client (RFC 8446)."""
_HEADERS, _SETTINGS, _GOAWAY = 1, 4, 7
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_HEAD: Final = 9
_LARGEST: Final = 2**14
"""Bytes of a frame, where the server has not said that it takes larger ones."""
_UNIMPLEMENTED: Final = b"12"


def is_tls(data: bytes) -> bool:
    """Whether a client begins so with TLS."""
    start, hello = _HELLO
    return data.startswith(start) and data[5:6] == bytes([hello])


class Http2:
    """Answers the first request of a connection, as gRPC does, that this is not the port for it.

    Those that follow are not looked at, and their sender is told so.

    Args:
        transport: Of the connection, whose preface has been read.
    """

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport, self._waiting, self._skip = transport, b"", 0
        self._answered = False
        transport.write(_frame(_SETTINGS) + _frame(_SETTINGS, _ACK))

    def feed(self, data: bytes) -> None:
        """Takes what came; what a frame holds is thrown away."""
        while data:
            skipped, data = data[: self._skip], data[self._skip :]
            self._skip -= len(skipped)
            if not data:
                return
            taken = _HEAD - len(self._waiting)
            self._waiting, data = self._waiting + data[:taken], data[taken:]
            if len(self._waiting) == _HEAD:
                self._frame(self._waiting)
                self._waiting = b""

    def _frame(self, head: bytes) -> None:
        high, low, kind, _, stream = struct.unpack(">BHBBL", head)
        self._skip = high << 16 | low
        if self._skip > _LARGEST:
            self._transport.close()
        elif kind == _HEADERS and not self._answered:
            self._answered = True
            stream &= 2**31 - 1
            ending = _frame(_GOAWAY, payload=struct.pack(">LL", stream, 0))
            self._transport.write(
                _frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, _REFUSED) + ending
            )


def _frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">BHBBL", 0, len(payload), kind, flags, stream) + payload


def _field(name: bytes, value: bytes) -> bytes:
    """A literal field that no table keeps; shorter than 127 bytes, without Huffman's code."""
    return b"".join((b"\x00", bytes([len(name)]), name, bytes([len(value)]), value))


_REFUSED: Final = b"\x88" + b"".join(  # 0x88: `:status: 200`, of the static table
    _field(name, value)
    for name, value in (
        (b"content-type", b"application/grpc"),
        (b"grpc-status", _UNIMPLEMENTED),
        (b"grpc-message", WRONG_PORT.encode("ascii")),
    )
)
