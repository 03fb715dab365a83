"""Reading gRPC's requests: it does not say how far one is, nor give it up, until it has arrived.

The kernel says how much a connection has received, and what arrives on it cannot be more than that.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc

from footfall_collector.receivers import refusals
from footfall_collector.receivers.admission import Passage
from footfall_collector.receivers.received import Connections
from footfall_collector.receivers.refusals import Refusal

QUICK_S, SILENT_S, READ_S = 0.05, 5.0, 30.0
"""Seconds after which what has come of a request is counted; for which its connection may be silent; in
which all of it must have come."""
COPIES = 3
"""Of a message in memory when it is handed over: as it came, joined, and as bytes (grpc.aio 1.85)."""
EVERY_S = 0.05
"""Seconds between two looks at what is arriving: a timer for all, because one each costs 100 µs a request."""


@dataclass(slots=True, eq=False)
class _Arriving:
    """One request.

    Attributes:
        counted: Bytes that it is counted with.
    """

    passage: Passage
    since: float
    counted: int = 0


@dataclass(slots=True, eq=False)
class _Connection:
    """Where requests arrive.

    Attributes:
        counted: How much it had received when that was last counted.
        heard: When it had received more than at the look before (monotonic, seconds).
        arriving: The oldest first.
    """

    counted: int
    heard: float
    arriving: dict[_Arriving, None] = field(default_factory=dict)


class Reader:
    """Reads the requests of a server.

    Args:
        largest: Bytes that a request may have.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._kernel = Connections()
        self._connections: dict[str, _Connection] = {}

    async def read(
        self, context: "grpc.aio.ServicerContext[bytes, bytes]", passage: Passage
    ) -> bytes:
        """The request of a call; of one that takes long, what can have come is counted meanwhile.

        Raises:
            Refusal: there is no room for it, it takes too long, or the call carries none.
        """
        peer, now = context.peer(), time.monotonic()
        arriving = _Arriving(passage, now)
        connection = self._connections.get(peer)
        if connection is None:
            # Unknown, or new: then all that it ever received may be of this request.
            connection = _Connection(self._kernel.received(peer) or 0, now)
            self._connections[peer] = connection
        connection.arriving[arriving] = None
        try:
            request = await passage.receive(context.read())
        finally:
            del connection.arriving[arriving]
            if not connection.arriving:
                del self._connections[peer]
        if not isinstance(request, bytes):  # grpc.aio.EOF
            raise refusals.invalid("the call carries no request")
        passage.grow(len(request) - arriving.counted)
        return request

    async def watch(self) -> None:
        """Looks after what is arriving, until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            now = time.monotonic()
            for peer, connection in list(self._connections.items()):
                self._look(peer, connection, now)

    def _look(self, peer: str, connection: _Connection, now: float) -> None:
        """Counts what a connection has received since, as part of the requests that have been arriving."""
        slow = [each for each in connection.arriving if now - each.since >= QUICK_S]
        if not slow:
            return
        received = self._received(peer)
        if received is None:
            self._count(slow, self._largest * len(slow), self._largest)
        elif received > connection.counted:
            new = COPIES * (received - connection.counted)
            self._count(slow, new, COPIES * self._largest)
            connection.counted, connection.heard = received, now
        for each in slow:
            silent = now - max(connection.heard, each.since)
            if silent >= SILENT_S or now - each.since >= READ_S:
                answer = refusals.unavailable("the request took too long to arrive", 1.0).answer
                each.passage.give_way(answer)

    def _received(self, peer: str) -> int | None:
        received = self._kernel.received(peer)
        if received is None:
            self._kernel.search()
            received = self._kernel.received(peer)
        return received

    def _count(self, slow: Iterable[_Arriving], new: int, most: int) -> None:
        """Adds what is new to the oldest requests, to none of them more than the most."""
        for each in slow:
            more = min(new, most - each.counted)
            try:
                each.passage.grow(more)
            except Refusal as refusal:
                each.passage.give_way(refusal.answer)
            else:
                each.counted += more
            new -= more
