"""Whether fewer events come than usual at this hour of the week, or none at all (R-number C7)."""

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from footfall_exporters.postgres.alerts import chance
from footfall_exporters.postgres.alerts.counts import (
    DAY,
    DAYS,
    HOUR,
    TOGETHER,
    WEEK,
    Counts,
    Hours,
    hour_of,
)
from footfall_exporters.postgres.alerts.finding import About, Finding
from footfall_exporters.postgres.reports.sequential import LEVEL

LOOKS: Final = 366 * 24 * 12
"""Spans of five minutes in a year: of stores in which nothing changes, `LEVEL` is told in that time that
something has, at most. What is looked at more often is nearly the same."""
WEEKS: Final = DAYS // 7
LEAST_WEEKS: Final = 2
"""How many weeks an average is of, at least; that nothing comes can be told after one."""
_PAUSES: Final = 2
"""By which factor a silence must be longer than nearly all pauses of the last days."""
_LONGEST_ODDS: Final = 9
Series = Mapping[dt.datetime, int]
"""Events by hour."""


class Silence(NamedTuple):
    """That nothing comes.

    Attributes:
        last: When the last event was stored.
        alive: When anything was stored last, such as a tally.
        pause: How long nearly all pauses between events were before that.
    """

    last: dt.datetime
    alive: dt.datetime
    pause: dt.timedelta


class _Usual(NamedTuple):
    """What came at this time of former weeks: in how many weeks, how much in all, and how unevenly."""

    weeks: int
    events: float
    scale: float

    @property
    def average(self) -> float:
        return self.events / self.weeks

    def chance_of(self, number: float) -> float:
        return chance.of_so_few(number, 1 / self.weeks, self.events, self.scale)


def former(counts: Counts) -> Mapping[str, Series]:
    """What each product had in each hour before; it is the same for an hour."""
    return _by_product(counts.former, counts.products)


def low_event_rate(
    counts: Counts, before: Mapping[str, Series], threshold: float
) -> Iterator[Finding]:
    """Products of which less comes than so much of their average, and not by chance."""
    present = _by_product(counts.present, counts.products)
    usual = {
        product: (_last_hour(present.get(product, {}), counts.now), found)
        for product, series in before.items()
        if (found := _usual(series, counts, HOUR)) and found.weeks >= LEAST_WEEKS
    }
    for product, (number, found) in usual.items():
        if number < threshold * found.average:
            likely = found.chance_of(number)
            if likely <= LEVEL / LOOKS / len(usual):
                what = (
                    f"{_many(number)} in the last hour, where {found.average:,.0f} are usual at this hour of"
                    f" the week (of {found.weeks} weeks)"
                )
                yield Finding(About("low_event_rate", product), what, odds(likely, "hours"))


def no_events(
    counts: Counts, before: Mapping[str, Series], silence: Silence, minutes: float
) -> Iterator[Finding]:
    """Whether nothing has come for so long, though something was to be expected, and senders are alive."""
    least = dt.timedelta(minutes=minutes)
    silent = counts.now - silence.last
    if silent < max(least, _PAUSES * silence.pause) or counts.now - silence.alive >= least:
        return
    whole = Counter[dt.datetime]()
    for series in before.values():
        whole.update(series)
    found = _usual(whole, counts, min(silent, HOUR))
    if found and (likely := found.chance_of(0)) <= LEVEL / LOOKS:
        what = (
            f"no event for {silent // dt.timedelta(minutes=1)} minutes, where {found.average:,.0f} are usual"
            " in that time; senders are alive"
        )
        yield Finding(About("no_events"), what, odds(likely, "such times"), silence.last)


def _by_product(hours: Hours, products: Mapping[str, str]) -> Mapping[str, Series]:
    found: dict[str, Counter[dt.datetime]] = {}
    for event, by_hour in hours.items():
        if product := products.get(event):
            series = found.setdefault(product, Counter())
            for hour, each in by_hour.items():
                series[hour] += each.events
    return found


def _usual(series: Series, counts: Counts, length: dt.timedelta) -> _Usual | None:
    """What came in as long a time before this moment of former weeks, bursts left aside."""
    first = min(series, default=counts.now)
    weeks = [n * WEEK for n in range(1, WEEKS + 1) if first <= counts.hour - n * WEEK - HOUR]
    if not weeks:
        return None
    before = chance.cut([_share(series, counts.now - week, length) for week in weeks])
    return _Usual(len(weeks), sum(before), chance.dispersion(_alike(series, counts.hour, first)))


def _alike(series: Series, last: dt.datetime, first: dt.datetime) -> Iterator[list[float]]:
    """The same hour of former weeks, for each of the hours that are looked at of each day of the week."""
    for day in range(1, 8):
        for hour in range(TOGETHER):
            at = last - day * DAY - hour * HOUR
            same = [at - n * WEEK for n in range(WEEKS)]
            known = [float(series.get(each, 0)) for each in same if each >= first]
            if len(known) >= LEAST_WEEKS:
                yield chance.cut(known)


def _share(series: Series, until: dt.datetime, length: dt.timedelta) -> float:
    """What came in a time up to an hour long, as far as counts by the hour say that."""
    this = hour_of(until)
    passed = min(until - this, length)
    return passed / HOUR * series.get(this, 0) + (length - passed) / HOUR * series.get(
        this - HOUR, 0
    )


def _last_hour(series: Series, now: dt.datetime) -> float:
    """The same up to now: all that this hour has has come since it began."""
    this = hour_of(now)
    return series.get(this, 0) + (1 - (now - this) / HOUR) * series.get(this - HOUR, 0)


def _many(number: float) -> str:
    return f"{number:,.0f} event{'' if round(number) == 1 else 's'}"


def odds(likely: float, times: str) -> str:
    """How seldom it would be so by chance, as a power of ten."""
    power = _LONGEST_ODDS if likely <= 0 else min(_LONGEST_ODDS, math.floor(-math.log10(likely)))
    return f"by chance it would be so in fewer than one of {10**power:,} {times}"
