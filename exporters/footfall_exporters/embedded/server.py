"""One server to a directory; whoever asks first owns it, the others join."""

import atexit
import fcntl
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread
from types import MappingProxyType, TracebackType

from footfall_exporters.embedded.binaries import Binaries, binaries_of, reachable_binaries
from footfall_exporters.embedded.cluster import (
    complaint,
    ensure_cluster,
    former_server,
    version_of,
)
from footfall_exporters.embedded.connection import (
    accepts_clients,
    conninfo,
    ensure_database,
    ignore_environment,
)
from footfall_exporters.embedded.errors import EmbeddedPostgresError, explained
from footfall_exporters.embedded.identity import Identity, server_identity
from footfall_exporters.embedded.layout import Layout
from footfall_exporters.embedded.listening import Listening, arrange
from footfall_exporters.embedded.listening import settings as tcp
from footfall_exporters.embedded.orphans import end_orphans
from footfall_exporters.embedded.process import Child
from footfall_exporters.embedded.settings import known_to, server_arguments
from footfall_exporters.embedded.supervision import Supervision, supervise

_PATIENCE = (
    120.0  # seconds: recovery after a crash, or an old server's last checkpoint, takes its time
)
_JOINED_POLL = 0.5
"""Seconds between two looks whether the server of another process is gone."""
_ORPHANS_S = 1.0
"""Seconds in which what is left of a killed server has to end by itself."""


