"""What a database has of what reports ask: its views, how far it is, and since when."""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection

from footfall_exporters.postgres.asking import NotThere
from footfall_processors import OperatorError

VIEWS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = to_regnamespace('reporting') AND c.relkind = 'v' AND a.attnum > 0
    ORDER BY c.relname, a.attnum
"""
"""What `by_view` takes."""
_MISSING = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
)
_FRESHNESS = """
    SELECT position, committed_at, erased, observed_from, clock_timestamp() FROM reporting.freshness
"""


class OtherViews(OperatorError):
    """The views of the database are not those that this version asks."""

    def __init__(self) -> None:
        super().__init__(
            "the views of this database are those of another version of Footfall",
            "run `footfall migrate`, or restart the collector, with the newer one of both",
        )

    def __reduce__(self) -> tuple[type["OtherViews"], tuple[()]]:
        return type(self), ()


@contextmanager
def of_this_version() -> Iterator[None]:
    """Whatever is asked within it.

    Raises:
        OtherViews: the database lacks something that this version asks for.
    """
    try:
        yield
    except _MISSING:
        raise OtherViews from None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a store is.

    Attributes:
        position: How many commits there were.
        committed_at: When the last one was; None where none is remembered.
        erased: How many observations were erased because somebody asked for it.
        observed_from: The first day of which all single observations are stored; None: none was dropped.
        now: By Postgres' clock.
    """

    position: int
    committed_at: dt.datetime | None
    erased: int
    observed_from: dt.date | None
    now: dt.datetime


def views_of(connection: Connection) -> dict[str, dict[str, str]]:
    """The views of `reporting`: of each its columns with their types.

    Raises:
        NotThere: there are none.
    """
    views = by_view(connection.execute(VIEWS).fetchall())
    if not views:
        raise NotThere(
            "this database holds nothing of Footfall yet",
            "run `footfall up` (or `footfall migrate`)",
        )
    return views


def by_view(found: Iterable[tuple[Any, ...]]) -> dict[str, dict[str, str]]:
    """Of each view its columns with their types."""
    views: dict[str, dict[str, str]] = {}
    for view, column, of in found:
        views.setdefault(view, {})[column] = of
    return views


def freshness(connection: Connection) -> Freshness:
    """How far the store is.

    Raises:
        OtherViews: the database does not tell.
        psycopg.Error: Postgres refused.
    """
    with of_this_version():
        row = connection.execute(_FRESHNESS).fetchone()
    if row is None:
        raise OtherViews
    return Freshness(*row)


def first_day(connection: Connection) -> dt.date | None:
    """The day (UTC) on which what is stored begins; None: nothing is.

    Raises:
        OtherViews: the database does not tell.
        psycopg.Error: Postgres refused.
    """
    with of_this_version():
        row = connection.execute("SELECT min(day) FROM reporting.usage_by_day").fetchone()
    return row[0] if row else None


def why_empty(connection: Connection, until: dt.datetime | None) -> str | None:
    """What is said of a period up to some time in which there is nothing; None: nothing fits.

    Raises:
        OtherViews: the database does not tell.
        psycopg.Error: Postgres refused.
    """
    first = first_day(connection)
    if first is None:
        return "no event is stored yet"
    if until is not None and until.date() <= first:
        return f"what is stored begins on {first}"
    return None
