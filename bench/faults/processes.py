"""What is made to fail: collectors, a Postgres, and the clocks of both; and the sender that watches."""

import fcntl
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.embedded import server as embedded_server
from footfall_exporters.embedded.process import Child

CATALOG = """
product: faults
attributes:
  sent_id: {type: uuid}
  guild_id: {type: string, hash: daily}
  provider: {type: enum, values: [alttpr, smz3]}
events:
  faults.seen: {surface: api, feature: seen, attributes: [sent_id, guild_id, provider]}
  faults.counted: {surface: api, feature: counted}
"""
READY_S = 120.0
FAKETIME = "libfaketime.so.1"


class Stuck(Exception):
    """What should happen does not."""


class Missing(Exception):
    """A fault cannot be made on this machine: the reason, and what would change that."""


def free_addresses(number: int) -> list[str]:
    """host:port of ports that were free a moment ago."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
    for server in servers:
        server.close()
    return addresses


def until(
    what: str, holds: Callable[[], bool], seconds: float = READY_S, every: float = 0.02
) -> None:
    """Waits until `holds()`.

    Raises:
        Stuck: it never does.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Stuck(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(every)


class Clock:
    """The wall clock of processes that are started with `environment`; their monotonic one goes on.

    Raises:
        Missing: libfaketime is not installed.
    """

    def __init__(self, file: Path) -> None:
        found = [p for root in ("/usr/lib", "/usr/local/lib") for p in Path(root).rglob(FAKETIME)]
        if not found:
            raise Missing("libfaketime is not installed; get it (Debian: apt install libfaketime)")
        self._file = file
        self.step(0)
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }

    def step(self, days: int) -> None:
        """Sets it so many days ahead of the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{days:+d}d\n")
        new.chmod(0o644)
        new.replace(self._file)  # at once: it is read all the time


class Postgres:
    """A server of the bench's own; `dsn` once it has been started."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self._folder, self._clock = folder, clock
        self._server = EmbeddedPostgres(folder)

    def start(self) -> str:
        """Starts it, or starts it again; returns its DSN."""
        if self._clock is None:
            return self._server.start()
        variables = [f"{name}={value}" for name, value in self._clock.environment.items()]

        def child(command: list[str], *args: Any, **options: Any) -> Any:
            return Child(["/usr/bin/env", *variables, *command], *args, **options)

        # The server's environment is kept clean on purpose; there is no other way in. Only Postgres may have
        # these, not what starts it as root: libfaketime's semaphore would be root's.
        with mock.patch.object(embedded_server, "Child", child):
            return self._server.start()

    def stop(self) -> None:
        """Stops it in order."""
        self._server.stop()

    def crash(self) -> None:
        """Ends it at once, without a checkpoint (immediate shutdown); the next start recovers."""
        os.kill(self.pid, signal.SIGQUIT)
        until("Postgres has crashed", self._has_ended)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return int((self._folder / "data/postmaster.pid").read_text().split()[0])

    def _has_ended(self) -> bool:
        """Every process of a running server holds the lock."""
        with (self._folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


class Collector:
    """A `footfall up`, as users start it.

    Args:
        folder: Of its configuration and its log.
        exporter: `exporters.postgres` of its configuration.
        admission: `receivers.otlp.admission` of its configuration.
        tls: `receivers.otlp.protocols.http.tls` of its configuration.
        arguments: More of the command line.
        clock: Its own; the machine's without.
    """

    def __init__(
        self,
        folder: Path,
        exporter: dict[str, object],
        *,
        admission: dict[str, object] | None = None,
        tls: dict[str, object] | None = None,
        arguments: tuple[str, ...] = (),
        clock: Clock | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.log = folder / "collector.log"
        self.grpc, self.http = free_addresses(2)
        protocols = {"grpc": {"endpoint": self.grpc}, "http": {"endpoint": self.http, "tls": tls}}
        logs = {"logs": {"encoding": "json"}}
        config = {
            "receivers": {"otlp": {"protocols": protocols, "admission": admission or {}}},
            "exporters": {"postgres": _unexpanded(exporter)},
            "service": {"operator": None, "telemetry": logs},
        }
        (folder / "events.yaml").write_text(CATALOG)
        (folder / "collector.yaml").write_text(yaml.safe_dump(config))
        command = [
            Path(sys.executable).with_name("footfall"),
            "up",
            "-c",
            folder / "collector.yaml",
        ]
        self._command = [*map(str, command), *arguments]
        self._environment = os.environ | (clock.environment if clock else {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The one that runs, or ran last."""
        assert self._process is not None, "it was never started"
        return self._process

    def start(self) -> None:
        """Starts it, and returns when it takes requests."""
        before = self._greetings()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment
            )
        until("the collector takes requests", lambda: self._greetings() > before)

    def _greetings(self) -> int:
        if self._process is not None and self._process.poll() not in (None, -signal.SIGKILL):
            last = self.log.read_text().strip().splitlines()[-1:]
            raise Stuck(f"the collector does not run: {' '.join(last)}")
        return self.log.read_text().count("Next: ") if self.log.exists() else 0

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kills it; nothing in it can prevent or notice that."""
        self.process.kill()
        self.process.wait()
        for left in Path("/dev/shm").glob(f"*faketime_*_{self.process.pid}"):  # noqa: S108
            left.unlink()  # by libfaketime, which could not do it

    def stop(self) -> None:
        """Ends it as an operator would, and kills it when that does not help."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.kill()

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [pid for pid in map(int, path.read_text().split()) if _is_worker(pid)]

    def limit_files(self, size: int) -> None:
        """No file that it writes may grow beyond so many bytes from now on."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, size))

    def complaints(self) -> list[str]:
        """Lines of its log that are more than a remark: exceptions, and what is no log record."""
        found = []
        for line in self.log.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                if not line.startswith(("Footfall collects", "  O", "Next: ", "Stopped: ")):
                    found.append(line)
                continue
            if "exceptions" in record or "\n" in record["message"].strip():
                found.append(line)
        return found


def _unexpanded(settings: dict[str, object]) -> dict[str, object]:
    """In a configuration file `$$` stands for `$`."""
    return {k: v.replace("$", "$$") if isinstance(v, str) else v for k, v in settings.items()}


def _is_worker(pid: int) -> bool:
    with suppress(OSError):
        return b"footfall_collector.process.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


class Sender:
    """The program that sends (sender.py), and its journal."""

    def __init__(self, folder: Path, collectors: list[Collector], **options: float) -> None:
        self.journal, self._clock = folder / "journal", folder / "sender-clock"
        self.set_clock(0)
        arguments = ["--journal", str(self.journal), "--clock", str(self._clock)]
        arguments += ["--grpc", *(c.grpc for c in collectors)]
        arguments += ["--http", *(c.http for c in collectors)]
        for name, value in options.items():
            arguments += [f"--{name}", str(value)]
        self._log = (folder / "sender.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("sender.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
        )

    def set_clock(self, seconds: int) -> None:
        """Sets the clock by which it tells times so many seconds ahead of the true time."""
        new = self._clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._clock)

    def has(self, what: str) -> int:
        """How many lines of the journal begin so, or hold it."""
        return self.journal.read_text().count(what) if self.journal.exists() else 0

    def finish(self, seconds: float) -> None:
        """No new requests; returns when all are answered, or after so many seconds."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
