"""How fast the collector is, beside what bounds it (docs/performance.md).

Per round, in one run and in alternation:
  walk     one process parses the requests with the official classes and reads every span's name, times
           and attributes in plain Python, storing nothing
  collect  another process sends them over gRPC to `footfall up`, with all rules on, into Postgres
  copy     a bare COPY of the rows that were stored, into the same table, by one connection, with as many
           rows a transaction as the collector had, nothing else running

The machine's speed changes from second to second, and with it the CPU time of the same work, by a third
and more. Therefore requests are walked and sent in slices of 150, and each sending stands between the walks
of the two halves of its slice.

A request is 512 spans of 8 attributes: three enums, an identifier of 1,000 values that is hashed, a user
name and an address that must be dropped, two more enums. Every request is distinct; the rows stored
must equal the spans sent. Medians of the rounds; CPU time is the process's, user and system. With `--mixed`
spans have the first four to eight of these attributes; the limits are not for those.

Run: make bench BENCH=ingest        (options: python bench/ingest.py --help)
"""

import argparse
import json
import multiprocessing as mp
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import grpc
import psycopg
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres.encode import HEADER, TRAILER

SPANS, SLICE = 512, 150
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
CATALOG = """
product: bench
attributes:
  guild_id: {type: string, hash: daily}
  provider: {type: enum, values: [alttpr, smz3, smr]}
  mode: {type: enum, values: [open, standard, inverted]}
  tier: {type: enum, values: [free, patron]}
  region: {type: enum, values: [eu, us, ap]}
events:
  bench.generator:
    surface: web
    feature: generator
    actions: [success, failure]
    attributes: [guild_id, provider, mode, tier, region]
"""
Ask = Callable[..., float]
"""A command for the load generator → what it measured."""
LIMITS = {"cpu_ratio": 0.55, "collector_rss_mb": 120, "bytes_per_event": 100}


def build(seed: int, requests: int, *, mixed: bool = False) -> list[bytes]:
    """Distinct encoded requests; ids and times are made here, before any clock starts."""
    rng = random.Random(seed)
    now = time.time_ns()
    result = []
    for _ in range(requests):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        _put(resource.resource, "service.name", "bench")
        scope = resource.scope_spans.add()
        scope.scope.name = "bench"
        for _ in range(SPANS):
            span = scope.spans.add(name="bench.generator", kind=1)
            span.trace_id, span.span_id = rng.randbytes(16), rng.randbytes(8)
            span.end_time_unix_nano = now - rng.randrange(10**9)
            span.start_time_unix_nano = span.end_time_unix_nano - rng.randrange(10**9)
            span.status.SetInParent()
            _put(span, "feature.action", rng.choice(("success", "failure")))
            _put(span, "provider", rng.choice(("alttpr", "smz3", "smr")))
            _put(span, "mode", rng.choice(("open", "standard", "inverted")))
            _put(span, "guild_id", str(10**17 + rng.randrange(1000)))
            _put(span, "user.name", f"player{rng.randrange(100_000)}")
            _put(span, "client.address", f"10.{rng.randrange(256)}.{rng.randrange(256)}.1")
            _put(span, "tier", rng.choice(("free", "patron")))
            _put(span, "region", rng.choice(("eu", "us", "ap")))
            if mixed:
                del span.attributes[rng.randrange(4, 9) :]
        result.append(request.SerializeToString())
    return result


def _put(holder: "object", key: str, value: str) -> None:
    attribute = holder.attributes.add(key=key)  # type: ignore[attr-defined]  # Span and Resource
    attribute.value.string_value = value


def walk(requests: list[bytes]) -> float:
    """CPU seconds to read everything with the official classes."""
    started = time.process_time()
    for encoded in requests:
        for resource in ExportTraceServiceRequest.FromString(encoded).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    _ = span.name, span.start_time_unix_nano, span.end_time_unix_nano
                    for attribute in span.attributes:
                        value = attribute.value  # of any type: AnyValue is a oneof
                        _ = attribute.key, getattr(value, value.WhichOneof("value"))
    return time.process_time() - started


