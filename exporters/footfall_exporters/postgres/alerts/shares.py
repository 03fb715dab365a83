"""Whether more of the uses fail than before, or are slow: against the same hours of former days (ADR 41).

Slow is what is slower than 95 % were before: so if nothing has changed, 5 % are.
"""

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from footfall_exporters.postgres.alerts import chance
from footfall_exporters.postgres.alerts.counts import TOGETHER, Counts, Histogram, Histograms, Hour
from footfall_exporters.postgres.alerts.finding import About, Finding
from footfall_exporters.postgres.alerts.rates import LOOKS, odds
from footfall_exporters.postgres.reports.histograms import milliseconds, slot_of
from footfall_exporters.postgres.reports.sequential import FEW, LEVEL

SHARE: Final = 0.95
_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


class _Share(NamedTuple):
    """Of how many how many failed, or were slow; of former days without what single bad ones have more."""

    ends: int
    failures: float

    @property
    def rate(self) -> float:
        return self.failures / self.ends


class Past(NamedTuple):
    """What an event is compared with.

    Attributes:
        before: Of these hours of former days.
        scale: By how much more days differ than by chance.
        days: How many these were; of durations, hours.
        slot: From which on a duration is slow.
    """

    before: _Share
    scale: float
    days: int
    slot: int = 0

    def chance_of(self, now: _Share) -> float:
        """Of so many failures, or more, were their share what it was."""
        return chance.of_so_many(
            now.failures, now.ends / self.before.ends, self.before.failures, self.scale
        )


def past_failures(counts: Counts) -> Mapping[str, Past]:
    """What failures are compared with, of each event of which there is enough."""
    first = counts.hour - (TOGETHER - 1) * _HOUR
    found = {}
    for event, hours in counts.former.items():
        days: dict[int, list[Hour]] = {}
        for hour, each in hours.items():
            days.setdefault((hour - first) // _DAY, []).append(each)
        shares = [
            _Share(sum(h.ends for h in day), sum(h.failures for h in day)) for day in days.values()
        ]
        found[event] = _past(shares)
    return {event: past for event, past in found.items() if past is not None}


def past_durations(former: Histograms) -> Mapping[str, Past]:
    """What slow uses are compared with, of each event of which there is enough."""
    found = {}
    for event, hours in former.items():
        slot = _slot(hours)
        found[event] = _past([_slower(hour, slot) for hour in hours], slot)
    return {event: past for event, past in found.items() if past is not None}


def failure_share(counts: Counts, past: Mapping[str, Past], times: float) -> Iterator[Finding]:
    """Events of which so many times as much fails."""
    present = {
        event: _Share(sum(h.ends for h in hours.values()), sum(h.failures for h in hours.values()))
        for event, hours in counts.present.items()
    }
    for event, now, before, likely in _risen(present, past):
        if now.rate >= times * before.before.rate:
            what = (
                f"{now.rate:.1%} of {now.ends:,} uses failed in the last {TOGETHER} hours; at these hours"
                f" of {before.days} days before, {before.before.rate:.1%} of {before.before.ends:,}"
            )
            about = About("failure_share", counts.products.get(event, ""), event)
            yield Finding(about, what, odds(likely, "such times"))


def latency_p95(
    durations: Histograms, past: Mapping[str, Past], products: Mapping[str, str], times: float
) -> Iterator[Finding]:
    """Events whose 95th percentile is so many times what it was."""
    present = {
        event: _sum(_slower(hour, past[event].slot) for hour in hours)
        for event, hours in durations.items()
        if event in past
    }
    for event, now, before, likely in _risen(present, past):
        slow, usual = milliseconds(_slot(durations[event])), milliseconds(before.slot)
        if slow >= times * usual:
            what = (
                f"95 % of {now.ends:,} uses took up to {slow:,.0f} ms in the last {TOGETHER} hours; at"
                f" these hours of the days before, up to {usual:,.0f} ms"
            )
            about = About("latency_p95", products.get(event, ""), event)
            yield Finding(about, what, odds(likely, "such times"))


def _past(days: Iterable[_Share], slot: int = 0) -> Past | None:
    known = [day for day in days if day.ends]
    if _sum(known).ends < FEW:
        return None
    usual = chance.without_bad(known)
    return Past(_sum(_Share(*day) for day in usual), chance.unevenness(usual), len(usual), slot)


def _risen(
    present: Mapping[str, _Share], past: Mapping[str, Past]
) -> Iterator[tuple[str, _Share, Past, float]]:
    """Of which a share is higher than it was, and not by chance, of all that are looked at for a year."""
    enough = {e: now for e, now in present.items() if e in past and now.ends >= FEW}
    for event, now in enough.items():
        before = past[event]
        if now.rate > before.before.rate:
            likely = before.chance_of(now)
            if likely <= LEVEL / LOOKS / len(enough):
                yield event, now, before, likely


def _slot(histograms: Iterable[Histogram]) -> int:
    """Of the 95th percentile of them together."""
    whole = Histogram()
    for each in histograms:
        whole.update(each)
    return slot_of(sorted(whole.items()), math.ceil(SHARE * whole.total()))


def _slower(histogram: Histogram, slot: int) -> _Share:
    return _Share(histogram.total(), sum(n for each, n in histogram.items() if each > slot))


def _sum(days: Iterable[_Share]) -> _Share:
    every = list(days)
    return _Share(sum(day.ends for day in every), sum(day.failures for day in every))
