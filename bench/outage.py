"""What an hour without a collector does to the application: memory, and its event loop.

An asyncio program uses features steadily while the collector takes connections and never answers. The hour
is stepped: every interval and timeout of the SDK is divided by SPEED, and so is the hour. A heartbeat
task measures how late the loop wakes it. The same program with telemetry off runs beside it, in alternation.

Run: make bench BENCH=outage        (options: python bench/outage.py --help)
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

import footfall

SPEED = 180
HOUR = 3600.0
USES_PER_SECOND = 400  # of real time: about two a second of the hour
HEARTBEAT = 0.005
CATALOG = """
product: bench
attributes:
  provider: {type: enum, values: [alttpr, smz3]}
  note: {type: string}
events:
  bench.use: {surface: api, feature: use, attributes: [provider, note]}
"""
INTERVALS_MS = {
    "OTEL_BSP_SCHEDULE_DELAY": 5_000,
    "OTEL_METRIC_EXPORT_INTERVAL": 60_000,
}
TIMEOUT_S = 10
LIMITS = {"growth_mb": 16, "lateness_ratio": 2.0}
"""What memory may grow by after the first tenth, and the 99th percentile of lateness over the control's."""


def resident_mb() -> float:
    """Memory that is resident now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def host(seconds: float) -> dict[str, float]:
    """Uses features for so long, and measures itself."""
    late: list[float] = []
    over = asyncio.Event()

    async def heart() -> None:
        while not over.is_set():
            due = time.perf_counter() + HEARTBEAT
            await asyncio.sleep(HEARTBEAT)
            late.append(time.perf_counter() - due)

    beating = asyncio.create_task(heart())
    began, uses, warm = time.perf_counter(), 0, 0.0
    while (elapsed := time.perf_counter() - began) < seconds:
        while uses < elapsed * USES_PER_SECOND:
            with footfall.feature("bench.use", provider="smz3", note=f"use {uses}"):
                uses += 1
        if not warm and elapsed > seconds / 10:
            warm = resident_mb()
        await asyncio.sleep(0.001)
    over.set()
    await beating
    late.sort()
    return {
        "uses": uses,
        "late_p50_ms": round(statistics.median(late) * 1000, 3),
        "late_p99_ms": round(late[int(len(late) * 0.99)] * 1000, 3),
        "late_max_ms": round(late[-1] * 1000, 2),
        "resident_mb": round(resident_mb(), 1),
        "growth_mb": round(resident_mb() - warm, 1),
    }


def run(catalog: Path, endpoint: str, enabled: bool, seconds: float) -> dict[str, float]:
    """One run in a process of its own."""
    variables = {name: str(max(value // SPEED, 1)) for name, value in INTERVALS_MS.items()}
    variables |= {
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(TIMEOUT_S / SPEED),
        "TELEMETRY_ENABLED": str(enabled).lower(),
        "TELEMETRY_CATALOG": str(catalog),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
    }
    done = subprocess.run(
        [sys.executable, __file__, "--host", str(seconds)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Runs both in alternation and prints the table and, last, one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--host", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host is not None:
        footfall.configure()
        print(json.dumps(asyncio.run(host(options.host))))
        footfall.shutdown(0.5)
        return
    runs: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as silent:
        catalog = Path(name) / "events.yaml"
        catalog.write_text(CATALOG)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for _ in range(options.rounds):
            for enabled in runs:
                runs[enabled].append(run(catalog, endpoint, enabled, HOUR / SPEED))
    off, on = ({k: statistics.median(r[k] for r in runs[e]) for k in runs[e][0]} for e in runs)
    table = Table(title="An hour without a collector: medians", title_justify="left")
    for heading in ("", *off):
        table.add_column(heading, justify="right")
    table.add_row("telemetry off", *(f"{value:g}" for value in off.values()))
    table.add_row("telemetry on", *(f"{value:g}" for value in on.values()))
    Console().print(table)
    result = {
        "growth_mb": on["growth_mb"],
        "lateness_ratio": round(on["late_p99_ms"] / off["late_p99_ms"], 2),
        "late_p99_ms": on["late_p99_ms"],
        "late_max_ms": on["late_max_ms"],
        "control_late_p99_ms": off["late_p99_ms"],
        "control_late_max_ms": off["late_max_ms"],
    }
    print(json.dumps(result))
    over = {k: result[k] for k, limit in LIMITS.items() if result[k] > limit}
    if over:
        sys.exit(f"over the limit: {over} (limits {LIMITS})")


if __name__ == "__main__":
    main()
