"""The reports: what is asked most, answered from the `reporting` views for command line and HTTP."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from psycopg import Connection

from footfall_exporters.postgres.latency import HOURS
from footfall_exporters.postgres.reports import active, changes, releases, zones
from footfall_exporters.postgres.reports.answering import answered
from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion, last_days
from footfall_exporters.postgres.reports.building import (
    DAY,
    HOUR,
    STEPS,
    Columns,
    Statement,
    build,
    step_of,
    steps_of,
)
from footfall_exporters.postgres.reports.histograms import COLUMNS, decoded, ordered, spread
from footfall_exporters.postgres.reports.histograms import STEPS as STEPS_OF_TIME
from footfall_exporters.postgres.reports.kinds import KINDS
from footfall_exporters.postgres.reports.kinds.kind import Kind
from footfall_exporters.postgres.reports.kinds.uses import ADDED_UP, ADDED_UP_BY_HOUR
from footfall_exporters.postgres.reports.state import (
    OtherViews,
    freshness,
    of_this_version,
    views_of,
    why_empty,
)
from footfall_exporters.spreadsheets import as_csv

UTC: Final = zones.UTC
REPORTS: Final[Mapping[str, str]] = {name: kind.title for name, kind in KINDS.items()}
"""Name → title."""
MOST_OBSERVATIONS: Final = 20_000
"""Percentiles of so many are exact; of more it is their histograms that are added up."""
_OBSERVATIONS = """
    SELECT coalesce(sum(observations), 0) FROM reporting.latency
    WHERE day >= %s AND day < coalesce(%s, date 'infinity')
