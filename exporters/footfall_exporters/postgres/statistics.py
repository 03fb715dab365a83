"""Columns of which Postgres keeps no statistics: samples of what they hold (ADR 21).

`ANALYZE`, which autovacuum runs by itself, copies values into pg_statistic: a table that is logged, in every
base backup, and shown by pg_stats long after the rows are gone. So what is a secret, stands for somebody, or
may be somebody's text has none: not on a partitioned table, nor on any of its partitions, nor as part of an
index over an expression or of an extended statistic.
"""

import logging
from collections.abc import Sequence

import psycopg
from psycopg import Connection, errors

log = logging.getLogger("footfall.postgres")
PATIENCE = "2s"
"""For a lock on pg_statistic, which whoever plans a query waits behind."""
_TEXTS = (
    "('feature_dims', 'service'), ('feature_dims', 'service_version'), ('feature_dims', 'environment'),"
    " ('refused_daily', 'key'), ('refused_daily', 'service'),"
    " ('ratings', 'prompt'), ('ratings', 'version'), ('ratings', 'note'),"
    " ('rating_totals', 'prompt'), ('annotations', 'text'), ('annotations', 'product'),"
    " ('annotations', 'version')"
)
_FIXED = "'time', 'batch_id', 'ordinal', 'dim_id', 'quantity', 'duration_ms', 'sample_rate'"
_COLUMNS = f"""
    SELECT c.oid AS relation, c.relname, a.attname, a.attnum,
           format('%s TYPE %s', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod)) AS same,
           coalesce(a.attstattarget, -1) <> 0 AS wanted,
           EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = 'footfall' AND s.tablename = c.relname
                   AND s.attname = a.attname) AS kept
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'footfall'::regnamespace AND c.relkind IN ('r', 'p')
    AND a.attnum > 0 AND NOT a.attisdropped
    AND (a.atttypid IN ('uuid'::regtype, 'bytea'::regtype) OR (c.relname, a.attname) IN (VALUES {_TEXTS})
         OR (c.relname ~ '^feature_events(_[0-9]{{8}})?$' AND a.attname NOT IN ({_FIXED})))
"""  # noqa: S608  # constants
"""Every such column: keys, salts, hashes, what a catalog makes of observations, names that senders choose."""
_EXPRESSIONS = """
    SELECT x.oid AS relation, x.relname, a.attname, a.attnum,
           coalesce(a.attstattarget, -1) <> 0 AS wanted,
           EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = 'footfall' AND s.tablename = x.relname
                   AND s.attname = a.attname) AS kept
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = x.oid AND i.indkey[a.attnum - 1] = 0
    WHERE t.relnamespace = 'footfall'::regnamespace AND i.indexprs IS NOT NULL
    AND x.relname !~ '^feature_events_[0-9]{8}_seconds$'
"""
"""Of indexes, but for that of the seconds of observations (partitions.py): times have statistics as well.
It goes by its name, for Postgres waits for who drops a day before it says what an expression of it is."""
_EXTENDED = f"""
    SELECT e.oid, format('%I.%I', n.nspname, e.stxname) AS name
    FROM pg_statistic_ext e JOIN pg_namespace n ON n.oid = e.stxnamespace
    JOIN pg_class c ON c.oid = e.stxrelid
    WHERE c.relnamespace = 'footfall'::regnamespace
    AND (e.stxexprs IS NOT NULL OR EXISTS (
        SELECT FROM ({_COLUMNS}) AS p WHERE p.relation = e.stxrelid AND p.attnum = ANY(e.stxkeys)))
"""  # noqa: S608  # constants
SILENCE = f"""
    DO $$ DECLARE each record; BEGIN
    FOR each IN SELECT * FROM ({_COLUMNS}) AS p WHERE wanted LOOP
        EXECUTE format('ALTER TABLE ONLY %s ALTER COLUMN %I SET STATISTICS 0',
                       each.relation::regclass, each.attname);
    END LOOP;
    FOR each IN SELECT * FROM ({_EXPRESSIONS}) AS p WHERE wanted LOOP
        EXECUTE format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS 0',
                       each.relation::regclass, each.attnum);
    END LOOP;
    END $$
"""  # noqa: S608  # constants
"""Has none kept from now on; to be run wherever a table or a column is made, in the same transaction."""
_FORGET = f"""
    DO $$ DECLARE each record; BEGIN
    FOR each IN SELECT name FROM ({_EXTENDED}) AS e JOIN pg_statistic_ext x USING (oid)
                WHERE pg_has_role(x.stxowner, 'USAGE') LOOP
        EXECUTE format('DROP STATISTICS %s', each.name);
    END LOOP;
    FOR each IN SELECT coalesce(pg_partition_root(relation), relation)::regclass AS relation,
                       string_agg(DISTINCT 'ALTER COLUMN ' || same, ', ') AS same
                FROM ({_COLUMNS}) AS p WHERE kept GROUP BY 1 LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s %s', each.relation, each.same);
        EXCEPTION WHEN feature_not_supported THEN
            IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                DELETE FROM pg_catalog.pg_statistic s USING ({_COLUMNS}) AS p
                WHERE p.kept AND s.starelid = p.relation AND s.staattnum = p.attnum
                AND coalesce(pg_partition_root(p.relation), p.relation) = each.relation;
            END IF;
        END;
    END LOOP;
    FOR each IN SELECT DISTINCT root::regclass AS index,
                       replace(pg_get_indexdef(root), ' ON ONLY ', ' ON ') AS made
                FROM ({_EXPRESSIONS}) AS p, coalesce(pg_partition_root(relation), relation) AS root
                WHERE kept LOOP
        EXECUTE format('DROP INDEX %s', each.index);
        EXECUTE each.made;
    END LOOP;
    END $$
"""  # noqa: S608  # constants
"""A column that is given a type, be it its own, loses its statistics; no table is written anew for that.
Where somebody else's view forbids it, a superuser takes the rows away; else they stay, and doctor says so."""


