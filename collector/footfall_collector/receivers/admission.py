"""Who may come in, and how much at once: decided before a request costs anything.

Nobody can keep the others out. A sender is a key, or a connection where there are none: a part of the room
is for those who have less than their share of it, and when there is no room, requests that arrive slowly
give way.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Hashable, Iterator
from types import TracebackType
from typing import TypeVar

from footfall_collector.config.schema import AdmissionConfig
from footfall_collector.receivers import refusals
from footfall_collector.receivers.refusals import Answer, Refusal
from footfall_collector.security.keys import Key, Keys, bearer
from footfall_collector.security.rate import RateLimit
from footfall_collector.telemetry.instruments import Refused

T = TypeVar("T")
MOST_REQUESTS = 1024
"""Requests in flight at once, however small: each costs some memory before its first byte is read."""
FULL_S = 0.25
"""Seconds for which the gate stays shut for a sender whose request did not fit."""
SLOW_S, PLACE_S = 1.0, 0.05
"""Seconds after which a request that is still arriving gives way, when others find no room; and when they
find no place."""
PAUSE_S = 1.0
"""Seconds after which a sender for whom there was no room is told so. Those who retry at once, however
many, are slowed by it; nobody else has to wait."""
KEPT = 1 / 16
"""Of the limit, for senders that have less than their share of it."""


class Gate:
    """The entrance that all receivers of a process share.

    Args:
        admission: How much may be in flight.
        keys: Who may send; None for everyone.

    Attributes:
        keys: May be replaced at any time.
        closed: Whether the collector is stopping: nobody else may come in.
        limit: Bytes at which requests are refused.
        bytes: Of the requests in flight, decompressed.
        requests: How many are in flight.
    """

    def __init__(self, admission: AdmissionConfig | None = None, keys: Keys | None = None) -> None:
        self.keys = keys
        self.limit = int((admission or AdmissionConfig()).request_limit_mib * 2**20)
        self.closed = False
        self.bytes = self.requests = self._pausing = 0
        self._rates = RateLimit()
        self._held: Counter[Hashable] = Counter()  # bytes, by sender
        self._places: Counter[Hashable] = Counter()  # requests, by sender
        self._arriving: dict[Passage, None] = {}  # the oldest first
        self._shut: dict[Hashable, float] = {}  # until when, monotonic

    def key(self, authorization: str | None) -> Key | None:
        """The sender's key; None where none is needed.

        Args:
            authorization: The header's value.

        Raises:
            Refusal: the key is missing or not known, or has sent too much.
        """
        if self.keys is None:
            return None
        token = bearer(authorization)
        key = self.keys.find(token)
        if key is None:
            raise refusals.unauthenticated(self.keys.refusal(token), self.keys.name_of(token))
        self.count(key)
        return key

    def count(self, key: Key) -> None:
        """Counts a request of a key.

        Raises:
            Refusal: it has sent too much.
        """
        if wait := self._rates.take(key.id, key.per_minute):
            raise refusals.too_many(wait, key.name)

    def open(self, sender: Hashable = None) -> "Passage":
        """A place for one request, which has no bytes yet.

        Args:
            sender: Whose request it is: its key, or its connection.

        Raises:
            Refusal: there is none now.
        """
        if self.closed:
            raise refusals.unavailable("the collector is stopping", 1.0)
        now = time.monotonic()
        if now < self._shut.get(sender, 0.0):
            raise refusals.overloaded()
        if self.requests >= MOST_REQUESTS or self.bytes >= self.limit:
            no_place = self.requests >= MOST_REQUESTS
            slow = next(self._slow(now, PLACE_S if no_place else SLOW_S), None)
            if slow is None:
                raise refusals.overloaded()
            if no_place:
                slow.give_way(refusals.overloaded().answer)
        return Passage(self, sender, now)

    async def pause(self, answer: Answer) -> None:
        """Waits before this is answered, when it is that there is no room; not for more than have places."""
        if answer.reason is not Refused.ADMISSION or self._pausing >= MOST_REQUESTS:
            return
        self._pausing += 1
        try:
            await asyncio.sleep(PAUSE_S)
        finally:
            self._pausing -= 1

    def make_room(self, passage: "Passage", more: int) -> None:
        """Has slow requests give way until one that is not slow itself can have `more` bytes.

        Raises:
            Refusal: that is not enough.
        """
        now = time.monotonic()
        slow = self._slow(now if now - passage.since < SLOW_S else 0.0, SLOW_S)
        while not self._has_room(passage, more):
            first = next(slow, None)
            if first is None:
                self._shut[passage.sender] = now + FULL_S
                raise refusals.overloaded()
            first.give_way(refusals.overloaded().answer)

    def _has_room(self, passage: "Passage", more: int) -> bool:
        """Whether a request may have so many bytes more; one alone may always."""
        total = self.bytes + more
        if self.bytes == passage.size or total <= self.limit * (1 - KEPT):
            return True
        share = self.limit / len(self._places)
        return total <= self.limit and self._held[passage.sender] + more <= share

    def _slow(self, now: float, seconds: float) -> Iterator["Passage"]:
        """Requests that have been arriving for so long, the oldest first."""
        for passage in list(self._arriving):
            if now - passage.since < seconds:
                return
            yield passage

    def _enter(self, passage: "Passage") -> None:
        self.requests += 1
        self._places[passage.sender] += 1

    def _leave(self, passage: "Passage") -> None:
        """Gives a request's place and its bytes back."""
        sender = passage.sender
        self.requests -= 1
        self.bytes -= passage.size
        self._held[sender] -= passage.size
        self._places[sender] -= 1
        if not self._places[sender]:
            del self._places[sender], self._held[sender]
        if passage.size:
            self._shut.clear()
        passage.size = 0


