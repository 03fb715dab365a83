"""Does a backend that keeps totals of deltas have all that was counted? A real one: the OTel Collector.

    senders ── Footfall ── otlp ── Collector ─┬─ deltatocumulative ── a file
                  └───────────────────────────┘ and back: a circle

Senders count for a while: cumulative counters, deltas, some of them days late, several series in a commit. In
the middle Footfall is stopped and started again, its clock is set back, and everything is sent once more
(`footfall export`). What stands in the file in the end is held against what was sent. The Collector also
sends all of it back to Footfall, which must store none of that.

The Collector is built by `python bench peers --install`.

Run: make bench BENCH=forwarding    (options: python bench/forwarding.py --help)
"""

import argparse
import asyncio
import datetime as dt
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psycopg
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from footfall_collector.config.config import Config
from footfall_collector.config.schema import GrpcConfig, ServiceConfig
from footfall_collector.process.app import running
from footfall_collector.subscribers.replay import replay
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.otlp import OtlpConfig
from footfall_exporters.postgres import PostgresConfig
from footfall_processors import Catalog, load_catalog
from peers import install

CATALOG = """
product: shop
attributes: {plan: {type: enum, values: [free, pro]}}
events:
  shop.order: {surface: web, feature: order, attributes: [plan]}
  shop.refund: {surface: web, feature: refund, attributes: [plan]}
"""
METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
SERVICES, EVENTS, PLANS = ("web", "bot", "api"), ("shop.order", "shop.refund"), ("free", "pro")
DELTA, CUMULATIVE = 1, 2
NAME = "otlp/totals"
BACK_S = 120
"""Seconds by which the clock was ahead."""


class Senders:
    """Programs that count, each with its own resource.

    Attributes:
        sent: (service, event) → occurrences.
    """

    def __init__(self) -> None:
        self.sent: Counter[tuple[str, str]] = Counter()
        self._start = time.time_ns()
        self._stands: Counter[tuple[str, str, str]] = Counter()
        self._random = random.Random(1)

    def request(self, service: str, temporality: int) -> bytes:
        """What one of them exports now."""
        request = ExportMetricsServiceRequest()
        group = request.resource_metrics.add()
        about = {"service.name": service, "service.instance.id": f"{service}-{temporality}"}
        for key, value in about.items():
            group.resource.attributes.add(key=key).value.string_value = value
        scope, now = group.scope_metrics.add(), time.time_ns()
        for event in EVENTS:
            metric = scope.metrics.add(name=event)
            metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, temporality
            for plan in PLANS:
                number = self._random.randrange(1, 50)
                self.sent[service, event] += number
                start, end = self._start, now
                if temporality == DELTA:
                    late = self._random.choice((0, 0, 3600, 2 * 86_400))
                    start, end = now - (late + 1) * 10**9, now - late * 10**9
                else:
                    self._stands[service, event, plan] += number
                    number = self._stands[service, event, plan]
                point = metric.sum.data_points.add(as_int=number)
                point.start_time_unix_nano, point.time_unix_nano = start, end
                point.attributes.add(key="plan").value.string_value = plan
        return request.SerializeToString()

    async def send(self, address: str, seconds: float) -> None:
        """Exports ten times a second, several at once."""
        async with grpc.aio.insecure_channel(address) as channel:
            call = channel.unary_unary(METHOD)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                kinds = [(s, t) for s in SERVICES for t in (DELTA, CUMULATIVE)]
                chosen = self._random.sample(kinds, 3)
                bodies = [self.request(service, temporality) for service, temporality in chosen]
                await asyncio.gather(*(call(body, timeout=20) for body in bodies))
                await asyncio.sleep(0.1)


def totals(file: Path) -> tuple[Counter[tuple[str, str]], int]:
    """What stands in the Collector's file in the end, by (service, event), and how many series there are."""
    last: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    for line in file.read_text("utf-8").splitlines():
        for group in json.loads(line)["resourceMetrics"]:
            about = {a["key"]: a["value"] for a in group["resource"]["attributes"]}
            service = about["service.name"]["stringValue"]
            for metric in group["scopeMetrics"][0]["metrics"]:
                for point in metric["sum"]["dataPoints"]:
                    labels = json.dumps(point["attributes"], sort_keys=True)
                    key = (service, metric["name"], labels, json.dumps(about, sort_keys=True))
                    now = int(point["timeUnixNano"]), int(point["asInt"])
                    last[key] = max(last.get(key, now), now)
    found: Counter[tuple[str, str]] = Counter()
    for (service, event, *_), (_, value) in last.items():
        found[service, event] += value
    return found, len(last)