"""


@dataclass(frozen=True, slots=True)
class Report:
    """A table.

    Attributes:
        name: One of REPORTS.
        since: Where the period begins, UTC; None for all that is kept.
        columns: Column names.
        rows: One tuple per row; values are str, int, float, bool, date, datetime or None.
        until: Where it ends; None: it goes on.
        more: Whether there are more rows than were asked for.
        notes: What is left out, and why.
        zone: Of whose days, weeks and months its times are.
    """

    name: str
    since: dt.datetime | None
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    until: dt.datetime | None = None
    more: bool = False
    notes: tuple[str, ...] = ()
    zone: str = UTC

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries, for JSON."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def document(self) -> dict[str, Any]:
        """The rows with their period, and what there is to say of them, for JSON."""
        period = {"period": {"start": self.since, "end": self.until}} if self.since else {}
        more = {"more": True} if self.more else {}
        notes = {"notes": list(self.notes)} if self.notes else {}
        zone = {} if self.zone == UTC else {"time_zone": self.zone}
        return period | zone | {"rows": self.records()} | more | notes

    def csv(self) -> str:
        """The rows with a heading, times in ISO 8601; what is missing is empty, and no text a formula."""
        return as_csv(self.columns, (map(_plain, row) for row in self.rows))


def report(connection: Connection, name: str, days: int) -> Report:
    """A report over the last `days` UTC days, today included.

    Args:
        connection: Of any role that may read `reporting`.
        name: One of REPORTS.
        days: 1 or more; a report of all that is kept has none.

    Raises:
        NotThere, OtherViews, psycopg.Error: the database cannot be asked.
    """
    period = last_days(days, dt.datetime.now(dt.UTC)) if KINDS[name].time else None
    return ask(connection, name, Asked(period))


def ask(connection: Connection, name: str, asked: Asked) -> Report:
    """A report, as it is asked for.

    Args:
        connection: Of any role that may read `reporting`.
        name: One of REPORTS.
        asked: The period, conditions, and columns to count by.

    Raises:
        WrongQuestion: it cannot be asked so.
        NotThere, OtherViews, psycopg.Error: the database cannot be asked.
    """
    found = figures(connection, name, asked, views_of(connection))
    why = why_empty(connection, found.until) if asked.period and not found.rows else None
    return replace(found, notes=(*found.notes, *([why] if why else [])), zone=asked.zone)


def figures(
    connection: Connection, name: str, asked: Asked, views: Mapping[str, Columns]
) -> Report:
    """The same, for whoever asks for several: where there are none, it is not looked for why.

    Args:
        connection: Of any role that may read `reporting`.
        name: One of REPORTS.
        asked: The period, conditions, and columns to count by.
        views: The columns of each view of `reporting`.

    Raises:
        WrongQuestion: it cannot be asked so.
        OtherViews, psycopg.Error: the database cannot be asked.
    """
    kind = _dated(KINDS[name], asked)
    if kind.view not in views:
        raise OtherViews
    if asked.period is not None and not kind.time:
        raise WrongQuestion(
            "period", f"the report `{name}` is of all that is kept", "ask for it without a period"
        )
    build(name, kind, asked, views)
    _check_zone(name, asked)
    kind = _kind(connection, kind, asked)
    if kind.view not in views:
        raise OtherViews
    asked = replace(asked, period=asked.period and asked.period.whole(step_of(kind)))
    if name in _COMPARED:
        return _COMPARED[name](connection, kind, asked, views)
    if kind in (ADDED_UP, ADDED_UP_BY_HOUR):
        found = _found(
            connection, name, build(name, kind, replace(asked, limit=None), views), asked
        )
        return _decoded(found, kind, asked.most)
    found = _limited(_found(connection, name, build(name, kind, asked, views), asked), asked)
    return replace(found, notes=(*found.notes, kind.note)) if kind.note and found.rows else found


def _limited(found: Report, asked: Asked) -> Report:
    """As many rows as were asked for, of a statement that gives one more."""
    more = asked.most is not None and len(found.rows) > asked.most
    return replace(found, rows=found.rows[: asked.most], more=more)


def _found(connection: Connection, name: str, statement: Statement, asked: Asked) -> Report:
    """All that a statement gives."""
    with of_this_version():
        cursor = connection.execute(statement.text, statement.parameters)
    since, until = asked.period or (None, None)
    columns = tuple(column.name for column in cursor.description or ())
    return Report(name, since, columns, cursor.fetchall(), until, notes=statement.notes)


def _changes(
    connection: Connection, kind: Kind, asked: Asked, views: Mapping[str, Columns]
) -> Report:
    assert asked.period is not None  # noqa: S101  # it has a time
    since, until = asked.period.since, asked.period.until
    until = until or Period(since, dt.datetime.now(dt.UTC)).whole(step_of(kind)).until
    limited = replace(asked, period=Period(since, until))
    rows = changes.moved(connection, "changes", kind, limited, views)
    return Report("changes", since, changes.COLUMNS, rows, asked.period.until)


def _releases(
    connection: Connection, kind: Kind, asked: Asked, views: Mapping[str, Columns]
) -> Report:
    if not {releases.COUNTS.view, ADDED_UP.view} <= views.keys():
        raise OtherViews
    kept = answered(connection, releases.kept(asked)) if "releases" in views else None
    rows = kept[0] if kept else answered(connection, releases.compared(asked, views))
    notes = (f"compared at {kept[1].astimezone(dt.UTC):%H:%M} UTC",) if kept else ()
    more = asked.limit is not None and len(rows) > asked.limit
    return Report("releases", None, releases.COLUMNS, rows[: asked.limit], more=more, notes=notes)


def _groups(
    connection: Connection, kind: Kind, asked: Asked, views: Mapping[str, Columns]
) -> Report:
    kind, asked = active.chosen(kind, asked)
    return _limited(_found(connection, "groups", build("groups", kind, asked, views), asked), asked)


def _depth(
    connection: Connection, kind: Kind, asked: Asked, views: Mapping[str, Columns]
) -> Report:
    kind, asked = active.deep(kind, asked)
    return _limited(_found(connection, "depth", build("depth", kind, asked, views), asked), asked)


def _check_zone(name: str, asked: Asked) -> None:
    """Refuses a time zone where time is kept by days of UTC, or days are not made of its hours.

    Raises:
        WrongQuestion: it cannot be asked so.
    """
    if asked.zone == UTC:
        return
    if name not in ZONED:
        found = f"the report `{name}` is in UTC, in no other zone"
        raise WrongQuestion("tz", found, f"in a time zone there are {', '.join(ZONED)}")
    period = asked.period and asked.period.whole(HOUR)
    zones.clocks(asked.zone, period, dt.datetime.now(dt.UTC))


def _distribution(
    connection: Connection, kind: Kind, asked: Asked, views: Mapping[str, Columns]
) -> Report:
    statement = build("distribution", kind, replace(asked, limit=None, bound=None), views)
    found = _found(connection, "distribution", statement, asked)
    groups = sorted(found.rows, key=lambda row: [(each is None, str(each)) for each in row[:-1]])
    rows = [(*row[:-1], *step) for row in groups for step in spread(row[-1])]
    columns = (*found.columns[:-1], *STEPS_OF_TIME)
    return _limited(replace(found, columns=columns, rows=rows), asked)


_COMPARED: Final = {
    "changes": _changes,
    "depth": _depth,
    "distribution": _distribution,
    "groups": _groups,
    "releases": _releases,
}
"""What is no one statement, or another one."""
ZONED: Final = tuple(
    name
    for name, kind in KINDS.items()
    if kind.time in ("hour", "created_at") and name not in _COMPARED
)
"""What is kept by hours, or one by one: its days may be those of any time zone."""


def _dated(kind: Kind, asked: Asked) -> Kind:
    """Of what is of all that is kept, the same by day, where a period or days are asked for."""
    if kind.dated and (asked.period or any(map(asked.counts_by, STEPS))):
        note = "a use shortly before midnight (UTC) may be in the next day's tally"
        return replace(kind, view=kind.dated, time="day", note=note)
    return kind


def _kind(connection: Connection, kind: Kind, asked: Asked) -> Kind:
    """What is asked: what there is by hour or one by one; or their sums, of days or where they are many."""
    period = asked.period
    if kind.daily and _is_of_days(asked):
        return replace(kind, view=kind.daily, time="day")
    if kind.view == ADDED_UP_BY_HOUR.view:
        # Of days on which hours are no longer kept there are whole days.
        is_kept = period is not None and period.since >= dt.datetime.now(dt.UTC) - HOURS
        return kind if is_kept else replace(kind, view=kind.daily, time="day")
    if kind.summed is None or period is None:
        return kind
    first = freshness(connection).observed_from
    stored = first is None or period.since.date() >= first
    if stored and _observations(connection, period) <= MOST_OBSERVATIONS:
        return kind
    if asked.zone == UTC and not asked.counts_by("hour"):
        return kind.summed
    if period.since >= dt.datetime.now(dt.UTC) - HOURS:
        return ADDED_UP_BY_HOUR
    if stored and asked.counts_by("hour"):
        return kind
    raise _not_by_hour(asked, period)


def _not_by_hour(asked: Asked, period: Period) -> WrongQuestion:
    """What is said where single observations and hours are gone, or these are too many."""
    kept = (dt.datetime.now(dt.UTC) - HOURS).date()
    if asked.counts_by("hour"):
        text = f"single observations of {period.since.date()} are no longer stored"
        return WrongQuestion("by", text, f"count by day, or from {kept} on")
    return WrongQuestion(
        "tz",
        f"so many durations from before {kept} are kept by days of UTC alone",
        "ask in UTC, or for a later or a shorter period",
    )


def _is_of_days(asked: Asked) -> bool:
    """Whether no part of a day is told apart."""
    period = asked.period
    is_whole = period is not None and period == period.whole(DAY)
    return is_whole and asked.zone == UTC and not asked.counts_by("hour")


def _observations(connection: Connection, period: Period) -> int:
    """How many durations there are on the days of a period, up to half a minute ago."""
    whole = period.whole(DAY)
    days = [whole.since.date(), whole.until.date() if whole.until else None]
    row = connection.execute(_OBSERVATIONS, days).fetchone()
    return int(row[0]) if row else 0


def _decoded(found: Report, kind: Kind, most: int | None) -> Report:
    """A report of histograms with what these say; it is put in order here, for the database cannot."""
    *keys, _ = found.columns
    rows = [(*row[:-1], *decoded(row[-1])) for row in found.rows]
    times = [n for n, key in enumerate(keys) if key in steps_of(kind)]
    rows = ordered(rows, len(keys), times)
    more = most is not None and len(rows) > most
    notes = (*found.notes, "percentiles of so many are at most 2.2 % off, and half a minute behind")
    return replace(found, columns=(*keys, *COLUMNS), rows=rows[:most], more=more, notes=notes)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return f"{value.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    return str(value).lower() if isinstance(value, bool) else value
