"""The supervisor: one server to a directory; whoever asks first owns it, the others join."""

import atexit
import fcntl
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType

from footfall_exporters.embedded.binaries import Binaries, reachable_binaries
from footfall_exporters.embedded.cluster import complaint, ensure_cluster, former_server
from footfall_exporters.embedded.connection import accepts_clients, conninfo, ensure_database
from footfall_exporters.embedded.errors import EmbeddedPostgresError, explained
from footfall_exporters.embedded.identity import Identity, server_identity
from footfall_exporters.embedded.layout import Layout
from footfall_exporters.embedded.process import Child
from footfall_exporters.embedded.settings import server_arguments

_PATIENCE = (
    120.0  # seconds: recovery after a crash, or an old server's last checkpoint, takes its time
)


class EmbeddedPostgres:
    """A Postgres server in `directory`, owned by this process or joined when another one owns it.

    On Linux it ends with this process however that ends, kill -9 included. On other POSIX systems only an
    ordinary end stops it (atexit); after a kill -9 it runs on, and the next start joins it.

    Args:
        directory: Where everything of the server lives; made when missing. When root calls, the server runs
            as user `postgres` or `nobody`, who must be able to reach it.
        settings: Server settings by name. Those of placement, logging and privacy are fixed. A server that is
            joined keeps its owner's.

    Attributes:
        log_file: The server's log. It holds no statements, parameters or values.

    Raises:
        EmbeddedPostgresError: A setting is fixed.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self._layout = Layout(directory.expanduser().resolve())
        self._arguments = server_arguments(settings, self._layout.sockets)
        self._child: Child | None = None
        self.log_file: Path = self._layout.log

    def start(self) -> str:
        """Start the server or join the one that runs; make the cluster when there is none.

        Returns:
            A libpq connection string for the database `footfall`. It holds the password: never log it.

        Raises:
            EmbeddedPostgresError: The server cannot be had; one line says why and what to do.
        """
        with explained(self._layout.directory):
            identity = server_identity(self._layout.data)
            _prepare_directory(self._layout, identity)
            lock = identity.open_file(self._layout.lock, os.O_RDWR)
            try:
                self._own_or_join(identity, lock)
            finally:
                os.close(lock)  # the server, if it is ours, has inherited it and holds it on
            return conninfo(self._layout)

    def stop(self) -> None:
        """Shut the server down (fast: sessions end, everything is written) and wait until it has ended.

        Does nothing when the server is another process's, or was stopped before.
        """
        child, self._child = self._child, None
        if child is not None:
            child.stop()
            atexit.unregister(self.stop)

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _own_or_join(self, identity: Identity, lock: int) -> None:
        """Take the lock and serve, or find that its holder does; wait for an old server to shut down."""

        def served() -> bool:
            if not _taken(lock):
                return accepts_clients(self._layout)
            self._serve(identity, lock)
            return True

        if not _wait_until(served):
            raise EmbeddedPostgresError(
                f"the server in {self._layout.directory} has not answered for {_PATIENCE:.0f} s;"
                f" see {self.log_file}, and end the process that holds {self._layout.lock}"
            )

    def _serve(self, identity: Identity, lock: int) -> None:
        binaries = reachable_binaries(identity, self._layout.directory)
        ensure_cluster(self._layout, identity, binaries, lock)
        child, logged_before = self._launch(identity, binaries, lock)
        try:
            if not _wait_until(lambda: self._is_ready(child, logged_before)):
                raise EmbeddedPostgresError(
                    f"Postgres in {self._layout.directory} was not ready after {_PATIENCE:.0f} s;"
                    f" see {self.log_file}"
                )
        except BaseException:
            self.stop()
            raise

    def _launch(self, identity: Identity, binaries: Binaries, lock: int) -> tuple[Child, int]:
        """Launch the server; returns it, and the size of its log before, in bytes."""
        command = [binaries.program("postgres"), "-D", str(self._layout.data), *self._arguments]
        log = identity.open_file(self._layout.log, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(log).st_size
            environment = former_server(self._layout)
            child = Child(command, identity, output=log, keep=[lock], environment=environment)
        finally:
            os.close(log)
        self._child = child
        atexit.register(self.stop)
        return child, size

    def _is_ready(self, child: Child, logged_before: int) -> bool:
        if child.has_ended:
            output = self.log_file.read_bytes()[logged_before:].decode(errors="replace")
            raise EmbeddedPostgresError(
                f"Postgres in {self._layout.directory} ended while it started: {complaint(output)};"
                f" see {self.log_file}"
            )
        return ensure_database(self._layout)


def _prepare_directory(layout: Layout, identity: Identity) -> None:
    """Make what is missing; leave what exists as it is, for it may be shared with others."""
    for path in reversed((layout.directory, *layout.directory.parents)):
        if not path.exists():
            path.mkdir(exist_ok=True)
            path.chmod(0o711 if identity.is_other else 0o700)
    if not identity.can_enter(layout.directory):
        raise EmbeddedPostgresError(
            f"user {identity.name}, who runs Postgres, cannot enter {layout.directory};"
            " set FOOTFALL_HOME to a directory that this user can reach"
        )
    identity.make_directory(layout.sockets)


def _taken(lock: int) -> bool:
    """Try to take the lock. Every process of a server holds it, so it is free only when all have ended."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_until(holds: Callable[[], bool]) -> bool:
    """Ask again and again, less often as time goes by; False when patience ends."""
    begin = time.monotonic()
    while not holds():
        waited = time.monotonic() - begin
        if waited > _PATIENCE:
            return False
        time.sleep(
            min(0.002 + waited / 20, 0.2)
        )  # each look at a server that starts is a line in its log
    return True
