"""Who may come in, and how much at once: decided before a request costs anything."""

import time
from types import TracebackType

from footfall_collector.config_file import AdmissionConfig
from footfall_collector.keys import Key, Keys, bearer
from footfall_collector.rate import RateLimit
from footfall_collector.receivers import refusals

MOST_REQUESTS = 1024
"""Requests under way at once, however small: each costs some memory before its first byte is read."""


FULL_S = 0.25
"""Seconds for which the gate stays shut after a request did not fit."""


class Gate:
    """The entrance that all receivers of a process share.

    Args:
        admission: How much may be under way.
        keys: Who may send; None for everyone.

    Attributes:
        keys: May be replaced at any time.
        closed: Whether the collector is stopping: nobody else may come in.
        limit: Bytes at which requests are refused.
        bytes: Of the requests under way, decompressed.
        full_until: Until when (monotonic, seconds) requests are refused before they cost the reading, because
            one was refused in the middle; for a moment only, and not beyond the end of another.
        requests: How many are under way.
    """

    def __init__(self, admission: AdmissionConfig | None = None, keys: Keys | None = None) -> None:
        self.keys = keys
        self.limit = int((admission or AdmissionConfig()).request_limit_mib * 2**20)
        self._rates = RateLimit()
        self.bytes = self.requests = 0
        self.closed = False
        self.full_until = 0.0

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
        if wait := self._rates.take(key.id, key.per_minute):
            raise refusals.too_many(wait, key.name)
        return key

    def open(self) -> "Passage":
        """A place for one request, which has no bytes yet.

        Raises:
            Refusal: there is none now.
        """
        if self.closed:
            raise refusals.unavailable("the collector is stopping", 1.0)
        if (
            time.monotonic() < self.full_until
            or self.bytes >= self.limit
            or self.requests >= MOST_REQUESTS
        ):
            raise refusals.overloaded()
        return Passage(self)

    def has_room(self, more: int, beside: int) -> bool:
        """Whether a request of `beside` bytes may have `more`; a request alone may always."""
        return self.bytes == beside or self.bytes + more <= self.limit


class Passage:
    """A request's place, given back at the end of the context."""

    __slots__ = ("_gate", "_size")

    def __init__(self, gate: Gate) -> None:
        self._gate, self._size = gate, 0

    def __enter__(self) -> "Passage":
        """Takes the place."""
        self._gate.requests += 1
        return self

    def grow(self, size: int) -> None:
        """Makes the request larger by so many bytes.

        Raises:
            Refusal: there is no room for them now.
        """
        if not self._gate.has_room(size, self._size):
            self._gate.full_until = time.monotonic() + FULL_S
            raise refusals.overloaded()
        self._gate.bytes += size
        self._size += size

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """Gives it back."""
        self._gate.requests -= 1
        self._gate.bytes -= self._size
        if self._size:
            self._gate.full_until = 0.0
