"""The state of everything: what is used most, what fails, what is slow, what is lost, what nobody uses."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from psycopg import Connection

from footfall_exporters.postgres.reports import Report, figures
from footfall_exporters.postgres.reports.asked import Asked, Period
from footfall_exporters.postgres.reports.building import DAY
from footfall_exporters.postgres.reports.completeness import Completeness, completeness
from footfall_exporters.postgres.reports.state import Freshness, freshness, views_of
from footfall_exporters.postgres.reports.trends import Trend, merged, steps_between

BEGINNINGS: Final = frozenset({"invoke", "start"})
"""A use is counted when it ends; of what never ends, when it begins."""
TOP: Final = 5
"""Rows of each part."""
_Ask = Callable[[str, Asked], Report]


class Used(NamedTuple):
    """How often an event was used.

    Attributes:
        event: Its name.
        uses: In the period.
        trend: By day, or by hour; empty where it is not among the first `TOP`.
    """

    event: str
    uses: int
    trend: Trend = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is to say.

    Attributes:
        period: Of which it is said.
        used: Each event, the most used first.
        failed: By event and type of error, the most frequent first.
        slow: The slowest of the period's last 24 hours.
        lost: What was lost, by reason.
        complete: How complete all events are.
        fresh: How far the store is.
        declared: How many events the catalogs declare that have not expired.
        unused: Those of them that were not used in the period; what never was comes first.
    """

    period: Period
    used: Sequence[Used]
    failed: Report
    slow: Report
    lost: Report
    complete: Completeness
    fresh: Freshness
    declared: int
    unused: Sequence[str]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "used": [{"event": each.event, "uses": each.uses} for each in self.used],
            "failed": self.failed.records(),
            "slow": self.slow.records(),
            "lost": self.lost.records(),
            **_state(self.complete, self.fresh),
            "declared": self.declared,
            "unused": list(self.unused),
        }


def overview(connection: Connection, period: Period) -> Overview:
    """The state of everything.

    Args:
        connection: Of any role that may read `reporting`.
        period: Of which most of it is said.

    Raises:
        NotThere, OtherViews, psycopg.Error: the database cannot be asked.
    """
    ask = partial(figures, connection, views=views_of(connection))
    used = _uses(ask, period)
    used[:TOP] = _with_trends(ask, period, used[:TOP])
    catalog = ask("catalog", Asked()).records()
    declared = {each["event"]: each for each in catalog if _in_force(each)}
    fresh = freshness(connection)
    last = _last_day(period, fresh)
    seen = {each.event for each in used}
    unused = [each for event, each in declared.items() if event not in seen]
    unused.sort(key=lambda each: (each["last_used"] is not None, each["event"]))
    return Overview(
        period,
        used,
        ask("errors", Asked(period, by=["event", "error_type"], limit=TOP)),
        ask("latency", Asked(last, by=["event"], limit=TOP)),
        ask("losses", Asked(period, limit=TOP)),
        completeness(connection),
        fresh,
        len(declared),
        [each["event"] for each in unused],
    )


def foot(connection: Connection) -> dict[str, Any]:
    """How complete everything is, and how far the store, for JSON: what stands below every page.

    Args:
        connection: Of any role that may read `reporting`.

    Raises:
        NotThere, OtherViews, psycopg.Error: the database cannot be asked.
    """
    return _state(completeness(connection), freshness(connection))


def uses(connection: Connection, period: Period) -> list[Used]:
    """How often each event was used, the most used first, without trends; see `overview`."""
    return _uses(partial(figures, connection, views=views_of(connection)), period)


def _uses(ask: _Ask, period: Period) -> list[Used]:
    found = ask("usage", Asked(period, by=["event", "action"]))
    used = [Used(event, counted.total()) for event, counted in _counted(found, "").items()]
    return sorted(used, key=lambda each: (-each.uses, each.event))


def _with_trends(ask: _Ask, period: Period, used: Sequence[Used]) -> list[Used]:
    steps = steps_between(period, hourly=True)
    step = "hour" if isinstance(steps[0], dt.datetime) else "day"
    where = {"event": [each.event for each in used]}
    found = ask("usage", Asked(period, where, by=["event", "action", step]))
    counted = defaultdict(Counter, _counted(found, step))  # what is erased meanwhile has none
    return [each._replace(trend=merged([counted[each.event][at] for at in steps])) for each in used]


def _state(complete: Completeness, fresh: Freshness) -> dict[str, Any]:
    return {
        "completeness": complete._asdict() | {"share": complete.share},
        "freshness": {"position": fresh.position, "committed_at": fresh.committed_at},
    }


def _last_day(period: Period, fresh: Freshness) -> Period:
    """The last 24 hours of a period, as far as single observations of them are stored."""
    since = max(period.since, (period.until or fresh.now) - DAY)
    if fresh.observed_from is not None:
        stored = dt.datetime.combine(fresh.observed_from, dt.time(), dt.UTC)
        since = max(since, min(stored, fresh.now))
    return Period(since, period.until)


def _in_force(declared: Mapping[str, Any]) -> bool:
    today, expires = dt.datetime.now(dt.UTC).date(), declared["expires"]
    return bool(declared["declared"]) and (expires is None or expires >= today)


def _counted(found: Report, step: str) -> dict[str, Counter[Any]]:
    """Of each event how often it was used, step by step of time, or in all."""
    ends: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    begun: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    for row in found.records():
        counted = begun if row["action"] in BEGINNINGS else ends
        counted[row["event"]][row.get(step)] += row["count"]
    return {event: ends.get(event) or begun[event] for event in {*ends, *begun}}
