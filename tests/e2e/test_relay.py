"""A collector that follows another one by OTLP, and a gateway: what arrives is what was there."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import os
import re
import signal
import subprocess
import sys
import time

import grpc
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from conftest import CATALOG, new_database
from footfall_collector.config.config import Config
from footfall_collector.config.schema import GrpcConfig, HttpConfig, ServiceConfig
from footfall_collector.decoding import metrics
from footfall_collector.decoding.spans import Pipeline
from footfall_collector.errors import StartError
from footfall_collector.process.app import running
from footfall_collector.security.keys import KeyEntry, digest, make_token
from footfall_collector.security.keys_file import changing
from footfall_collector.subscribers.delivery import Backoff
from footfall_collector.subscribers.follower import following
from footfall_exporters.contracts import Settings
from footfall_exporters.otlp import OtlpConfig, OtlpHttpConfig
from footfall_exporters.otlp_encode import trace_requests
from footfall_exporters.otlp_sums import metric_requests
from footfall_exporters.postgres import PostgresConfig
from footfall_processors import Batch, Dimension, Hash, Point, Policy, Rows, Shape, clean
from support.ports import free_port

PACKAGE = "opentelemetry.proto.collector"
METHODS = {
    "traces": f"/{PACKAGE}.trace.v1.TraceService/Export",
    "metrics": f"/{PACKAGE}.metrics.v1.MetricsService/Export",
    "logs": f"/{PACKAGE}.logs.v1.LogsService/Export",
}
SALT = "3f9c1a7be2d05846c1e97ab304fd2865"
SALTS = {(Hash.STATIC, 0): SALT.encode()}
QUICK = Backoff(first=0.05, longest=0.2)
HOUR = 3600 * 10**9
NOW_US = time.time_ns() // 1000
both = pytest.mark.parametrize("protocol", ["grpc", "http"])
REPORTS = {
    "usage": "SELECT * FROM reporting.usage",
    "latency": "SELECT * FROM reporting.latency",
    "active_groups": "SELECT (time AT TIME ZONE 'UTC')::date, count(DISTINCT guild_hash),"
    " count(DISTINCT team_hash), count(DISTINCT org_hash), count(DISTINCT visitor_hash)"
    " FROM footfall.feature_events GROUP BY 1",  # as they will be counted
    "completeness": "SELECT * FROM reporting.completeness",
    "events": "SELECT {columns} FROM reporting.events",
}
LOST = "SELECT signal, reason, count FROM reporting.losses WHERE signal <> 'sdk'"


# What the products send


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


# The collectors


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


@pytest.fixture
def second_database(postgres_server, store_template):
    with new_database(postgres_server, store_template) as dsn:
        yield dsn


@pytest.fixture
def relay(tmp_path):
    """The second collector's keys file, and the header of a sender that is trusted as a relay."""
    token = make_token()
    file = tmp_path / "keys.yaml"
    entry = KeyEntry(
        hash=f"sha256:{digest(token).hex()}",
        relay=True,
        created=dt.date(2026, 1, 1),
    )
    with changing(file) as entries:
        entries["first"] = entry
    return str(file), {"authorization": f"Bearer {token}"}


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


