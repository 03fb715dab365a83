"""The `reporting` schema: what an operator, Grafana and the reports may read (ADR 2, ADR 22).

Each view is a file: what it says of itself, and its statement. Plain columns, exact counts, distinct counts;
never an identity column, hashed or not. The views are made anew when the catalog changes, because its enums
and values are columns of theirs; the comment of the schema says which they are.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from footfall_exporters.postgres import bounds, glossary
from footfall_exporters.postgres.daily import COUNTED, STALE
from footfall_exporters.postgres.erasing import ERASED
from footfall_exporters.postgres.holding import SchemaConflict
from footfall_exporters.postgres.latency import HOURS, UNFILLED
from footfall_exporters.postgres.publishing import OTHER
from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.refused import BY_STORE, COME_AGAIN

READER = "footfall_reader"
"""The role that may read `reporting` and nothing else."""
PUBLIC = "footfall_public"
"""The role that may read what is published, and nothing else."""
_VERSION = "Footfall's views, version "
_FOLDER: Final = Path(__file__).parent


def _read(file: Path) -> tuple[str, str]:
    """What a view says of itself, the comment at the beginning of its file, and its statement."""
    lines = file.read_text(encoding="utf-8").splitlines()
    said = [
        line.removeprefix("-- ") for line in takewhile(lambda line: line.startswith("--"), lines)
    ]
    return " ".join(said), "\n".join(lines[len(said) :])


_CALLED = """
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace IN ('footfall'::regnamespace, 'reporting'::regnamespace) AND NOT prosecdef
    AND NOT has_function_privilege(%s, oid, 'EXECUTE') ORDER BY 1
"""
"""What a role may not call, though that gives nobody a right: everybody may, unless the database's owner has
taken that from PUBLIC (ALTER DEFAULT PRIVILEGES). The views call some of it with the rights of who asks."""
_VIEWS: Final = {file.stem: _read(file) for file in sorted(_FOLDER.glob("*.sql"))}
STEPS = ("second", "minute", "hour")
"""To which times of single observations may be cut."""
_SENDER = "d.service, d.service_version, d.environment, d.relayed_from, d.telemetry_distro"
"""Whom a tally is held against: all that is known of who sent something, and through whose hands."""
_ROW_KEY = "(SELECT secret FROM footfall.secrets WHERE name = 'rows')"
_OPERATOR = "pg_has_role((SELECT nspowner FROM pg_namespace WHERE nspname = 'footfall'), 'USAGE')"
"""Whether who asks is the owner, or may become it."""
FEWEST = 5
"""Distinct groups, and ratings, that are shown to anybody else."""
DROP_VIEWS = "DROP VIEW IF EXISTS " + ", ".join(f"reporting.{name}" for name in _VIEWS)


def create_views(connection: psycopg.Connection, event_time: str = "second") -> None:
    """Makes the reporting views, where they have changed, and lets READER read them, where that role exists.

    Making one anew needs a lock that whoever reads it holds: a collector that starts must not wait for that.

    Args:
        connection: In a transaction that holds the schema's lock, as the owner.
        event_time: To which unit the times of single observations are cut: second, minute or hour.
    """
    rows = connection.execute(
        "SELECT c.table_name, c.column_name, c.hash IS NOT NULL OR a.atttypid = 'uuid'::regtype"
        " FROM footfall.catalog_columns c JOIN pg_attribute a ON a.attname = c.column_name"
        " AND a.attrelid = to_regclass('footfall.' || c.table_name) AND NOT a.attisdropped"
        " ORDER BY c.attribute"
    ).fetchall()
    dims = [c for table, c, _ in rows if table == "feature_dims"]
    dims = [c for c in dims if c not in ("emitted_event", "drop_reason")]
    values = [c for table, c, identifies in rows if table == "feature_events" and not identifies]
    low, high = bounds.share("i.failures", "i.ends")
    parts = {
        "failures_low": sql.SQL(low),
        "failures_high": sql.SQL(high),
        "sender": sql.SQL(_SENDER),
        "dims": _list("d", dims),
        "values": _list("e", values),
        "row_key": sql.SQL(_ROW_KEY),
        "created_at": created_at(sql.Identifier("e", "time"), event_time),
        "day": day_bucket(sql.Identifier("e", "time")),
        "unfilled": sql.SQL(UNFILLED),
        "hours": sql.Literal(f"{HOURS.days} days"),
        "stale": sql.SQL(STALE),
        "counted": sql.SQL(COUNTED),
        "adoption": sql.SQL(query("adoption")),
        "fewest": sql.Literal(FEWEST),
        "operator": sql.SQL(_OPERATOR),
        "ratings": _ratings(),
        "come_again": sql.SQL(", ").join(map(sql.Literal, COME_AGAIN)),
        "by_store": sql.Literal(BY_STORE),
        "erased": sql.Literal(ERASED),
        "other": sql.Literal(OTHER),
    }
    bodies = {
        name: sql.SQL(body).format(**parts).as_string(connection)
        for name, (_, body) in _VIEWS.items()
    }
    version = hashlib.sha256(json.dumps([_VIEWS, bodies]).encode()).hexdigest()[:16]
    if not _are_there(connection, version):
        _make_anew(connection, bodies)
        connection.execute(
            sql.SQL("COMMENT ON SCHEMA reporting IS {}").format(f"{_VERSION}{version}")
        )
    glossary.comment(connection, list(_VIEWS))
    _let_read(connection, READER, "ALL TABLES IN SCHEMA reporting")
    _let_read(connection, PUBLIC, "reporting.published, reporting.published_days")


def views_of_others(connection: psycopg.Connection) -> list[str]:
    """Views, materialized or not, that somebody has made of the reporting views, in order of their names."""
    return [
        name
        for (name,) in connection.execute(
            "SELECT DISTINCT r.ev_class::regclass::text FROM pg_depend d"
            " JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
            " JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid"
            " WHERE c.relnamespace = to_regnamespace('reporting') AND c.relname = ANY(%s)"
            " AND r.ev_class <> c.oid ORDER BY 1",
            [list(_VIEWS)],
        )
    ]


def _let_read(connection: psycopg.Connection, role: str, views: str) -> None:
    """Lets a role read, and call what the views call, where it exists."""
    found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    if found is not None:
        name = sql.Identifier(role)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA reporting TO {}").format(name))
        connection.execute(sql.SQL(f"GRANT SELECT ON {views} TO {{}}").format(name))  # a constant
        for (function,) in connection.execute(_CALLED, [role]).fetchall():
            connection.execute(
                sql.SQL(f"GRANT EXECUTE ON FUNCTION {function} TO {{}}").format(name)
            )


def in_the_way(connection: psycopg.Connection) -> SchemaConflict:
    """What is said where somebody's own views keep ours from being made anew."""
    theirs = ", ".join(views_of_others(connection))
    return SchemaConflict(
        f"the views in `reporting` have to be made anew, and {theirs} depends on one of them",
        "keep its definition (pg_get_viewdef), drop it, start, and make it again",
    )