@contextmanager
def collector(program: Path, folder: Path, port: int, back: str) -> Iterator[Path]:
    """The Collector, which writes its totals to the file that is yielded, and sends the deltas back."""
    file, path = folder / "totals.jsonl", folder / "otelcol.yaml"
    configuration = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{port}"}}}},
        "processors": {"deltatocumulative": {}},
        "exporters": {
            "file": {"path": str(file)},
            "otlp": {"endpoint": back, "tls": {"insecure": True}},
        },
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "metrics": {
                    "receivers": ["otlp"],
                    "processors": ["deltatocumulative"],
                    "exporters": ["file"],
                },
                "metrics/back": {"receivers": ["otlp"], "exporters": ["otlp"]},
            },
        },
    }
    path.write_text(yaml.safe_dump(configuration))
    with (folder / "otelcol.log").open("wb") as log:
        process = subprocess.Popen([program, "--config", path], stdout=log, stderr=log)
        try:
            yield file
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def set_clock_back(dsn: str) -> None:
    """Leaves the store as it is when the clock was BACK_S ahead, and was set right."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "UPDATE footfall.commit_clock SET counted_to = counted_to + %s * interval '1 second'",
            [BACK_S],
        )


def free_port() -> int:
    """A port of the loopback interface that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def caught_up(dsn: str) -> None:
    """Returns when the Collector has everything."""
    behind = (
        "SELECT k.position - s.position FROM footfall.subscribers s, footfall.commit_clock k"
        " WHERE name = %s"
    )
    async with asyncio.timeout(120):
        while True:
            with psycopg.connect(dsn) as connection:
                if connection.execute(behind, [NAME]).fetchone() == (0,):
                    return
            await asyncio.sleep(0.2)


async def run(program: Path, folder: Path, dsn: str, seconds: float) -> dict[str, object]:
    """All of it; what was sent, and what stands there."""
    catalog_file = folder / "events.yaml"
    catalog_file.write_text(CATALOG)
    catalog, port, senders = load_catalog(catalog_file), free_port(), Senders()
    address = f"127.0.0.1:{free_port()}"
    exporter = OtlpConfig(endpoint=f"http://127.0.0.1:{port}", signals=("metrics",))
    config = Config(
        catalog,
        postgres=PostgresConfig(dsn=dsn),
        service=ServiceConfig(operator=None),
        grpc=GrpcConfig(endpoint=address),
        http=None,
        subscribers={NAME: exporter},
    )
    with collector(program, folder, port, address) as file:
        async with running(config):  # stopped with something that is still to be sent
            await senders.send(address, seconds / 2)
        set_clock_back(dsn)
        async with running(config):
            await senders.send(address, seconds / 2)
            await caught_up(dsn)
            await again(dsn, exporter, catalog)
            await asyncio.sleep(5)  # the circle is closed meanwhile
            await caught_up(dsn)
    found, series = totals(file)
    with psycopg.connect(dsn) as connection:
        [[stored, refused]] = connection.execute(
            "SELECT (SELECT sum(count)::bigint FROM reporting.usage),"
            " (SELECT coalesce(sum(count), 0)::bigint FROM reporting.losses WHERE reason = 'loop')"
        ).fetchall()
    return {
        "sent": senders.sent.total(),
        "stored": stored,
        "refused": refused,
        "arrived": found.total(),
        "series": series,
        "equal": found == senders.sent,
    }


async def again(dsn: str, exporter: OtlpConfig, catalog: Catalog) -> None:
    """Sends everything once more, as `footfall export` does."""
    async with exporter.open(Settings(catalog)) as subscriber:
        now = dt.datetime.now(dt.UTC)
        await replay(dsn, NAME, subscriber, catalog, now - dt.timedelta(days=1), now)


def main() -> int:
    """Prints what was sent, stored and arrived, and one JSON object; 0 when these are equal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of counting (30)")
    parser.add_argument("--otelcol", type=Path, default=install.otelcol(), help="the program")
    options = parser.parse_args()
    if options.otelcol is None:
        print(f"the Collector was not built; run: {install.COMMAND}", file=sys.stderr)
        return 2
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with tempfile.TemporaryDirectory(prefix="footfall-forwarding-", dir=root) as name:
        Path(name).chmod(0o755)
        with EmbeddedPostgres(Path(name) / "postgres") as dsn:
            result = asyncio.run(run(options.otelcol, Path(name), dsn, options.seconds))
    print(
        "{sent:,} sent, {stored:,} stored, {arrived:,} arrived in {series} series;"
        " {refused:,} points that came back refused".format(**result)
    )
    print(json.dumps(result))
    right = result["equal"] and result["stored"] == result["sent"] and result["refused"]
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
