"""The keys that sign what is shown to people: made when they are needed, the same for all collectors.

No backup has them (backup.py), and none is needed again: with another key people log in again, and links that
were shared end.
"""

from typing import Final, Literal

from psycopg import Connection

from footfall_exporters.postgres.connecting import Use

Name = Literal["logins", "shares"]
SIGNING: Final = Use("footfall page", lock="2s", statement="5s", in_transaction="5s")
_RANDOM = "uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())"
_MAKE = f"""
    INSERT INTO footfall.page_keys (name, secret) VALUES (%s, {_RANDOM}) ON CONFLICT (name) DO NOTHING
"""  # noqa: S608  # a constant
_READ = "SELECT secret FROM footfall.page_keys WHERE name = %s"
_DROP = "DELETE FROM footfall.page_keys WHERE name = %s"


def read(connection: Connection, name: Name) -> bytes:
    """A key, which is made where there is none.

    Args:
        connection: Of the owner, in autocommit mode.
        name: Which.

    Raises:
        psycopg.Error: Postgres refused.
    """
    row = connection.execute(_READ, [name]).fetchone()
    if row is None:
        connection.execute(_MAKE, [name])
        row = connection.execute(_READ, [name]).fetchone()
    assert row is not None  # noqa: S101  # it was made
    return bytes(row[0])


def forget(connection: Connection, name: Name) -> None:
    """Has another key made when it is needed: whatever was signed is good no more.

    Raises:
        psycopg.Error: Postgres refused.
    """
    connection.execute(_DROP, [name])