def created_at(time: sql.Identifier, step: str) -> sql.Composed:
    """A time as it is shown. Partitions have a CHECK of this very expression, as of `day_bucket`."""
    return sql.SQL("date_bin(interval {}, {}, timestamptz 'epoch')").format(f"1 {step}", time)


def day_bucket(time: sql.Identifier) -> sql.Composed:
    """The day (UTC) of a time."""
    return sql.SQL("({} AT TIME ZONE 'UTC')::date").format(time)


def _are_there(connection: psycopg.Connection, version: str) -> bool:
    """Whether all views are there, as this version makes them."""
    return connection.execute(
        "SELECT obj_description(to_regnamespace('reporting'), 'pg_namespace') = %s AND (SELECT count(*)"
        " FROM pg_views WHERE schemaname = 'reporting' AND viewname = ANY(%s)) = %s",
        [f"{_VERSION}{version}", list(_VIEWS), len(_VIEWS)],
    ).fetchone() == (True,)


def _make_anew(connection: psycopg.Connection, bodies: Mapping[str, str]) -> None:
    for name, (comment, _) in _VIEWS.items():
        view = sql.Identifier("reporting", name)
        connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
        made = sql.SQL("CREATE VIEW {} WITH (security_barrier) AS ").format(view)
        connection.execute(made + sql.SQL(bodies[name]))
        connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, comment))


def _ratings() -> sql.Composed:
    """How many ratings there are, their average, and how many of each number of stars."""
    numbers = {"ratings": "count(*)", "average": "avg(rating)::float8"} | {
        f"stars_{stars}": f"count(*) FILTER (WHERE rating = {stars})" for stars in range(1, 6)
    }
    shown = sql.SQL("CASE WHEN count(*) >= {} OR {} THEN {} END AS {}")
    few, operator = sql.Literal(FEWEST), sql.SQL(_OPERATOR)
    return sql.SQL(", ").join(
        shown.format(few, operator, sql.SQL(number), sql.Identifier(name))
        for name, number in numbers.items()
    )


def _list(alias: str, names: Sequence[str]) -> sql.Composed:
    return sql.Composed([sql.SQL(", {}").format(sql.Identifier(alias, n)) for n in names])
