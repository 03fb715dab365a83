"""How long questions of the day take while it goes on, and how late durations are in their rollups.

A store of 30 days (query.py) gets spans over gRPC, at a steady rate, through a `footfall up` that keeps house
as it always does. Meanwhile a reader asks of today, one question after the other, and another session looks
four times a second how old the oldest commit is that `reporting.durations` does not have yet. The same
questions are asked once before anything comes in.

Run it with `make bench BENCH=opening`. It ends with exit code 1 when a question's 95th percentile is beyond
the limit, durations were more than a minute behind, or what was sent is not what is counted.
"""

import argparse
import asyncio
import json
import multiprocessing as mp
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import psycopg
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import prepare
from footfall_processors import load_catalog
from ingest import EXPORT, SPANS
from query import (
    AS_REPORTS,
    FEATURES,
    GROUPS,
    MILLION,
    Filling,
    Measured,
    ask,
    catalog_text,
    moment,
    p50_p95,
)
from questions import QUESTIONS

LIMIT_MS, BEHIND_S, PREPARED, AT_ONCE = 100.0, 60.0, 64, 8
OF_TODAY = ("usage today", "latency today", "durations_by_hour, a day", "events, the newest")
OF_A_MONTH = ("report usage, by event and status", "report errors, by event", "usage by hour")
_BEHIND = """
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(c.committed_at)), 0)::float8
    FROM footfall.latency_state s JOIN footfall.commits c ON c.position > s.position
"""
_COUNTED = "SELECT sum(count)::bigint FROM reporting.usage"


def requests(seed: int) -> list[ExportTraceServiceRequest]:
    """Distinct ones, of all features."""
    chosen, made = random.Random(seed), []
    for _ in range(PREPARED):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "bench"
        resource.resource.attributes.add(key="service.version").value.string_value = "1.1"
        scope = resource.scope_spans.add()
        for _ in range(SPANS):
            span = scope.spans.add(name=f"bench.feature_{chosen.randrange(FEATURES):03}", kind=1)
            span.trace_id, span.span_id = chosen.randbytes(16), chosen.randbytes(8)
            span.attributes.add(key="group").value.string_value = str(chosen.randrange(GROUPS))
            span.attributes.add(key="feature.action").value.string_value = "success"
        made.append(request)
    return made


def send(address: str, rate: int, seconds: float, pipe: "mp.connection.Connection") -> None:
    """Sends so many spans a second, as far as the machine goes; says how many were acknowledged."""
    made, chosen, acknowledged = requests(1), random.Random(2), 0
    channel = grpc.insecure_channel(address, options=[("grpc.max_send_message_length", -1)])
    export = channel.unary_unary(EXPORT)
    grpc.channel_ready_future(channel).result(timeout=10)

    def sent(request: ExportTraceServiceRequest) -> int:
        now = time.time_ns()
        for span in request.resource_spans[0].scope_spans[0].spans:
            span.end_time_unix_nano = now - chosen.randrange(10**8)
            span.start_time_unix_nano = span.end_time_unix_nano - chosen.randrange(10**9)
        return SPANS * (not export(request.SerializeToString(), timeout=60))

    with futures.ThreadPoolExecutor(AT_ONCE) as pool:
        began, pending = time.monotonic(), deque[futures.Future[int]]()
        for number in range(int(rate * seconds / SPANS)):
            time.sleep(max(0.0, began + number * SPANS / rate - time.monotonic()))
            if time.monotonic() - began > seconds:
                break
            pending.append(pool.submit(sent, made[number % PREPARED]))
            if len(pending) > AT_ONCE:  # as many as the machine carries
                acknowledged += pending.popleft().result()
        acknowledged += sum(each.result() for each in pending)
    pipe.send((acknowledged, time.monotonic() - began))


