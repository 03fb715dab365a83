"""What a span in OTLP/JSON costs the collector, beside the same span in protobuf, both over HTTP.

Per round, in one run and in alternation, a process of its own takes the requests of bench/ingest (512
spans of 8 attributes) with all rules on and stores them: first in protobuf, then others in JSON as
JavaScript exporters write it. CPU time is user + system of the collector; medians of the rounds.

Run: make bench BENCH=otlp_json        (options: python bench/otlp_json.py --help)
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import httpx
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

from footfall_exporters.embedded import EmbeddedPostgres
from ingest import SPANS, Collector, build, start_collector, stored

LIMIT = 3.0
"""The most CPU time that JSON may cost, in terms of protobuf."""
TYPES = {"protobuf": "application/x-protobuf", "json": "application/json"}


def as_json(encoded: bytes) -> bytes:
    """The same request in OTLP/JSON."""
    message = ExportTraceServiceRequest.FromString(encoded)
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    for group in document["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                span["traceId"], span["spanId"] = os.urandom(16).hex(), os.urandom(8).hex()
                span["status"] = {"code": 0}
    return json.dumps(document, separators=(",", ":")).encode()


def send(address: str, media_type: str, bodies: list[bytes], concurrency: int) -> float:
    """Wall seconds until every request is acknowledged."""
    headers = {"content-type": media_type}
    limits = httpx.Limits(max_connections=concurrency)
    with (
        httpx.Client(base_url=f"http://{address}", timeout=60, limits=limits) as client,
        futures.ThreadPoolExecutor(concurrency) as pool,
    ):
        started = time.perf_counter()
        for answer in pool.map(
            lambda body: client.post("/v1/traces", content=body, headers=headers), bodies
        ):
            if answer.status_code != 200 or answer.content not in (b"", b"{}"):
                raise SystemExit("the collector refused spans")
        return time.perf_counter() - started


def measure(collector: Collector, dsn: str, options: argparse.Namespace) -> dict[str, Any]:
    """All rounds; (spans/s, CPU µs a span) by encoding."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in TYPES}
    number, spans = options.requests, options.requests * SPANS
    for seed in range(options.rounds + 1):
        requests = build(seed, 2 * number)
        parts = {"protobuf": requests[:number], "json": list(map(as_json, requests[number:]))}
        for name, bodies in parts.items():
            cpu = collector.cpu_seconds()
            seconds = send(collector.address, TYPES[name], bodies, options.concurrency)
            cpu = (collector.cpu_seconds() - cpu) / spans * 1e6
            if seed:  # the first round warms up
                runs[name].append((spans / seconds, cpu))
    rows = stored(dsn)[0]
    if rows != 2 * spans * (options.rounds + 1):
        raise SystemExit(f"{rows:,} rows are stored")
    return {
        name: tuple(map(statistics.median, zip(*run, strict=True))) for name, run in runs.items()
    }


def main() -> None:
    """Runs the rounds and prints the table and, last, one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100, help="per round and encoding")
    parser.add_argument("--concurrency", type=int, default=16)
    options = parser.parse_args()
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with tempfile.TemporaryDirectory(prefix="footfall-bench-", dir=root) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "postgres") as dsn:
            collector = start_collector(folder, dsn, "http")
            try:
                medians = measure(collector, dsn, options)
            finally:
                collector.process.send_signal(signal.SIGTERM)
                collector.process.wait(20)
    table = Table(title="OTLP/HTTP: medians", title_justify="left")
    for heading in ("encoding", "spans/s", "CPU µs/span"):
        table.add_column(heading, justify="right")
    for each, (rate, cpu) in medians.items():
        table.add_row(each, f"{rate:,.0f}", f"{cpu:.2f}")
    Console().print(table)
    ratio = medians["json"][1] / medians["protobuf"][1]
    print(json.dumps({"json_to_protobuf_cpu": round(ratio, 2)}))
    if ratio > LIMIT:
        sys.exit(f"over the limit of {LIMIT}")


if __name__ == "__main__":
    main()
