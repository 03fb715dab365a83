"""What a request is known by in the ledger: its digest under a key of this database (ADR 21).

A batch carries SHA-256 of its request, cut to 128 bits, in memory alone. By that, whoever reads the ledger,
or what derives from it (the ids of exported events), could confirm a guess at a request; by this, nobody
without the key.
"""

import hmac

from psycopg import AsyncConnection


def keyed(key: bytes, digest: bytes) -> bytes:
    """HMAC-SHA256 over a request's digest, cut to 128 bits."""
    return hmac.digest(key, digest, "sha256")[:16]


async def request_key(connection: AsyncConnection) -> bytes:
    """The key under which requests are entered; it is never rotated, or none would be known again.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = await connection.execute("SELECT secret FROM footfall.secrets WHERE name = 'requests'")
    [(secret,)] = await found.fetchall()
    return bytes(secret)
