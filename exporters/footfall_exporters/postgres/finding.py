"""How the observations of one pseudonym are found: by an index and a function of its column (R-number B2).

Which columns these are is said by the configuration, so that no migration makes them. A day gets its part of
the index when it is made; the days that are there already get theirs one by one, beside whoever stores. An
index of plain columns has no statistics (statistics.py).

The function has the owner's rights, since the writer reads no observation: it tells whoever knows a
pseudonym how often that did what, and nobody which pseudonyms there are.
"""

import hashlib
from collections.abc import Sequence

import psycopg
from psycopg import AsyncConnection, sql

_KEYS = "({column}, time) INCLUDE (dim_id, quantity) WHERE {column} IS NOT NULL"
_INDEX = f"CREATE INDEX IF NOT EXISTS {{index}} ON ONLY footfall.feature_events {_KEYS}"
_PART = f"CREATE INDEX CONCURRENTLY {{part}} ON {{day}} {_KEYS}"
_COUNTS = """
    CREATE OR REPLACE FUNCTION {name}(wanted uuid[], since timestamptz)
    RETURNS TABLE (event text, number bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
    SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
    AS $$ BEGIN
        RETURN QUERY
        SELECT d.event, sum(e.number)::bigint FROM (
            SELECT dim_id, sum(quantity) AS number FROM footfall.feature_events
            WHERE {column} = ANY(wanted) AND time >= since GROUP BY dim_id
        ) AS e JOIN footfall.feature_dims d ON d.id = e.dim_id GROUP BY d.event;
    END $$
"""
"""To plan it anew for every day, to compile it or to start processes would take longer than to count. The
plan must hold for days that were empty when it was made."""
_WITHOUT = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'footfall.feature_events'::regclass AND NOT i.inhdetachpending
    AND NOT EXISTS (
        SELECT FROM pg_index x JOIN pg_inherits part ON part.inhrelid = x.indexrelid
        WHERE x.indrelid = c.oid
        AND part.inhparent = to_regclass('footfall.' || quote_ident(%s))
    ) ORDER BY c.relname DESC
"""
_UNSEEN = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
    WHERE i.inhparent = 'footfall.feature_events'::regclass AND NOT i.inhdetachpending
    AND c.relname < 'feature_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')
    AND c.relallvisible < pg_relation_size(c.oid) / current_setting('block_size')::bigint * 0.98
    AND coalesce(s.last_vacuum < now() - interval '1 hour', true)
    ORDER BY c.relname DESC
"""
"""Days that are over of which a part was stored after the last vacuum: autovacuum leaves up to a sixth."""
_IS_VALID = (
    "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('footfall.' || quote_ident(%s))"
)


def name_of(column: str) -> str:
    """What the index and the function of a column are called, in schema `footfall`."""
    return f"by_{column}"


def define(connection: psycopg.Connection, columns: Sequence[str]) -> None:
    """Makes the function of each of these columns, and what days to come take their index from.

    Args:
        connection: In a transaction that holds the schema's lock, as the owner.
        columns: Of `feature_events`, with hashes.

    Raises:
        psycopg.errors.LockNotAvailable: somebody stores for longer than `lock_timeout`.
    """
    for column in columns:
        name = name_of(column)
        parts = {
            "index": sql.Identifier(name),
            "name": sql.Identifier("footfall", name),
            "column": sql.Identifier(column),
        }
        for statement in (
            _INDEX,
            _COUNTS,
            "REVOKE ALL ON FUNCTION {name}(uuid[], timestamptz) FROM PUBLIC",
        ):
            connection.execute(sql.SQL(statement).format(**parts))


async def build(connection: AsyncConnection, columns: Sequence[str]) -> int:
    """Gives the days that have none yet their part of the index, the newest first; how many got one.

    Args:
        connection: In autocommit mode, as the owner. Whoever calls it keeps house.
        columns: That were `define`d.

    Raises:
        psycopg.errors.LockNotAvailable: somebody reads or stores for longer than `lock_timeout`; what is left
            of the part is made anew by the next call.
    """
    built = 0
    for column in columns:
        index = name_of(column)
        found = await connection.execute(_WITHOUT, [index])
        for (day,) in await found.fetchall():
            await _build(connection, day, column)
            built += 1
    return built


async def settle(connection: AsyncConnection) -> int:
    """Has an index answer alone for days that are over, without a look at each row; how many it is for now.

    Args:
        connection: In autocommit mode, as the owner. Whoever calls it keeps house.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    days = await (await connection.execute(_UNSEEN)).fetchall()
    for (day,) in days:
        table = sql.Identifier("footfall", day)
        await connection.execute(sql.SQL("VACUUM {}").format(table))
    return len(days)


async def _build(connection: AsyncConnection, day: str, column: str) -> None:
    part = f"{day}_by_{hashlib.sha256(column.encode()).hexdigest()[:16]}"
    parts = {
        "part": sql.Identifier(part),
        "name": sql.Identifier("footfall", part),
        "index": sql.Identifier("footfall", name_of(column)),
        "day": sql.Identifier("footfall", day),
        "column": sql.Identifier(column),
    }
    valid = await (await connection.execute(_IS_VALID, [part])).fetchone()
    if valid == (False,):  # it was interrupted
        await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {name}").format(**parts))
    if valid != (True,):
        await connection.execute(sql.SQL(_PART).format(**parts))
    await connection.execute(sql.SQL("ALTER INDEX {index} ATTACH PARTITION {name}").format(**parts))
