"""What Footfall says to the host: on the logger `footfall`, never the same thing often (A10)."""

import logging
import threading
import time

log = logging.getLogger("footfall")

INTERVAL = 300.0
"""Seconds in which one kind of warning is logged at most once."""


class Warnings:
    """Warnings by kind, each at most once per INTERVAL, so that an outage does not fill a log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def warn(self, kind: str, message: str, *values: object) -> None:
        """Logs `message % values` unless `kind` was logged lately; `values` hold nothing personal."""
        now = time.monotonic()
        with self._lock:
            if now < self._next.get(kind, 0.0):
                return
            self._next[kind] = now + INTERVAL
        log.warning(message, *values)
