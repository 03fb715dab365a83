"""How many requests a key may send: a token bucket for each."""

import time
from collections.abc import Callable

MOST = 10_000
"""Buckets that are remembered; keys are fewer, since only those of the keys file get here."""


class RateLimit:
    """A bucket for each key: it holds a minute's requests and is refilled evenly.

    A bucket is kept as the moment at which it will be full again (the generic cell rate algorithm), so that a
    full one needs no memory. A key that was silent may send a minute's requests at once.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[bytes, float] = {}

    def take(self, key: bytes, per_minute: int | None) -> float:
        """Takes a request out of the key's bucket.

        Args:
            key: Its id.
            per_minute: How many it may send in a minute; None for any number.

        Returns:
            0.0 when it was there, else the seconds until there is one, and nothing was taken.
        """
        if per_minute is None:
            return 0.0
        now, each = self._clock(), 60.0 / per_minute
        full_at = max(self._full_at.get(key, now), now) + each
        # A millionth of a request: sums of fractions must not refuse what was promised.
        if (wait := full_at - now - 60.0) > each * 1e-6:
            return wait
        self._full_at[key] = full_at
        if len(self._full_at) > MOST:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Forgets the buckets that are full, which changes nothing; else those that are the fullest."""
        kept = sorted((full_at, key) for key, full_at in self._full_at.items() if full_at > now)
        self._full_at = {key: full_at for full_at, key in kept[-MOST // 2 :]}
