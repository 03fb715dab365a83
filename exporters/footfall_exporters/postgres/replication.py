"""Tables that may be published to logical replication, as all are by `CREATE PUBLICATION ... FOR ALL TABLES`.

From a published table without a primary key Postgres lets nobody delete, unless its whole rows identify them.
That costs nothing where nothing is published.
"""

from contextlib import suppress

from psycopg import Connection, errors

IDENTIFIED = "REPLICA IDENTITY FULL"
"""Of a table without a primary key: what tells a subscriber which row has gone."""
_UNIDENTIFIED = """
    SELECT c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace = 'footfall'::regnamespace AND c.relkind = 'r' AND c.relpersistence = 'p'
    AND c.relreplident = 'd' AND c.relname NOT LIKE 'lock\\_%%' AND pg_has_role(c.relowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) ORDER BY 1
"""
"""But for the locks, from which nothing is deleted."""


def identify(connection: Connection) -> None:
    """Gives those tables that have none yet an identity; what somebody uses now gets its at another start.

    Args:
        connection: The owner's, in autocommit mode.

    Raises:
        psycopg.Error: Postgres refused.
    """
    for (table,) in connection.execute(_UNIDENTIFIED, []).fetchall():
        with suppress(errors.LockNotAvailable, errors.UndefinedTable), connection.transaction():
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE NOWAIT")
            connection.execute(f"ALTER TABLE ONLY {table} {IDENTIFIED}")