def send(address: str, requests: list[bytes], concurrency: int) -> float:
    """Wall seconds until every request is acknowledged."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address, options=options) as channel:
        export = channel.unary_unary(EXPORT)
        grpc.channel_ready_future(channel).result(timeout=10)
        with futures.ThreadPoolExecutor(concurrency) as pool:
            started = time.perf_counter()
            for answer in pool.map(lambda body: export(body, timeout=60), requests):
                if answer:
                    raise SystemExit("the collector refused spans")
            return time.perf_counter() - started


def load_generator(pipe: "mp.connection.Connection") -> None:
    """The other process: builds, walks and sends on command."""
    requests: list[bytes] = []
    while (command := pipe.recv())[0] != "stop":
        match command:
            case ("build", seed, number, mixed):
                requests = build(seed, number, mixed=mixed)
                pipe.send(sum(map(len, requests)))
            case ("walk", start, stop):
                pipe.send(walk(requests[start:stop]))
            case ("send", address, start, stop, concurrency):
                pipe.send(send(address, requests[start:stop], concurrency))


def cpu_of(pid: int) -> float:
    """User and system time of all threads of a process so far, seconds, as clock_getcpuclockid(3) has it."""
    return time.clock_gettime(~pid << 3 | 2)  # /proc counts in steps of 10 ms


@dataclass
class Collector:
    """A `footfall up` of its own."""

    process: "subprocess.Popen[str]"
    address: str

    def cpu_seconds(self) -> float:
        """See `cpu_of`."""
        return cpu_of(self.process.pid)

    def peak_rss_mb(self) -> float:
        """The most memory it ever had resident."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return float("nan")


def start_collector(folder: Path, dsn: str, protocol: str = "grpc", workers: int = 1) -> Collector:
    """Starts a collector on a free port and waits until it listens."""
    other = {"grpc": "http", "http": "grpc"}[protocol]
    (folder / "events.yaml").write_text(CATALOG)
    (folder / "collector.yaml").write_text(
        f"receivers: {{otlp: {{protocols: {{{protocol}: {{endpoint: '127.0.0.1:0'}}, {other}: null}}}}}}\n"
        "service: {operator: null}\n"
    )
    process = subprocess.Popen(
        [
            *(Path(sys.executable).with_name("footfall"), "up"),
            *("--config", folder / "collector.yaml"),
            *(["--workers", str(workers)] if workers > 1 else []),
        ],
        stdout=subprocess.PIPE,
        stderr=(folder / "collector.log").open("w"),
        text=True,
        env={**os.environ, "FOOTFALL_DSN": dsn},
    )
    for line in process.stdout or ():
        if {"grpc": "OTLP/gRPC", "http": "OTLP/HTTP"}[protocol] in line:
            return Collector(process, line.split("http://")[1].strip())
    raise SystemExit(f"the collector did not start: {(folder / 'collector.log').read_text()}")


def copy_again(dsn: str, after_batch: int, rows: int, per_transaction: int) -> float:
    """Rows a second of a bare COPY of this round's rows into the table they are in."""
    columns = "time, ordinal, duration_ms, batch_id, dim_id, sample_rate, guild_hash"
    newest = f"SELECT {columns} FROM footfall.feature_events WHERE batch_id > {after_batch}"
    into = f"COPY footfall.feature_events ({columns}) FROM STDIN (FORMAT binary)"
    with psycopg.connect(dsn, autocommit=True) as connection:
        with connection.cursor().copy(f"COPY ({newest}) TO STDOUT (FORMAT binary)") as copy:
            encoded = [bytes(chunk) for chunk in copy]
        encoded[0] = encoded[0].removeprefix(HEADER)
        encoded[-1] = encoded[-1].removesuffix(TRAILER)
        encoded = [row for row in encoded if row]
        if len(encoded) != rows:
            raise SystemExit(f"{len(encoded):,} rows to copy instead of {rows:,}")
        groups = [
            b"".join((HEADER, *encoded[start : start + per_transaction], TRAILER))
            for start in range(0, rows, per_transaction)
        ]
        started = time.perf_counter()
        for group in groups:
            with connection.transaction(), connection.cursor().copy(into) as copy:
                copy.write(group)
        return rows / (time.perf_counter() - started)


def stored(dsn: str) -> tuple[int, int, int, int]:
    """Rows, transactions, bytes of heap, indexes, toast and dimensions, and the last batch's id."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM footfall.feature_events),"
            " (SELECT max(position) FROM footfall.commits),"
            " pg_total_relation_size('footfall.feature_dims') +"
            " (SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits"
            "  WHERE inhparent = 'footfall.feature_events'::regclass),"
            " (SELECT max(id) FROM footfall.ingest_batches)"
        ).fetchone()
    if row is None:
        raise SystemExit("the store does not answer")
    return row[0], row[1] or 0, row[2], row[3] or 0


def main() -> None:
    """Runs the rounds and prints the table and, last, one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=300, help="per round and concurrency")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--mixed", action="store_true", help="spans with four to eight attributes")
    options = parser.parse_args()
    console = Console()
    here, there = mp.get_context("spawn").Pipe()
    generator = mp.get_context("spawn").Process(target=load_generator, args=(there,), daemon=True)
    generator.start()
    there.close()  # so that a generator that ends is noticed

    def ask(*command: object) -> float:
        here.send(command)
        return float(here.recv())

    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with tempfile.TemporaryDirectory(prefix="footfall-bench-", dir=root) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "postgres") as dsn:
            collector = start_collector(folder, dsn)
            try:
                result = measure(console, ask, collector, dsn, options)
            finally:
                collector.process.send_signal(signal.SIGTERM)
                collector.process.wait(20)
                here.send(("stop",))
                generator.join(10)
    print(json.dumps(result))
    over = {k: result[k] for k, limit in LIMITS.items() if result[k] > limit}
    if over and not options.mixed:
        sys.exit(f"over the limit: {over} (limits {LIMITS})")


