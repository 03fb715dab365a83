"""Bringing a database to the current schema (DESIGN, "Migrations")."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psycopg

HEAD = "0007"
LOCK = 0x466F6F7466616C6C
"""Key of the advisory lock under which the schema is changed ("Footfall" in ASCII)."""
PATIENT_S = 60


class NewerSchema(Exception):  # what it is
    """The database was migrated by a newer Footfall, which this one would not understand."""


class SchemaBusy(Exception):  # what it is
    """Somebody else has been changing the schema for long, or waits for a reader to do so."""


def version(connection: psycopg.Connection) -> str | None:
    """The schema's revision, None for an empty database."""
    if connection.execute("SELECT to_regclass('footfall.alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT version_num FROM footfall.alembic_version").fetchone()
    return str(row[0]) if row else None


def migrate(dsn: str) -> tuple[str | None, str]:
    """Migrates to HEAD; other collectors that start at the same time wait.

    Returns:
        The revision before and after.

    Raises:
        NewerSchema: the database is ahead of this version.
        SchemaBusy: another collector has held the schema's lock for a minute.
        psycopg.Error: Postgres refused.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        _lock(connection)
        before = version(connection)
        if before is not None and before > HEAD:
            raise NewerSchema(
                f"the database has schema {before}, and this Footfall knows up to {HEAD}: update Footfall"
            )
        if before != HEAD:
            connection.execute("CREATE SCHEMA IF NOT EXISTS footfall")
            connection.execute("CREATE SCHEMA IF NOT EXISTS reporting")
            # Alembic and SQLAlchemy take 0.5 s and 30 MB: in a process that ends with its work.
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                process.submit(_upgrade, dsn).result()
        return before, HEAD


def _lock(connection: psycopg.Connection) -> None:
    connection.execute(f"SET lock_timeout = '{PATIENT_S}s'")
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    except psycopg.errors.LockNotAvailable:
        raise SchemaBusy(
            f"another collector has been changing the schema for more than {PATIENT_S} s, or waits for a long"
            " report to end: see pg_stat_activity, then try again"
        ) from None


def _upgrade(dsn: str) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except DBAPIError as error:
        raise error.orig or error from None
    engine.dispose()
