"""The one statement that answers whoever asks for a report, on the command line or over HTTP.

Names that are asked for are looked up among the columns that the view has, and composed as identifiers;
values are parameters. Whatever else is SQL here stands in this folder.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, LiteralString, NamedTuple

from psycopg import sql

from footfall_exporters.postgres.reports import reading, zones
from footfall_exporters.postgres.reports.asked import MOST_ROWS, Asked, WrongQuestion
from footfall_exporters.postgres.reports.histograms import HISTOGRAM
from footfall_exporters.postgres.reports.kinds.kind import Kind, Measure

Columns = Mapping[str, str]
"""The columns of a view with their types."""
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
_ALIASES: Final = {"version": "service_version"}
_DIMENSIONS: Final = frozenset({"text", "boolean", "date"})
"""Types of columns that say what a row is about."""
STEPS: Final[Sequence[str]] = ("hour", "day", "week", "month")
_HOURS: Final[Mapping[str, LiteralString]] = {
    "hour": "date_trunc('hour', {time}, 'UTC')",
    "day": "({local})::date",
    "week": "date_trunc('week', {local})::date",
    "month": "date_trunc('month', {local})::date",
}
_DAYS: Final[Mapping[str, LiteralString]] = {
    "day": "{time}",
    "week": "date_trunc('week', {time}::timestamp)::date",
    "month": "date_trunc('month', {time}::timestamp)::date",
}
_GROUPED = "SELECT {keys}, {measures} FROM {view} WHERE {condition} GROUP BY {numbers}"
_ORDERED = """
    WITH found AS {kept} MATERIALIZED ({found}) SELECT * FROM found ORDER BY {order} LIMIT {limit}
"""
_SHARES = """
    SELECT {names}, count, (count / "of all")::float8 AS share FROM (
        SELECT {keys}, "is counted", sum(count)::bigint AS count,
               sum(sum(count)) OVER (PARTITION BY {among}) AS "of all"
        FROM (SELECT *, status <> 'ok' AND {counted} AS "is counted" FROM {view}) AS every
        WHERE {condition} GROUP BY {numbers}, "is counted"
    ) AS found WHERE "is counted" ORDER BY {order} LIMIT {limit}
