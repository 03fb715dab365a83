"""Two versions of a service side by side: failures, durations and use by group, event by event."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from psycopg import sql

from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.reports import speed
from footfall_exporters.postgres.reports.answering import Answer
from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion
from footfall_exporters.postgres.reports.building import Columns, Statement, build
from footfall_exporters.postgres.reports.histograms import decoded
from footfall_exporters.postgres.reports.kinds import ADDED_UP, KINDS, Measure
from footfall_exporters.postgres.reports.sequential import (
    FEW,
    LEVEL,
    Day,
    Difference,
    difference,
)

NAME: Final = "releases"
COLUMNS: Final = (
    "service", "former", "version", "event", "ends_before", "ends", "failed_before", "failed",
    "difference", "low", "high", "verdict", "p95_before_ms", "p95_ms",
    "uses_per_group_before", "uses_per_group", "speed",
)  # fmt: skip
BACK: Final = dt.timedelta(days=28)
"""So long before the first day of the newer version the former one is looked at."""
ALL: Final = "(all)"
COUNTS: Final = replace(KINDS[NAME], view=KINDS[NAME].daily, time="day")
"""What asks for counts, by day."""
KEPT: Final = dt.timedelta(minutes=15)
"""So old is what is kept at most, made every five minutes."""
_OF_KEPT: Final = sql.SQL("""
    SELECT {}, made_at FROM reporting.releases
    WHERE made_at > clock_timestamp() - %(kept)s AND environment IS NOT DISTINCT FROM %(environment)s
    ORDER BY service COLLATE "C", event <> %(all)s, event COLLATE "C"