class Passage:
    """A request's place, given back at the end of the context.

    Attributes:
        sender: Whose it is.
        since: When it came (monotonic, seconds).
        size: Bytes that it is counted with.
    """

    __slots__ = ("_answer", "_gate", "_task", "sender", "since", "size")

    def __init__(self, gate: Gate, sender: Hashable, since: float) -> None:
        self._gate, self.sender, self.since, self.size = gate, sender, since, 0
        self._answer: Answer | None = None
        self._task: asyncio.Task[object] | None = None

    def __enter__(self) -> "Passage":
        """Takes the place."""
        self._gate._enter(self)
        return self

    async def receive(self, arriving: Awaitable[T]) -> T:
        """Waits for the request to arrive; meanwhile it may have to give way.

        Raises:
            Refusal: it had to.
        """
        self._task = asyncio.current_task()
        self._gate._arriving[self] = None
        try:
            return await arriving
        except asyncio.CancelledError:
            if (
                self._answer is None or self._task is None
            ):  # the sender has left, or the server stops
                raise
            self._task.uncancel()
            raise Refusal(self._answer) from None
        finally:
            self._gate._arriving.pop(self, None)
            self._task = None

    def give_way(self, answer: Answer) -> None:
        """Ends a request that is arriving; its place is free at once."""
        self._gate._arriving.pop(self, None)
        if self._answer is None and self._task is not None:
            self._answer = answer
            self._gate._leave(self)
            self._task.cancel()

    def grow(self, size: int) -> None:
        """Makes the request larger by so many bytes, or smaller.

        Raises:
            Refusal: there is no room for them now, or it has given way.
        """
        if self._answer is not None:
            raise Refusal(self._answer)
        gate = self._gate
        if gate.bytes + size > gate.limit * (1 - KEPT):
            gate.make_room(self, size)
        gate.bytes += size
        gate._held[self.sender] += size
        self.size += size

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """Gives it back."""
        if self._answer is None:
            self._gate._leave(self)
