"""A database as an earlier Footfall leaves it."""

from importlib.resources import files

import psycopg

from footfall_exporters.postgres import locks, roles
from footfall_exporters.postgres.schema import columns


def make_former(dsn, catalog, revision):
    """Gives an empty database the schema of a revision, and what takes this catalog's events there."""
    versions = files("footfall_exporters.postgres") / "migrations" / "versions"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA footfall")
        connection.execute("CREATE SCHEMA reporting")
        for file in sorted(versions.iterdir(), key=lambda file: file.name):
            if file.name.endswith(".sql") and file.name[1:5] <= revision:
                connection.execute(file.read_text())
        for lock in (locks.SCHEMA, locks.TURN, locks.HOUSE):
            connection.execute(locks.making(lock))
        connection.execute("CREATE TABLE footfall.alembic_version (version_num text PRIMARY KEY)")
        connection.execute("INSERT INTO footfall.alembic_version VALUES (%s)", [revision])
        for column in columns(catalog):
            connection.execute(
                f"ALTER TABLE footfall.{column.table} ADD {column.name} {column.sql_type}"
            )
            connection.execute(
                "INSERT INTO footfall.catalog_columns VALUES (%s, %s, %s, %s, '')",
                [column.attribute, column.table, column.name, column.hash],
            )
        roles.grant_writer(connection)
