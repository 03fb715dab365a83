"""What was done in the two months that fill the store, as plain counts: nothing of ours reckons."""

import datetime as dt
from collections import Counter
from typing import NamedTuple

from collector.page import seeded
from support.stores import TODAY


class Use(NamedTuple):
    """One of them; it has a duration where it was observed."""

    day: dt.date
    hour: int
    event: str
    surface: str
    service: str
    version: str
    provider: str
    error: str | None
    ms: int | None


def written():
    """All of them."""
    counts, rows = seeded.uses()
    many = [(at, of, None) for (at, of), number in counts.items() for _ in range(number)]
    return [_use(*each) for each in (*many, *((at, of, ms) for at, ms, of, _ in rows))]


def _use(at, of, ms):
    moment = dt.datetime.fromtimestamp(at / 10**6, dt.UTC)
    [(_, provider)] = of.enums
    return Use(
        moment.date(), moment.hour, of.event, of.surface, of.service, of.service_version,
        provider, of.error_type, ms,
    )  # fmt: skip


def days(number):
    """The last days, today among them."""
    return [TODAY - dt.timedelta(days=ago) for ago in range(number - 1, -1, -1)]


class Ends(NamedTuple):
    """How often, and how often it failed."""

    uses: int
    failed: int

    @property
    def share(self):
        return self.failed / self.uses if self.uses else None


def ends(uses, *fields):
    """Ends by these fields."""
    of = lambda use: tuple(getattr(use, each) for each in fields)  # noqa: E731
    every = Counter(map(of, uses))
    failed = Counter(of(use) for use in uses if use.error)
    return {
        key[0] if len(fields) == 1 else key: Ends(number, failed[key])
        for key, number in every.items()
    }


def between(uses, first, last):
    """Those from one hour to before another."""
    return [use for use in uses if first <= _begins(use) < last]


def _begins(use):
    return dt.datetime.combine(use.day, dt.time(use.hour), dt.UTC)