@contextmanager
def collecting(folder: Path, dsn: str) -> Iterator[str]:
    """A collector on this store, in whose folder the catalog is; its address."""
    (folder / "collector.yaml").write_text(
        "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: null}}}\n"
        "service: {operator: null}\n"
    )
    command = [
        Path(sys.executable).with_name("footfall"),
        "up",
        "--config",
        folder / "collector.yaml",
    ]
    log = folder / "collector.log"
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=log.open("w"),
        text=True,
        env=os.environ | {"FOOTFALL_DSN": dsn},
    )
    try:
        for line in process.stdout or ():
            if "OTLP/gRPC" in line:
                yield line.split("http://")[1].strip()
                break
        else:
            raise SystemExit(f"the collector did not start: {log.read_text()}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


class Lag(threading.Thread):
    """Looks how far behind the rollups are, until it is told to stop."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self._dsn, self._over = dsn, threading.Event()
        self.seconds: list[float] = []

    def run(self) -> None:
        """Four times a second."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not self._over.wait(0.25):
                row = connection.execute(_BEHIND).fetchone()
                self.seconds.append(row[0] if row else 0.0)

    def stop(self) -> list[float]:
        """What was seen, in seconds."""
        self._over.set()
        self.join()
        return self.seconds


def asked(connection: psycopg.Connection, filling: Filling, until: float) -> dict[str, list[float]]:
    """The milliseconds of each question, one after the other, until some time; each once at least."""
    found: dict[str, list[float]] = {name: [] for name in (*OF_TODAY, *OF_A_MONTH)}
    while not all(found.values()) or time.monotonic() < until:
        for name, waited in found.items():
            question = QUESTIONS[name]
            since = moment(filling.today - (question.days - 1) * 86_400 * 10**6)
            days = {"since": since, "until": moment(filling.today + 86_400 * 10**6)}
            waited += ask(connection, question.asked, days, 1)[0]
    return found


def measure(folder: Path, dsn: str, events: int, rate: int, seconds: float) -> int:
    """Fills, sends, asks, prints; the exit status."""
    filling = Filling(dsn, load_catalog(folder / "events.yaml"), Measured(events))
    asyncio.run(filling.run())
    here, there = mp.get_context("spawn").Pipe()
    with (
        collecting(folder, dsn) as address,
        psycopg.connect(
            dsn, autocommit=True, options=AS_REPORTS + " -c role=footfall_reader"
        ) as connection,
    ):
        asked(connection, filling, 0)
        quiet = asked(connection, filling, time.monotonic() + 10)
        before = connection.execute(_COUNTED).fetchone() or (0,)
        sender = mp.get_context("spawn").Process(target=send, args=(address, rate, seconds, there))
        sender.start()
        lag = Lag(dsn)
        lag.start()
        busy = asked(connection, filling, time.monotonic() + seconds)
        there.close()  # so that a sender that ends is noticed
        sent, took = here.recv()
        behind = lag.stop()
        after = connection.execute(_COUNTED).fetchone() or (0,)
    return tell(quiet, busy, behind, sent, sent / took, after[0] - before[0])


def tell(
    quiet: dict[str, list[float]], busy: dict[str, list[float]], behind: list[float],
    sent: int, rate: float, counted: int,
) -> int:  # fmt: skip
    """Prints p50/p95 in ms of each question, and how far durations were behind; the exit status."""
    print("| question | nothing comes | while events come |\n|---|---|---|")
    told = {name: (p50_p95(quiet[name]), p50_p95(each)) for name, each in busy.items()}
    for name, pair in told.items():
        print(f"| {name} | " + " | ".join(f"{a:,.1f}/{b:,.1f}" for a, b in pair) + " |")
    print(f"\n{rate:,.0f} events a second; {sent:,} acknowledged, {counted:,} counted")
    print(
        f"durations behind: median {statistics.median(behind):.1f} s, at most {max(behind):.1f} s"
    )
    print(
        json.dumps(
            {"rate": rate, "sent": sent, "counted": counted, "behind_s": max(behind), "asked": told}
        )
    )
    beyond = [
        f"{name}: p95 of {p95:.0f} ms" for name, (_, (_, p95)) in told.items() if p95 > LIMIT_MS
    ]
    beyond += [f"durations: {max(behind):.0f} s behind"] if max(behind) > BEHIND_S else []
    beyond += ["what was sent is not what is counted"] if sent != counted else []
    print(*(f"beyond its limit: {each}" for each in beyond), sep="\n")
    return int(bool(beyond))


def main() -> int:
    """Its exit status."""
    parser = argparse.ArgumentParser(description="Questions of the day while events come in.")
    parser.add_argument("--events", type=int, default=MILLION, help="stored before")
    parser.add_argument("--rate", type=int, default=20_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=90)
    options = parser.parse_args()
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with tempfile.TemporaryDirectory(prefix="footfall-bench-", dir=root) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "events.yaml").write_text(catalog_text())
        with EmbeddedPostgres(folder / "postgres") as dsn:
            prepare(dsn, Settings(load_catalog(folder / "events.yaml")))
            return measure(folder, dsn, options.events, options.rate, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
