"""Sessions that are in the way of a change, as an operator is told of them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from footfall_processors import OperatorError


class SchemaConflict(OperatorError):
    """An attribute's column exists otherwise, from an earlier catalog or another product; or a view does."""


PREPARED = """(
    SELECT x.gid, x.prepared, x.database, t.virtualtransaction
    FROM pg_prepared_xacts x JOIN pg_locks t ON t.transactionid = x.transaction
    WHERE t.pid IS NULL AND t.locktype = 'transactionid' AND t.granted
) AS p"""
"""Transactions that were prepared, by what pg_locks calls them: they have no process."""
LOCKS = f"""
    pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
    LEFT JOIN {PREPARED} ON l.pid IS NULL AND p.virtualtransaction = l.virtualtransaction
"""
"""Each lock with whose it is."""
HOLDER = "l.pid, coalesce(a.application_name, p.gid), a.state, coalesce(a.xact_start, p.prepared)"
"""The columns of it that make a `Holder`."""
_HOLDERS = f"""
    SELECT DISTINCT {HOLDER} FROM {LOCKS}
    WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.relation IN (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE n.nspname IN ('footfall', 'reporting')
                       AND (c.relname = 'lock_schema' OR c.relname NOT LIKE 'lock\\_%%'))
    AND coalesce(coalesce(a.xact_start, p.prepared) < clock_timestamp() - make_interval(secs => %s), true)
    ORDER BY 4, 1
"""  # noqa: S608  # constants
"""Who holds a table, a view or the schema's lock in a transaction that is older than the wait for it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that holds what others wait for, without what this role may not see.

    Or a transaction that was prepared for a two-phase commit, which lasts until somebody ends it.

    Attributes:
        pid: Of its server process; a prepared transaction has none.
        application: Its `application_name`, or the identifier of a prepared transaction.
        state: What it does.
        since: When its transaction began, or was prepared.
    """

    pid: int | None
    application: str
    state: str | None
    since: dt.datetime | None

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        if self.pid is None:
            return f"the prepared transaction {self.application}{since} (ROLLBACK PREPARED)"
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
