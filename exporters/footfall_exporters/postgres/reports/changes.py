"""What moved: a period against as long a one before, taken apart into what explains the change.

The rows of an answer have nothing in common and add up to the whole. Each is found by going down: the value
of a column that has most of the change, within it the value of another one that has most of that, and so on
as long as it has nearly all of it and is narrower. What is no more than chance stays in the last row.
"""

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from psycopg import Connection

from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion
from footfall_exporters.postgres.reports.building import STEPS, Columns, build, dimensions
from footfall_exporters.postgres.reports.kinds.kind import Kind

COLUMNS: Final = ("of", "what", "before", "now", "change", "share")
MOST: Final = 10
"""Rows of each kind beside the rest and the whole, unless a limit is given."""
_NEARLY_ALL, _NARROWER = 0.8, 0.9
_CHANCE = 3.0
"""Standard deviations of a difference of two counts that are Poisson's."""
_ENDS, _OUTCOME = ("action", "status"), ("action", "status", "error_type")
Cell = dict[int, str | None]
"""Values by column."""


class Part(NamedTuple):
    """How often something was, before and now.

    Attributes:
        values: What it was, column by column.
        before: How often in the period before.
        now: How often in the period.
    """

    values: tuple[str | None, ...]
    before: int
    now: int


def moved(
    connection: Connection, name: str, kind: Kind, asked: Asked, views: Mapping[str, Columns]
) -> list[tuple[Any, ...]]:
    """The rows of an answer: of failures and of uses, what lies further from chance first.

    Args:
        connection: Of any role that may read `reporting`.
        name: What the report is called.
        kind: What it asks.
        asked: Over a period that has an end; `by` are the columns that may be named, all without.
        views: The columns of each view of `reporting`.

    Raises:
        WrongQuestion: it cannot be asked so.
        psycopg.Error: Postgres refused.
    """
    if steps := [step for step in asked.by if step in STEPS]:
        raise WrongQuestion("by", f"what moved is not counted by {steps[0]}", "give other columns")
    columns, parts = _counted(connection, name, kind, asked, views)
    named = {columns[n] for n in range(len(columns)) if not asked.by or n < len(asked.by)}
    chosen = {"service_version" if key == "version" else key for key in asked.where}
    status = columns.index("status")
    kinds = {"uses": parts}
    if not chosen & set(_OUTCOME):
        kinds["failures"] = [part for part in parts if part.values[status] != "ok"]
    telling = _telling(columns, parts)
    found = []
    for of, every in kinds.items():
        says_nothing = {"uses": set(_OUTCOME) - chosen, "failures": set(_ENDS)}[of]
        within = [n for n in telling if columns[n] in named - says_nothing]
        apart = taken_apart(every, within, asked.limit or MOST)
        found.append((_surprise(apart or [({}, every)]), [*_rows(of, every, apart, columns)]))
    return [row for _, rows in sorted(found, key=lambda each: -each[0]) for row in rows]


def taken_apart(
    parts: Sequence[Part], within: Sequence[int], most: int
) -> list[tuple[Cell, Sequence[Part]]]:
    """What explains a change, the most first: values of columns, and the parts that have them.

    Args:
        parts: Each combination of values once.
        within: The columns that may be named, the most telling first.
        most: How many at most.
    """
    found: list[tuple[Cell, Sequence[Part]]] = []
    rest = [*parts]
    while len(found) < most and (cell := _largest(rest, within)):
        explained = [part for part in rest if _has(part, cell)]
        if abs(_change(explained)) <= _CHANCE * math.sqrt(_volume(explained)):
            break
        found.append((cell, explained))
        rest = [part for part in rest if not _has(part, cell)]
    return found


def _telling(columns: Sequence[str], parts: Sequence[Part]) -> list[int]:
    """The columns by what they tell: one with a single value tells nothing, and an event names most."""
    values = [len({part.values[n] for part in parts}) for n in range(len(columns))]
    first = ("event", "error_type")
    return sorted(
        range(len(columns)),
        key=lambda n: (
            values[n] == 1,
            first.index(columns[n]) if columns[n] in first else len(first),
            n,
        ),
    )


