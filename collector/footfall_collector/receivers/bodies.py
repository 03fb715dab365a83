"""The body of a request over HTTP, as it arrives."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from io import BytesIO

from starlette.requests import ClientDisconnect, Request

from footfall_collector.decoding.turns import Work
from footfall_collector.receivers import decompression, refusals
from footfall_collector.receivers.admission import Passage

FIRST_S, CHUNK_S, BODY_S = 5.0, 10.0, 120.0
"""Seconds in which the first piece of a body must come, the next one, and all of it."""
_LATE = refusals.unavailable("the request took too long to arrive", 1.0).answer
UNREAD_S, UNREAD_BYTES = 2.0, 2**26
"""How much of a body is taken, and thrown away, so that its sender reads why it is refused."""


async def read(request: Request, max_bytes: int, passage: Passage) -> bytes:
    """A body, read and decompressed in steps: its size is bounded throughout, and others have their turn.

    Args:
        request: Whose.
        max_bytes: How large it may be, decompressed.
        passage: Is receiving this, is told how large it grows, and gives way when it comes too slowly.

    Raises:
        Refusal: it is too large, comes too slowly, cannot be decompressed, or there is no room for it.
        ClientDisconnect: its sender has left.
    """
    names = decompression.codings(request.headers.getlist("content-encoding"))
    decoders = [decompression.Decompressor(name, max_bytes) for name in names]
    body = BytesIO()  # its value is no copy, as that of joined parts would be
    async with Work() as work:
        async for chunk in _chunks(request, passage):
            work.begin()
            for piece in _decoded(chunk, decoders):
                if passage.size + len(piece) > max_bytes:
                    raise refusals.too_large(f"the request is larger than {max_bytes} bytes")
                passage.grow(len(piece))
                body.write(piece)
                if len(piece) == decompression.PIECE:
                    await work.pause()
        work.begin()
    for decoder in decoders:
        decoder.finish()
    return body.getvalue()


def _decoded(data: bytes, decoders: Sequence[decompression.Decompressor]) -> Iterator[bytes]:
    """What a piece of the body stands for, all codings taken off."""
    if not decoders:
        yield data
        return
    for piece in decoders[0].feed(data):
        yield from _decoded(piece, decoders[1:])


async def _chunks(request: Request, passage: Passage) -> AsyncIterator[bytes]:
    """The body as it comes; one that comes too slowly is refused, to be sent again."""
    patience = _Patience(passage)
    try:
        async for chunk in request.stream():
            patience.due = math.inf  # while others work on it
            yield chunk
            patience.go_on()
    finally:
        patience.end()


class _Patience:
    """Has a request give way when nothing comes of its body, or not all of it in time.

    One timer for all pieces: asyncio.timeout for each takes a tenth of what a small request costs.

    Attributes:
        due: When the next piece must have come, by the loop's clock.
    """

    __slots__ = ("_end", "_loop", "_passage", "_timer", "due")

    def __init__(self, passage: Passage) -> None:
        self._passage, self._loop = passage, asyncio.get_running_loop()
        now = self._loop.time()
        self.due, self._end = now + FIRST_S, now + BODY_S
        self._timer = self._loop.call_at(self.due, self._look)

    def go_on(self) -> None:
        """Waits for another piece."""
        self.due = min(self._loop.time() + CHUNK_S, self._end)

    def end(self) -> None:
        """Everything has come, or will not be read."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if now < self.due:
            self._timer = self._loop.call_at(min(self.due, now + CHUNK_S), self._look)
        else:
            self._passage.give_way(_LATE)


async def read_away(request: Request) -> None:
    """Takes the rest of a body: a connection closed on unread data is reset, and the answer with it."""
    size = 0
    try:
        async with asyncio.timeout(UNREAD_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > UNREAD_BYTES:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: it was read to its end
        return
