"""What Postgres gives to everybody, and so to the readers: taken back where the database is Footfall's alone.

`PUBLIC` may make temporary tables in every database, large objects, and messages in the write-ahead log: a
reader could fill the disk. What belongs to PUBLIC cannot be taken from one role, so where others have
something in the database it is theirs to decide, and `footfall doctor` says what is left (docs/security.md,
"What a reader reaches besides").
"""

import psycopg
from psycopg import sql

from footfall_exporters.postgres import locks
from footfall_exporters.postgres.views import READER

_ALONE = """
    SELECT pg_has_role(d.datdba, 'USAGE'), (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    FROM pg_database d WHERE d.datname = current_database()
    AND NOT EXISTS (SELECT FROM pg_namespace WHERE nspname !~ '^pg_'
                    AND nspname NOT IN ('footfall', 'reporting', 'public', 'information_schema'))
    AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('public'))
    AND NOT EXISTS (SELECT FROM pg_largeobject_metadata)
"""
_TEMPORARY = """
    SELECT FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS a
    WHERE datname = current_database() AND a.grantee = 0 AND a.privilege_type = 'TEMPORARY'
"""
_WRITING = (
    "lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)",
    "pg_logical_emit_message(boolean, text, text)", "pg_logical_emit_message(boolean, text, bytea)",
    "pg_logical_emit_message(boolean, text, text, boolean)",
    "pg_logical_emit_message(boolean, text, bytea, boolean)",
)  # fmt: skip
"""What makes a large object, or a message in the write-ahead log (from 17 on with a fourth argument)."""
_MAKING = """
    SELECT p FROM unnest(%s::text[]) AS p
    WHERE EXISTS (SELECT FROM pg_proc f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS a
                  WHERE f.oid = to_regprocedure('pg_catalog.' || p) AND a.grantee = 0)
"""
_REACHED = """
    SELECT has_database_privilege(r.oid, current_database(), 'TEMPORARY'),
           has_function_privilege(r.oid, 'pg_catalog.lo_create(oid)', 'EXECUTE'),
           (SELECT count(*) FROM pg_database d WHERE d.datallowconn AND d.datname <> current_database()
            AND has_database_privilege(r.oid, d.oid, 'CONNECT'))
    FROM pg_roles r WHERE r.rolname = %s
"""


def confine(connection: psycopg.Connection) -> None:
    """Takes from PUBLIC what nobody needs, as far as this role may, where nobody else has tables.

    Args:
        connection: The owner's, in autocommit mode.

    Raises:
        psycopg.Error: Postgres refused.
    """
    with connection.transaction():
        connection.execute(locks.taking(locks.SCHEMA))  # two that change rights at once would fail
        alone = connection.execute(_ALONE).fetchone()
        if alone is not None:
            _take_back(connection, *alone)


def _take_back(connection: psycopg.Connection, owns: bool, is_superuser: bool) -> None:
    if owns and connection.execute(_TEMPORARY).fetchone() is not None:
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(database))
    if is_superuser:
        for (function,) in connection.execute(_MAKING, [list(_WRITING)]).fetchall():
            connection.execute(f"REVOKE EXECUTE ON FUNCTION pg_catalog.{function} FROM PUBLIC")


def reached(connection: psycopg.Connection) -> list[str] | None:
    """What READER can do besides reading `reporting`, in words; None where there is no such role.

    Raises:
        psycopg.Error: Postgres refused.
    """
    row = connection.execute(_REACHED, [READER]).fetchone()
    if row is None:
        return None
    temporary, large, databases = row
    return [
        *(["make temporary tables"] if temporary else []),
        *(["make large objects"] if large else []),
        *([f"connect to other databases of this server ({databases})"] if databases else []),
    ]