def _counted(
    connection: Connection, name: str, kind: Kind, asked: Asked, views: Mapping[str, Columns]
) -> tuple[Sequence[str], list[Part]]:
    period = asked.period
    assert period is not None and period.until is not None  # noqa: S101, PT018  # as `moved` demands
    former = _before(period.since, period.until)
    by = [*dict.fromkeys([*(asked.by or dimensions(kind, views)), *_ENDS])]
    counts: dict[tuple[str | None, ...], list[int]] = {}
    columns: Sequence[str] = ()
    for number, of in enumerate((former, period)):
        asked_then = replace(asked, period=of, by=by, limit=None)
        statement = build(name, kind, asked_then, views)
        cursor = connection.execute(statement.text, statement.parameters)
        columns = [column.name for column in cursor.description or ()][:-1]
        for *values, count in cursor.fetchall():
            counts.setdefault(tuple(values), [0, 0])[number] += count
    return columns, [Part(values, *both) for values, both in counts.items()]


def _before(since: dt.datetime, until: dt.datetime) -> Period:
    try:
        return Period(since - (until - since), since)
    except OverflowError:
        text = "there is no period as long before this one"
        raise WrongQuestion("period", text, "give a shorter one") from None


def _largest(parts: Sequence[Part], within: Sequence[int]) -> Cell:
    """The narrowest values that have nearly all of the largest change; none where nothing has changed."""
    cell: Cell = {}
    among = parts
    while free := [column for column in within if column not in cell]:
        change, volume = Counter[tuple[int, str | None]](), Counter[tuple[int, str | None]]()
        for part in among:
            for column in free:
                change[column, part.values[column]] += part.now - part.before
                volume[column, part.values[column]] += part.now + part.before
        whole, size = _change(among), _volume(among)
        better = [
            value
            for value in change
            if not cell
            or (change[value] / whole >= _NEARLY_ALL and volume[value] <= _NARROWER * size)
        ]
        if not better:
            break
        column, value = max(better, key=lambda v: (abs(change[v]), -volume[v], -within.index(v[0])))
        if not change[column, value]:
            break
        cell[column] = value
        among = [part for part in among if part.values[column] == value]
    return _without_idle(cell, parts)


def _without_idle(cell: Cell, parts: Sequence[Part]) -> Cell:
    """Only the values that narrow it."""
    size = _volume(part for part in parts if _has(part, cell))
    for column in [*cell]:
        others = {c: value for c, value in cell.items() if c != column}
        if others and _NARROWER * _volume(part for part in parts if _has(part, others)) <= size:
            cell = others
    return cell


def _rows(
    of: str,
    parts: Sequence[Part],
    apart: Sequence[tuple[Cell, Sequence[Part]]],
    columns: Sequence[str],
) -> Iterable[tuple[Any, ...]]:
    """What explains the change, the rest, and the whole."""
    if not parts:
        return
    whole = _change(parts)
    named = [(_told(cell, columns), *_sums(explained)) for cell, explained in apart]
    before, now = _sums(parts)
    if named:
        rest = before - sum(each[1] for each in named), now - sum(each[2] for each in named)
        named.append(("all else", *rest))
    for what, former, present in (*named, ("all", before, now)):
        change = present - former
        yield of, what, former, present, change, round(change / whole, 3) if whole else None


def _sums(parts: Iterable[Part]) -> tuple[int, int]:
    before, now = 0, 0
    for part in parts:
        before, now = before + part.before, now + part.now
    return before, now


def _told(cell: Cell, columns: Sequence[str]) -> str:
    values = ((columns[column], "(none)" if v is None else v) for column, v in cell.items())
    return ", ".join(f"{column}={value}" for column, value in values)


def _surprise(apart: Sequence[tuple[Cell, Sequence[Part]]]) -> float:
    """How far from chance the first one is, in standard deviations."""
    _, parts = apart[0]
    return abs(_change(parts)) / math.sqrt(_volume(parts) or 1)


def _has(part: Part, cell: Cell) -> bool:
    return all(part.values[column] == value for column, value in cell.items())


def _change(parts: Iterable[Part]) -> int:
    return sum(part.now - part.before for part in parts)


def _volume(parts: Iterable[Part]) -> int:
    return sum(part.now + part.before for part in parts)
