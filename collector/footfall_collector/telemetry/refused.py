"""Refused requests, counted in memory until the store takes the numbers.

Whoever may not send can still make requests: what is kept of one is a number under a kind, there are `MOST`
kinds, and the store is told once in a while however many there were.
"""

import time
from collections import Counter
from collections.abc import Mapping

from footfall_collector.telemetry.instruments import Refused
from footfall_exporters.postgres.refused import Refused as Kind

MOST = 500
"""Kinds that are told apart between two flushes; the rest lacks key and service."""
UNKNOWN = "unknown"
"""The signal of a request to a path that is none's."""


class Tally:
    """How many requests were refused, by kind."""

    def __init__(self) -> None:
        self._counted: Counter[Kind] = Counter()

    def add(self, signal: str, reason: Refused, key: str = "", service: str = "") -> None:
        """Counts one.

        Args:
            signal: `traces`, `metrics`, `logs` or `UNKNOWN`.
            reason: Why.
            key: The name of the sender's key, if there is one.
            service: What it spoke for, if that is known.
        """
        kind = Kind(int(time.time()) // 86_400, signal, reason.value, key, service)
        if kind not in self._counted and len(self._counted) >= MOST:
            kind = kind._replace(key="", service="")
        self._counted[kind] += 1

    def take(self) -> Mapping[Kind, int]:
        """All that was counted since the last time."""
        counted, self._counted = self._counted, Counter()
        return counted

    def put_back(self, counted: Mapping[Kind, int]) -> None:
        """What was taken and could not be kept."""
        self._counted.update(counted)
