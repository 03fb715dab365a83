"""What Footfall says to the host: on the logger `footfall`, never the same thing often (A10)."""

import logging
import threading
import time

log = logging.getLogger("footfall")

INTERVAL = 300.0
"""Seconds in which one kind of warning is logged at most once."""
KINDS = 256
"""Kinds that are remembered; names of events may be made up at run time, without end."""


class Warnings:
    """Warnings by kind, each at most once per INTERVAL, so that an outage does not fill a log."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may call while it is held
        self._thread = threading.local()
        self._next: dict[str, float] = {}

    def warn(self, kind: str, message: str, *values: object) -> None:
        """Logs `message % values` unless `kind` was logged lately; `values` hold nothing personal."""
        if getattr(self._thread, "telling", False):
            return  # a handler of the host's made another mistake while it was told of one
        now = time.monotonic()
        with self._lock:
            if now < self._next.get(kind, 0.0):
                return
            if len(self._next) >= KINDS:
                self._next.clear()
            self._next[kind] = now + INTERVAL
        self._thread.telling = True
        try:
            log.warning(message, *values)
        finally:
            self._thread.telling = False
