"""Sequences that give ids: one may be behind the ids that its table has.

Logical replication, with which databases are moved and upgraded, copies rows and no sequences. An id that is
given twice is no fault of the data that was to be stored under it.
"""

import logging
from typing import Final

from psycopg import AsyncConnection, Error, sql

OF_TABLES: Final = {
    "ingest_batches": "batch_ids",
    "feature_dims": "feature_dims_id_seq",
    "annotations": "annotations_id_seq",
    "alert_messages": "alert_messages_id_seq",
}
"""In the schema `footfall`, by the tables whose `id` they give."""
_KEYS: Final = frozenset(f"{table}_pkey" for table in OF_TABLES)
_THERE = """
    SELECT relname::text FROM pg_class WHERE relnamespace = 'footfall'::regnamespace AND relname = ANY(%s)
"""
_CATCH_UP = """
    SELECT count(nextval({name})) FROM (
        SELECT (SELECT max(id) FROM {table}) AS most, s.seqincrement AS step,
               n.last_value + CASE WHEN n.is_called THEN s.seqincrement ELSE 0 END AS next
        FROM {sequence} n, pg_sequence s WHERE s.seqrelid = {name}::regclass
    ) AS behind, generate_series(1, (most - next) / step + 1) WHERE most >= next
"""
"""By steps, as others may take ids at the same time, and none of them may be given again."""
log = logging.getLogger("footfall.postgres")


async def catch_up(connection: AsyncConnection) -> None:
    """Has each sequence go on after what its table has.

    Args:
        connection: The owner's, in autocommit mode.

    Raises:
        psycopg.Error: Postgres refused.
    """
    there = await connection.execute(_THERE, [list(OF_TABLES.values())])
    names = {name for (name,) in await there.fetchall()}
    for table, name in OF_TABLES.items():
        if name not in names:  # in a schema of before
            continue
        parts = {
            "table": sql.Identifier("footfall", table),
            "sequence": sql.Identifier("footfall", name),
            "name": sql.Literal(f"footfall.{name}"),
        }
        found = await connection.execute(sql.SQL(_CATCH_UP).format(**parts))
        row = await found.fetchone()
        if row and row[0]:
            log.warning("the sequence %s was behind its table, and goes on after it", name)


def gave_twice(error: BaseException) -> bool:
    """Whether an error says that an id was given which its table has."""
    return isinstance(error, Error) and error.diag.constraint_name in _KEYS
