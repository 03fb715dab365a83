"""How clients reach the server, and how we see that it is ready: by connecting.

The environment may hold PG* variables that are meant for another server. What libpq would take from them is
given in the connection string; what it takes from nowhere else is taken out of the environment.
"""

import os

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from footfall_exporters.embedded.cluster import ROLE
from footfall_exporters.embedded.errors import EmbeddedPostgresError, advice
from footfall_exporters.embedded.layout import PORT, Layout

_DATABASE = "footfall"
_MAINTENANCE_DATABASE = "postgres"
_CONNECT_TIMEOUT = (
    2  # seconds, libpq's least; only a server that is stopped in mid-air takes so long
)
_PINNED = {
    "hostaddr": "",
    "options": "",
    "requirepeer": "",
    "client_encoding": "UTF8",
    "require_auth": "none,scram-sha-256",  # empty, it would allow nothing; pg_hba.conf says which
    "channel_binding": "disable",
    "gssencmode": "disable",
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "sslcertmode": "disable",
    "ssl_min_protocol_version": "",  # looked at without TLS, too
    "ssl_max_protocol_version": "",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
    "target_session_attrs": "any",
    "load_balance_hosts": "disable",
}
"""Each has a variable with which libpq would not connect; empty is as if there was none."""
_UNPINNED = ("PGSERVICE", "PGTZ", "PGDATESTYLE", "PGGEQO")
"""No option overrides these: an empty service is looked for, the others go to the server as they are."""


def ignore_environment() -> None:
    """Take what a connection string cannot override out of this process' environment, and its children's."""
    for name in _UNPINNED:
        os.environ.pop(name, None)


def conninfo(layout: Layout, database: str = _DATABASE) -> str:
    """Return the libpq connection string of a database; it holds the password."""
    password = layout.password.read_text(encoding="ascii")
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    return make_conninfo(
        host=str(layout.sockets),
        port=PORT,
        user=ROLE,
        password=password,
        dbname=database,
        **{name: value for name, value in _PINNED.items() if name in known},
    )


def accepts_clients(layout: Layout) -> bool:
    """Tell whether the server that another process owns lets us into the database now.

    Raises:
        EmbeddedPostgresError: The password on file is not its password.
    """
    if not layout.password.exists():
        return False  # its owner is still making the cluster
    try:
        _connect(layout, _DATABASE).close()
    except psycopg.OperationalError as error:
        _refuse_wrong_password(layout, error)
        return False
    return True


def ensure_database(layout: Layout) -> bool:
    """Make the database when it is missing; False while our own server is not ready yet.

    Raises:
        EmbeddedPostgresError: The server refuses us for good, or the database cannot be made.
    """
    try:
        connection = _connect(layout, _MAINTENANCE_DATABASE)
    except psycopg.OperationalError as error:
        _refuse_wrong_password(layout, error)
        reason = str(error).partition("FATAL:")[2].strip()
        if reason and "the database system is" not in reason:  # ... starting up, shutting down
            raise _unusable(layout, reason) from error
        return False
    try:
        with connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [_DATABASE])
            if found.rowcount == 0:
                connection.execute(f"CREATE DATABASE {_DATABASE}")
            connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
    except psycopg.Error as error:
        raise _unusable(layout, error.diag.message_primary or str(error)) from error
    return True


def _connect(layout: Layout, database: str) -> psycopg.Connection:
    return psycopg.connect(
        conninfo(layout, database), autocommit=True, connect_timeout=_CONNECT_TIMEOUT
    )


def _refuse_wrong_password(layout: Layout, error: psycopg.OperationalError) -> None:
    if "authentication failed" in str(error):
        raise EmbeddedPostgresError(
            f"{layout.password} is not the password of {layout.data}",
            "restore the one it was made with",
        ) from error


def _unusable(layout: Layout, reason: str) -> EmbeddedPostgresError:
    first_line = reason.partition("\n")[0]
    return EmbeddedPostgresError(
        f"Postgres in {layout.directory} is not usable: {first_line}", advice(reason)
    )
