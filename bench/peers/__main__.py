"""What a span costs beside the peers: other OTLP receivers, which redact or not, and throw everything away.

Per round, in one run and in alternation, the same distinct requests of bench/ingest (512 spans of 8
attributes) go over gRPC, at the same concurrency, to each of these that is on the machine:
  Footfall                 `footfall up` with all rules on, into Postgres: acknowledged when committed
  OpenTelemetry Collector  with the contrib redaction processor (allowed_keys; the identifier replaced by
                           its hmac-sha256) and the nop exporter, without batching: acknowledged when redacted
  Rotel + Python           with the same two rules in its Python SDK, and the blackhole exporter
  Rotel                    no rules at all, the blackhole exporter: acknowledged when decoded and queued

Before the rounds each peer with rules forwards one request back, and every attribute is compared. The
first round only warms up. Medians of the others. CPU time is user + system of the process and its
children, read when it has come to rest; memory is the process's VmHWM. Throughput depends on what the
load generator leaves of the machine; the CPU time hardly does.

Get the peers: python bench peers --install     (once; needs Go for the Collector)
Run:           make bench BENCH=peers              (options: python bench peers --help)
"""

import argparse
import json
import multiprocessing as mp
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from concurrent import futures
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from footfall_exporters.embedded import EmbeddedPostgres
from ingest import SPANS, Collector, start_collector, stored
from peers import install
from peers.measure import Figures, measure_once, memory_mb, requests_of
from peers.rules import check_rules
from peers.start import PEERS, Missing, ended

OURS = "Footfall"


def measure(
    running: dict[str, Collector], database: int, options: argparse.Namespace, console: Console
) -> dict[str, list[Figures]]:
    """All rounds; the order rotates, and the first round is not counted."""
    runs: dict[str, list[Figures]] = defaultdict(list)
    names = list(running)
    spawn = mp.get_context("spawn")
    with (
        futures.ProcessPoolExecutor(1, mp_context=spawn) as generator,
        Progress(console=console, transient=True) as progress,
    ):
        task = progress.add_task("rounds", total=(options.rounds + 1) * len(names))
        for seed in range(options.rounds + 1):
            work = (seed, options.requests, options.concurrency)
            generator.submit(requests_of, *work[:2]).result()
            turn = seed % len(names)
            for name in names[turn:] + names[:turn]:
                postgres = database if name == OURS else None
                figures = measure_once(generator, running[name], postgres, work)
                if seed:
                    runs[name].append(figures)
                progress.advance(task)
    return runs


def start_peers(
    stack: ExitStack, folder: Path, console: Console
) -> tuple[dict[str, Collector], dict[str, str]]:
    """Those that are here, checked and started; and why the others are not."""
    running, missing = {}, {}
    for number, peer in enumerate(PEERS):
        own = folder / str(number)
        own.mkdir()
        try:
            with console.status(peer.name):
                if peer.rules != "none":
                    check_rules(peer, own)
                running[peer.name] = stack.enter_context(ended(peer.start(own, None)))
        except Missing as reason:
            missing[peer.name] = str(reason)
    return running, missing


def bench(options: argparse.Namespace, console: Console) -> dict[str, dict[str, Any]]:
    """Starts everything, measures, ends everything; figures by peer."""
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="footfall-bench-", dir=root))
        )
        folder.chmod(0o755)
        dsn = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        database = int((folder / "postgres/data/postmaster.pid").read_text().split()[0])
        ours = stack.enter_context(ended(start_collector(folder, dsn)))
        peers, missing = start_peers(stack, folder, console)
        running = {OURS: ours, **peers}
        runs = measure(running, database, options, console)
        rows, _, size, _ = stored(dsn)
        if rows != (options.rounds + 1) * options.requests * SPANS:
            raise SystemExit(f"{rows:,} rows are stored")
        result = {name: summary(running[name], runs[name]) for name in running}
        result[OURS] |= {
            "stored_durably": True,
            "bytes_per_event": round(size / rows, 1),
            "postgres_memory_mb": round(memory_mb(database), 1),
        }
    return result | {name: {"missing": reason} for name, reason in missing.items()}


def summary(collector: Collector, run: list[Figures]) -> dict[str, Any]:
    """Medians of a peer's rounds."""
    cpu = statistics.median(each.cpu for each in run)
    together = statistics.median(each.cpu + each.database_cpu for each in run)
    return {
        "stored_durably": False,
        "cpu_us_per_span": round(cpu, 2),
        "cpu_us_per_span_with_postgres": round(together, 2),
        "spans_per_s": round(statistics.median(each.rate for each in run)),
        "p99_ms": round(statistics.median(each.p99 for each in run), 1),
        "rss_mb": round(collector.peak_rss_mb(), 1),
        "bytes_per_event": None,
    }


def show(console: Console, result: dict[str, dict[str, Any]]) -> None:
    """The table, and below it what its figures do not say."""
    table = Table(
        title="Footfall and its peers: medians",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in ("\npeer", "\nrules", "stored\ndurably"):
        table.add_column(heading)
    for heading in (
        "CPU\nµs/span",
        "with\nPostgres",
        "\nspans/s",
        "p99\nms",
        "RSS\nMB",
        "bytes/\nevent",
    ):
        table.add_column(heading, justify="right")
    for name, rules in {OURS: "all", **{peer.name: peer.rules for peer in PEERS}}.items():
        table.add_row(name, rules, *_cells(result[name]))
    console.print(table)
    console.print(
        "Rules: two are an allowlist of keys, and an identifier replaced by its HMAC-SHA256; all are these,"
        " every value checked against the catalog, and a salt that changes daily.\n"
        "Footfall acknowledges a request once Postgres has committed it, and stores it once however often"
        " it is sent; the peers acknowledge and throw away."
        f" Postgres holds {result[OURS]['postgres_memory_mb']:.0f} MB besides."
        f" OTel Collector {install.OTELCOL}, Rotel {install.ROTEL}."
    )
    for name, figures in result.items():
        if "missing" in figures:
            console.print(f"{name}: {figures['missing']}", soft_wrap=True)


def _cells(figures: dict[str, Any]) -> tuple[str, ...]:
    if "missing" in figures:
        return ("not on this machine",)
    durably = figures["stored_durably"]
    return (
        "yes" if durably else "no",
        f"{figures['cpu_us_per_span']:.2f}",
        f"{figures['cpu_us_per_span_with_postgres']:.2f}" if durably else "—",
        f"{figures['spans_per_s']:,}",
        f"{figures['p99_ms']:.1f}",
        f"{figures['rss_mb']:.0f}",
        f"{figures['bytes_per_event']:.1f}" if durably else "—",
    )


def main() -> None:
    """Installs the peers, or runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(
        prog="python bench peers",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--install", action="store_true", help="get the peers, once, and stop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=300, help="per round and peer")
    parser.add_argument(
        "--concurrency", type=int, default=16, help="requests in flight to one peer"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end too")
    options = parser.parse_args()
    if options.install:
        sys.exit(not install.install())
    console = Console()
    result = bench(options, console)
    show(console, result)
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
