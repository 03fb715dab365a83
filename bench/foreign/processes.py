"""Footfall and OpenTelemetry Collectors as processes that are killed and started again."""

import os
import random
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import yaml

from faults.processes import Stuck, until
from footfall_exporters.embedded import EmbeddedPostgres
from peers import install

CATALOG = """
product: foreign
attributes:
  provider: {type: enum, values: [smr, smz3]}
events:
  foreign.seen: {surface: api, feature: seen, attributes: [provider]}
  foreign.counted: {surface: api, feature: counted, attributes: [provider]}
  foreign.cumulative: {surface: api, feature: cumulative}
  foreign.delta: {surface: api, feature: delta}
  foreign.parent: {surface: api, feature: parent, match: [{span: lets-go}]}
  foreign.child: {surface: api, feature: child, match: [{span: "okey-dokey-*"}]}
"""
STOP_S = 40.0


def address() -> str:
    """host:port of a port that is free, below those that clients are given: nobody takes it meanwhile."""
    while True:
        number = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", number)):
            return f"127.0.0.1:{number}"


class Process:
    """One that listens.

    Args:
        command: Its command.
        listens: host:port, which it takes connections at when it is ready.
        log: Where it writes.
        environment: More variables.
    """

    def __init__(
        self, command: list[str], listens: str, log: Path, environment: dict[str, str] | None = None
    ) -> None:
        self._command, self.log = command, log
        self._listens = listens
        self._environment = os.environ | (environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and returns when it takes connections."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment
            )
        until(f"{Path(self._command[0]).name} listens", self._is_ready)

    def kill(self) -> None:
        """Kills it; nothing in it can prevent or notice that."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ends it as an operator would, and kills it when that does not help."""
        if self._process is None or self._process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The one that runs, or ran last."""
        assert self._process is not None, "it was never started"
        return self._process

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            last = self.log.read_text(errors="replace").strip().splitlines()[-3:]
            raise Stuck(f"{Path(self._command[0]).name} does not run: {' '.join(last)}")
        host, _, port = self._listens.partition(":")
        with socket.socket() as client:
            return client.connect_ex((host, int(port))) == 0


class Footfall(Process):
    """A `footfall up` with a Postgres of its own, which ends when it does.

    Args:
        folder: Of its configuration, its log and its Postgres.
        follower: host:port of a Collector that it passes everything on to, over gRPC.
        deduplicate: `receivers.otlp.deduplicate`.
    """

    def __init__(
        self, folder: Path, *, follower: str | None = None, deduplicate: str | None = None
    ) -> None:
        self.grpc, self.http = address(), address()
        self.catalog, self._data = folder / "events.yaml", folder / "postgres"
        self.catalog.write_text(CATALOG)
        path = folder / "collector.yaml"
        path.write_text(yaml.safe_dump(self._configuration(follower, deduplicate)))
        command = [str(Path(sys.executable).with_name("footfall")), "up", "-c", str(path)]
        super().__init__(command, self.http, folder / "footfall.log", {"FOOTFALL_DSN": ""})

    def _configuration(self, follower: str | None, deduplicate: str | None) -> dict[str, Any]:
        otlp: dict[str, Any] = {
            "protocols": {"grpc": {"endpoint": self.grpc}, "http": {"endpoint": self.http}}
        }
        if deduplicate:
            otlp["deduplicate"] = deduplicate
        exporters: dict[str, Any] = {"postgres": {"data_directory": str(self._data)}}
        if follower:
            exporters["otlp"] = {"endpoint": f"http://{follower}"}
        pipeline = {"receivers": ["otlp"], "processors": ["footfall"], "exporters": [*exporters]}
        return {
            "receivers": {"otlp": otlp},
            "exporters": exporters,
            "service": {
                "operator": None,
                "pipelines": dict.fromkeys(("traces", "metrics", "logs"), pipeline),
            },
        }

    def sql(self, statement: str) -> "list[tuple[Any, ...]]":
        """Rows of a statement, past the collector, which runs."""
        server = EmbeddedPostgres(self._data)
        try:
            with psycopg.connect(server.start()) as connection:
                return connection.execute(statement).fetchall()
        finally:
            server.stop()


class Otelcol(Process):
    """An OpenTelemetry Collector, as bench/peers builds it.

    Args:
        folder: Of its configuration and its log.
        configuration: The file's text.
        listens: host:port that it takes requests at.
        environment: What the configuration takes from there.

    Raises:
        Stuck: It was not built.
    """

    def __init__(
        self, folder: Path, configuration: str, listens: str, environment: dict[str, str]
    ) -> None:
        program = install.otelcol()
        if program is None:
            raise Stuck(f"the OpenTelemetry Collector was not built: run {install.COMMAND}")
        folder.mkdir(exist_ok=True)
        path = folder / "otelcol.yaml"
        path.write_text(configuration)
        command = [str(program), "--config", str(path)]
        super().__init__(command, listens, folder / "otelcol.log", environment)