def _slice(
    ask: Ask, collector: Collector, concurrency: int, start: int, stop: int
) -> tuple[float, float, float]:
    """Seconds to send some requests, CPU seconds of the collector meanwhile, CPU seconds to walk them."""
    middle = (start + stop) // 2
    walked = ask("walk", start, middle)
    before = collector.cpu_seconds()
    seconds = ask("send", collector.address, start, stop, concurrency)
    cpu = collector.cpu_seconds() - before
    return seconds, cpu, walked + ask("walk", middle, stop)


def measure(
    console: Console,
    ask: Ask,
    collector: Collector,
    dsn: str,
    options: argparse.Namespace,
) -> dict[str, float]:
    """All rounds; medians by concurrency as a table, and the figures of the best concurrency."""
    copies: list[float] = []
    runs: dict[int, list[tuple[float, ...]]] = {c: [] for c in options.concurrency}
    number, spans = options.requests, options.requests * SPANS
    before = events = last_batch = 0
    bytes_per_event = 0.0
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("rounds", total=options.rounds * (len(runs) + 1))
        for seed in range(options.rounds):
            ask("build", seed, number * len(runs), options.mixed)
            for index, concurrency in enumerate(runs):
                part = range(index * number, (index + 1) * number, SLICE)
                slices = [(at, min(at + SLICE, part.stop)) for at in part]
                asked = (ask, collector, concurrency)
                seconds, cpu, walked = map(
                    sum, zip(*(_slice(*asked, *s) for s in slices), strict=True)
                )
                runs[concurrency].append(
                    (spans / seconds, cpu / spans * 1e6, walked / spans * 1e6, cpu / walked)
                )
                events += spans
                progress.advance(task)
            rows, transactions, size, last = stored(dsn)
            if rows != events + before:
                raise SystemExit(f"sent {events:,} spans, but {rows - before:,} rows are stored")
            bytes_per_event = bytes_per_event or size / rows
            copied = spans * len(runs)
            together = max(SPANS, events // transactions)
            copies.append(copy_again(dsn, last_batch, copied, together))
            before, last_batch = before + copied, last
            progress.advance(task)
    return _summary(console, copies, runs, collector.peak_rss_mb(), bytes_per_event)


def _summary(
    console: Console,
    copies: list[float],
    runs: dict[int, list[tuple[float, ...]]],
    rss: float,
    bytes_per_event: float,
) -> dict[str, float]:
    copy_rate = statistics.median(copies)
    table = Table(title="Ingest: medians", title_justify="left")
    for heading in ("in flight", "spans/s", "CPU µs/span", "walk", "÷ walk", "÷ COPY rows/s"):
        table.add_column(heading, justify="right")
    medians: list[tuple[float, ...]] = []
    for concurrency, figures in runs.items():
        rate, cpu, walk_us, ratio = map(statistics.median, zip(*figures, strict=True))
        medians.append((rate, cpu, walk_us, ratio))
        cells = (f"{rate:,.0f}", f"{cpu:.2f}", f"{walk_us:.2f}", f"{ratio:.2f}")
        table.add_row(str(concurrency), *cells, f"{rate / copy_rate:.2f}")
    console.print(table)
    console.print(f"Bare COPY {copy_rate:,.0f} rows/s. Figures below: the fastest concurrency.")
    rate, cpu, walk_us, ratio = max(medians)
    return {
        "spans_per_s": round(rate),
        "collector_cpu_us_per_span": round(cpu, 2),
        "reference_walk_us_per_span": round(walk_us, 2),
        "cpu_ratio": round(ratio, 3),
        "copy_rows_per_s": round(copy_rate),
        "copy_ratio": round(rate / copy_rate, 3),
        "collector_rss_mb": round(rss, 1),
        "bytes_per_event": round(bytes_per_event, 1),
    }


if __name__ == "__main__":
    main()
