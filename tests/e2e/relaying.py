"""What products send, the collectors that pass it on, and their reports."""

import asyncio
import contextlib
import datetime as dt
import time

import grpc
import psycopg
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from footfall_collector.config.config import Config
from footfall_collector.config.schema import GrpcConfig, HttpConfig, ServiceConfig
from footfall_collector.subscribers.delivery import Backoff
from footfall_collector.subscribers.follower import following
from footfall_exporters.contracts import Settings
from footfall_exporters.otlp import OtlpConfig, OtlpHttpConfig
from footfall_exporters.postgres import PostgresConfig
from footfall_processors import Hash
from support.otlp import METHODS

SALT = "3f9c1a7be2d05846c1e97ab304fd2865"
SALTS = {(Hash.STATIC, 0): SALT.encode()}
QUICK = Backoff(first=0.05, longest=0.2)
HOUR = 3600 * 10**9
NOW_US = time.time_ns() // 1000
REPORTS = {
    "usage": "SELECT * FROM reporting.usage",
    "latency": "SELECT (time AT TIME ZONE 'UTC')::date, event, action, footfall.latency_bucket(duration_ms),"
    " count(*) FROM footfall.feature_events e JOIN footfall.feature_dims d ON d.id = e.dim_id"
    " GROUP BY 1, 2, 3, 4",  # as they will be rolled up
    "active_groups": "SELECT (time AT TIME ZONE 'UTC')::date, count(DISTINCT guild_hash),"
    " count(DISTINCT team_hash), count(DISTINCT org_hash), count(DISTINCT visitor_hash)"
    " FROM footfall.feature_events GROUP BY 1",  # as they will be counted
    "completeness": "SELECT * FROM reporting.completeness",
    "events": "SELECT {columns} FROM reporting.events",
}
LOST = "SELECT signal, reason, count FROM reporting.losses WHERE signal <> 'sdk'"


def traces(number, guilds=7):
    """Spans of several services with durations, failures, groups, and all kinds of values."""
    request = ExportTraceServiceRequest()
    now = time.time_ns()
    for service in ("shop", "bot", ""):
        group = request.resource_spans.add()
        if service:
            group.resource.attributes.add(key="service.name").value.string_value = service
        spans = group.scope_spans.add().spans
        for n in range(number):
            end = now - n * HOUR // 5
            name = ("shop.order", "shop.survey", "shop.ping")[n % 3]
            span = spans.add(name=name, end_time_unix_nano=end)
            span.start_time_unix_nano = end - (0, 200_000, 83 * 10**6, 10**9)[n % 4] * (n % 5)
            span.status.code = 2 if n % 7 == 0 else 0
            span.attributes.add(key="guild_id").value.string_value = f"guild {n % guilds}"
            span.attributes.add(key="provider").value.string_value = ("smz3", "smr")[n % 2]
            if n % 7 == 0:
                span.attributes.add(key="error.type").value.string_value = "TimeoutError"
            if name == "shop.survey":
                span.attributes.add(key="team_id").value.int_value = n % 4
                span.attributes.add(key="visitor").value.string_value = f"visitor {n % 9}"
                span.attributes.add(key="attempts").value.int_value = n
                span.attributes.add(key="ratio").value.double_value = n / 1000
                span.attributes.add(key="ranked").value.bool_value = n % 2 == 0
                span.attributes.add(key="note").value.string_value = f"grüße {n % 5}"
                span.attributes.add(key="seed").value.string_value = f"{n:032x}"
                span.attributes.add(key="feature.sample_rate").value.double_value = 0.1
    return request.SerializeToString()


def sums(numbers, temporality, start, instance="one"):
    """Counters: (event, attributes) → value."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    group.resource.attributes.add(key="service.instance.id").value.string_value = instance
    for (name, attributes), number in numbers.items():
        metric = group.scope_metrics.add().metrics.add(name=name)
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, temporality
        point = metric.sum.data_points.add(
            as_int=number, start_time_unix_nano=start, time_unix_nano=time.time_ns()
        )
        for key, value in attributes:
            point.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def logs():
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for _ in range(5):
        records.add(event_name="shop.ping", time_unix_nano=time.time_ns())
    return request.SerializeToString()


def counters(number, temporality, start):
    own = (("emitted_event", "shop.order"),)
    numbers = {
        ("shop.order", ()): 40 * number,
        ("shop.order", (("provider", "smz3"), ("feature.action", "failure"))): 3 * number,
        ("footfall.emitted", own): 500 * number,
        ("footfall.dropped", (("drop_reason", "queue_full"),)): 2 * number,
    }
    return sums(numbers, temporality, start)


def everything(start):
    """(signal, body) pairs: cumulative counters are exported twice, a delta once."""
    return [
        ("traces", traces(700)),
        ("metrics", counters(1, 2, start)),
        ("logs", logs()),
        ("traces", traces(20, guilds=30)),
        ("metrics", counters(3, 2, start)),
        ("metrics", counters(2, 1, start)),
    ]


def guilds(bodies):
    """Distinct guilds per UTC day, of the events that may carry one."""
    found = {}
    for body in bodies:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in group.scope_spans[0].spans:
                if span.name != "shop.ping":
                    day = dt.datetime.fromtimestamp(span.end_time_unix_nano / 1e9, dt.UTC).date()
                    found.setdefault(day, set()).add(span.attributes[0].value.string_value)
    return {day: len(each) for day, each in found.items()}


async def send(endpoint, *bodies):
    async with grpc.aio.insecure_channel(endpoint) as channel:
        for kind, body in bodies:
            await channel.unary_unary(METHODS[kind])(body, timeout=30)


def reports(dsn):
    with psycopg.connect(dsn) as connection:
        found = {}
        for name, statement in REPORTS.items():
            columns = columns_of(connection, "events") if "{columns}" in statement else ""
            rows = connection.execute(statement.format(columns=columns)).fetchall()
            found[name] = sorted(rows, key=repr)
        return found


def columns_of(connection, view):
    rows = connection.execute(f"SELECT * FROM reporting.{view} LIMIT 0")
    return ", ".join(c.name for c in rows.description if c.name != "event_id")


def rows_of(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def configured(catalog, dsn, **options):
    return Config(
        catalog,
        static_salts=SALTS,
        postgres=PostgresConfig(dsn=dsn),
        service=ServiceConfig(operator=None),
        **{
            "grpc": GrpcConfig(endpoint="127.0.0.1:0"),
            "http": HttpConfig(endpoint="127.0.0.1:0"),
            **options,
        },
    )


@contextlib.asynccontextmanager
async def exporting(protocol, address, catalog, headers=None):
    """The exporter of this protocol, opened."""
    kind = OtlpConfig if protocol == "grpc" else OtlpHttpConfig
    config = kind(endpoint=f"http://{address}", headers=headers or {}, timeout=20, pseudonyms=True)
    async with config.open(Settings(catalog)) as subscriber:
        yield subscriber


@contextlib.asynccontextmanager
async def followed(protocol, address, dsn, catalog, headers=None):
    async with (
        exporting(protocol, address, catalog, headers) as subscriber,
        following("otlp/second", subscriber, dsn, catalog, backoff=QUICK, poll=0.02) as follower,
    ):
        yield follower


async def caught_up(dsn, seconds=60):
    """Returns when the subscriber has taken every commit."""
    behind = (
        "SELECT k.position - s.position FROM footfall.subscribers s, footfall.commit_clock k"
        " WHERE name = 'otlp/second'"
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        async with asyncio.timeout(seconds):
            while connection.execute(behind).fetchone() != (0,):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
