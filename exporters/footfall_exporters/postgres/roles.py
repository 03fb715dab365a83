"""Least privilege: what each role of the database may do (docs/security.md, "The database").

| role | what it may do |
|---|---|
| the owner (the DSN's user) | everything in this database: migrations, housekeeping, subscribers |
| `footfall_writer` | what storing a request needs: it deletes nothing, reads no observation, no salt |
| `footfall_reader` | reads the views of `reporting` (views/) |
| `footfall_public` | reads those of what is published, and no other |

The roles are made by migrations 0001, 0003 and 0020, and by a restore, or by an administrator, if the owner
may not.
"""

from contextlib import suppress

import psycopg
from psycopg import AsyncConnection, errors, sql

from footfall_exporters.postgres import locks
from footfall_exporters.postgres.views import PUBLIC, READER

WRITER = "footfall_writer"
"""The role that the ingest connection takes on."""

_GRANTS = (
    "USAGE ON SCHEMA footfall",
    "USAGE ON SEQUENCE footfall.batch_ids",
    "UPDATE ON footfall.lock_turn",  # which is empty: to lock it
    # A COPY through the parent needs no right to a partition, whenever that was made.
    "INSERT ON footfall.feature_events",
    "SELECT, INSERT ON footfall.feature_dims",
    "SELECT, INSERT, UPDATE (count) ON footfall.feature_counts",
    "SELECT, INSERT, UPDATE (losses, repeats, accepted) ON footfall.ingest_batches",
    "SELECT, INSERT, UPDATE (value, time_us, beside, shared, seen_at) ON footfall.counter_series",
    "SELECT ON footfall.counter_epoch",
    "SELECT, INSERT ON footfall.span_ledger",
    "SELECT, INSERT, UPDATE (count) ON footfall.losses_daily",
    "SELECT, UPDATE (position, counted_from, counted_to) ON footfall.commit_clock",
    "INSERT ON footfall.commits",
    "SELECT, INSERT, UPDATE (ends_ms, used) ON footfall.rate_windows",
    "EXECUTE ON FUNCTION footfall.rate(json)",
    "SELECT, INSERT, UPDATE (last_seen, ended_at, ended_by) ON footfall.sessions",
    "SELECT ON footfall.session_state",
)
"""What statements.py, dims.py, counters.py, rates.py, ratings.py, sessions/signs.py do. No rating is read."""

_ASKED = """
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = 'footfall'::regnamespace AND prosecdef ORDER BY 1
"""
"""What has the owner's rights (finding.py); a restored database has none of its own grants."""
_ORDINARY = "SELECT FROM pg_roles WHERE rolname = current_user AND NOT rolsuper"
_MEMBER = (
    "CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END"
)
_BECOME = (
    "SELECT set_config('role', rolname, false) FROM pg_roles"  # noqa: S608  # a constant
    f" WHERE rolname = %s AND pg_has_role(session_user, oid, {_MEMBER})"
)


def make(connection: psycopg.Connection) -> None:
    """Makes the roles that are missing, as the migrations do, where the owner may.

    Raises:
        psycopg.Error: Postgres does not answer.
    """
    owner = sql.Identifier(connection.info.user)
    for role in map(sql.Identifier, (WRITER, READER, PUBLIC)):
        with suppress(errors.DuplicateObject, errors.InsufficientPrivilege):
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
        # A superuser need be no member of anything.
        if connection.execute(_ORDINARY).fetchone() is not None:
            with suppress(errors.UndefinedObject, errors.InsufficientPrivilege):
                connection.execute(sql.SQL("GRANT {} TO {}").format(role, owner))


def grant_writer(connection: psycopg.Connection) -> bool:
    """Lets WRITER do what it needs, and takes back all else; whether that role exists.

    Args:
        connection: The owner's, in autocommit mode.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [WRITER]).fetchone()
    if found is None:
        return False
    role = sql.Identifier(WRITER)
    with connection.transaction():
        # Two that change a table's rights at the same time would fail.
        connection.execute(locks.taking(locks.SCHEMA))
        for kind in ("TABLES", "SEQUENCES"):
            connection.execute(
                sql.SQL("REVOKE ALL ON ALL {} IN SCHEMA footfall FROM {}").format(
                    sql.SQL(kind), role
                )
            )
        for grant in _GRANTS:
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(grant), role))
        for (function,) in connection.execute(_ASKED).fetchall():
            connection.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
            connection.execute(
                sql.SQL(f"GRANT EXECUTE ON FUNCTION {function} TO {{}}").format(role)
            )
    return True


async def become_writer(connection: AsyncConnection) -> bool:
    """Takes on WRITER where the login role may; whether it did.

    Raises:
        psycopg.Error: Postgres refused.
    """
    return await (await connection.execute(_BECOME, [WRITER])).fetchone() is not None


def become_public(connection: psycopg.Connection) -> bool:
    """Takes on PUBLIC where the login role may; whether it did.

    Raises:
        psycopg.Error: Postgres refused.
    """
    return connection.execute(_BECOME, [PUBLIC]).fetchone() is not None
