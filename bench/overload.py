"""Ten times the load that is admitted: memory, the accepted requests' time, hints, and recovery.

Two processes keep so many requests of 512 spans in flight, one over gRPC and one over HTTP, that their bytes
are ten times the admission limit (receivers.otlp.admission.request_limit_mib). A sender that is refused comes
again after a tenth of the time that it is told to wait (--manners), so that refusing is work too. Before and
after, the load is half the limit. `footfall up` stores what it takes in a Postgres of its own; all of it
shares the machine's cores.

What is limited:
  memory      base + REQUESTS x limit + OFFERED x the bytes in flight, where base is the collector's memory
              under the load before (VmRSS), and its peak is compared (VmHWM)
  p99         of the accepted requests' seconds during the overload
  no hint     refused requests that do not say when to retry (RetryInfo, Retry-After)
  recovery    seconds after the overload until a second has 90 % of the spans that it had before

Run: make bench BENCH=overload      (options: python bench/overload.py --help)
"""

import argparse
import json
import multiprocessing as mp
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent import futures
from pathlib import Path
from typing import Any

import psycopg
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from faults.flood import SPANS, Answer, flood, template
from faults.processes import Collector, Postgres

OVERLOAD = 10
REQUESTS, OFFERED = 6, 2
"""Bytes of memory for a byte that is admitted: as it came, as columns, as rows, and encoded for COPY (5.5
were measured when nothing is refused). And for a byte that is offered: gRPC may have taken a
request from the socket, and copied it once, before its size is known and it is refused."""
RECOVERED = 0.9
LIMITS = {"p99_s": 1.0, "no_hint": 0, "recovery_s": 5.0, "lost_or_twice": 0}


def status_mib(pid: int, name: str) -> float:
    """A figure of /proc/PID/status in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"the kernel does not tell {name}")


class Load:
    """Both load generators.

    Args:
        collector: Where to.
        generators: Two processes.
        progress: Is shown what goes on.
    """

    def __init__(
        self, collector: Collector, generators: list[futures.Executor], progress: Progress
    ) -> None:
        self._collector, self._generators, self._progress = collector, generators, progress

    def run(self, what: str, in_flight: int, seconds: float, manners: float = 0.0) -> list[Answer]:
        """Keeps so many requests in flight, half of them over each protocol; all answers."""
        task = self._progress.add_task(what, total=seconds)
        half = max(in_flight // 2, 1), max(in_flight - in_flight // 2, 1)
        jobs = [
            generator.submit(flood, protocol, address, number, seconds, manners)
            for generator, protocol, address, number in zip(
                self._generators,
                ("grpc", "http"),
                (self._collector.grpc, self._collector.http),
                half,
                strict=True,
            )
        ]
        while futures.wait(jobs, 0.2).not_done:
            self._progress.advance(task, 0.2)
        return [answer for job in jobs for answer in job.result()]


def measure(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Everything; the figures."""
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with tempfile.TemporaryDirectory(prefix="footfall-bench-", dir=root) as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgres = Postgres(folder / "postgres")
        dsn = postgres.start()
        limit = sum(map(len, template())) * options.in_flight / OVERLOAD / 2**20
        collector = Collector(
            folder / "collector", {"dsn": dsn}, admission={"request_limit_mib": limit}
        )
        try:
            collector.start()
            return _measure(options, console, collector, dsn, limit)
        finally:
            collector.stop()
            postgres.stop()


