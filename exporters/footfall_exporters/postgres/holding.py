"""Sessions that are in the way of a change, as an operator is told of them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from footfall_processors import OperatorError


class SchemaConflict(OperatorError):
    """An attribute's column exists otherwise, from an earlier catalog or another product; or a view does."""


_HOLDERS = """
    SELECT DISTINCT l.pid, a.application_name, a.state, a.xact_start
    FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
    WHERE l.granted AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.relation IN (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE n.nspname IN ('footfall', 'reporting')
                       AND (c.relname = 'lock_schema' OR c.relname NOT LIKE 'lock\\_%%'))
    AND coalesce(a.xact_start < clock_timestamp() - make_interval(secs => %s), true)
    ORDER BY a.xact_start, l.pid
"""
"""Who holds a table, a view or the schema's lock in a transaction that is older than the wait for it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that holds what others wait for; without what this role may not see.

    Attributes:
        pid: Of its server process.
        application: Its `application_name`.
        state: What it does.
        since: When its transaction began.
    """

    pid: int
    application: str
    state: str | None
    since: dt.datetime | None

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return (
            f"process {self.pid} ({self.application or 'no name'}, {self.state or 'unseen'}{since})"
        )


class SchemaBusy(OperatorError):
    """Somebody else has been changing the schema for long, or reads what is to be changed.

    Args:
        waited_s: For how long it was tried, in seconds.
        holders: Who was in the way all the time.
    """

    BETWEEN = ": "

    def __init__(self, waited_s: float, holders: Sequence[Holder]) -> None:
        held = " and ".join(map(str, holders)) or "nobody who can be seen now"
        super().__init__(
            f"the schema could not be changed in {waited_s:.1f} s, it is held by {held}",
            "end what holds it, or wait for its end, and try again",
        )
        self.waited_s, self.holders = waited_s, tuple(holders)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.waited_s, self.holders)


def busy(connection: psycopg.Connection, waited_s: float) -> SchemaBusy:
    """What is said when a lock could not be had.

    Args:
        connection: In autocommit mode.
        waited_s: For how long it was tried, in seconds.

    Raises:
        psycopg.Error: Postgres does not answer.
    """
    found = connection.execute(_HOLDERS, [waited_s]).fetchall()
    return SchemaBusy(waited_s, [Holder(*row) for row in found])
