"""Reading gRPC's requests: it does not say how far one is, nor give it up, until it has arrived."""

import asyncio
import time
from dataclasses import dataclass

import grpc

from footfall_collector.receivers import refusals
from footfall_collector.receivers.gate import Passage
from footfall_collector.receivers.refusals import Refusal

QUICK_S, READ_S = 0.2, 30.0
"""Seconds after which a request that is still arriving counts as large, and is given up."""
EVERY_S = 0.1
"""Seconds between two looks at what is arriving: a timer for all, because one each costs 100 µs a request."""


@dataclass(slots=True, eq=False)
class _Arriving:
    """One request."""

    task: "asyncio.Task[object] | None"
    passage: Passage
    since: float
    counted: int = 0
    refusal: Refusal | None = None


class Reader:
    """Reads the requests of a server.

    Args:
        largest: Bytes that a request may have.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._arriving: set[_Arriving] = set()

    async def read(
        self, context: "grpc.aio.ServicerContext[bytes, bytes]", passage: Passage
    ) -> bytes:
        """The request of a call; one that takes long counts as the largest meanwhile.

        Raises:
            Refusal: there is no room for it, it takes too long, or the call carries none.
        """
        arriving = _Arriving(asyncio.current_task(), passage, time.monotonic())
        self._arriving.add(arriving)
        try:
            request: bytes | object = await context.read()
        except asyncio.CancelledError:
            if arriving.refusal is None or arriving.task is None:  # the sender has left
                raise
            arriving.task.uncancel()
            raise arriving.refusal from None
        finally:
            self._arriving.discard(arriving)
        if not isinstance(request, bytes):  # grpc.aio.EOF
            raise refusals.invalid("the call carries no request")
        passage.grow(len(request) - arriving.counted)
        return request

    async def watch(self) -> None:
        """Looks after what is arriving, until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            now = time.monotonic()
            for arriving in list(self._arriving):
                self._look(arriving, now - arriving.since)

    def _look(self, arriving: _Arriving, seconds: float) -> None:
        """Counts a slow request as the largest; ends one for which there is no room, or no end."""
        try:
            if seconds >= READ_S:
                raise refusals.unavailable("the request took too long to arrive", 1.0)
            if seconds >= QUICK_S and not arriving.counted:
                arriving.passage.grow(self._largest)
                arriving.counted = self._largest
        except Refusal as refusal:
            self._arriving.discard(arriving)
            arriving.refusal = refusal
            if arriving.task is not None:
                arriving.task.cancel()
