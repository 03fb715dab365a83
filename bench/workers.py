"""What `footfall up --workers 2` costs beside one worker (docs/performance.md).

In alternation, each with a collector and a Postgres of its own, the same number of distinct requests is
sent over 16 connections, which the kernel spreads over the workers. On two cores that the load generator,
Postgres and one worker fill already, two workers can gain nothing; they must not cost much either. The
rows stored must equal the spans sent. CPU time is user + system of all the collector's processes. The
requests are those of bench/ingest.py.

Run: make bench BENCH=workers       (options: python bench/workers.py --help)
"""

import argparse
import json
import multiprocessing as mp
import os
import signal
import statistics
import sys
import tempfile
import time
from concurrent import futures
from contextlib import ExitStack
from pathlib import Path

import grpc
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from footfall_exporters.embedded import EmbeddedPostgres
from ingest import EXPORT, SPANS, Collector, build, start_collector, stored

CONNECTIONS = 16
LIMITS = {"throughput_ratio": (0.95, 1), "cpu_ratio": (1.1, -1)}
"""Of two workers' medians to one worker's: at least 0.95, and at most 1.1."""


def send(address: str, seed: int, number: int) -> float:
    """Wall seconds until `number` distinct requests are acknowledged."""
    requests = build(seed, number)
    options = [("grpc.use_local_subchannel_pool", 1)]  # each channel is a connection
    with ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(address, options=options))
            for _ in range(CONNECTIONS)
        ]
        for channel in channels:
            grpc.channel_ready_future(channel).result(timeout=10)
        calls = [channel.unary_unary(EXPORT) for channel in channels]
        with futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            started = time.perf_counter()
            for answer in pool.map(
                lambda at: calls[at % CONNECTIONS](requests[at], timeout=60), range(number)
            ):
                if answer:
                    raise SystemExit("the collector refused spans")
            return time.perf_counter() - started


def cpu_seconds(collector: Collector) -> float:
    """User and system time of the collector and its workers."""
    pid = collector.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0.0
    for each in (str(pid), *children):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")
        if "postgres" not in fields[0]:
            total += sum(map(int, fields[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(
    workers: int, folder: Path, options: argparse.Namespace, seed: int
) -> tuple[float, float]:
    """One collector's (spans/s, CPU µs a span), after a round that warms it up."""
    folder.mkdir(mode=0o755)
    with EmbeddedPostgres(folder / "postgres") as dsn:
        collector = start_collector(folder, dsn, workers=workers)
        try:
            with futures.ProcessPoolExecutor(1, mp.get_context("spawn")) as generator:
                generator.submit(send, collector.address, seed + 1, options.requests // 4).result()
                before = cpu_seconds(collector)
                sent = generator.submit(send, collector.address, seed, options.requests)
                seconds = sent.result()
            cpu = cpu_seconds(collector) - before
        finally:
            collector.process.send_signal(signal.SIGTERM)
            collector.process.wait(30)
        rows = stored(dsn)[0]
    spans = (options.requests + options.requests // 4) * SPANS
    if rows != spans:
        raise SystemExit(f"sent {spans:,} spans, but {rows:,} rows are stored")
    number = options.requests * SPANS
    return number / seconds, cpu / number * 1e6


def main() -> None:
    """Runs the rounds and prints the table and, last, one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=600, help="per round")
    options = parser.parse_args()
    console = Console()
    runs: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with (
        tempfile.TemporaryDirectory(prefix="footfall-bench-", dir=root) as name,
        Progress(console=console, transient=True) as progress,
    ):
        Path(name).chmod(0o755)
        task = progress.add_task("rounds", total=2 * options.rounds)
        for at in range(options.rounds):
            for workers in runs:
                folder = Path(name) / f"{at}-{workers}"
                runs[workers].append(measure(workers, folder, options, 1000 * at))
                progress.advance(task)
    report(console, runs)


def report(console: Console, runs: dict[int, list[tuple[float, float]]]) -> None:
    """The medians as a table, their ratios as JSON; exit status 1 beyond a limit."""
    table = Table(title="Workers: medians", title_justify="left")
    for heading in ("workers", "spans/s", "CPU µs/span"):
        table.add_column(heading, justify="right")
    medians = {
        w: tuple(map(statistics.median, zip(*found, strict=True))) for w, found in runs.items()
    }
    for workers, (rate, cpu) in medians.items():
        table.add_row(str(workers), f"{rate:,.0f}", f"{cpu:.2f}")
    console.print(table)
    result = {
        "throughput_ratio": round(medians[2][0] / medians[1][0], 3),
        "cpu_ratio": round(medians[2][1] / medians[1][1], 3),
    }
    print(json.dumps(result))
    over = {k: result[k] for k, (limit, sign) in LIMITS.items() if sign * (result[k] - limit) < 0}
    if over:
        sys.exit(f"beyond the limit: {over} (limits {LIMITS})")


if __name__ == "__main__":
    main()
