"""The reports: named SQL over the `reporting` views."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psycopg import Connection, sql

_FOLDER = Path(__file__).parent
REPORTS: Final = {
    "usage": "What was used",
    "errors": "What failed",
    "latency": "How long it took",
    "groups": "Active groups per day",
    "ratings": "How good the prompts are",
}
"""Name → title; the statement is in the file of that name."""


@dataclass(frozen=True, slots=True)
class Report:
    """A table.

    Attributes:
        name: One of REPORTS.
        since: Where the period begins, UTC.
        columns: Column names.
        rows: One tuple per row; values are str, int, float, date or None.
    """

    name: str
    since: dt.datetime
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries, for JSON."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def report(connection: Connection, name: str, days: int) -> Report:
    """Runs a report over the last `days` UTC days, today included.

    Args:
        connection: Of any role that may read `reporting`.
        name: One of REPORTS.
        days: 1 or more.

    Raises:
        psycopg.Error: Postgres refused, or the database was never migrated.
    """
    midnight = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - dt.timedelta(days=days - 1)
    return over(connection, name, since, midnight + dt.timedelta(days=2))  # clocks may be ahead


def over(connection: Connection, name: str, since: dt.datetime, until: dt.datetime) -> Report:
    """Runs a report over a period.

    Args:
        connection: Of any role that may read `reporting`.
        name: One of REPORTS.
        since: UTC; what is counted by hours or days is counted from the first one that begins then or later.
        until: UTC; what begins then or later does not count.

    Raises:
        psycopg.Error: Postgres refused, or the database was never migrated.
    """
    text = (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    query = sql.SQL(text).format(provider=_provider(connection)) if "{provider}" in text else text
    cursor = connection.execute(query, {"since": since, "until": until})
    columns = tuple(column.name for column in cursor.description or ())
    return Report(name, since, columns, cursor.fetchall())


def _provider(connection: Connection) -> sql.Composable:
    """The catalog's `provider` where it has one, else NULL."""
    found = connection.execute(
        "SELECT FROM pg_attribute WHERE attrelid = 'reporting.usage'::regclass"
        " AND attname = 'provider' AND NOT attisdropped"
    ).fetchone()
    return sql.SQL("provider" if found is not None else "NULL::text")