"""
"""Beside the columns of catalogs, which have no spaces in their names."""
_ACTIONS: LiteralString = (
    "CASE action WHEN 'invoke' THEN 1 WHEN 'start' THEN 2 WHEN 'success' THEN 3"
    " WHEN 'failure' THEN 4 END"
)
"""A beginning comes before its end."""


class Statement(NamedTuple):
    """A question in SQL.

    Attributes:
        text: What is to be executed.
        parameters: With it.
        notes: What the answer leaves out, and why.
    """

    text: sql.Composed
    parameters: dict[str, Any]
    notes: tuple[str, ...] = ()


def step_of(kind: Kind) -> dt.timedelta:
    """In which steps of time a report counts."""
    return DAY if kind.time == "day" else HOUR


def steps_of(kind: Kind) -> Sequence[str]:
    """By which steps of time it can be asked."""
    if not kind.time:
        return ()
    return [step for step in STEPS if step in (_DAYS if kind.time == "day" else _HOURS)]


def dimensions(kind: Kind, views: Mapping[str, Columns]) -> Sequence[str]:
    """The columns by which a report can be asked, and for values of which."""
    own, shown = views[kind.view], views[kind.columns_of or kind.view]
    left_out = {*kind.hidden, kind.time, *(measure.name for measure in kind.measures)}
    return [
        name
        for name, of in own.items()
        if of in _DIMENSIONS and name in shown and name not in left_out
    ]


def build(name: str, kind: Kind, asked: Asked, views: Mapping[str, Columns]) -> Statement:
    """The statement that answers a question.

    Args:
        name: What the report is called.
        kind: What it asks.
        asked: The period, conditions and columns.
        views: The columns of each view of `reporting`.

    Raises:
        WrongQuestion: it cannot be asked so.
    """
    return _Building(name, kind, asked, views).statement()


def within(name: str, kind: Kind, asked: Asked, views: Mapping[str, Columns]) -> Statement:
    """The same, of a kind that has no `outcome`, for another statement: in no order, and all there is.

    Raises:
        WrongQuestion: it cannot be asked so.
    """
    return _Building(name, kind, asked, views).statement(ordered=False)


class _Building:
    def __init__(self, name: str, kind: Kind, asked: Asked, views: Mapping[str, Columns]) -> None:
        self._name, self._kind, self._asked = name, kind, asked
        self._dimensions = dimensions(kind, views)
        self._where: dict[str, list[str]] = {}
        for key, values in asked.where.items():
            self._where.setdefault(self._column("where", key), []).extend(values)
        self._by = self._columns()
        self._parameters: dict[str, Any] = {}

    def statement(self, *, ordered: bool = True) -> Statement:
        measures, notes = self._measures()
        # What is read in place of hours is of the period alone.
        period = [] if self._reads_days() else self._period()
        within = [sql.SQL(self._kind.only), *period]
        written = self._ordered if ordered else self._grouped
        written = self._shares if self._kind.outcome else written
        return Statement(written(within, measures), self._parameters, notes)

    def _ordered(
        self, within: Sequence[sql.Composable], measures: Sequence[Measure]
    ) -> sql.Composed:
        """The figures of each group, as they are shown."""
        # Histograms are put in order when they have been added up: before, they are more than memory takes.
        has_histograms = any(measure.name == HISTOGRAM for measure in measures)
        return sql.SQL(_ORDERED).format(
            **self._shown(measures),
            found=self._grouped(within, measures),
            kept=sql.SQL("" if has_histograms else "NOT"),
        )

    def _grouped(
        self, within: Sequence[sql.Composable], measures: Sequence[Measure]
    ) -> sql.Composed:
        """The figures of each group."""
        shown = _listed(_named(sql.SQL(measure.value), measure.name) for measure in measures)
        held = [self._holds(name, values) for name, values in self._where.items()]
        return sql.SQL(_GROUPED).format(
            **self._parts(), measures=shown, condition=_all([*within, *held])
        )

    def _shares(
        self, within: Sequence[sql.Composable], measures: Sequence[Measure]
    ) -> sql.Composed:
        """What failed of each group, and its share: how it did is no condition of what it is a share of."""
        outcome = self._kind.outcome
        among = [self._expression(name) for name in self._by if name not in outcome]
        held = {name: self._holds(name, values) for name, values in self._where.items()}
        return sql.SQL(_SHARES).format(
            **self._parts(),
            **self._shown(measures),
            names=_listed(map(sql.Identifier, self._by)),
            among=_listed(among or [sql.SQL("true")]),
            condition=_all([*within, *(held[name] for name in held if name not in outcome)]),
            counted=_all([held[name] for name in held if name in outcome]),
        )

    def _parts(self) -> dict[str, sql.Composable]:
        """What both kinds of statements have."""
        return {
            "keys": _listed(self._key(name) for name in self._by),
            "numbers": _listed(sql.Literal(n + 1) for n in range(len(self._by))),
            "view": self._view(),
        }

    def _shown(self, measures: Sequence[Measure]) -> dict[str, sql.Composable]:
        """In which order, and how many."""
        return {
            "order": _listed(self._order([measure.name for measure in measures])),
            "limit": self._limit(),
        }

    def _reads_days(self) -> bool:
        """Whether counts by the hour are asked for, of which whole days are read, where there are any."""
        return self._asked.period is not None and self._kind.view == reading.HOURS

    def _view(self) -> sql.Composable:
        """What is read."""
        kind, period = self._kind, self._asked.period
        if period is None or not self._reads_days():
            return sql.Identifier("reporting", kind.view)
        steps = [name for name in self._by if name in steps_of(kind)]
        return reading.counts(
            period.whole(HOUR), self._needed(), steps, self._asked.zone, local=self._is_local()
        )

    def _is_local(self) -> bool:
        """Whether what is read says which day it is without a time zone."""
        return self._reads_days() and self._asked.zone == zones.UTC and "hour" not in self._by

    def _needed(self) -> Sequence[str]:
        """The dimensions that it is about."""
        kind = self._kind
        named = {*self._by, *self._where, *kind.outcome}
        said = " ".join([kind.only, *(measure.value for measure in kind.measures)])
        return [n for n in self._dimensions if n in named or n in said]

    def _columns(self) -> list[str]:
        """What it is counted by; of the report's own columns those that no catalog declares are NULL."""
        steps = steps_of(self._kind)
        named = [n if n in steps else self._column("by", n) for n in self._asked.by]
        more = [self._asked.step] if self._asked.step else []
        return list(dict.fromkeys([*(named or self._kind.by), *more]))

    def _column(self, word: str, name: str) -> str:
        """A column of the view.

        Raises:
            WrongQuestion: it has none of that name.
        """
        real = name if name in self._dimensions else _ALIASES.get(name, name)
        if real in self._dimensions:
            return real
        there = [*(steps_of(self._kind) if word == "by" else ()), *self._dimensions]
        named = f"column `{name}`" if re.fullmatch(r"\w{1,40}", name) else "such column"
        what = "count by" if word == "by" else "ask for"
        raise WrongQuestion(
            word,
            f"the report `{self._name}` has no {named} to {what}",
            f"there are {', '.join(there)}" if there else "it has none at all",
        )

    def _measures(self) -> tuple[Sequence[Measure], tuple[str, ...]]:
        """The figures that can be had, and what is said of the others."""
        pinned = {*self._by, *(name for name, values in self._where.items() if len(values) == 1)}
        if self._is_of_one_day():
            pinned.add("day")
        kind = self._kind
        had = [measure for measure in kind.measures if measure.whole <= pinned]
        missing = [measure for measure in kind.measures if measure not in had]
        notes = [
            f"{_and(names)} cannot be added: count by {_and(whole)}"
            for whole, names in _by_whole(missing).items()
        ]
        if not had:
            raise WrongQuestion("by", *notes[0].split(": "))
        if kind.mixes and not kind.mixes & pinned:
            notes.append(f"beginnings and ends are both in it: count by {_and(sorted(kind.mixes))}")
        return had, tuple(notes)

    def _is_of_one_day(self) -> bool:
        period = self._asked.period
        if period is None:
            return False
        whole = period.whole(DAY)
        return whole.until is not None and whole.until - whole.since == DAY

    def _period(self) -> Iterator[sql.Composable]:
        """The conditions of a period: of whole hours or days."""
        period = self._asked.period
        if period is None:
            return
        whole = period.whole(step_of(self._kind))
        is_day = self._kind.time == "day"
        for name, sign, at in (("since", ">=", whole.since), ("until", "<", whole.until)):
            if at is not None:
                self._parameters[name] = at.date() if is_day else at
                yield sql.SQL("{} " + sign + " {}").format(
                    sql.Identifier(self._kind.time), sql.Placeholder(name)
                )

    def _holds(self, name: str, values: Sequence[str]) -> sql.Composable:
        """Whether a column has one of some values; an empty one stands for none."""
        parameter = f"value_{len(self._parameters)}"
        self._parameters[parameter] = list(values)
        column = sql.Identifier(name)
        held = sql.SQL("{}::text = ANY({}::text[])").format(column, sql.Placeholder(parameter))
        return sql.SQL("({} IS NULL OR {})").format(column, held) if "" in values else held

    def _key(self, name: str) -> sql.Composable:
        return _named(self._expression(name), name)

    def _expression(self, name: str) -> sql.Composable:
        if name in steps_of(self._kind):
            written = (_DAYS if self._kind.time == "day" else _HOURS)[name]
            time = sql.Identifier(self._kind.time)
            return sql.SQL(written).format(time=time, local=self._local(time))
        return sql.Identifier(name) if name in self._dimensions else sql.SQL("NULL::text")

    def _local(self, time: sql.Identifier) -> sql.Composable:
        """What the clocks of the zone show."""
        if self._is_local():
            return time
        if self._asked.zone == zones.UTC:
            return sql.SQL("{} AT TIME ZONE 'UTC'").format(time)
        *changing, last = zones.clocks(
            self._asked.zone, self._asked.period, dt.datetime.now(dt.UTC)
        )
        cases = [
            sql.SQL(" WHEN {} < {} THEN {}").format(time, sql.Literal(until), sql.Literal(offset))
            for offset, until in changing
        ]
        ahead: sql.Composable = sql.Literal(last.offset)
        if cases:
            ahead = sql.SQL("CASE{} ELSE {} END").format(sql.Composed(cases), ahead)
        return sql.SQL("({} + {}) AT TIME ZONE 'UTC'").format(time, ahead)

    def _order(self, figures: Sequence[str]) -> Iterator[sql.Composable]:
        """Time first; then what is greatest, or names; an action by when it comes."""
        kind, steps = self._kind, steps_of(self._kind)
        lead = kind.lead if kind.lead in figures else figures[0]
        times = [name for name in self._by if name in steps]
        yield from map(sql.Identifier, times)
        is_ranked = not kind.listed or self._asked.by or self._asked.limit
        if is_ranked and lead != HISTOGRAM:
            sign = "{} ASC NULLS LAST" if kind.rising else "{} DESC NULLS LAST"
            yield sql.SQL(sign).format(sql.Identifier(lead))
        for name in self._by:
            if name == "action":
                yield sql.SQL(_ACTIONS)
            if name not in times:
                yield sql.Identifier(name)

    def _limit(self) -> sql.Composable:
        """One more than is asked for, to know whether there are more."""
        limit = self._asked.limit
        if limit is not None and not 1 <= limit <= MOST_ROWS:
            raise WrongQuestion("limit", "that is no limit", f"give 1 to {MOST_ROWS}")
        most = self._asked.most
        return sql.SQL("ALL") if most is None else sql.Literal(most + 1)


def _named(value: sql.Composable, name: str) -> sql.Composable:
    return sql.SQL("{} AS {}").format(value, sql.Identifier(name))


def _listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _all(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(" AND ").join(parts or [sql.SQL("true")])


def _by_whole(measures: Sequence[Measure]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for measure in measures:
        found.setdefault(tuple(sorted(measure.whole)), []).append(measure.name)
    return found


def _and(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
