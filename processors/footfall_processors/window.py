"""From when to when events are accepted, and every time that follows from it (docs/design.md, "The window").

Whoever changes `PAST` or `FUTURE` changes them all. What must hold between them, so that nothing is counted
twice and no pseudonym outlives its salt, is in `tests/processors/test_window.py`.
"""

import datetime as dt
from typing import Final

PAST: Final = dt.timedelta(days=7)
"""How old an event may be."""
FUTURE: Final = dt.timedelta(minutes=5)
"""How far ahead its time may be, as clocks differ."""
REACH: Final = PAST + dt.timedelta(days=1)
"""So long ago begins the first hour or day that may have grown since it was looked at last."""

COMMITS: Final = PAST
"""How long a commit is kept: a subscriber that was away finds what it missed."""
LEDGER: Final = COMMITS + dt.timedelta(hours=1)
"""How long a request is known: until all of its events are too old to be taken again.

It is in the ledger earlier than its commit, and both must be there to tell what a subscriber misses.
"""
SPANS: Final = 2 * PAST
"""How long ago a span that is known may have been: taken late, and as late sent again."""
SALT_GRACE: Final = PAST
"""How long after its period a rotating salt is kept: in whole days, as statements tell users."""
BASELINE: Final = PAST
"""A counter that began earlier may have been counted and forgotten: its first value is a baseline."""
COUNTERS: Final = LEDGER
"""How long it is known how far a counter was counted that is not heard of."""
MARGIN: Final = dt.timedelta(hours=1)
"""So long before its day is dropped an event is not taken any more: clocks differ, requests are under way."""

PAST_US: Final = PAST // dt.timedelta(microseconds=1)
FUTURE_US: Final = FUTURE // dt.timedelta(microseconds=1)


def past(retention_days: int) -> dt.timedelta:
    """How old an event may be where observations are kept for so many days: none of a day that is dropped."""
    return min(PAST, dt.timedelta(days=retention_days) - MARGIN)


def accepted(moment_us: int, now_us: int, past_us: int = PAST_US) -> bool:
    """Whether a time is within the window; all in µs, since the Unix epoch or of how old it may be."""
    return now_us - past_us <= moment_us <= now_us + FUTURE_US
