"""What a use costs with other libraries: each in a process of its own, in turns, in one run."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sdk import install
from sdk.sinks import Sink, sink

USES = 1_000
"""Uses in a turn; then all that waits is sent, which is not timed, and the next library has its turn."""
PATIENCE = 60.0
"""Seconds for what was sent to arrive."""


class Library(NamedTuple):
    """One of those that are compared.

    Attributes:
        name: Of its function in libraries.py.
        title: In the table.
        own: Whether it runs in this environment; else in that of the peers.
    """

    name: str
    title: str
    own: bool = False


LIBRARIES = (
    Library("empty", "an empty program", own=True),
    Library("footfall", "Footfall", own=True),
    Library("opentelemetry", "OpenTelemetry: a span and a counter", own=True),
    Library("posthog", "posthog: an event"),
    Library("sentry", "sentry-sdk: a span"),
    Library("logfire", "logfire: a span"),
    Library("statsd", "statsd: a timer, no attributes"),
)


class Program:
    """A process with one library."""

    def __init__(self, library: Library, process: "subprocess.Popen[str]", target: Sink) -> None:
        self.library = library
        self._process, self._sink = process, target
        self._sent = 0
        self.turns: list[dict[str, float]] = []

    def turn(self) -> None:
        """Has it use its library, and waits until all of it has arrived.

        Raises:
            SystemExit: it ended, or not everything arrived.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{USES}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.library.title}: it ended with status {self._process.wait()}")
        self._sent += USES
        self.turns.append(json.loads(line))
        if self.library.name != "empty":
            self._arrived()

    def _arrived(self) -> None:
        until = time.monotonic() + PATIENCE
        while self._sink.uses < self._sent and time.monotonic() < until:
            time.sleep(0.01)
        if self._sink.uses != self._sent:
            raise SystemExit(f"{self.library.title}: {self._sink.uses:,} of {self._sent:,} arrived")

    def figures(self) -> dict[str, Any]:
        """Medians of all turns but the first; threads and memory as they are at the end."""
        counted = self.turns[1:]
        return {
            "us": round(statistics.median(turn["us"] for turn in counted), 2),
            "cpu_us": round(statistics.median(turn["cpu_us"] for turn in counted), 2),
            "threads": int(self.turns[-1]["threads"]),
            "rss_mb": round(self.turns[-1]["rss_mb"], 1),
        }


@contextmanager
def running(library: Library, python: Path) -> Iterator[Program]:
    """Its process, which ends with the block."""
    script = Path(__file__).with_name("libraries.py")
    plain = {n: v for n, v in os.environ.items() if n in ("PATH", "LANG", "TMPDIR")}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="footfall-bench-"))
        target = stack.enter_context(sink())
        process = subprocess.Popen(
            [python, script, library.name, str(target.http), str(target.udp), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=plain | {"HOME": folder, "no_proxy": "*"},
            text=True,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield Program(library, process, target)


def measure(rounds: int, console: Console) -> dict[str, dict[str, Any]]:
    """Figures by library; of those that are not on this machine, that they are missing."""
    result: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        programs = []
        for library in LIBRARIES:
            python = Path(sys.executable) if library.own else install.python()
            if python is None:
                result[library.name] = {"missing": install.COMMAND}
            else:
                programs.append(stack.enter_context(running(library, python)))
        progress = stack.enter_context(Progress(console=console, transient=True))
        task = progress.add_task("beside its peers", total=(rounds + 1) * len(programs))
        for number in range(rounds + 1):
            first = number % len(programs)
            for program in programs[first:] + programs[:first]:
                program.turn()
                progress.advance(task)
        return result | {program.library.name: program.figures() for program in programs}


def show(console: Console, result: dict[str, dict[str, Any]], rounds: int) -> None:
    """The table, and what its figures mean."""
    table = Table(
        title=f"Beside its peers: one use with three attributes, medians of {rounds} turns",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("library")
    for heading in ("µs a use", "CPU, µs", "CPU ÷ ours", "threads", "RSS, MB"):
        table.add_column(heading, justify="right")
    ours = result["footfall"]["cpu_us"]
    for library in LIBRARIES:
        figures = result[library.name]
        cells = ("not on this machine",) if "missing" in figures else _cells(figures, ours)
        table.add_row(library.title, *cells)
    console.print(table)
    console.print(
        f"µs: time that passes, and CPU time, of the thread that uses it; {USES:,} uses a turn, then all"
        " is sent, to a server on loopback that takes everything, and counted there. Each library has a"
        " process of its own."
        f" {', '.join(install.PACKAGES)}.",
        soft_wrap=True,
    )
    if any("missing" in figures for figures in result.values()):
        console.print(f"Get the others: {install.COMMAND}")


def _cells(figures: dict[str, Any], ours: float) -> tuple[str, ...]:
    return (
        f"{figures['us']:.2f}",
        f"{figures['cpu_us']:.2f}",
        f"{figures['cpu_us'] / ours:.2f}",
        str(figures["threads"]),
        f"{figures['rss_mb']:.0f}",
    )