def silence(connection: Connection, drop_views: str) -> bool:
    """Sees to it that no private column has statistics; whether some had.

    Args:
        connection: In a transaction that holds the schema's lock, as the owner.
        drop_views: What drops the views that read such columns; run only where it must be.

    Raises:
        psycopg.Error: Postgres refused, or somebody reads what is changed.
    """
    connection.execute(SILENCE)
    had = bool(found(connection))
    if had:
        connection.execute(drop_views)
        connection.execute(_FORGET)
        connection.execute(SILENCE)  # of the indexes that were made anew
    return had


def rewrite_catalog(connection: Connection) -> None:
    """Writes pg_statistic anew, so that none of its pages holds what was removed.

    A role that owns neither the database nor the server may not; then it goes when autovacuum comes.

    Args:
        connection: In autocommit mode.
    """
    before = connection.execute("SHOW lock_timeout").fetchone()
    connection.execute(f"SET lock_timeout = '{PATIENCE}'")
    try:
        connection.execute("VACUUM (FULL) pg_catalog.pg_statistic")
    except errors.LockNotAvailable:
        log.warning("pg_statistic is in use: its old pages stay until it is vacuumed")
    finally:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", before)


def found(connection: psycopg.Connection) -> Sequence[str]:
    """Private columns, expressions of indexes and extended statistics of which values are or will be kept.

    Raises:
        psycopg.Error: Postgres refused.
    """
    rows = connection.execute(
        f"SELECT relname || '.' || attname FROM ({_COLUMNS}) AS p WHERE wanted OR kept"  # noqa: S608
        f" UNION SELECT relname || '.' || attname FROM ({_EXPRESSIONS}) AS p WHERE wanted OR kept"
        f" UNION SELECT name FROM ({_EXTENDED}) AS e ORDER BY 1"
    ).fetchall()
    return [name for (name,) in rows]
