"""A Postgres whose log quotes nothing of ours: what a connection can do, and what only its administrator can.

Statements of ours carry values as parameters. A server may log them when a statement is slow, fails, or is
logged anyway, and it quotes values in errors. An ordinary role may forbid only the parameters of
statements that fail (connecting.py does that); the other settings are a superuser's, or need `GRANT SET ON
PARAMETER`.
"""

import psycopg
from psycopg import AsyncConnection, sql

QUIET = {
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "auto_explain.log_min_duration": "-1",
}
"""The settings under which nothing is quoted; the embedded server has them too."""


async def quiet(connection: AsyncConnection) -> None:
    """Sets, for this connection, what its role may set.

    Raises:
        psycopg.Error: Postgres refused.
    """
    await connection.execute(
        "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s (name, value)"
        " WHERE has_parameter_privilege(name, 'SET')",
        [list(QUIET), list(QUIET.values())],
    )


def talkative(connection: psycopg.Connection) -> dict[str, str]:
    """The settings that let the server's log quote values, with what they should be; empty when it is quiet.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = connection.execute(
        "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(QUIET)]
    )
    now: dict[str, str] = dict(found.fetchall())
    return {name: value for name, value in QUIET.items() if name in now and now[name] != value}


def advice(role: str) -> list[str]:
    """What a superuser runs so that connections of `role` are never quoted, those of others aside."""
    name = sql.Identifier(role).as_string(None)
    return [f"ALTER ROLE {name} SET {setting} = '{value}'" for setting, value in QUIET.items()]
