"""Bodies in content codings (RFC 9110, section 8.4), decoded as they come and never beyond a size.

gzip may have several members, names, comments and zeros behind it (RFC 1952; gzip pads so), deflate may lack
the zlib header that it should have, zstd may have several frames, with windows of 8 MiB at most (RFC 9659).
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from footfall_collector.receivers import refusals
from footfall_collector.telemetry.instruments import Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MOST_CODINGS = 3
"""Of one body, one upon the other."""
MOST_MEMBERS = 10_000
"""Of one body: gzip members or zstd frames, which may be empty."""
PIECE = 2**18
"""Bytes that are decoded at a stretch: 64 kB can stand for 64 MB, which take a tenth of a second."""
SLACK = 2**16
"""Bytes that a coded body may have beyond what it may be when it is decoded."""
_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}


class _Decoder(Protocol):
    """As zstd's; one for each member or frame."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Inflate:
    """zlib's, which leaves it to its caller to keep what it has not come to yet."""

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits=wbits)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data


class _Deflate:
    """zlib's format, or without its header, as some senders have it."""

    def __init__(self) -> None:
        self._head, self._inflate = b"", _Inflate(15)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        if len(self._head) < 2:
            self._head += data
            if len(self._head) < 2:
                return b""
            # RFC 1950, section 2.2: the method, and a check of the first two bytes.
            if self._head[0] & 15 != 8 or int.from_bytes(self._head[:2], "big") % 31:
                self._inflate = _Inflate(-15)
            data = self._head
        return self._inflate.decompress(data, max_length)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data


_MAKE: dict[str, Callable[[], _Decoder]] = {
    "gzip": lambda: _Inflate(31),
    "deflate": _Deflate,
    "zstd": lambda: zstd.ZstdDecompressor(options=_WINDOW),
}
_ALIASES = {"x-gzip": "gzip", "zlib": "deflate"}
ACCEPTED = ", ".join(_MAKE)
"""As in Accept-Encoding."""


def codings(headers: Sequence[str]) -> list[str]:
    """The codings of a body, in the order in which they are taken off.

    Args:
        headers: All values of Content-Encoding.

    Raises:
        Refusal: one of them is not known here, or there are too many.
    """
    said = [each.strip().lower() for each in ",".join(headers).split(",")]
    found = [_ALIASES.get(each, each) for each in said if each not in ("", "identity")]
    if len(found) > MOST_CODINGS or not _MAKE.keys() >= set(found):
        message = f"the content encoding must be identity or one of {ACCEPTED}"
        raise refusals.invalid(message, 415, Refused.ENCODING)
    return found[::-1]


class Decompressor:
    """Takes one coding off a body.

    Args:
        coding: Its name.
        most: Bytes that may come out.
    """

    def __init__(self, coding: str, most: int) -> None:
        self._coding, self._most = coding, most
        self._size = self._coded = self._members = 0
        self._decoder: _Decoder | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What a piece of the coded body stands for, in pieces of at most `PIECE` bytes.

        Raises:
            Refusal: it is wrong, or too much.
        """
        self._coded += len(data)
        if self._coded > self._most + SLACK:
            raise refusals.too_large(f"the request is larger than {self._most} bytes")
        while data := self._without_padding(data):
            if self._decoder is None or self._decoder.eof:
                self._decoder = self._next()
            for piece in self._pieces(self._decoder, data):
                self._size += len(piece)
                if self._size > self._most:
                    raise refusals.too_large(f"the request is larger than {self._most} bytes")
                yield piece
            data = self._decoder.unused_data

    def _pieces(self, decoder: _Decoder, data: bytes) -> Iterator[bytes]:
        """All of one member's or frame's that can be had by now."""
        more = True
        while more and not decoder.eof:
            most = min(PIECE, self._most + 1 - self._size)
            try:
                piece = decoder.decompress(data, most)
            except (zlib.error, zstd.ZstdError):
                raise refusals.invalid(f"the body is not valid {self._coding}") from None
            data, more = b"", len(piece) == most
            yield piece

    def finish(self) -> None:
        """Is called when the coded body has come.

        Raises:
            Refusal: something is missing.
        """
        if self._decoder is None or not self._decoder.eof:
            raise refusals.invalid(f"the {self._coding} body is cut short")

    def _without_padding(self, data: bytes) -> bytes:
        between = self._decoder is not None and self._decoder.eof
        return data.lstrip(b"\0") if between and self._coding == "gzip" else data

    def _next(self) -> _Decoder:
        self._members += 1
        if self._members > (1 if self._coding == "deflate" else MOST_MEMBERS):
            raise refusals.invalid(f"something follows the {self._coding} body")
        return _MAKE[self._coding]()
