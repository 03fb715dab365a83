"""The catalog as columns and views: `events.yaml` is the schema (docs/design.md, "The store")."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from footfall_exporters.postgres import finding, locks
from footfall_exporters.postgres.declared import declare
from footfall_exporters.postgres.holding import SchemaConflict, busy
from footfall_exporters.postgres.migrate import PATIENT_S, TURN_S
from footfall_exporters.postgres.statistics import rewrite_catalog, silence
from footfall_exporters.postgres.views import DROP_VIEWS, create_views, in_the_way
from footfall_processors import Attribute, Catalog, Type, column_name
from footfall_processors.names import DURATION

DIMS, EVENTS = "feature_dims", "feature_events"
_SQL_TYPES = {
    Type.ENUM: "text",
    Type.INT: "bigint",
    Type.FLOAT: "double precision",
    Type.BOOL: "boolean",
    Type.STRING: "text",
    Type.UUID: "uuid",
}

_RECORD = """
    INSERT INTO footfall.catalog_columns AS c VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (attribute) DO UPDATE SET table_name = excluded.table_name,
        column_name = excluded.column_name, hash = excluded.hash, description = excluded.description,
        hash_changed_at = CASE WHEN c.hash IS DISTINCT FROM excluded.hash THEN clock_timestamp()
                               ELSE c.hash_changed_at END
    WHERE (c.table_name, c.column_name, c.hash, c.description)
        IS DISTINCT FROM (excluded.table_name, excluded.column_name, excluded.hash, excluded.description)
    RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class Column:
    """Where an attribute is stored."""

    attribute: str
    table: str
    name: str
    sql_type: str
    hash: str | None
    description: str


def columns(catalog: Catalog) -> list[Column]:
    """The columns that a catalog needs, sorted by attribute; the duration is a fixed column."""
    return [
        _column(name, attribute)
        for name, attribute in sorted(catalog.attributes.items())
        if name != DURATION
    ]


def _column(name: str, attribute: Attribute) -> Column:
    return Column(
        attribute=name,
        table=DIMS if attribute.type is Type.ENUM else EVENTS,
        name=column_name(name, attribute),
        sql_type="uuid" if attribute.hash else _SQL_TYPES[attribute.type],
        hash=attribute.hash,
        description=attribute.description,
    )


def apply_catalog(
    connection: psycopg.Connection,
    catalog: Catalog,
    patience_s: float = PATIENT_S,
    event_time: str = "second",
    found_by: Sequence[str] = (),
) -> list[str]:
    """Adds the columns that are missing, without statistics, and makes the reporting views show them.

    Args:
        connection: In autocommit mode.
        catalog: With its built-in attributes.
        patience_s: For how long others are waited for, in seconds.
        event_time: See `create_views`.
        found_by: Columns by which observations are found quickly.

    Returns:
        The columns that were added, as `table.column`.

    Raises:
        SchemaConflict: a column exists with another type or purpose, or somebody's own views are made of ones
            that have to be made anew; nothing was changed.
        SchemaBusy: others have held what is changed for so long.
        psycopg.Error: Postgres refused.
    """
    wanted = columns(catalog)
    begun, turn_s = time.monotonic(), min(TURN_S, patience_s)
    while True:
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {turn_s * 1000:.0f}")
                connection.execute(locks.taking(locks.SCHEMA))
                added = _add(connection, wanted)
                declare(connection, catalog)
                had_statistics = silence(connection, DROP_VIEWS)
                create_views(connection, event_time)
                finding.define(connection, found_by)
            if had_statistics:
                rewrite_catalog(connection)
            return added
        except psycopg.errors.DependentObjectsStillExist:
            raise in_the_way(connection) from None
        except psycopg.errors.LockNotAvailable:
            if (waited := time.monotonic() - begun) + turn_s > patience_s:
                raise busy(connection, waited) from None
            time.sleep(0.5)  # others have their turn


def _add(connection: psycopg.Connection, wanted: list[Column]) -> list[str]:
    present = {
        (table, name): kind
        for table, name, kind in connection.execute(
            "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod)"
            " FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid IN"
            " ('footfall.feature_dims'::regclass, 'footfall.feature_events'::regclass)"
        )
    }
    present = {(table.removeprefix("footfall."), name): k for (table, name), k in present.items()}
    conflicts = [
        f"attribute {c.attribute}: the catalog needs {c.sql_type}, but the column"
        f" {c.table}.{c.name} is {present[c.table, c.name]}"
        for c in wanted
        if present.get((c.table, c.name), c.sql_type) != c.sql_type
    ] + _exposed(connection, wanted)
    if conflicts:
        raise SchemaConflict("; ".join(conflicts) + ". Give the attribute another name.")
    missing = [c for c in wanted if (c.table, c.name) not in present]
    for column in missing:
        connection.execute(
            sql.SQL("ALTER TABLE footfall.{} ADD COLUMN {} {}").format(
                sql.Identifier(column.table), sql.Identifier(column.name), sql.SQL(column.sql_type)
            )
        )
    _describe(connection, wanted)
    return [f"{c.table}.{c.name}" for c in missing]


def _exposed(connection: psycopg.Connection, wanted: list[Column]) -> list[str]:
    """Columns that hold hashes for one attribute and would be shown in the reports for another."""
    recorded = connection.execute(
        "SELECT attribute, table_name, column_name, hash IS NOT NULL FROM footfall.catalog_columns"
    ).fetchall()
    return [
        f"attribute {c.attribute}: its column {c.table}.{c.name} is that of {attribute}, of which"
        f" {'only' if hashed else 'not'} a hash is kept"
        for c in wanted
        for attribute, table, name, hashed in recorded
        if (table, name) == (c.table, c.name) and hashed != (c.hash is not None)
    ]


def _describe(connection: psycopg.Connection, wanted: list[Column]) -> None:
    for column in wanted:
        recorded = connection.execute(
            _RECORD, [column.attribute, column.table, column.name, column.hash, column.description]
        ).fetchone()
        if recorded:
            connection.execute(
                sql.SQL("COMMENT ON COLUMN footfall.{}.{} IS {}").format(
                    sql.Identifier(column.table), sql.Identifier(column.name), column.description
                )
            )
