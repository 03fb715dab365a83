"""What is signed and dated: HMAC-SHA256 over what it says and when it was said (itsdangerous)."""

import hashlib
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from itsdangerous import BadData, TimestampSigner

T = TypeVar("T")
LONGEST = 4096
"""Characters of what is signed."""
AHEAD_S = 60
"""Seconds by which the clock of who signed it may be ahead of this one."""


class Unsigned(Exception):  # an answer, not a fault
    """It is none of ours, or its time is over.

    Attributes:
        expired: Whether it is the latter.
    """

    def __init__(self, *, expired: bool) -> None:
        super().__init__("its time is over" if expired else "it is none of ours")
        self.expired = expired


class TimedSigner(TimestampSigner):
    """HMAC-SHA256 with a time by a clock of ours.

    Args:
        key: 32 bytes or more.
        salt: What it is for: what is signed for one thing is good for no other.
        clock: The time in seconds since the Unix epoch.
    """

    def __init__(self, key: bytes, salt: bytes, clock: Callable[[], float] = time.time) -> None:
        super().__init__(key, salt, key_derivation="hmac", digest_method=hashlib.sha256)
        self._clock = clock

    def get_timestamp(self) -> int:
        """Now, as it is signed."""
        return int(self._clock())


class Signed(Generic[T]):
    """Makes and reads signed values of one type.

    Args:
        of: The type, as msgspec reads it.
        salt: What they are for.
        clock: The time in seconds since the Unix epoch.
    """

    def __init__(self, of: type[T], salt: bytes, clock: Callable[[], float] = time.time) -> None:
        self._of, self._salt, self._clock = of, salt, clock

    def write(self, key: bytes, value: T) -> str:
        """A value, signed now."""
        said = urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=")
        return TimedSigner(key, self._salt, self._clock).sign(said).decode()

    def read(self, key: bytes, text: str, lasts_s: Callable[[T], float]) -> T:
        """What was signed.

        Args:
            key: With which it must have been.
            text: As somebody sent it.
            lasts_s: For how many seconds such a value is good.

        Raises:
            Unsigned: it was not signed so, or that is over.
        """
        if len(text) > LONGEST or not text.isascii():
            raise Unsigned(expired=False)
        signer = TimedSigner(key, self._salt, self._clock)
        try:
            said, at = signer.unsign(text, return_timestamp=True)
            value = msgspec.json.decode(urlsafe_b64decode(said + b"=="), type=self._of)
        except (BadData, msgspec.MsgspecError, ValueError):
            raise Unsigned(expired=False) from None
        age = self._clock() - at.timestamp()
        if not -AHEAD_S <= age < lasts_s(value):
            raise Unsigned(expired=age > 0)
        return value
