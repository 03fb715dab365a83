"""What `footfall up --workers 2` costs beside one worker (docs/performance.md).

Three collectors run all the time, each with a Postgres of its own: one with two workers, two with one. In
alternation, distinct requests are sent over 64 connections to the one with two workers (the kernel spreads
them over the workers), and to one with one worker. As a control, as many go to both collectors with one
worker at once, half to each: what these cost more than one alone is what the machine charges for working on
two cores at a time (caches, memory, neighbours), and nothing that workers do to each other. So many
connections keep the cores full: with 16, two workers wait for requests, and wake up for each.

Rows stored must equal the spans sent. CPU time is user + system of all the collector's processes; a ratio is
the median of the rounds' ratios. The requests are those of bench/ingest.py.

Run: make bench BENCH=workers       (options: python bench/workers.py --help)
"""

import argparse
import json
import multiprocessing as mp
import os
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from footfall_exporters.embedded import EmbeddedPostgres
from ingest import EXPORT, SPANS, Collector, build, cpu_of, start_collector, stored

CONNECTIONS = 64
ONE, TWO, APART = "one worker", "two workers", "two collectors, one worker each"
LIMITS = {"throughput_ratio": (0.95, 1), "cpu_ratio": (1.1, -1)}
"""Of two workers to one: at least 0.95, and at most 1.1."""
Measured = tuple[float, float]
"""Spans a second, and CPU µs a span."""


built: list[tuple[bytes, bytes]] = []
"""Requests, in the process that sends them: what is before and after the first trace id."""
requests: list[bytes] = []
"""The next ones, each with a trace id of its own."""


def prepare(number: int) -> None:
    """Makes the next requests, before any clock starts."""
    for body in build(0, number) if not built else ():
        first = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0]
        before, _, after = body.partition(first.trace_id)
        built.append((before, after))
    requests[:] = [before + secrets.token_bytes(16) + after for before, after in built]


def send(addresses: list[str]) -> float:
    """Wall seconds until the round's requests are acknowledged, each by one of the collectors."""
    options = [("grpc.use_local_subchannel_pool", 1)]  # each channel is a connection
    with ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(address, options=options))
            for _, address in zip(range(CONNECTIONS), cycle(addresses), strict=False)
        ]
        for channel in channels:
            grpc.channel_ready_future(channel).result(timeout=10)
        calls = [channel.unary_unary(EXPORT) for channel in channels]
        with futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            started = time.perf_counter()
            for answer in pool.map(
                lambda at: calls[at % CONNECTIONS](requests[at], timeout=60), range(len(requests))
            ):
                if answer:
                    raise SystemExit("the collector refused spans")
            return time.perf_counter() - started


def cpu_seconds(collector: Collector) -> float:
    """User and system time of the collector and its workers."""
    pid = collector.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(cpu_of, (pid, *map(int, children))))


@contextmanager
def collecting(folder: Path, workers: int) -> Iterator[tuple[Collector, str]]:
    """A collector with a Postgres of its own, and that one's DSN."""
    folder.mkdir(mode=0o755)
    with EmbeddedPostgres(folder / "postgres") as dsn:
        collector = start_collector(folder, dsn, workers=workers)
        try:
            yield collector, dsn
        finally:
            collector.process.send_signal(signal.SIGTERM)
            collector.process.wait(30)


def measure(generator: futures.Executor, collectors: list[Collector], spans: int) -> Measured:
    """One round with one collector, or with several at once."""
    before = sum(map(cpu_seconds, collectors))
    seconds = generator.submit(send, [each.address for each in collectors]).result()
    return spans / seconds, (sum(map(cpu_seconds, collectors)) - before) / spans * 1e6


def run(folder: Path, progress: Progress, options: argparse.Namespace) -> dict[str, list[Measured]]:
    """All rounds, after one that warms up.

    Raises:
        SystemExit: not every span is stored exactly once.
    """
    runs: dict[str, list[Measured]] = {ONE: [], TWO: [], APART: []}
    task = progress.add_task("rounds", total=options.rounds + 1)
    with ExitStack() as stack:
        up = [
            stack.enter_context(collecting(folder / str(at), workers))
            for at, workers in enumerate((1, 2, 1))
        ]
        one, two, other = (collector for collector, _ in up)
        executor = futures.ProcessPoolExecutor(1, mp.get_context("spawn"))
        generator = stack.enter_context(executor)
        spans = options.requests * SPANS
        sides = {ONE: [one], TWO: [two], APART: [one, other]}
        for at in range(options.rounds + 1):
            found = {}
            for name in list(sides)[:: -1 if at % 2 else 1]:
                generator.submit(prepare, options.requests).result()
                found[name] = measure(generator, sides[name], spans)
            for name, measured in found.items() if at else ():
                runs[name].append(measured)
            progress.advance(task)
        sent = (options.rounds + 1) * spans
        rows = [stored(dsn)[0] for _, dsn in up]
        if rows[1] != sent or rows[0] + rows[2] != 2 * sent:
            raise SystemExit(f"sent {sent:,} spans three times, but {rows} rows are stored")
    return runs


def main() -> None:
    """Runs the rounds and prints the table and, last, one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=300, help="per round and collector")
    options = parser.parse_args()
    console = Console()
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with (
        tempfile.TemporaryDirectory(prefix="footfall-bench-", dir=root) as name,
        Progress(console=console, transient=True) as progress,
    ):
        Path(name).chmod(0o755)
        runs = run(Path(name), progress, options)
    report(console, runs)


def report(console: Console, runs: dict[str, list[Measured]]) -> None:
    """The medians as a table, the ratios as JSON; exit status 1 beyond a limit."""
    table = Table(title="Workers: medians", title_justify="left")
    for heading in ("", "spans/s", "CPU µs/span"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, found in runs.items():
        rate, cpu = map(statistics.median, zip(*found, strict=True))
        table.add_row(name, f"{rate:,.0f}", f"{cpu:.2f}")
    console.print(table)
    result = {
        "throughput_ratio": ratio(runs[TWO], runs[ONE], 0),
        "cpu_ratio": ratio(runs[TWO], runs[ONE], 1),
        "control_cpu_ratio": ratio(runs[APART], runs[ONE], 1),
    }
    print(json.dumps(result))
    over = {k: result[k] for k, (limit, sign) in LIMITS.items() if sign * (result[k] - limit) < 0}
    if over:
        sys.exit(f"beyond the limit: {over} (limits {LIMITS})")


def ratio(these: list[Measured], those: list[Measured], at: int) -> float:
    """The median of the rounds' ratios."""
    pairs = zip(these, those, strict=True)
    return round(statistics.median(this[at] / that[at] for this, that in pairs), 3)


if __name__ == "__main__":
    main()
