"""What Footfall says to the host: on the logger `footfall`, never the same thing often."""

import logging
import threading
import time
from collections import deque

from footfall import _threads

log = logging.getLogger("footfall")

INTERVAL = 300.0
"""Seconds in which one kind of warning is logged at most once."""
KINDS = 256
"""Kinds that are remembered; names of events may be made up at run time, without end."""


class Later(logging.Filter):
    """Keeps what a thread of ours would log beside greenlets, until a thread of the host's may log it.

    One that waits for a handler's lock while our thread has it might never be woken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: deque[logging.LogRecord] = deque(maxlen=KINDS)

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets a record pass unless it is kept."""
        if not _threads.is_apart():
            return True
        self.kept.append(record)
        return False

    def log(self) -> None:
        """Logs what was kept; called by threads of the host's."""
        while self.kept and not _threads.is_apart():
            log.handle(self.kept.popleft())


later = Later()
log.addFilter(later)


class Warnings:
    """Warnings by kind, each at most once per INTERVAL, so that an outage does not fill a log."""

    def __init__(self) -> None:
        self._lock = _threads.lock()
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
