"""Two versions of a service side by side: failures, durations and use by group, event by event."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from psycopg import sql

from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.reports import speed
from footfall_exporters.postgres.reports.answering import Answer
from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion
from footfall_exporters.postgres.reports.building import Columns, Statement, build, within
from footfall_exporters.postgres.reports.kinds import KINDS
from footfall_exporters.postgres.reports.kinds.kind import Measure
from footfall_exporters.postgres.reports.sequential import (
    ALL,
    FEW,
    LEVEL,
    Days,
    Difference,
    difference,
    summed,
)

NAME: Final = "releases"
COLUMNS: Final = (
    "service", "former", "version", "event", "ends_before", "ends", "failed_before", "failed",
    "difference", "low", "high", "verdict", "p95_before_ms", "p95_ms",
    "uses_per_group_before", "uses_per_group", "speed",
)  # fmt: skip
BACK: Final = dt.timedelta(days=28)
"""So long before the first day of the newer version the former one is looked at."""
COUNTS: Final = replace(KINDS[NAME], view=KINDS[NAME].daily, time="day")
"""What asks for counts, by day."""
KEPT: Final = dt.timedelta(minutes=15)
"""So old is what is kept at most, made every five minutes."""
_OF_KEPT: Final = sql.SQL("""
    SELECT {}, made_at FROM reporting.releases
    WHERE made_at > clock_timestamp() - %(kept)s AND environment IS NOT DISTINCT FROM %(environment)s
    ORDER BY service COLLATE "C", event <> %(all)s, event COLLATE "C"
""").format(sql.SQL(", ").join(map(sql.Identifier, COLUMNS)))
_BEGUN: Final = replace(COUNTS, measures=(Measure("begun", "min(day)"),))
_BY_DAY: Final = replace(
    COUNTS,
    measures=(
        Measure("ends", "sum(count)::bigint"),
        Measure("failures", "coalesce(sum(count) FILTER (WHERE status <> 'ok'), 0)::bigint"),
    ),
)
_NONE: Final = Days(0, 0, 0.0, 0)
_VERSIONS: Final = ("service_version", "version")
_PAIR: Final = frozenset({"service", *_VERSIONS})
_KEPT_OF: Final = _PAIR | {"environment"}


class _Pair(NamedTuple):
    service: str
    former: str
    version: str
    since: dt.date


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
    begun = yield build(
        NAME, _BEGUN, replace(asked, by=("service", "service_version"), limit=None), views
    )
    rows: list[tuple[Any, ...]] = []
    for pair in _pairs(begun):
        of_days = _of_pair(pair, asked, ("service_version", "event", "day"))
        found = yield summed(within(NAME, _BY_DAY, of_days, views))
        ended = {(version, event): Days(*days) for version, event, *days in found}
        question = replace(of_days, by=("service_version", "event"))
        fast = yield from speed.compared((pair.former, pair.version), question, views)
        often = (yield from _often(pair, asked)) if "groups" in views else {}
        rows += _rows(pair, ended, fast, often)
    return rows


def _pairs(found: Iterable[tuple[Any, ...]]) -> Iterator[_Pair]:
    """Of services, versions, and the days on which these first ended something."""
    firsts: dict[str, list[tuple[dt.date, str]]] = {}
    for service, version, day in found:
        if service is not None and version is not None:
            firsts.setdefault(service, []).append((day, version))
    for service, known in sorted(firsts.items()):
        if len(known) > 1:
            (_, former), (first, version) = sorted(known)[-2:]
            yield _Pair(service, former, version, first - BACK)


def _of_pair(pair: _Pair, asked: Asked, by: Sequence[str]) -> Asked:
    """What is asked of both versions, from the day on from which they are compared."""
    where = {
        **{key: values for key, values in asked.where.items() if key not in _PAIR},
        "service": [pair.service],
        "service_version": [pair.former, pair.version],
    }
    since = dt.datetime.combine(pair.since, dt.time(), dt.UTC)
    return Asked(Period(since, None), where, by)


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
    ended: Mapping[tuple[str, str], Days],
    fast: speed.Speed,
    often: Mapping[tuple[str, str], float],
) -> Iterator[tuple[Any, ...]]:
    """All first, then each event that ended in either one."""
    versions = pair.former, pair.version
    events = sorted({event for _, event in ended}, key=lambda event: (event != ALL, event))
    both = {
        event: (ended.get((pair.former, event), _NONE), ended.get((pair.version, event), _NONE))
        for event in events
    }
    enough = sum(_is_enough(days) for days in both.values())
    for event, days in both.items():
        change = difference(*days, LEVEL / enough) if _is_enough(days) else None
        figures = [round(figure, 4) for figure in change] if change else [None] * 3
        told = [of.get((v, event)) for of in (fast.p95, often) for v in versions]
        yield (
            *pair[:3],
            event,
            *(of.ends for of in days),
            *map(_rate, days),
            *figures,
            _verdict(change),
            *told,
            fast.verdicts.get(event),
        )


def _is_enough(both: Sequence[Days]) -> bool:
    return min(days.ends for days in both) >= FEW


def _verdict(change: Difference | None) -> str:
    if change is None:
        return "too few to tell"
    if change.low > 0:
        return "fails more"
    return "fails less" if change.high < 0 else "no difference seen"


def _rate(days: Days) -> float | None:
    return round(days.failures / days.ends, 4) if days.ends else None
