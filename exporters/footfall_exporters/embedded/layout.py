"""Where things are: the directory, and what lies in it."""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

PORT = 5432  # names the socket file, whichever port TCP has
_SOCKET = f".s.PGSQL.{PORT}"
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103  # bytes; sun_path without its NUL


def default_directory() -> Path:
    """Return the directory of the embedded server when none is configured.

    Returns:
        `$FOOTFALL_HOME/postgres`; else for root `/var/lib/footfall/postgres`; else `footfall/postgres` under
        `$XDG_DATA_HOME` or `~/.local/share` (XDG Base Directory Specification: a relative value is ignored).
    """
    if home := os.environ.get("FOOTFALL_HOME"):
        return Path(home).expanduser().absolute() / "postgres"
    if os.geteuid() == 0:
        return Path("/var/lib/footfall/postgres")
    data_home = Path(os.environ.get("XDG_DATA_HOME", ""))
    base = data_home if data_home.is_absolute() else Path.home() / ".local" / "share"
    return base / "footfall" / "postgres"


@dataclass(frozen=True)
class Layout:
    """The files of one server, all below `directory` (the socket aside, when its path is too long)."""

    directory: Path

    @property
    def data(self) -> Path:
        """The cluster (PGDATA). It appears by a rename, so it is whole or absent."""
        return self.directory / "data"

    @property
    def unfinished_data(self) -> Path:
        """Where initdb works."""
        return self.directory / "data.new"

    @property
    def password(self) -> Path:
        """The password of the role `footfall`, in a file that only the server's user reads."""
        return self.directory / "password"

    @property
    def log(self) -> Path:
        """The server's log; it never holds statements, parameters or values."""
        return self.directory / "postgres.log"

    @property
    def lock(self) -> Path:
        """The lock (flock) that every process of a running server holds."""
        return self.directory / "lock"

    @property
    def sockets(self) -> Path:
        """A private directory whose path is short enough for a socket, and that libpq can name."""
        inside = self.directory / "run"
        # libpq takes a comma for the end of one host and the start of the next.
        if len(os.fsencode(inside / _SOCKET)) <= _LONGEST_SOCKET_PATH and "," not in str(inside):
            return inside
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        # Not TMPDIR: a process that joins may have another one. Its owner and mode are checked before use.
        return Path("/tmp", f"footfall-{digest}")  # noqa: S108

    @property
    def rules(self) -> Path:
        """Who may come in over TCP, where anybody may (pg_hba.conf)."""
        return self.directory / "pg_hba.conf"

    @property
    def socket(self) -> Path:
        """Where clients connect."""
        return self.sockets / _SOCKET

    def socket_of(self, port: int) -> Path:
        """The socket of a server whose TCP port is another one."""
        return self.sockets / f".s.PGSQL.{port}"
