"""Which request a log line is about: the sender's trace id, or one of our own (W3C Trace Context).

Every request is handled in a task of its own, so a context variable tells them apart. The ids serve the log
alone: they are not stored, not sent on, and are looked at only when something is logged.
"""

import random
import re
from contextvars import ContextVar
from functools import cached_property

HEADER = "traceparent"
LONGEST = 512
"""Characters of a traceparent; later versions may append to the 55 of version 00."""
_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?!0{32})(?P<trace_id>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}"
    r"-[0-9a-f]{2}(?P<more>-\S*)?"
)


class TraceContext:
    """The ids of one request.

    Args:
        traceparent: The header as it was sent; one that is missing or invalid is as good as none.
    """

    def __init__(self, traceparent: str | None = None) -> None:
        self._traceparent = traceparent

    @cached_property
    def trace_id(self) -> str:
        """32 lower-case hex digits: the sender's, or made here."""
        return _sent(self._traceparent) or f"{_not_zero(128):032x}"

    @cached_property
    def span_id(self) -> str:
        """16 lower-case hex digits, made here for this request."""
        return f"{_not_zero(64):016x}"


current: ContextVar[TraceContext | None] = ContextVar("footfall_trace_context", default=None)
"""Of the request in flight, None outside of one; set by the receivers in the request's own task."""


def _sent(traceparent: str | None) -> str | None:
    """The trace id of a valid header (Trace Context, "versioning": only later versions may say more)."""
    if traceparent is None or len(traceparent) > LONGEST:
        return None
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or (found["version"] == "00" and found["more"]):
        return None
    return found["trace_id"]


def _not_zero(bits: int) -> int:
    return random.getrandbits(bits) or 1  # it names a request and guards nothing
