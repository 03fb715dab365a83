"""Bringing a database to the current schema."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
from psycopg import Connection, errors, sql

from footfall_exporters.postgres import locks
from footfall_exporters.postgres.connecting import SCHEMA, Unsuitable, connect_sync
from footfall_exporters.postgres.holding import busy
from footfall_exporters.postgres.views import in_the_way
from footfall_processors import OperatorError

HEAD = "0031"
PATIENT_S = 60.0
"""For how long somebody who changes or reads the schema is waited for."""
TURN_S = 2.0
"""For how long at once: whoever comes after a lock that is waited for has to wait as well."""
SCHEMAS = ("footfall", "reporting")
_LOCKING = replace(SCHEMA, in_transaction="0")
_MIGRATIONS = Path(__file__).with_name("migrations")
_VERSION_TABLE = """
    CREATE TABLE IF NOT EXISTS footfall.alembic_version (
        version_num varchar(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
    )
"""


class NewerSchema(OperatorError):
    """The database was migrated by a newer Footfall, which this one would not understand."""

    BETWEEN = ": "


def version(connection: Connection) -> str | None:
    """The schema's revision, None for an empty database."""
    if connection.execute("SELECT to_regclass('footfall.alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT version_num FROM footfall.alembic_version").fetchone()
    return str(row[0]) if row else None


def migrate(dsn: str, patience_s: float = PATIENT_S) -> tuple[str | None, str]:
    """Migrates to HEAD; other collectors that start at the same time wait.

    Args:
        dsn: Of the owner.
        patience_s: For how long others are waited for, in seconds.

    Returns:
        The revision before and after.

    Raises:
        NewerSchema: the database is ahead of this version.
        SchemaBusy: others have held the schema's lock, or what is changed, for so long.
        Unsuitable: the role lacks a right.
        psycopg.Error: Postgres refused.
    """
    with connect_sync(dsn, SCHEMA) as connection, connect_sync(dsn, _LOCKING) as lock:
        if refused := missing_right(connection):
            raise refused
        _make_lock(connection)
        _lock(lock, connection, patience_s)
        before = version(connection)
        if before is not None and before > HEAD:
            raise NewerSchema(
                f"the database has schema {before}, and this Footfall knows up to {HEAD}",
                "update Footfall",
            )
        if before != HEAD:
            _make_schema(connection, "reporting")
            _upgrade_in_turns(dsn, connection, patience_s, is_empty=before is None)
            connection.execute("COMMENT ON SCHEMA reporting IS NULL")  # its views are made anew
        return before, HEAD


def missing_right(connection: Connection) -> Unsuitable | None:
    """Which right to the database or its schemas this role lacks, with the GRANT that gives it."""
    role, database = sql.Identifier(connection.info.user), sql.Identifier(connection.info.dbname)
    foreign = connection.execute(
        "SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace"
        " WHERE nspname = ANY(%s) AND NOT pg_has_role(nspowner, 'USAGE')",
        [list(SCHEMAS)],
    ).fetchone()
    if foreign is not None:
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(foreign[1]), role)
        return Unsuitable(
            f"the schema {foreign[0]} belongs to the role {foreign[1]}",
            f"connect as that role, or run as a superuser: {grant.as_string(None)}",
        )
    may = connection.execute(
        "SELECT has_database_privilege(current_database(), 'CREATE')"
        " OR (SELECT count(*) FROM pg_namespace WHERE nspname = ANY(%s)) = %s",
        [list(SCHEMAS), len(SCHEMAS)],
    ).fetchone()
    if may == (True,):
        return None
    grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, role)
    return Unsuitable(
        f"the role {connection.info.user} may not make schemas in the database {connection.info.dbname}",
        f"run as the database's owner: {grant.as_string(None)}",
    )


def _make_schema(connection: Connection, schema: str) -> None:
    """Only where it is missing: what may be in it already takes no right to make it."""
    if connection.execute("SELECT to_regnamespace(%s)", [schema]).fetchone() == (None,):
        with suppress(errors.DuplicateSchema, errors.UniqueViolation):  # another has made it
            connection.execute(f"CREATE SCHEMA {schema}")


def _make_lock(connection: Connection) -> None:
    _make_schema(connection, "footfall")
    found = connection.execute("SELECT to_regclass(%s)", [f"footfall.{locks.SCHEMA}"]).fetchone()
    if found == (None,):
        # Whoever makes it at the same moment may be seen by its table, its row, or the type of its rows.
        with suppress(errors.DuplicateTable, errors.DuplicateObject, errors.UniqueViolation):
            connection.execute(locks.making(locks.SCHEMA))


def _lock(lock: Connection, connection: Connection, patience_s: float) -> None:
    """Takes the schema's lock, which ends with its connection."""
    lock.execute("SELECT set_config('lock_timeout', %s, false)", [f"{patience_s * 1000:.0f}ms"])
    lock.execute("BEGIN")
    try:
        lock.execute(locks.taking(locks.SCHEMA))
    except errors.LockNotAvailable:
        raise busy(connection, patience_s) from None


def _upgrade_in_turns(
    dsn: str, connection: Connection, patience_s: float, *, is_empty: bool
) -> None:
    """A reader of what is to be changed is waited for in short turns, so that others read meanwhile."""
    begun, turn_s = time.monotonic(), min(TURN_S, patience_s)
    with ExitStack() as stack:
        upgrade: Callable[[str, float], None] = _make
        if not is_empty:
            upgrade = _upgrade if "alembic" in sys.modules else _apart(stack)
        while True:
            try:
                upgrade(dsn, turn_s)
            except errors.DependentObjectsStillExist:
                raise in_the_way(connection) from None
            except psycopg.errors.LockNotAvailable:
                if (waited := time.monotonic() - begun) > patience_s:
                    raise busy(connection, waited) from None
                time.sleep(0.5)
            else:
                return


def _apart(stack: ExitStack) -> Callable[[str, float], None]:
    """`_upgrade` in a process that ends with its work: Alembic and SQLAlchemy take 0.5 s and 30 MB."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    process = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
    return lambda dsn, turn_s: process.submit(_upgrade, dsn, turn_s).result()


def _connected(dsn: str, turn_s: float) -> Connection:
    connection = connect_sync(dsn, SCHEMA)
    connection.execute(f"SET lock_timeout = {turn_s * 1000:.0f}")
    connection.autocommit = False
    return connection


def _make(dsn: str, turn_s: float) -> None:
    """All that `_upgrade` does with an empty database, without waiting for a process that has Alembic."""
    with _connected(dsn, turn_s) as connection:
        connection.execute(_VERSION_TABLE)
        for file in sorted(_MIGRATIONS.glob("versions/*.sql")):
            connection.execute(file.read_text(encoding="utf-8"))
        connection.execute("INSERT INTO footfall.alembic_version VALUES (%s)", [HEAD])


def _upgrade(dsn: str, turn_s: float) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    creator = partial(_connected, dsn, turn_s)
    engine = create_engine("postgresql+psycopg://", creator=creator, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except DBAPIError as error:
        raise (error.orig or error) from None  # Postgres' own, which can be told from others
    finally:
        engine.dispose()
