"""Whether more of the uses fail than before, or are slow: against the same hours of former days (ADR 40).

Slow is what is slower than 95 % were before: so if nothing has changed, 5 % are.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from footfall_exporters.postgres.alerts import chance
from footfall_exporters.postgres.alerts.counts import TOGETHER, Counts, Hour, Part, Slow
from footfall_exporters.postgres.alerts.finding import About, Finding
from footfall_exporters.postgres.alerts.rates import LOOKS, odds
from footfall_exporters.postgres.reports.sequential import FEW, LEVEL

_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
_TIMES: Final = "such times"


class Past(NamedTuple):
    """What an event is compared with.

    Attributes:
        before: Of these hours of former days, without what single bad ones have beyond chance.
        scale: By how much more days differ than by chance.
        days: How many these were; of durations, hours.
        p95_ms: From which on a duration is slow; of failures, 0.
    """

    before: Part
    scale: float
    days: int
    p95_ms: float = 0.0

    def chance_of(self, now: Part) -> float:
        """Of so many, or more, were their share what it was."""
        return chance.of_so_many(now.so, now.whole / self.before.whole, self.before.so, self.scale)


def past_failures(counts: Counts) -> Mapping[str, Past]:
    """What failures are compared with, of each event of which there is enough."""
    first = counts.hour - (TOGETHER - 1) * _HOUR
    found = {}
    for event, hours in counts.former.items():
        days: dict[int, list[Hour]] = {}
        for hour, each in hours.items():
            days.setdefault((hour - first) // _DAY, []).append(each)
        found[event] = _past([_failed(day) for day in days.values()])
    return {event: past for event, past in found.items() if past is not None}


def past_durations(former: Mapping[str, Slow]) -> Mapping[str, Past]:
    """What slow uses are compared with, of each event of which there is enough."""
    found = {event: _past(slow.hours, slow.p95_ms) for event, slow in former.items()}
    return {event: past for event, past in found.items() if past is not None}


def failure_share(counts: Counts, past: Mapping[str, Past], times: float) -> Iterator[Finding]:
    """Events of which so many times as much fails."""
    present = {event: _failed(hours.values()) for event, hours in counts.present.items()}
    for event, now, then, likely in _risen(present, past):
        if now.share >= times * then.before.share:
            what = (
                f"{now.share:.1%} of {now.whole:,} uses failed in the last {TOGETHER} hours; at these hours"
                f" of {then.days} days before, {then.before.share:.1%} of {then.before.whole:,}"
            )
            about = About("failure_share", counts.products.get(event, ""), event)
            yield Finding(about, what, odds(likely, _TIMES))


def latency_p95(
    durations: Mapping[str, Sequence[Part]],
    past: Mapping[str, Past],
    products: Mapping[str, str],
    times: float,
    p95_ms: Callable[[str], float],
) -> Iterator[Finding]:
    """Events whose 95th percentile, which is asked for where more is slow, is so many times what it was."""
    present = {event: _sum(hours) for event, hours in durations.items()}
    for event, now, then, likely in _risen(present, past):
        slow = p95_ms(event)
        if slow >= times * then.p95_ms:
            what = (
                f"95 % of {now.whole:,} uses took up to {slow:,.0f} ms in the last {TOGETHER} hours; at these"
                f" hours of the days before, up to {then.p95_ms:,.0f} ms"
            )
            about = About("latency_p95", products.get(event, ""), event)
            yield Finding(about, what, odds(likely, _TIMES))


def _past(days: Iterable[Part], p95_ms: float = 0.0) -> Past | None:
    known = [day for day in days if day.whole]
    if _sum(known).whole < FEW:
        return None
    usual = chance.without_bad(known)
    before = _sum(Part(*day) for day in usual)
    return Past(before, chance.unevenness(usual), len(usual), p95_ms)


def _risen(
    present: Mapping[str, Part], past: Mapping[str, Past]
) -> Iterator[tuple[str, Part, Past, float]]:
    """Of which a share is higher than it was, and not by chance, of all that are looked at for a year."""
    enough = {e: now for e, now in present.items() if e in past and now.whole >= FEW}
    for event, now in enough.items():
        then = past[event]
        if now.share > then.before.share:
            likely = then.chance_of(now)
            if likely <= LEVEL / LOOKS / len(enough):
                yield event, now, then, likely


def _failed(hours: Iterable[Hour]) -> Part:
    return _sum(Part(hour.ends, hour.failures) for hour in hours)


def _sum(parts: Iterable[Part]) -> Part:
    every = list(parts)
    return Part(sum(part.whole for part in every), sum(part.so for part in every))