""").format(sql.SQL(", ").join(map(sql.Identifier, COLUMNS)))
_BY: Final = ("service", "service_version", "day")
_FAILED: Final = Measure("failed", "coalesce(sum(count) FILTER (WHERE status <> 'ok'), 0)::bigint")
_WITH_FAILED: Final = replace(COUNTS, measures=(*COUNTS.measures, _FAILED))
_VERSIONS: Final = ("service_version", "version")
_PAIR: Final = frozenset({"service", *_VERSIONS})
_KEPT_OF: Final = _PAIR | {"environment"}
Days = dict[dt.date, Day]


class _Pair(NamedTuple):
    service: str
    former: str
    version: str
    since: dt.date


@dataclass(slots=True)
class _Compared:
    """An event, or all, in both versions."""

    event: str
    former: Sequence[Day]
    present: Sequence[Day]

    @property
    def is_enough(self) -> bool:
        return min(_ends(self.former), _ends(self.present)) >= FEW


def kept(asked: Asked) -> Answer[tuple[list[tuple[Any, ...]], dt.datetime] | None]:
    """What housekeeping has kept of it, and when it was made; None where it has to be compared.

    Args:
        asked: As for `compared`.
    """
    if asked.by or asked.where.keys() - _KEPT_OF or any("" in of for of in asked.where.values()):
        return None
    environments = set(asked.where.get("environment", ()))
    if len(environments) > 1:
        return None
    of = {"kept": KEPT, "all": ALL, "environment": next(iter(environments), None)}
    found = yield Statement(_OF_KEPT, of)
    services = set(asked.where.get("service", ())) or {row[0] for row in found}
    versions = {each for name in _VERSIONS for each in asked.where.get(name, ())}
    rows = [row for row in found if row[0] in services]
    is_whole = rows and services == {row[0] for row in rows}
    if not is_whole or (versions and any(not versions.issuperset(row[1:3]) for row in rows)):
        return None
    return [row[:-1] for row in rows], rows[0][-1]


def compared(asked: Asked, views: Mapping[str, Columns]) -> Answer[list[tuple[Any, ...]]]:
    """The two newest versions of each service: those that came first last, among those that are asked for.

    Args:
        asked: With conditions; it is of all that is kept, and counted by nothing else.
        views: The columns of each view of `reporting`.

    Raises:
        WrongQuestion: it cannot be asked so.
    """
    if asked.by:
        raise WrongQuestion("by", "versions are compared event by event", "ask without `by`")
    ended = yield build(NAME, _WITH_FAILED, replace(asked, by=_BY, limit=None), views)
    rows: list[tuple[Any, ...]] = []
    for pair in _pairs(ended):
        question = _of_pair(pair, asked, ("service_version", "event"))
        if len(asked.where.get("event", ())) == 1:
            versions = _of_one(pair, asked.where["event"][0], ended)
            lengths, long = yield from speed.of_one(ADDED_UP, question, views)
        else:
            versions = yield from _versions(pair, asked, views)
            found = yield build(NAME, ADDED_UP, question, views)
            lengths = {(version, event): histogram for version, event, histogram in found}
            long = yield from speed.long_days(ADDED_UP, question, lengths, views)
        slow = {key: decoded(histogram)[2] for key, histogram in lengths.items()}
        often = (yield from _often(pair, asked)) if "groups" in views else {}
        rows += _rows(pair, versions, slow, often, _speeds(pair, long))
    return rows


def _pairs(found: Iterable[tuple[Any, ...]]) -> Iterator[_Pair]:
    """Of services, versions, and the days on which they ended something."""
    firsts: dict[str, dict[str, dt.date]] = {}
    for service, version, day, *_ in found:
        if service is not None and version is not None:
            known = firsts.setdefault(service, {})
            known[version] = min(day, known.get(version, day))
    for service, known in sorted(firsts.items()):
        if len(known) > 1:
            (_, former), (first, version) = sorted((day, name) for name, day in known.items())[-2:]
            yield _Pair(service, former, version, first - BACK)


def _versions(
    pair: _Pair, asked: Asked, views: Mapping[str, Columns]
) -> Answer[dict[str, dict[str, Days]]]:
    """Of both versions the days of each event."""
    found = yield build(
        NAME, _WITH_FAILED, _of_pair(pair, asked, ("service_version", "event", "day")), views
    )
    versions: dict[str, dict[str, Days]] = {pair.former: {}, pair.version: {}}
    for version, event, day, ends, failures in found:
        versions[version].setdefault(event, {})[day] = Day(ends, failures)
    return versions


def _of_one(
    pair: _Pair, event: str, ended: Iterable[tuple[Any, ...]]
) -> dict[str, dict[str, Days]]:
    """The same of an event of which all is known already."""
    versions: dict[str, dict[str, Days]] = {pair.former: {}, pair.version: {}}
    for service, version, day, ends, failures in ended:
        if service == pair.service and version in versions and day >= pair.since:
            versions[version].setdefault(event, {})[day] = Day(ends, failures)
    return versions


def _of_pair(pair: _Pair, asked: Asked, by: Sequence[str]) -> Asked:
    """What is asked of both versions, from the day on from which they are compared."""
    where = {
        **{key: values for key, values in asked.where.items() if key not in _PAIR},
        "service": [pair.service],
        "service_version": [pair.former, pair.version],
    }
    since = dt.datetime.combine(pair.since, dt.time(), dt.UTC)
    return Asked(Period(since, None), where, by)


def _speeds(pair: _Pair, long: Mapping[str, speed.Days]) -> dict[str, str]:
    """Of each event that was measured in both versions whether the newer one is slower."""
    both = {
        event: (of.get(pair.former, []), of.get(pair.version, [])) for event, of in long.items()
    }
    enough = sum(speed.is_enough(*of) for of in both.values())
    return {event: speed.slower(*of, LEVEL / max(1, enough)) for event, of in both.items()}


def _often(pair: _Pair, asked: Asked) -> Answer[dict[tuple[str, str], float]]:
    """How often an active group ends something on a day, in each version, where it can be told.

    Groups are counted of all that was used: with a condition on something else they are not those of a part.
    """
    if asked.where.keys() - _PAIR - {"event"}:
        return {}
    parameters = {
        "since": pair.since,
        "service": pair.service,
        "versions": [pair.former, pair.version],
        "events": asked.where.get("event"),
    }
    found = yield Statement(sql.SQL(query("uses_per_group")).format(), parameters)
    return {
        (version, event): round(often, 2)
        for version, event, often in found
        if event != ALL or "event" not in asked.where
    }


def _rows(
    pair: _Pair,
    versions: Mapping[str, Mapping[str, Days]],
    slow: Mapping[tuple[str, str], int | None],
    often: Mapping[tuple[str, str], float],
    speeds: Mapping[str, str],
) -> Iterator[tuple[Any, ...]]:
    """All first, then each event that ended in either one."""
    both = [versions[v] for v in (pair.former, pair.version)]
    events = sorted(both[0].keys() | both[1].keys())
    each = [
        _Compared(event, *(list(of.get(event, {}).values()) for of in both)) for event in events
    ]
    every = _Compared(ALL, *(list(_added(of.values()).values()) for of in both))
    enough = sum(of.is_enough for of in (every, *each))
    for of in (every, *each):
        change = difference(of.former, of.present, LEVEL / enough) if of.is_enough else None
        ends = _ends(of.former), _ends(of.present)
        rates = _rate(of.former), _rate(of.present)
        figures = [round(f, 4) for f in change] if change else [None] * 3
        told = [
            each.get((v, of.event)) for each in (slow, often) for v in (pair.former, pair.version)
        ]
        yield (
            *pair[:3],
            of.event,
            *ends,
            *rates,
            *figures,
            _verdict(change),
            *told,
            speeds.get(of.event),
        )


def _verdict(change: Difference | None) -> str:
    if change is None:
        return "too few to tell"
    if change.low > 0:
        return "fails more"
    return "fails less" if change.high < 0 else "no difference seen"


def _added(every: Iterable[Days]) -> Days:
    added: Days = {}
    for days in every:
        for day, of in days.items():
            ends, failures = added.get(day, Day(0, 0))
            added[day] = Day(ends + of.ends, failures + of.failures)
    return added


def _ends(days: Sequence[Day]) -> int:
    return sum(day.ends for day in days)


def _rate(days: Sequence[Day]) -> float | None:
    ends = _ends(days)
    return round(sum(day.failures for day in days) / ends, 4) if ends else None
