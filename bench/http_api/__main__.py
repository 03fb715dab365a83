"""How long the HTTP API takes at a steady rate, beside a bare Starlette route under the same load.

A collector as operators run it, with its own Postgres: each answer is durable. 1,000 identities, each with a
JWT of its own (HS256), are limited as they are by default. wrk sends at a steady rate: one event at 1,000
requests a second, 50 events at 200, ratings (`/psr`) at 1,000. A bare route of Starlette in uvicorn, which
stores nothing and asks nobody, takes the same requests in the same run, in turn; medians of the rounds. The
limit is 10 ms for 99 of 100 requests where the bare route's take 2; where they take longer, five times that.

Needs wrk (Debian: apt install wrk).

Run: make bench BENCH=http_api        (options: python bench/http_api --help)
"""

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
from rich.console import Console
from rich.table import Table

from footfall_exporters.embedded import EmbeddedPostgres
from ingest import Collector

HERE = Path(__file__).parent
LIMIT_MS, BARE_MS = 10.0, 2.0
"""The most that 99 of 100 requests may take, where the bare route's take the second; where the machine keeps
the bare route for longer, as many times as long."""
Runs = dict[str, dict[str, list[dict[str, Any]]]]
KINDS = {"one event": ("one", 1000), "50 events": ("fifty", 200), "/psr": ("psr", 1000)}
"""What wrk is told, and requests a second."""
CONNECTIONS = 32
CATALOG = """
product: shop
attributes:
  owner_id: {type: string, hash: static}
  session_id: {type: string, hash: static}
  prompt_id: {type: uuid, hash: static}
  source: {type: enum, values: [card, detail]}
  variant: {type: enum, values: [body, front_matter, json]}
  latency_ms: {type: int, min: 0, max: 600000}
events:
  prompt_copied:
    surface: web
    feature: prompts
    actions: [copied]
    attributes: [owner_id, session_id, prompt_id, variant, source, latency_ms]
"""


def identities(folder: Path, number: int) -> None:
    """The secret, and a token for each."""
    secret = secrets.token_hex(32)
    (folder / "secret").write_text(secret)
    now = int(time.time())
    tokens = [
        jwt.encode({"sub": f"walker-{n}", "exp": now + 7200, "sid": f"s{n}"}, secret, "HS256")
        for n in range(number)
    ]
    (folder / "tokens").write_text("\n".join(tokens) + "\n")


def configuration(folder: Path, dsn: str) -> Path:
    """Of a collector with the API, which listens where there is room."""
    (folder / "events.yaml").write_text(CATALOG)
    told = {
        "receivers": {
            "otlp": {"protocols": {"grpc": None, "http": {"endpoint": "127.0.0.1:0"}}},
            "http_api": {
                "identity": {
                    "jwt": {"algorithms": ["HS256"], "secret": (folder / "secret").read_text()}
                },
                "psr": {"enabled": True},
            },
        },
        "processors": {
            "footfall": {"catalog": str(folder / "events.yaml"), "hash_salt": secrets.token_hex(32)}
        },
        "exporters": {"postgres": {"dsn": dsn}},
        "service": {"operator": None},
    }
    path = folder / "collector.yaml"
    path.write_text(json.dumps(told))
    return path


