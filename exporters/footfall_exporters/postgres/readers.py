"""The login of a Grafana elsewhere: a reader, over TCP, of the embedded server."""

import logging
from typing import Annotated

import msgspec
import psycopg
from psycopg import sql

from footfall_exporters.embedded import Listening
from footfall_exporters.embedded.listening import LOGIN
from footfall_exporters.postgres import locks
from footfall_exporters.postgres.connecting import PLANNING
from footfall_exporters.postgres.views import READER

log = logging.getLogger("footfall.postgres")
_MOST = 10
"""Connections of its own, of the 40 that there are."""
_SETTINGS = {"default_transaction_read_only": "on", "statement_timeout": "60s"} | PLANNING


class ReadersConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where readers reach the embedded server over TCP.

    Attributes:
        endpoint: host:port.
        password: Of the login `grafana`.
    """

    endpoint: Annotated[
        str, msgspec.Meta(pattern=r"^(\[[0-9a-fA-F:.]+\]|[^:\s]+):[1-9][0-9]{0,4}$")
    ]
    password: Annotated[str, msgspec.Meta(min_length=12)]

    @property
    def listening(self) -> Listening:
        """The endpoint in parts."""
        host, _, port = self.endpoint.rpartition(":")
        return Listening(host.strip("[]"), int(port))


def admit(connection: psycopg.Connection, config: ReadersConfig) -> None:
    """Makes the login, with this password, and lets it be a reader and nothing else.

    Args:
        connection: The owner's of the embedded server, in autocommit mode.
        config: With the password, of which Postgres is given what it keeps of it (SCRAM).

    Raises:
        psycopg.Error: Postgres refused.
    """
    login = sql.Identifier(LOGIN)
    kept = connection.pgconn.encrypt_password(
        config.password.encode(), LOGIN.encode(), b"scram-sha-256"
    ).decode()
    with connection.transaction():
        connection.execute(locks.taking(locks.SCHEMA))  # two that change a role at once would fail
        found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [LOGIN]).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE ROLE {}").format(login))
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN CONNECTION LIMIT {} PASSWORD {}").format(
                login, _MOST, kept
            )
        )
        for name, value in _SETTINGS.items():
            connection.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(login, sql.Identifier(name), value)
            )
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(READER), login))
    if connection.execute("SHOW listen_addresses").fetchone() == ("",):
        log.warning(
            "readers do not reach %s yet: another program has started the embedded Postgres, and it listens"
            " once that has ended",
            config.endpoint,
        )
