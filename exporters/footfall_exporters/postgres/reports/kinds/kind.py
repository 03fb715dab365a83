"""What a report asks: a view of `reporting`, by what it counts, and its figures."""

from dataclasses import dataclass, field
from typing import LiteralString


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a group of rows.

    Attributes:
        name: Its column.
        value: SQL over the columns of the view.
        whole: Columns of the view that must not be mixed, because such figures cannot be added.
        adds: Whether figures of several days come to one of all of them by addition.
    """

    name: str
    value: LiteralString
    whole: frozenset[str] = frozenset()
    adds: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """What a report asks.

    Attributes:
        title: What it says, as a headline.
        view: Of `reporting`.
        time: The view's column of time, `hour`, `day` or `created_at`; empty where it is of all that is kept.
        by: The columns that it counts by, unless told otherwise; those that no catalog declares are NULL.
        measures: Its figures.
        lead: The figure by which it is put in order; the first one unless it says else.
        rising: Whether the least comes first, not the greatest.
        only: Which rows count.
        outcome: Columns that say how something ended: figures are of what failed, and its share among all
            that did end.
        mixes: Columns without which its figures have both beginnings and ends in them.
        listed: Whether it is in the order of names, unless it is asked by other columns or for some rows.
        columns_of: The view whose columns it may be asked by, where that has more that are nobody's business.
        hidden: Columns that it cannot be asked by.
        trend: The measure that is shown day by day.
        tallied: Whether the completeness of events says how complete it is.
        empty: What is to be said where there is nothing.
        summed: What is asked in place of single observations, where they are many or no longer stored.
        daily: The view that has the same by day, and answers faster.
        dated: The view that has the same by day, where a report of all that is kept is asked for a period, or
            by time.
        note: What is always said of its figures.
    """

    title: str
    view: str
    time: str
    by: tuple[str, ...]
    measures: tuple[Measure, ...]
    lead: str = ""
    rising: bool = False
    only: LiteralString = "true"
    outcome: frozenset[str] = frozenset()
    mixes: frozenset[str] = frozenset()
    listed: bool = False
    columns_of: str = ""
    hidden: frozenset[str] = field(default=frozenset({"event_id", "description"}))
    trend: str = ""
    tallied: bool = True
    empty: str = ""
    summed: "Kind | None" = None
    daily: str = ""
    dated: str = ""
    note: str = ""


def total(name: LiteralString, *whole: str) -> Measure:
    """A figure that is the sum of a column, which has its name."""
    return Measure(name, "sum(" + name + ")::bigint", frozenset(whole))


def kept(name: LiteralString, view: LiteralString, *whole: str) -> Measure:
    """A figure that is no sum of others: of a group of one row it is that row's."""
    return Measure(name, "max(" + view + ")", frozenset(whole), adds=False)
