"""The newest observations of a span, looked for piece by piece: what is read is put in order, be it much."""

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from footfall_exporters.postgres.reports.distinct import Span

_BACK: Final = (
    *(dt.timedelta(seconds=seconds) for seconds in (1, 2, 3, 4, 6, 10, 15, 20, 30, 45, 60, 90)),
    *(dt.timedelta(minutes=minutes) for minutes in (2, 3, 4, 6, 9, 13, 20, 30, 40, 50)),
)
"""How far back it is looked, until there are enough; then an hour, two, four. A second of a busy store has
more than anybody reads."""
_HOUR: Final = dt.timedelta(hours=1)
T = TypeVar("T")


def newest(
    ask: Callable[[Span, int], Sequence[T]], span: Span, limit: int, last: dt.datetime | None
) -> list[T]:
    """The newest first.

    Args:
        ask: Answers with the newest of a part of the span, so many at most.
        span: Of which they are; it may end later than now, for senders' clocks may be ahead.
        limit: How many at most.
        last: When something was stored last, if that is known: of what came since there is little.
    """
    found: list[T] = []
    until = span.until
    for since in _back(span, last):
        found += ask(Span(since, until), limit - len(found))
        if len(found) == limit:
            break
        until = since
    return found


def _back(span: Span, last: dt.datetime | None) -> Iterator[dt.datetime]:
    """Where it is looked from, further back each time."""
    now = dt.datetime.now(dt.UTC)
    last = min(span.until, now, last or now)
    hours = (2**n * _HOUR for n in itertools.count())
    for back in itertools.chain(_BACK, hours):
        if back >= last - span.since:
            break
        yield last - back
    yield span.since
