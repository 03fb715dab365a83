"""`GET /api/live` of the operator's listener: what is stored and refused, as it comes (server-sent events).

One task looks at the store for all who look on, and only while there is somebody. Each has a bounded queue:
who does not keep up is told how much was left out. A stream ends by itself after a while, so that a key which
was revoked opens none for longer; a browser comes back by itself, and says how far it was (`Last-Event-ID`).
"""

import asyncio
import datetime as dt
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
import psycopg
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from footfall_collector.receivers.arriving import Message, Wanted, away, left_out, messages
from footfall_exporters.faults import log_fault
from footfall_exporters.postgres.arrivals import Arrivals, Looker
from footfall_processors import OperatorError

PATH: Final = "/api/live"
EVERY_S = 1.0
"""Between two looks."""
MOST = 16
"""Streams at a time."""
QUEUED = 1000
"""Messages that wait for one who reads slowly."""
HEARTBEAT_S = 15.0
"""After which a silent stream says that it is there: proxies close what is silent."""
LASTS_S = 600.0
"""After which a stream ends, and is asked for again."""
_RETRY = b"retry: 2000\n\n"
_BEAT = b": there\n\n"
log = logging.getLogger("footfall.collector")
_encode = msgspec.json.Encoder().encode


class Live:
    """Streams of what arrives.

    Args:
        dsn: Of the store, as it is known by now; empty where there is none.
    """

    def __init__(self, dsn: Callable[[], str]) -> None:
        self._dsn = dsn
        self._listeners: set[_Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()
        self._faulty = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Leaves nothing behind at its end."""
        try:
            yield
        finally:
            self.close()
            if self._looking is not None:
                await self._looking

    def close(self) -> None:
        """Ends all streams, and opens no more."""
        self._closed.set()
        for listener in self._listeners:
            listener.end()

    async def answer(self, request: Request) -> Response:
        """The stream that a request asks for."""
        refusal = self._refusal()
        if refusal is not None:
            return refusal
        try:
            listener = _Listener(Wanted.of(request.query_params), _known(request))
        except ValueError as error:
            return _respond(400, "invalid_query", str(error))
        return _Stream(self, listener)

    def enter(self, listener: "_Listener") -> None:
        """Has somebody look on."""
        self._listeners.add(listener)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_on())

    def leave(self, listener: "_Listener") -> None:
        """They look on no more."""
        self._listeners.discard(listener)

    def _refusal(self) -> Response | None:
        if self._closed.is_set():
            return _respond(503, "draining", "the collector is stopping")
        if not self._dsn():
            return _respond(503, "no_store", "there is no store here, or it is not open yet")
        if len(self._listeners) >= MOST:
            text = f"{MOST} streams are open, which is all there may be; close one"
            return _respond(503, "too_many", text, {"retry-after": "10"})
        return None

    async def _look_on(self) -> None:
        """Looks for as long as somebody looks on."""
        looker = Looker(self._dsn())
        try:
            while self._listeners and not self._closed.is_set():
                await self._look(looker)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), EVERY_S)
        finally:
            self._looking = None
            await asyncio.to_thread(looker.close)

    async def _look(self, looker: Looker) -> None:
        try:
            found = await asyncio.to_thread(looker.look)
            for listener in [*self._listeners]:
                await _tell(listener, looker, found)
            self._faulty = False
        except (OperatorError, psycopg.Error) as error:
            self._say_away(type(error).__name__)  # a message may quote the connection string
        except Exception as error:  # a fault of ours: the next look may do
            if not self._faulty:
                log_fault(log, "what arrives could not be shown", error)
            self._faulty = True
            self._say_away("fault")

    def _say_away(self, why: str) -> None:
        for listener in self._listeners:
            listener.miss(why)


async def _tell(listener: "_Listener", looker: Looker, found: Arrivals) -> None:
    """Tells one of them; whose past cannot be read now hears it at the next look, nobody else waits."""
    try:
        await listener.hear(looker, found)
    except (OperatorError, psycopg.Error) as error:
        listener.miss(type(error).__name__)


class _Listener:
    """Somebody who looks on.

    Args:
        wanted: What they want to see.
        known: The last commit that they know; None for those who have just come.
    """

    def __init__(self, wanted: Wanted, known: int | None) -> None:
        self._wanted, self._known = wanted, known
        self._joined = self._ended = False
        self._away = ""
        self._waiting: deque[Message] = deque()
        self._dropped = 0
        self._wake = asyncio.Event()

    async def hear(self, looker: Looker, found: Arrivals) -> None:
        """Takes what a look has found; the first time also what came while they were away.

        Raises:
            OperatorError, psycopg.Error: that cannot be read.
        """
        if not self._joined:
            known, until = self._known, found.position
            found = Arrivals(found.at, until)
            if known is not None and known < until:
                found = await asyncio.to_thread(looker.again, known, until)
            self._joined = True
        if self._away:
            self._put([away("")])
            self._away = ""
        self._put(messages(found, self._wanted))

    def miss(self, why: str) -> None:
        """Is told, once, that the store does not answer."""
        if why != self._away:
            self._away = why
            self._put([away(why)])

    def end(self) -> None:
        """Sends what waits, and no more."""
        self._ended = True
        self._wake.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """What is sent, until it ends."""
        yield _RETRY
        ends = time.monotonic() + LASTS_S
        while not self._ended and time.monotonic() < ends:
            try:
                await asyncio.wait_for(self._wake.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield _BEAT
            self._wake.clear()
            if frames := b"".join(self._taken()):
                yield frames

    def _put(self, found: Iterable[Message]) -> None:
        for message in found:
            if len(self._waiting) < QUEUED:
                self._waiting.append(message)
            else:
                self._dropped += 1
        if self._waiting:
            self._wake.set()

    def _taken(self) -> Iterator[bytes]:
        while self._waiting:
            yield self._waiting.popleft().frame()
        if self._dropped:
            yield left_out(dt.datetime.now(dt.UTC), self._dropped).frame()
            self._dropped = 0


class _Stream(StreamingResponse):
    """An answer that has a place among the streams for as long as it is sent."""

    def __init__(self, live: Live, listener: _Listener) -> None:
        headers = {"x-accel-buffering": "no"}
        super().__init__(listener.frames(), media_type="text/event-stream", headers=headers)
        self._live, self._listener = live, listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends, until it ends or nobody reads."""
        if scope["method"] == "HEAD":
            await Response(headers=dict(self.headers))(scope, receive, send)
            return
        self._live.enter(self._listener)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.leave(self._listener)


def _known(request: Request) -> int | None:
    """The last commit that somebody knows: who comes back says it in a header, a page in its query.

    Raises:
        ValueError: it is none.
    """
    said = request.headers.get("last-event-id") or request.query_params.get("after", "")
    if not said:
        return None
    if said.isdecimal() and said.isascii() and len(said) < 19:
        return int(said)
    raise ValueError(
        "`Last-Event-ID` or `after` is no position: send it as it was given, or not at all"
    )


def _respond(
    status: int, word: str, text: str, headers: Mapping[str, str] | None = None
) -> Response:
    body: dict[str, Any] = {"error": word, "message": text}
    return Response(_encode(body), status, headers, media_type="application/json")
