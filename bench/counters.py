"""What a request of 10,000 cumulative points costs, beside another version of the collector.

Each version has a `footfall up` and a Postgres of its own. Requests go over gRPC to all in turns, the same:
every export holds all streams, a tenth of which have moved, as an SDK sends them. Two kinds:
  declared    10,000 combinations of declared attributes: as many dimensions
  undeclared  100 of these, times 100 values of an attribute that nobody declared

Figures are medians of the exports after the first, which makes the streams: CPU time of the collector, and
of it with its Postgres, in ms a request. The counts must be what was sent.

Run: make bench BENCH=counters      (options: python bench/counters.py --help)
     python bench/counters.py --against ../before/.venv/bin/footfall
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import grpc
import psycopg
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from footfall_exporters.embedded import EmbeddedPostgres
from ingest import Collector, cpu_of

STREAMS = 10_000
EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
VALUES = [f"v{n}" for n in range(100)]
CATALOG = f"""
product: bench
attributes:
  first: {{type: enum, values: [{", ".join(VALUES)}]}}
  second: {{type: enum, values: [{", ".join(VALUES)}]}}
events:
  bench.used: {{surface: web, feature: used, actions: [invoke], attributes: [first, second]}}
"""
LIMIT = 1.5


class Exports:
    """The exports of one sender, one after the other.

    Attributes:
        total: What its streams have counted so far.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self._second = "second" if kind == "declared" else "page"
        self._random = random.Random(seed)
        self._values = [0] * STREAMS
        self._start = time.time_ns() - 10**9
        self.total = 0

    def next(self) -> bytes:
        """All streams, of which a tenth has moved; all the first time."""
        moved = (
            range(STREAMS) if not self.total else self._random.sample(range(STREAMS), STREAMS // 10)
        )
        for stream in moved:
            self._values[stream] += 1
            self.total += 1
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "bench"
        resource.resource.attributes.add(key="service.instance.id").value.string_value = "one"
        metric = resource.scope_metrics.add().metrics.add(name="bench.used")
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
        now = time.time_ns()
        for stream, value in enumerate(self._values):
            point = metric.sum.data_points.add(
                as_int=value, start_time_unix_nano=self._start, time_unix_nano=now
            )
            for key, number in (("first", stream // 100), (self._second, stream % 100)):
                point.attributes.add(key=key).value.string_value = VALUES[number]
        return request.SerializeToString()


class Version:
    """A collector and its Postgres."""

    def __init__(self, command: Path, folder: Path, stack: ExitStack) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        self.dsn = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        (folder / "events.yaml").write_text(CATALOG)
        (folder / "collector.yaml").write_text(
            "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: null}}}\n"
            "service: {operator: null}\n"
        )
        process = subprocess.Popen(
            [command, "up", "--config", folder / "collector.yaml"],
            stdout=subprocess.PIPE,
            stderr=(folder / "collector.log").open("w"),
            text=True,
            env={**os.environ, "FOOTFALL_DSN": self.dsn},
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        for line in process.stdout or ():
            if "OTLP/gRPC" in line:
                self._collector = Collector(process, line.split("http://")[1].strip())
                break
        else:
            raise SystemExit(f"it did not start: {(folder / 'collector.log').read_text()}")
        options = [("grpc.max_send_message_length", -1)]
        channel = stack.enter_context(grpc.insecure_channel(self._collector.address, options))
        self._export = channel.unary_unary(EXPORT)

    def send(self, body: bytes) -> tuple[float, float]:
        """CPU seconds of the collector, and of its session in Postgres, for one request."""
        session = self._session()
        before = self._collector.cpu_seconds(), cpu_of(session)
        if self._export(body, timeout=60):
            raise SystemExit("the collector refused points")
        time.sleep(0.05)
        return self._collector.cpu_seconds() - before[0], cpu_of(session) - before[1]

    def _session(self) -> int:
        """The process of Postgres' that stores."""
        return int(
            self._ask("SELECT pid FROM pg_stat_activity WHERE application_name = 'footfall'")
        )

    def counted(self) -> int:
        """What is counted of all streams."""
        return int(self._ask("SELECT coalesce(sum(count), 0) FROM footfall.feature_counts"))

    def _ask(self, question: str) -> str:
        with psycopg.connect(self.dsn) as connection:
            found = connection.execute(question).fetchone()
        return str(found[0]) if found else "0"


def measure(
    versions: list[Version], kind: str, rounds: int, progress: Progress
) -> list[tuple[float, float]]:
    """The medians of each version: of the collector, and with Postgres; seconds."""
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    task = progress.add_task(kind, total=rounds + 1)
    exports = Exports(kind, seed=1)
    before = [version.counted() for version in versions]
    for number in range(rounds + 1):
        body = exports.next()
        order = range(len(versions)) if number % 2 else reversed(range(len(versions)))
        for index in order:
            seconds = versions[index].send(body)
            if number:
                found[index].append(seconds)
        progress.advance(task)
    for version, former in zip(versions, before, strict=True):
        if version.counted() - former != exports.total:
            raise SystemExit(f"{version.counted() - former:,} counted instead of {exports.total:,}")
    return [
        (statistics.median(a for a, _ in all_of), statistics.median(a + b for a, b in all_of))
        for all_of in (found[index] for index in range(len(versions)))
    ]


def main() -> None:
    """Measures, prints, and exits with 1 when it costs more than the limit."""
    parser = argparse.ArgumentParser(description="10,000 cumulative points a request.")
    own = Path(sys.executable).with_name("footfall")
    parser.add_argument("--against", type=Path, action="append", help="footfall of another version")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    commands = [own, *(path.absolute() for path in options.against or [])]
    console = Console(stderr=True)
    results: dict[str, list[tuple[float, float]]] = {}
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with (
        tempfile.TemporaryDirectory(prefix="footfall-counters-", dir=root) as folder,
        ExitStack() as stack,
    ):
        Path(folder).chmod(0o755)
        progress = stack.enter_context(Progress(console=console, transient=True))
        versions = [
            Version(command, Path(folder) / str(number), stack)
            for number, command in enumerate(commands)
        ]
        for kind in ("declared", "undeclared"):
            results[kind] = measure(versions, kind, options.rounds, progress)
    show(results, commands, as_json=options.json)


def show(
    results: dict[str, list[tuple[float, float]]], commands: list[Path], *, as_json: bool
) -> None:
    """The table, or one line of JSON."""
    rows = [
        {
            "kind": kind,
            "command": str(command),
            "collector_ms": round(alone * 1000, 1),
            "with_postgres_ms": round(both * 1000, 1),
            "ratio": round(found[0][1] / both, 3),
        }
        for kind, found in results.items()
        for command, (alone, both) in zip(commands, found, strict=True)
    ]
    if as_json:
        print(json.dumps(rows))
    else:
        table = Table(title="10,000 cumulative points a request", title_justify="left")
        for heading in ("points", "version", "collector, ms", "with Postgres, ms", "this / it"):
            table.add_column(
                heading, justify="left" if heading in ("points", "version") else "right"
            )
        for row in rows:
            which = "this" if row["command"] == str(commands[0]) else str(row["command"])
            table.add_row(
                str(row["kind"]),
                which,
                *(str(row[k]) for k in ("collector_ms", "with_postgres_ms", "ratio")),
            )
        Console().print(table)
    declared = [row for row in rows if row["kind"] == "declared"]
    if any(float(row["ratio"]) > LIMIT for row in declared):
        sys.exit(1)


if __name__ == "__main__":
    main()