@both
async def test_a_second_collector_that_follows_by_otlp_has_equal_reports(
    catalog, store_database, second_database, relay, protocol
):
    keys_file, headers = relay
    bodies = everything(time.time_ns() - HOUR // 10)
    async with (
        running(configured(catalog, store_database)) as first,
        running(configured(catalog, second_database, keys_file=keys_file)) as second,
        followed(protocol, getattr(second, protocol), store_database, catalog, headers) as follower,
    ):
        await send(first.grpc, *bodies)
        await caught_up(store_database)
    found = reports(store_database)
    assert found == reports(second_database)
    assert {name: bool(rows) for name, rows in found.items()} == dict.fromkeys(REPORTS, True)
    groups = {day: n for day, n, *_ in found["active_groups"]}
    assert groups == guilds(body for kind, body in bodies if kind == "traces")
    # 3 services of 720 spans and 5 log records; counters 3 x 43 and, as a delta, 2 x 43.
    assert sum(row[-1] for row in found["usage"]) == 3 * 720 + 5 + 5 * 43
    assert (follower.delivery.parked, rows_of(second_database, LOST)) == (0, [])


@pytest.mark.parametrize("column", ["guild_hash", "team_hash", "visitor_hash"])
async def test_pseudonyms_arrive_as_they_are(
    catalog, store_database, second_database, relay, column
):
    keys_file, headers = relay
    async with (
        running(configured(catalog, store_database)) as first,
        running(configured(catalog, second_database, keys_file=keys_file)) as second,
        followed("grpc", second.grpc, store_database, catalog, headers),
    ):
        await send(first.grpc, ("traces", traces(30)))
        await caught_up(store_database)
    statement = f"SELECT DISTINCT {column} FROM footfall.feature_events ORDER BY 1"
    found = rows_of(store_database, statement)
    assert len(found) >= 4
    assert rows_of(second_database, statement) == found


async def test_from_a_sender_that_is_no_relay_no_pseudonym_is_taken(
    catalog, store_database, second_database
):
    async with (
        running(configured(catalog, store_database)) as first,
        running(configured(catalog, second_database)) as second,
        followed("grpc", second.grpc, store_database, catalog),
    ):
        await send(first.grpc, ("traces", traces(30)))
        await caught_up(store_database)
    [[rows, guilds, visitors]] = rows_of(
        second_database,
        "SELECT count(*), count(guild_hash), count(visitor_hash) FROM footfall.feature_events",
    )
    assert (rows, guilds, visitors) == (90, 0, 0)
    lost = {reason: number for _, reason, number in rows_of(second_database, LOST)}
    assert lost == {
        "wrong_type": 60 + 2 * 30
    }  # a guild on two events of three, and two more on one


@both
async def test_a_collector_that_was_away_has_everything_once_when_it_is_back(
    catalog, store_database, second_database, relay, protocol
):
    keys_file, headers = relay
    port = free_port()
    listener = {"grpc": GrpcConfig, "http": HttpConfig}[protocol](endpoint=f"127.0.0.1:{port}")
    config = configured(catalog, second_database, keys_file=keys_file, **{protocol: listener})
    start = time.time_ns() - HOUR // 10
    bodies = everything(start)
    async with (
        running(configured(catalog, store_database)) as first,
        followed(protocol, f"127.0.0.1:{port}", store_database, catalog, headers) as follower,
    ):
        await send(first.grpc, *bodies[:2])  # it is not there yet
        await retried(follower)
        async with running(config):
            await caught_up(store_database)
        await send(first.grpc, *bodies[2:])  # it is gone again
        await retried(follower)
        async with running(config):
            await caught_up(store_database)
    assert reports(store_database) == reports(second_database)


async def retried(follower):
    """Returns when it has tried once more in vain."""
    before = follower.delivery.retries
    async with asyncio.timeout(30):
        while follower.delivery.retries == before:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class Thief:
    """Passes on what two ends say over HTTP, but for some answers: it takes them and hangs up.

    Attributes:
        stolen: How many it took.
    """

    def __init__(self, address, every):
        self._target, self._every = address.rsplit(":", 1), every
        self.stolen, self._seen, self._tasks = 0, 0, []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self._tasks.append(asyncio.current_task())
        there, back = await asyncio.open_connection(*self._target)
        try:
            while request := await message(reader):
                back.write(request)
                answer = await message(there)
                self._seen += 1
                if self._seen % self._every == 0 and b" 200 " in answer[:16]:
                    self.stolen += 1
                    return
                writer.write(answer)
        finally:
            back.transport.abort()
            writer.transport.abort()


async def message(reader):
    """One HTTP/1.1 message with a Content-Length."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    size = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
    return head + await reader.readexactly(size)


async def test_an_answer_that_is_lost_after_storing_stores_nothing_twice(
    catalog, store_database, second_database, relay
):
    keys_file, headers = relay
    start = time.time_ns() - HOUR // 10
    async with (
        running(configured(catalog, store_database)) as first,
        running(configured(catalog, second_database, keys_file=keys_file)) as second,
        Thief(second.http, every=5) as thief,
        followed("http", thief.address, store_database, catalog, headers),
    ):
        await send(first.grpc, *everything(start))
        await caught_up(store_database)
    assert thief.stolen >= 2
    assert reports(store_database) == reports(second_database)


@contextlib.asynccontextmanager
async def process(tmp_path, dsn, keys_file, port):
    """`footfall up` as a process of its own, taking OTLP/gRPC at a port; killed at the end."""
    config = tmp_path / "second.yaml"
    config.write_text(
        f"processors: {{footfall: {{catalog: {CATALOG}, hash_salt: {SALT}}}}}\n"
        f"exporters: {{postgres: {{dsn: '{dsn.replace(chr(39), chr(39) * 2).replace('$', '$$')}'}}}}\n"
        f"receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{port}'}}, http: null}},"
        f" auth: {{keys_file: {keys_file}}}}}}}\n"
        "service: {operator: null}\n"
    )
    program = "from footfall_collector.cli import main; main()"
    running_ = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, "up", "--config", config, stdout=subprocess.PIPE
    )
    try:
        for _ in range(2):
            await running_.stdout.readline()
        yield running_
    finally:
        with contextlib.suppress(ProcessLookupError):
            running_.kill()
        await running_.wait()
        running_._transport.close()


async def test_a_collector_that_is_killed_while_it_is_sent_to_has_everything_once(
    tmp_path, catalog, store_database, second_database, relay
):
    keys_file, headers = relay
    port = free_port()
    stored = "SELECT count(*) FROM footfall.ingest_batches"
    async with (
        running(configured(catalog, store_database)) as first,
        followed("grpc", f"127.0.0.1:{port}", store_database, catalog, headers),
    ):
        await send(first.grpc, *[("traces", traces(100 + n)) for n in range(12)])
        for least in (3, 9):
            async with process(tmp_path, second_database, keys_file, port) as second:
                async with asyncio.timeout(60):
                    while rows_of(second_database, stored)[0][0] < least:  # noqa: ASYNC110
                        await asyncio.sleep(0.005)
                os.kill(second.pid, signal.SIGKILL)
                await second.wait()
        async with process(tmp_path, second_database, keys_file, port):
            await caught_up(store_database)
    assert reports(store_database) == reports(second_database)


# Gateways


def passing_on(protocol, address, catalog, headers):
    """A gateway's configuration."""
    kind = OtlpConfig if protocol == "grpc" else OtlpHttpConfig
    hop = kind(endpoint=f"http://{address}", headers=headers, pseudonyms=True)
    return dataclasses.replace(configured(catalog, None), postgres=None, subscribers={"otlp": hop})


@both
async def test_behind_a_gateway_the_reports_are_those_of_a_collector_without_one(
    static_catalog, store_database, second_database, relay, protocol
):
    keys_file, headers = relay
    bodies = everything(time.time_ns() - HOUR // 10)
    async with (
        running(configured(static_catalog, store_database)) as alone,
        running(configured(static_catalog, second_database, keys_file=keys_file)) as second,
        running(
            passing_on(protocol, getattr(second, protocol), static_catalog, headers)
        ) as gateway,
    ):
        await send(alone.grpc, *bodies)
        await send(gateway.grpc, *bodies)
        await send(gateway.grpc, *bodies)  # a sender that heard no answer
    assert reports(store_database) == reports(second_database)
    statement = "SELECT DISTINCT visitor_hash FROM footfall.feature_events ORDER BY 1"
    assert rows_of(store_database, statement) == rows_of(second_database, statement)


async def test_a_gateway_whose_next_hop_is_away_has_its_senders_come_again(
    static_catalog, second_database, relay
):
    keys_file, headers = relay
    port = free_port()
    body = traces(30)
    config = configured(
        static_catalog,
        second_database,
        keys_file=keys_file,
        grpc=GrpcConfig(endpoint=f"127.0.0.1:{port}"),
    )
    async with running(passing_on("grpc", f"127.0.0.1:{port}", static_catalog, headers)) as gateway:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await send(gateway.grpc, ("traces", body))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "google.rpc.retryinfo-bin" in dict(caught.value.trailing_metadata())
        async with running(config), asyncio.timeout(30):
            while True:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await send(gateway.grpc, ("traces", body))
                    break
                await asyncio.sleep(0.2)
    assert rows_of(second_database, "SELECT sum(count)::int FROM reporting.usage") == [(90,)]


async def test_a_gateway_whose_catalog_needs_rotating_salts_does_not_start(catalog):
    with pytest.raises(StartError, match="attribute guild_id: `hash: daily` needs the store"):
        async with running(passing_on("grpc", "127.0.0.1:1", catalog, {})):
            pass


# Without sockets: any batch


def decoded(policy, batch, catalog):
    """What another collector, which trusts the sender, makes of what is sent for a batch."""
    now_us = time.time_ns() // 1000

    async def decode():
        pipeline = Pipeline(policy, {})  # it has no salts: pseudonyms need none
        return [await pipeline.traces(request) for request in trace_requests(batch, catalog, True)]

    found = asyncio.run(decode())
    return found, [
        asyncio.run(metrics.decode(policy, request, now_us, key=b"k"))
        for request in metric_requests(batch)
    ]


def plain(dimension):
    return tuple(getattr(dimension, name) for name in Dimension.__dataclass_fields__)


def observations(batches):
    found = []
    for rows in (rows for batch in batches for rows in batch.rows):
        for at, shape in enumerate(rows.shapes):
            values = dict(zip(shape.columns, [column[at] for column in rows.values], strict=True))
            named = (plain(shape.dimension), shape.sample_rate)
            found.append((rows.times[at], rows.durations[at], *named, values))
    return sorted(found, key=repr)


def test_any_number_of_pseudonyms_is_relayed(catalog):
    """More than are remembered by their bytes."""
    size = 6000
    order = Dimension("shop.order", "web", "order", "success", "ok", *[None] * 4, ())
    shape = Shape(order, 1.0, ("guild_id",))
    values = [n.to_bytes(16, "big") for n in range(size)]
    hour = NOW_US // 3_600_000_000 * 3_600_000_000
    sent = Batch(
        b"d" * 16,
        "traces",
        [Rows([NOW_US] * size, [1] * size, [shape] * size, [values])],
        {(hour, order): size},
    )
    observed, counted = decoded(Policy(catalog, relay=True), sent, catalog)
    assert observations(observed) == observations([sent])
    assert ([b.losses for b in observed], counted) == ([{}] * 24, [])


@pytest.mark.parametrize(
    ("relay", "value", "kept"),
    [
        (True, b"footfall" + b"p" * 16, b"p" * 16),
        (True, b"p" * 16, None),
        (True, b"user@example.org", None),
        (True, b"p" * 24, None),
        (True, b"footfall" + b"p" * 15, None),
        (True, b"footfall" + b"p" * 17, None),
        (True, b"", None),
        (False, b"footfall" + b"p" * 16, None),
    ],
)
async def test_a_pseudonym_is_what_a_relay_has_marked(catalog, relay, value, kept):
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="shop.order")
    span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
    span.attributes.add(key="guild_id").value.bytes_value = value
    batch = await Pipeline(Policy(catalog, relay=relay), {}).traces(request.SerializeToString())
    [rows] = batch.rows
    assert rows.values == [[kept]]
    assert batch.losses == ({} if kept else {"wrong_type": 1})


hashes = st.none() | st.binary(min_size=16, max_size=16)
outcomes = st.sampled_from(
    [
        ("invoke", "ok", None),
        ("success", "ok", None),
        ("success", "error", "unexpected_error"),
        ("failure", "error", "out_of_stock"),
        ("failure", "timeout", "provider_timeout"),
        ("failure", "denied", "permission_denied"),
        ("skip", "denied", "invalid_preset"),
    ]
)
services = st.sampled_from([(None, None, None), ("shop", "1.2", "prod"), ("bot", None, None)])


@st.composite
def batches(draw, catalog):
    event = catalog.events["shop.survey"]
    columns, now = catalog.columns(event), NOW_US

    def dimension():
        enums = draw(
            st.sampled_from(
                [(), (("provider", "smr"),), (("mode", "zurück"), ("provider", "smz3"))]
            )
        )
        return Dimension("shop.survey", "web", "survey", *draw(outcomes), *draw(services), enums)

    texts = st.text(max_size=60).map(lambda text: clean(catalog.attributes["note"], text))
    strategies = {
        "attempts": st.none() | st.integers(0, 1000),
        "note": st.none() | texts,
        "ranked": st.none() | st.booleans(),
        "ratio": st.none() | st.floats(-1, 1).map(lambda x: 0.0 if abs(x) < 1e-100 else x),
        "seed": hashes,
    }
    rows = []
    for _ in range(draw(st.integers(0, 3))):
        size = draw(st.integers(1, 4))
        rate = draw(st.sampled_from([1.0, 0.5, 0.001]))
        rows.append(
            Rows(
                [draw(st.integers(now - 6 * 86_400 * 10**6, now)) for _ in range(size)],
                [draw(st.none() | st.integers(0, 600_000)) for _ in range(size)],
                [Shape(dimension(), rate, columns) for _ in range(size)],
                [[draw(strategies.get(name, hashes)) for _ in range(size)] for name in columns],
            )
        )
    counts = {
        (now // 3_600_000_000 * 3_600_000_000 - hour * 3_600_000_000, dimension()): number
        for hour, number in draw(
            st.dictionaries(st.integers(0, 140), st.integers(1, 10**12))
        ).items()
    }
    for part in rows:
        for moment, shape in zip(part.times, part.shapes, strict=True):
            key = (moment // 3_600_000_000 * 3_600_000_000, shape.dimension)
            counts[key] = counts.get(key, 0) + 1
    streams = draw(st.lists(st.binary(min_size=16, max_size=16), max_size=2, unique=True))
    points = [
        Point(stream, b"s" * 16, dimension(), now - 9, now, draw(st.integers(0, 10**12)))
        for stream in streams
    ]
    return Batch(b"d" * 16, "traces", rows, counts, points)


@given(data=st.data())
def test_whatever_is_relayed_is_read_back_as_it_was(catalog, data):
    sent = data.draw(batches(catalog))
    observed, counted = decoded(Policy(catalog, relay=True), sent, catalog)
    assert observations(observed) == observations([sent])
    assert [batch.losses for batch in (*observed, *counted)] == [{}] * (
        len(observed) + len(counted)
    )
    expected, found = {}, {}
    for (hour, dimension), number in sent.beyond_rows().items():
        key = hour, plain(dimension)
        expected[key] = expected.get(key, 0) + number
    for (hour, dimension), number in (item for batch in counted for item in batch.counts.items()):
        found[hour, plain(dimension)] = number
    assert found == expected
    points = [point for batch in counted for point in batch.points]
    assert states(points) == states(sent.points)
    assert len({p.stream for p in points}) == len({p.stream for p in sent.points})


def states(points):
    found = [(plain(p.dimension), p.start_us, p.time_us, p.value) for p in points]
    return sorted(found, key=repr)
