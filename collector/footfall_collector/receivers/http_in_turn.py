"""HTTP/1.1 as httptools parses it: one request after the other, and within bounds (ADR 33)."""

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 2**14
"""Bytes that may come, at the end of what was read, and be neither a whole head nor of a body: the parser
itself would keep a head, or trailers, of any size."""
PIECE = 2**12
"""Bytes that are parsed at once. Requests that follow each other in them wait for their turn, each of which
takes much more memory than its bytes do; what comes after them waits unparsed."""


class InTurn(HttpToolsProtocol):
    """Parses no further than it answers, where uvicorn alone would take in requests as fast as they come.

    Args:
        options: uvicorn's.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._unparsed = memoryview(b"")
        self._unread = 0  # bytes since the last of which something came
        self._in_head = False
        self._wrong = ""  # why nothing more is taken

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Reads no further than it parses."""
        super().connection_made(transport)
        self.flow = _Flow(transport, lambda: not (self._unparsed or self.pipeline))

    def data_received(self, data: bytes) -> None:
        """Takes what came; it is parsed when it is its turn."""
        if self._wrong:
            return
        self._unparsed = memoryview(bytes(self._unparsed) + data if self._unparsed else data)
        self._go_on()

    def on_response_complete(self) -> None:
        """It is the next request's turn."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets what was not parsed."""
        self._unparsed = memoryview(b"")
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a field of a head; those of a trailer mean nothing here."""
        if self._in_head:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """A head is whole.

        Raises:
            ValueError: it names no host, or more than one (RFC 9112, section 3.2).
        """
        if self.parser.should_upgrade():
            return  # it is read again, see `_declined`
        self._unread, self._in_head = 0, False
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise ValueError("a request names one host")
        self.url = _path(self.url)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body has come."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        if not self.parser.should_upgrade():
            self._unread = 0
            super().on_message_complete()

    def _go_on(self) -> None:
        """Parses what has come, up to a request that has to wait; answers what is wrong in its turn."""
        if self._unparsed:
            self._unset_keepalive_if_required()
        while self._unparsed and not self._is_answering():
            piece, self._unparsed = self._unparsed[:PIECE], self._unparsed[PIECE:]
            self._feed(piece)
        if self._wrong and not self._is_answering():
            self.send_400_response(self._wrong)
        elif self._unparsed:
            self.flow.pause_reading()
        elif self.cycle is None or self.cycle.response_complete:
            self.flow.resume_reading()

    def _is_answering(self) -> bool:
        """Whether a whole request has no answer yet."""
        cycle = self.cycle
        waits = cycle is not None and not cycle.response_complete and not cycle.more_body
        return waits or bool(self.pipeline)

    def _feed(self, data: bytes | memoryview) -> None:
        """Has what came parsed, as uvicorn would; who offers another protocol is answered in this one."""
        self._unread += len(data)
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    data = b""
                except httptools.HttpParserUpgrade as offer:
                    data = self._declined() + data[offer.args[0] :]
                    self.parser = httptools.HttpRequestParser(self)
        except httptools.HttpParserError:
            self._wrong = "Invalid HTTP request received."
        else:
            if self._unread > MAX_HEAD:
                self._wrong = f"More than {MAX_HEAD} bytes of head."
        if self._wrong:
            self._unparsed = memoryview(b"")

    def _declined(self) -> bytes:
        """The present head without its offer of another protocol: for httptools, the body were of that.

        Raises:
            HttpParserError: it demands one.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserError("this is no proxy")
        kept = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(kept))


class _Flow(FlowControl):
    """Reads on only when there is nothing left to parse or to answer.

    Args:
        transport: The connection's.
        is_free: Whether that is so.
    """

    def __init__(self, transport: asyncio.Transport, is_free: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._is_free = is_free

    def resume_reading(self) -> None:
        """Unless it has to wait."""
        if self._is_free():
            super().resume_reading()


def _path(target: bytes) -> bytes:
    """A request's target as a path: one in absolute form loses its host (RFC 9112, section 3.2.2)."""
    if target.startswith(b"/"):
        return target
    _, _, rest = target.partition(b"://")
    where, mark, query = rest.partition(b"?")
    return b"/" + where.partition(b"/")[2] + mark + query