@contextmanager
def bare() -> Iterator[str]:
    """The address of the bare route."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE), "bare:app", "--port", "0"]
    process = subprocess.Popen([*command, "--no-access-log"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        for line in process.stderr:
            if "running on" in line:
                yield line.split("http://")[1].split()[0]
                break
    finally:
        process.terminate()
        process.wait(20)


def pause(rate: int, answer_ms: float) -> float:
    """How long, in ms, each connection waits after an answer, so that there are so many requests a second."""
    return CONNECTIONS / rate * 1000 - answer_ms


def send(
    address: str,
    kind: str,
    rate: int,
    tokens: Path,
    seconds: int,
    collector: Collector | None = None,
) -> dict[str, Any]:
    """A run of wrk at a rate, after a short one that tells how long an answer takes; and its cost."""
    short = run(address, kind, pause(rate, 1.5), tokens, 2)
    cycle = CONNECTIONS * short["seconds"] / short["requests"] * 1000
    answer = cycle - pause(rate, 1.5)
    cpu = collector.cpu_seconds() if collector else 0.0
    found = run(address, kind, max(0.0, pause(rate, answer)), tokens, seconds)
    if collector:
        found["cpu_us"] = (collector.cpu_seconds() - cpu) / found["requests"] * 1e6
    return found


def run(address: str, kind: str, delay: float, tokens: Path, seconds: int) -> dict[str, Any]:
    """One run of wrk, whose connections wait for `delay` ms on average."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(HERE / "requests.lua")]
    told = [f"http://{address}", "--", kind, str(tokens), f"{delay:.2f}"]
    done = subprocess.run([*command, *told], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found["failed"]:
        raise SystemExit(
            f"{found['failed']} of {found['requests']} requests failed:\n{done.stdout}"
        )
    return found


def started(folder: Path, dsn: str) -> Collector:
    """A collector that listens."""
    command = [
        Path(sys.executable).with_name("footfall"),
        "up",
        "--config",
        configuration(folder, dsn),
    ]
    log = folder / "collector.log"
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    for line in process.stdout or ():
        if "OTLP/HTTP" in line:
            return Collector(process, line.split("http://")[1].strip())
    raise SystemExit(f"the collector did not start: {log.read_text()}")


def measure(folder: Path, options: argparse.Namespace) -> Runs:
    """By kind: the runs of the API and of the bare route."""
    runs: Runs = {kind: {"api": [], "bare": []} for kind in KINDS}
    tokens = folder / "tokens"
    identities(folder, options.identities)
    with EmbeddedPostgres(folder / "postgres") as dsn, bare() as route:
        collector = started(folder, dsn)
        try:
            send(collector.address, "one", 500, tokens, 5)  # it warms up
            for _ in range(options.rounds):
                for name, (kind, full) in KINDS.items():
                    rate = round(full * options.share)
                    like = "bare" if kind == "fifty" else f"bare-{kind}"
                    runs[name]["bare"].append(send(route, like, rate, tokens, options.seconds))
                    found = send(collector.address, kind, rate, tokens, options.seconds, collector)
                    runs[name]["api"].append(found)
        finally:
            collector.process.terminate()
            collector.process.wait(20)
    return runs


def median(runs: list[dict[str, Any]], figure: str) -> float:
    """Of the rounds."""
    return statistics.median(run[figure] for run in runs)


def main() -> None:
    """Runs the rounds; prints the table and, last, one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10, help="of each run")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the rates, on a machine that cannot take them"
    )
    parser.add_argument("--identities", type=int, default=1000)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is not installed (Debian: apt install wrk)", file=sys.stderr)
        sys.exit(2)
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with tempfile.TemporaryDirectory(prefix="footfall-bench-", dir=root) as name:
        folder = Path(name)
        folder.chmod(0o755)
        runs = measure(folder, options)
    table = Table(title="The HTTP API at a steady rate: medians", title_justify="left")
    for heading in ("requests of", "who", "requests/s", "p50 ms", "p95 ms", "p99 ms", "CPU µs"):
        table.add_column(heading, justify="right" if "/" in heading or " " in heading else "left")
    figures = {}
    for kind, sides in runs.items():
        for who, found in sides.items():
            rate = statistics.median(run["requests"] / run["seconds"] for run in found)
            times = [median(found, figure) for figure in ("p50", "p95", "p99")]
            cpu = f"{median(found, 'cpu_us'):.0f}" if who == "api" else ""
            table.add_row(kind, who, f"{rate:,.0f}", *(f"{each:.1f}" for each in times), cpu)
            figures[f"{kind}, {who}, p99 ms"] = round(times[2], 2)
    Console().print(table)
    print(json.dumps(figures))
    judge(
        {
            kind: {who: median(found, "p99") for who, found in sides.items()}
            for kind, sides in runs.items()
        }
    )


def judge(p99: dict[str, dict[str, float]]) -> None:
    """Exits with 1 where the API is over its limit."""
    over = []
    for kind, found in p99.items():
        limit = LIMIT_MS * max(1.0, found["bare"] / BARE_MS)
        print(f"{kind}: p99 {found['api']:.1f} ms, {limit:.1f} wanted (bare {found['bare']:.1f})")
        over += [kind] if found["api"] > limit else []
    if over:
        sys.exit(f"over the limit: {', '.join(over)}")


if __name__ == "__main__":
    main()
