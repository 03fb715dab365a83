"""A sender at work: it is told to go and to end, and its journal is what it prints."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

from faults.processes import until
from foreign.programs import PROGRAMS

START_S = 120.0
END_S = 150.0
"""SDKs try for up to a minute, for each signal, when they are ended while nobody answers."""


class Sender:
    """One program with one protocol.

    Args:
        name: Of the program.
        protocol: `grpc` or `http/protobuf`.
        endpoint: host:port.
        catalog: For Footfall's own SDK.
        rate: Spans a second, and as many increments.
        settings: More environment variables.

    Attributes:
        service: Its service's name.
        made: Spans, and increments, so far: (time.monotonic(), number).
        errors: What its SDK complains of.
    """

    def __init__(
        self, name: str, protocol: str, endpoint: str, catalog: Path, *,
        rate: int, settings: dict[str, str] | None = None, service: str | None = None,
    ) -> None:  # fmt: skip
        self.name, self.protocol = name, protocol
        self.service = service or f"{name}-{protocol.partition('/')[0]}"
        self.made: list[tuple[float, int]] = []
        self.errors: list[str] = []
        self._said: set[str] = set()
        environment = {
            "OTEL_SERVICE_NAME": self.service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_BSP_SCHEDULE_DELAY": "1000",
            "OTEL_LOGS_EXPORTER": "none",
        }
        self.process = subprocess.Popen(
            [*PROGRAMS[name].made(), str(rate), str(catalog)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | environment | (settings or {}),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def total(self) -> int:
        """Spans that it made, and as many increments."""
        return self.made[-1][1] if self.made else 0

    def made_at(self, moment: float) -> int:
        """Spans that it had made by then."""
        return max((number for at, number in self.made if at <= moment), default=0)

    def wait_until_ready(self) -> None:
        """Returns when it waits to be told to go."""
        until(f"{self.service} is ready", lambda: self._has("ready"), START_S)

    def go(self) -> None:
        """Lets it begin."""
        self._write("go\n")

    def end(self) -> None:
        """Asks it to end in order, and does not wait."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()

    def wait(self) -> bool:
        """Whether it came to its end by itself; it is killed when it does not."""
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        return "done" in self._said

    def stop(self) -> None:
        """Ends it at once, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _has(self, what: str) -> bool:
        return what in self._said or self.process.poll() is not None

    def _write(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._take(line.strip())

    def _take(self, line: str) -> None:
        try:
            (what, value), *_ = json.loads(line).items()
        except (ValueError, AttributeError):
            what, value = "error", line
        self._said.add(what)
        if what == "made":
            self.made.append((time.monotonic(), value))
        elif what == "error":
            self.errors.append(str(value)[:300])
