"""How clients reach the server, and how we see that it is ready: by connecting."""

import psycopg
from psycopg.conninfo import make_conninfo

from footfall_exporters.embedded.cluster import ROLE
from footfall_exporters.embedded.errors import EmbeddedPostgresError
from footfall_exporters.embedded.layout import PORT, Layout

_DATABASE = "footfall"
_MAINTENANCE_DATABASE = "postgres"
_CONNECT_TIMEOUT = (
    2  # seconds, libpq's least; only a server that is stopped in mid-air takes so long
)


def conninfo(layout: Layout, database: str = _DATABASE) -> str:
    """Return the libpq connection string of a database; it holds the password."""
    password = layout.password.read_text(encoding="ascii")
    return make_conninfo(
        host=str(layout.sockets), port=PORT, user=ROLE, password=password, dbname=database
    )


def accepts_clients(layout: Layout) -> bool:
    """Tell whether a server, whoever owns it, lets us into the database now."""
    if not layout.password.exists():
        return False  # its owner is still making the cluster
    connection = _connect(layout, _DATABASE)
    if connection is not None:
        connection.close()
    return connection is not None


def ensure_database(layout: Layout) -> bool:
    """Make the database when it is missing; False while the server is not ready yet.

    Raises:
        EmbeddedPostgresError: The server is ready, but it cannot be made.
    """
    connection = _connect(layout, _MAINTENANCE_DATABASE)
    if connection is None:
        return False
    with connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [_DATABASE])
        if found.rowcount == 0:
            _create_database(connection, layout)
    return True


def _connect(layout: Layout, database: str) -> psycopg.Connection | None:
    try:
        return psycopg.connect(
            conninfo(layout, database), autocommit=True, connect_timeout=_CONNECT_TIMEOUT
        )
    except psycopg.OperationalError as error:
        if "authentication failed" in str(error):
            raise EmbeddedPostgresError(
                f"{layout.password} is not the password of {layout.data}; restore the one it was made with"
            ) from error
        return None


def _create_database(connection: psycopg.Connection, layout: Layout) -> None:
    try:
        connection.execute(f"CREATE DATABASE {_DATABASE}")
    except psycopg.Error as error:
        raise EmbeddedPostgresError(
            f"cannot make the database in {layout.directory}: {error.diag.message_primary};"
            " free some space or set FOOTFALL_HOME to another directory"
        ) from error
