"""Rotating salts: made in SQL, shared through an unlogged table, destroyed (docs/design.md, "Salts").

A salt never travels as a statement's parameter, so that no log can hold it. The table is unlogged: the
write-ahead log and base backups never hold it either. A crash of Postgres empties the table; new salts
are made and `salt_log` remembers that the period has two, whose distinct counts are not valid.
"""

from collections.abc import Iterable

from psycopg import AsyncConnection

from footfall_processors import Catalog, Hash, period
from footfall_processors.batch import DAY_US
from footfall_processors.hashing import Period
from footfall_processors.window import SALT_GRACE

GRACE_DAYS = SALT_GRACE.days
"""Events are accepted for so long, and their salts kept."""


def needed(catalog: Catalog, now_us: int) -> set[Period]:
    """The periods of rotating salts that events accepted now or within a day fall into."""
    kinds = {a.hash for a in catalog.attributes.values() if a.hash not in (None, Hash.STATIC)}
    days = range(-GRACE_DAYS, 2)
    return {period(kind, now_us + day * DAY_US) for kind in kinds if kind for day in days}


async def make(connection: AsyncConnection, periods: Iterable[Period]) -> dict[Period, bytes]:
    """The salts of these periods, made where they are missing; 244 random bits each."""
    ordered = sorted((str(kind), number) for kind, number in periods)
    if not ordered:
        return {}
    kinds, numbers = map(list, zip(*ordered, strict=True))
    async with connection.transaction():
        await connection.execute(
            "WITH made AS ("
            " INSERT INTO footfall.salts (kind, period, salt)"
            " SELECT kind, period, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())"
            " FROM unnest(%s::text[], %s::integer[]) AS p (kind, period) ORDER BY kind, period"
            " ON CONFLICT DO NOTHING RETURNING kind, period"
            ") INSERT INTO footfall.salt_log (kind, period) SELECT kind, period FROM made",
            [kinds, numbers],
        )
        found = await connection.execute("SELECT kind, period, salt FROM footfall.salts")
        return {(Hash(kind), number): salt for kind, number, salt in await found.fetchall()}


async def identity_key(connection: AsyncConnection) -> bytes:
    """The key under which streams and spans are named; it is never destroyed."""
    found = await connection.execute(
        "SELECT secret FROM footfall.secrets WHERE name = 'identities'"
    )
    [(secret,)] = await found.fetchall()
    return bytes(secret)


async def destroy(connection: AsyncConnection, now_us: int) -> int:
    """Deletes the salts of which no event is accepted any more, and vacuums what is left of them.

    Those of attributes that no catalog has any more are among them: time alone decides.

    Args:
        connection: In autocommit mode.
        now_us: The time, µs since the Unix epoch.

    Returns:
        How many were destroyed.
    """
    gone = 0
    for kind in Hash:
        if kind is not Hash.STATIC:
            _, oldest = period(kind, now_us - GRACE_DAYS * DAY_US)
            result = await connection.execute(
                "DELETE FROM footfall.salts WHERE kind = %s AND period < %s", [str(kind), oldest]
            )
            gone += result.rowcount
    if gone:
        await connection.execute("VACUUM footfall.salts")
    return gone
