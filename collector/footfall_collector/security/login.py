"""Logins of operators in a browser: a cookie that says which key it was, signed, for half a day (ADR 39).

A cookie ends with its key: when that is revoked, or its time is over. Nothing is kept of logins but those
that were ended before their time, in memory.
"""

import hmac
import ipaddress
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from footfall_collector.security.keys import Operators
from footfall_collector.security.rate import RateLimit
from footfall_collector.security.signing import Signed, Unsigned

LASTS_S: Final = 12 * 3600
"""Seconds after which one has to log in again."""
TRIES: Final = 10
"""Keys that may be tried from an address in a minute."""
_MOST_ENDED = 10_000
_SALT = b"footfall.login"


class _Login(NamedTuple):
    """What a cookie says: which key, and which login with it."""

    key: str
    number: str


class NoSecret(Exception):  # an answer, not a fault
    """What signs cookies is not known now: the store is away, or not open yet."""


Secret = Callable[[], Awaitable[bytes]]
"""Gives what signs; raises NoSecret."""


class Logins:
    """Those of one listener.

    Args:
        operators: Whose keys they are of.
        secret: Signs cookies.
        clock: The time in seconds since the Unix epoch.
    """

    def __init__(
        self, operators: Operators, secret: Secret, clock: Callable[[], float] = time.time
    ) -> None:
        self._operators, self._secret, self._clock = operators, secret, clock
        self._signed = Signed(_Login, _SALT, clock)
        self._ended: dict[str, float] = {}
        self._tries, self._unguessable = RateLimit(), secrets.token_bytes(32)

    def wait(self, address: str) -> float:
        """Seconds until another key may be tried from an address; 0.0: one may, and is counted."""
        known = hmac.digest(self._unguessable, network(address), "sha256")
        return self._tries.take(known, TRIES)

    async def begin(self, token: str) -> str | None:
        """A cookie for who has an operator's key; None for others.

        Raises:
            NoSecret: nothing can be signed now.
        """
        key = self._operators.key(token)
        if key is None:
            return None
        login = _Login(key.id.hex(), secrets.token_hex(16))
        return self._signed.write(await self._secret(), login)

    async def holds(self, cookie: str) -> bool:
        """Whether a cookie is that of a login that has not ended."""
        login = await self._read(cookie)
        return login is not None and login.number not in self._ended

    async def end(self, cookie: str) -> None:
        """Ends a login before its time."""
        login = await self._read(cookie)
        if login is None:
            return
        now = self._clock()
        if len(self._ended) >= _MOST_ENDED:
            self._ended = {each: end for each, end in self._ended.items() if end > now}
        self._ended[login.number] = now + LASTS_S

    async def _read(self, cookie: str) -> _Login | None:
        try:
            login = self._signed.read(await self._secret(), cookie, lambda _: LASTS_S)
        except (Unsigned, NoSecret):
            return None
        return login if self._operators.has(login.key) else None


def network(address: str) -> bytes:
    """Whose tries are counted together: an IPv4 address, or the 64 bits of IPv6 that one customer has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address.encode()
    return found.packed[:8] if found.version == 6 else found.packed
