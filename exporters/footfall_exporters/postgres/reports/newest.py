"""The newest observations of a span, looked for piece by piece: what is read is put in order, be it much."""

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from footfall_exporters.postgres.reports.distinct import Span

_BACK: Final = (
    *(dt.timedelta(seconds=seconds) for seconds in (1, 2, 3, 4, 6, 10, 20)),
    *(dt.timedelta(minutes=minutes) for minutes in (1, 5, 10, 20, 30, 40, 50)),
)
"""How far back it is looked, until there are enough; then an hour, two, four. A second of a busy store has
more than anybody reads."""
_HOUR: Final = dt.timedelta(hours=1)
T = TypeVar("T")


def newest(ask: Callable[[Span, int], Sequence[T]], span: Span, limit: int) -> list[T]:
    """The newest first.

    Args:
        ask: Answers with the newest of a part of the span, so many at most.
        span: Of which they are; it may end later than now, for senders' clocks may be ahead.
        limit: How many at most.
    """
    found: list[T] = []
    until = span.until
    for since in _back(span):
        found += ask(Span(since, until), limit - len(found))
        if len(found) == limit:
            break
        until = since
    return found


def _back(span: Span) -> Iterator[dt.datetime]:
    """Where it is looked from, further back each time."""
    last = min(span.until, dt.datetime.now(dt.UTC))
    hours = (2**n * _HOUR for n in itertools.count())
    for back in itertools.chain(_BACK, hours):
        if back >= last - span.since:
            break
        yield last - back
    yield span.since
