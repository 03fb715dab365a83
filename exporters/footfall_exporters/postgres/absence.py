"""Whether a Postgres that does not serve us will by itself, or somebody has to change something first."""

import re

import psycopg

from footfall_exporters.postgres.connecting import ReadOnly
from footfall_exporters.postgres.holding import SchemaBusy
from footfall_processors import OperatorError

_AWAY = ("08", "25006", "53", "57P", "58")
"""SQLSTATEs, or classes of them: connections, a standby that is not promoted, no room, restarts, the disk."""
_FOR_GOOD = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",  # the database, the role, a certificate's file
    "permission denied",
    "not permitted to log in",
    "is not currently accepting connections",
    "SSL",
    "certificate",
    "invalid port",
    "invalid sslmode",
)
"""In what libpq says of a connection that it could not make; it gives no SQLSTATE for that."""
_NAMES = re.compile(r"\"[^\"]*\"|'[^']*'")
"""Of hosts, roles and databases, which may hold any of these words."""
_CUT = re.compile(
    "SSL SYSCALL error|SSL error: unexpected eof|SSL connection has been closed unexpectedly"
)
"""What it says of a connection that ends while TLS begins: a server restarts, or a balancer has none."""


def is_away(error: psycopg.Error) -> bool:
    """Whether waiting may help: Postgres is not there, starts, ends, is a standby or has no room.

    What a server in another language says of a wrong password is not understood, and waited for.
    """
    if error.sqlstate is not None:
        return error.sqlstate.startswith(_AWAY)
    said = _CUT.sub("", _NAMES.sub("", str(error)))
    return isinstance(error, psycopg.OperationalError) and not any(s in said for s in _FOR_GOOD)


def waits(error: Exception) -> bool:
    """Whether a collector that starts goes on trying: Postgres is away, or somebody holds what it changes."""
    if isinstance(error, SchemaBusy | psycopg.errors.LockNotAvailable):
        return True
    return isinstance(error, psycopg.Error) and is_away(error)


def told(error: psycopg.Error | OperatorError) -> str:
    """What is waited for, for the operator."""
    if not isinstance(error, psycopg.Error):
        return error.found
    held = isinstance(error, psycopg.errors.LockNotAvailable)
    return f"Postgres is {'busy' if held else 'away'} ({first_line(error)})"


def first_line(error: psycopg.Error) -> str:
    """What is wrong, for the operator: it names host and user, no password and no value."""
    if error.sqlstate is not None:
        return f"{type(error).__name__}, SQLSTATE {error.sqlstate}"
    said = error.found if isinstance(error, ReadOnly) else str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__
