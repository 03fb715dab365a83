"""The marker of a store: what is passed on carries it, so that it is known again when it comes back.

It stands for a random number in the database, and for which database of its server this is: one that was made
from another as its template is another store. A copy of a whole server is the same store until it is told
otherwise (docs/subscribers.md, "Loops").
"""

from psycopg import AsyncConnection

_MARKER = (
    "SELECT left(encode(sha256(convert_to(k.origin || '/' || d.oid, 'UTF8')), 'hex'), 16)"
    " FROM footfall.commit_clock k, pg_database d WHERE d.datname = current_database()"
)


async def marker(connection: AsyncConnection) -> str:
    """16 hexadecimal digits; the same for every process that uses this database.

    Raises:
        psycopg.Error: Postgres refused, or was never migrated.
    """
    found = await connection.execute(_MARKER)
    row = await found.fetchone()
    return str(row[0]) if row else ""