def _measure(
    options: argparse.Namespace, console: Console, collector: Collector, dsn: str, limit: float
) -> dict[str, Any]:
    few, pid = options.in_flight // OVERLOAD // 2, collector.process.pid
    spawn = mp.get_context("spawn")
    with (
        futures.ProcessPoolExecutor(1, mp_context=spawn) as one,
        futures.ProcessPoolExecutor(1, mp_context=spawn) as other,
        Progress(console=console, transient=True) as progress,
    ):
        load = Load(collector, [one, other], progress)
        warm = load.run("warm-up", few, options.before / 2)
        before = load.run("before", few, options.before)
        base = status_mib(pid, "VmRSS")
        during = load.run("overload", options.in_flight, options.seconds, options.manners)
        over, peak = time.monotonic(), status_mib(pid, "VmHWM")
        after = load.run("after", few, options.before)
    refused = [answer for answer in during if not answer.taken]
    taken = sorted(answer.seconds for answer in during if answer.taken)
    accepted = sum(answer.taken for part in (warm, before, during, after) for answer in part)
    bound = base + REQUESTS * limit + OFFERED * OVERLOAD * limit
    return {
        "limit_mib": round(limit, 2),
        "in_flight": options.in_flight,
        "before_spans_s": round(rate(before)),
        "overload_spans_s": round(rate(during)),
        "after_spans_s": round(rate(after)),
        "accepted": len(taken),
        "refused": len(refused),
        "base_mib": round(base, 1),
        "peak_mib": round(peak, 1),
        "bound_mib": round(bound, 1),
        "p50_s": round(statistics.median(taken), 3) if taken else float("inf"),
        "p99_s": round(taken[int(0.99 * (len(taken) - 1))], 3) if taken else float("inf"),
        "no_hint": sum(answer.hint is None for answer in refused),
        "problems": dict(Counter(answer.problem for answer in refused if answer.problem)),
        "recovery_s": round(recovery(after, over, rate(before)), 2),
        "rss_after_mib": round(status_mib(pid, "VmRSS"), 1),
        "lost_or_twice": stored(dsn) - accepted * SPANS,
        "complaints": collector.complaints(),
    }


def rate(answers: list[Answer]) -> float:
    """Spans acknowledged a second: the median of the seconds."""
    if not answers:
        return 0.0
    first = min(answer.at for answer in answers)
    by_second = Counter(int(answer.at - first) for answer in answers if answer.taken)
    return SPANS * statistics.median(by_second[n] for n in range(max(by_second, default=0) + 1))


def recovery(answers: list[Answer], over: float, before: float) -> float:
    """Seconds after `over` at which a second begins that has nearly the spans of one before."""
    ends = sorted(answer.at - over for answer in answers if answer.taken)
    start = 0.0
    while start < ends[-1] if ends else False:
        if SPANS * sum(start <= end < start + 1 for end in ends) >= RECOVERED * before:
            return start
        start += 0.1
    return float("inf")


def stored(dsn: str) -> int:
    """Rows in the database."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM footfall.feature_events").fetchone()
    return row[0] if row else 0


def failures(figures: dict[str, Any]) -> list[str]:
    """What is over its limit."""
    limits = LIMITS | {"peak_mib": figures["bound_mib"]}
    found = [f"{k}: {figures[k]} (limit {most})" for k, most in limits.items() if figures[k] > most]
    if figures["lost_or_twice"] < 0:
        found.append(f"{-figures['lost_or_twice']} acknowledged spans are not stored")
    if not figures["refused"]:
        found.append("nothing was refused: this was no overload")
    return [*found, *figures["complaints"]]


def show(console: Console, f: dict[str, Any]) -> None:
    """The table, and below it what its figures do not say."""
    table = Table(
        title=f"{OVERLOAD}x overload: {f['in_flight']} requests in flight, {f['limit_mib']} MiB admitted",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
    )
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("limit", justify="right")
    for what, value, limit in (
        ("memory, peak (MiB)", f["peak_mib"], f["bound_mib"]),
        ("p99 of accepted requests (s)", f["p99_s"], LIMITS["p99_s"]),
        ("refused without a hint", f["no_hint"], LIMITS["no_hint"]),
        ("back at full speed after (s)", f["recovery_s"], LIMITS["recovery_s"]),
        ("acknowledged spans lost, or stored twice", f["lost_or_twice"], 0),
    ):
        table.add_row(what, f"{value:,}", f"{limit:,}")
    console.print(table)
    console.print(
        f"Memory before {f['base_mib']} MiB, afterwards {f['rss_after_mib']}. Of the requests during the"
        f" overload {f['accepted']:,} were taken and {f['refused']:,} refused. Spans a second:"
        f" {f['before_spans_s']:,} before, {f['overload_spans_s']:,} during, {f['after_spans_s']:,} after."
    )


def main() -> None:
    """Measures, prints the table, and exits with status 1 when a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="of overload")
    parser.add_argument("--before", type=float, default=10, help="seconds of normal load")
    parser.add_argument("--in-flight", type=int, default=160, help="requests during the overload")
    parser.add_argument(
        "--manners", type=float, default=0.1, help="how much of the hint a refused sender waits"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end too")
    options = parser.parse_args()
    console = Console()
    figures = measure(options, console)
    show(console, figures)
    if options.json:
        print(json.dumps(figures))
    if found := failures(figures):
        sys.exit("over the limit: " + "; ".join(found))


if __name__ == "__main__":
    main()