class EmbeddedPostgres:
    """A Postgres server in `directory`, owned by this process or joined when another one owns it.

    On Linux it ends with this process however that ends, kill -9 included. On other POSIX systems only an
    ordinary end stops it (atexit); after a kill -9 it runs on, and the next start joins it.

    With `supervise`, a server that ends unasked is started again, whoever had started it: the connection
    string stays what it was.

    Args:
        directory: Where everything of the server lives; made when missing. When root calls, the server runs
            as user `postgres` or `nobody`, who must be able to reach it.
        settings: Server settings by name. Those of placement, logging and privacy are fixed. A server that is
            joined keeps its owner's.
        listening: Where it listens on TCP, if it does.
        as_made: Serve data that is there with the version of Postgres that made it, whichever is installed.
        programs: Where the programs of that version are; see `binaries_of`.

    Attributes:
        log_file: The server's log. It holds no statements, parameters or values.

    Raises:
        EmbeddedPostgresError: A setting is fixed.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str] = MappingProxyType({}),
        *,
        listening: Listening | None = None,
        as_made: bool = False,
        programs: Path | None = None,
    ) -> None:
        self._layout = Layout(directory.expanduser().resolve())
        self._arguments = server_arguments(
            settings, self._layout.sockets, tcp(self._layout, listening)
        )
        self._listening = listening
        self._as_made, self._programs = as_made, programs
        self._child: Child | None = None
        self._stopping = Event()
        self._supervisor: Thread | None = None
        self.log_file: Path = self._layout.log

    def start(self) -> str:
        """Start the server or join the one that runs; make the cluster when there is none.

        Returns:
            A libpq connection string for the database `footfall`. It holds the password: never log it.

        Raises:
            EmbeddedPostgresError: The server cannot be had; one line says why and what to do.
        """
        self._stopping.clear()
        ignore_environment()
        with explained(self._layout.directory):
            self._have_served(server_identity(self._layout.data))
            return conninfo(self._layout)

    def joined(self) -> str | None:
        """Return the connection string while another process serves, else None; nothing is started or made.

        Raises:
            EmbeddedPostgresError: The server cannot be had; one line says why and what to do.
        """
        ignore_environment()
        with explained(self._layout.directory):
            return conninfo(self._layout) if accepts_clients(self._layout) else None

    def supervise(self, supervision: Supervision) -> None:
        """Start the server again, from a thread, whenever it ends before `stop` is called.

        Args:
            supervision: Is told how often, and when there is no use in going on.
        """
        self._supervisor = Thread(
            target=supervise,
            args=(self, supervision, self._stopping),
            name="footfall-postgres-supervisor",
            daemon=True,
        )
        self._supervisor.start()

    def wait_for_end(self, stopping: Event) -> str | None:
        """Return how the server ended, once nobody serves; None when `stopping` is set before."""
        while not stopping.is_set():
            if (child := self._child) is None:
                if not stopping.wait(_JOINED_POLL) and self._is_abandoned():
                    return "whoever had started it is gone"
            elif (status := child.wait(_JOINED_POLL)) is not None and not stopping.is_set():
                self._child = None
                return f"signal {-status}" if status < 0 else f"exit status {status}"
        return None

    def start_again(self) -> None:
        """Serve, or join whoever does by now; never makes a cluster.

        Raises:
            EmbeddedPostgresError: The server cannot be had; one line says why and what to do.
        """
        with explained(self._layout.directory):
            if not self._layout.data.exists():
                raise EmbeddedPostgresError(
                    f"the data in {self._layout.data} is gone", "restore it, or start Footfall anew"
                )
            self._have_served(server_identity(self._layout.data))

    def stop(self) -> None:
        """Shut the server down (fast: sessions end, everything is written) and wait until it has ended.

        Does nothing when the server is another process's, or was stopped before.
        """
        self._stopping.set()
        self._end_child()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.join()
            self._end_child()  # it was about to start one

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop()
            atexit.unregister(self.stop)

    def _is_abandoned(self) -> bool:
        """Whether no process of any server is left."""
        try:
            lock = os.open(self._layout.lock, os.O_RDWR)
        except OSError:
            return True
        try:
            return _taken(lock)
        finally:
            os.close(lock)

    def _have_served(self, identity: Identity) -> None:
        _prepare_directory(self._layout, identity)
        lock = identity.open_file(self._layout.lock, os.O_RDWR)
        try:
            self._own_or_join(identity, lock)
        finally:
            os.close(lock)  # the server, if it is ours, has inherited it and holds it on

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
        begin = time.monotonic()

        def served() -> bool:
            if not _taken(lock):
                if accepts_clients(self._layout):
                    return True
                if time.monotonic() - begin > _ORPHANS_S:
                    end_orphans(self._layout.data)
                return False
            self._serve(identity, lock)
            return True

        if not self._wait_until(served):
            raise EmbeddedPostgresError(
                f"the server in {self._layout.directory} has not answered for {_PATIENCE:.0f} s",
                f"see {self.log_file}, and end the process that holds {self._layout.lock}",
            )

    def _serve(self, identity: Identity, lock: int) -> None:
        binaries = self._binaries(identity)
        ensure_cluster(self._layout, identity, binaries, lock)
        child, logged_before = self._launch(identity, binaries, lock)
        try:
            if not self._wait_until(lambda: self._is_ready(child, logged_before)):
                raise EmbeddedPostgresError(
                    f"Postgres in {self._layout.directory} was not ready after {_PATIENCE:.0f} s",
                    f"see {self.log_file}",
                )
        except BaseException:
            self._end_child()
            raise

    def _binaries(self, identity: Identity) -> Binaries:
        if self._as_made and self._layout.data.exists():
            version, directory = version_of(self._layout), self._layout.directory
            return binaries_of(version, identity, directory, self._programs)
        return reachable_binaries(identity, self._layout.directory)

    def _launch(self, identity: Identity, binaries: Binaries, lock: int) -> tuple[Child, int]:
        """Launch the server; returns it, and the size of its log before, in bytes."""
        arguments = known_to(int(binaries.major_version), self._arguments)
        command = [binaries.program("postgres"), "-D", str(self._layout.data), *arguments]
        log = identity.open_file(self._layout.log, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(log).st_size
            environment = former_server(self._layout)
            arrange(self._layout, identity, self._listening)
            child = Child(command, identity, output=log, keep=[lock], environment=environment)
        finally:
            os.close(log)
        self._child = child
        atexit.register(self.stop)
        return child, size

    def _is_ready(self, child: Child, logged_before: int) -> bool:
        if child.has_ended:
            output = self.log_file.read_bytes()[logged_before:].decode(errors="replace")
            reason, see = complaint(output), f"see {self.log_file}"
            if self._listening and "TCP/IP sockets" in reason:
                see = f"{self._listening.host}:{self._listening.port} is not to be had: name another endpoint"
            raise EmbeddedPostgresError(
                f"Postgres in {self._layout.directory} ended while it started: {reason}", see
            )
        return ensure_database(self._layout)

    def _wait_until(self, holds: Callable[[], bool]) -> bool:
        """Ask again and again, less often as time goes by; False when patience ends, or at `stop`."""
        begin = time.monotonic()
        while not holds():
            waited = time.monotonic() - begin
            # Each look at a server that starts is a line in its log.
            if waited > _PATIENCE or self._stopping.wait(min(0.002 + waited / 20, 0.2)):
                return False
        return True


def _prepare_directory(layout: Layout, identity: Identity) -> None:
    """Make what is missing; leave what exists as it is, for it may be shared with others."""
    for path in reversed((layout.directory, *layout.directory.parents)):
        if not path.exists():
            path.mkdir(exist_ok=True)
            path.chmod(0o711 if identity.is_other else 0o700)
    if not identity.can_enter(layout.directory):
        raise EmbeddedPostgresError(
            f"user {identity.name}, who runs Postgres, cannot enter {layout.directory}",
            "set FOOTFALL_HOME to a directory that this user can reach",
        )
    identity.make_directory(layout.sockets)


def _taken(lock: int) -> bool:
    """Try to take the lock. Every process of a server holds it, so it is free only when all have ended."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
