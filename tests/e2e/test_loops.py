"""Collectors that pass on in a circle: what comes back is refused where it was, and counted as a loop."""

import asyncio
import contextlib
import time

import grpc
import psycopg
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from psycopg import AsyncConnection

from conftest import new_database
from footfall_collector.config.config import Config
from footfall_collector.config.schema import GrpcConfig, ServiceConfig
from footfall_collector.process.app import running
from footfall_collector.subscribers.gateway import marker
from footfall_exporters.otlp import OtlpConfig
from footfall_exporters.postgres import PostgresConfig, origin
from footfall_processors import Hash
from support.ports import free_port
from support.waiting import until

PACKAGE = "opentelemetry.proto.collector"
METHODS = {
    "traces": f"/{PACKAGE}.trace.v1.TraceService/Export",
    "metrics": f"/{PACKAGE}.metrics.v1.MetricsService/Export",
}
SALTS = {(Hash.STATIC, 0): b"s" * 32}
ELSEWHERE = "0123456789abcdef"


@pytest.fixture
def databases(postgres_server, store_template):
    """Three stores, all made from one template."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(new_database(postgres_server, store_template)) for _ in range(3)]


def free_ports(number):
    return [free_port() for _ in range(number)]


def following(catalog, dsn, port, *to):
    """A collector at a port that passes on to others; without a database a gateway."""
    return Config(
        catalog,
        static_salts=SALTS,
        postgres=PostgresConfig(dsn=dsn) if dsn else None,
        service=ServiceConfig(operator=None),
        grpc=GrpcConfig(endpoint=f"127.0.0.1:{port}"),
        http=None,
        subscribers={
            f"otlp/{n}": OtlpConfig(endpoint=f"http://127.0.0.1:{each}")
            for n, each in enumerate(to)
        },
    )


@contextlib.asynccontextmanager
async def all_of(*configs):
    async with contextlib.AsyncExitStack() as stack:
        for config in configs:
            await stack.enter_async_context(running(config))
        yield


def spans(number, **resource):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for key, value in resource.items():
        group.resource.attributes.add(key=key.replace("__", ".")).value.string_value = value
    found = group.scope_spans.add().spans
    now = time.time_ns()
    for _ in range(number):
        found.add(name="shop.ping", start_time_unix_nano=now, end_time_unix_nano=now)
    return "traces", request.SerializeToString()


def counter(number):
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="shop.ping")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 1
    metric.sum.data_points.add(as_int=number, time_unix_nano=time.time_ns())
    return "metrics", request.SerializeToString()


async def send(port, *bodies):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        return [
            await channel.unary_unary(METHODS[kind])(body, timeout=20, wait_for_ready=True)
            for kind, body in bodies
        ]


def rows(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def used(dsn):
    return rows(dsn, "SELECT coalesce(sum(count), 0)::int FROM reporting.usage")[0][0]


def loops(dsn):
    found = rows(dsn, "SELECT signal, count::int FROM reporting.losses WHERE reason = 'loop'")
    return dict(found)


async def calm(*dsns):
    """Returns when every subscriber has taken every commit, for longer than it looks for new ones."""
    behind = (
        "SELECT count(*) FROM footfall.subscribers s, footfall.commit_clock k"
        " WHERE s.position < k.position"
    )
    quiet = 0
    async with asyncio.timeout(40):
        while quiet < 25:
            quiet = quiet + 1 if all(rows(dsn, behind) == [(0,)] for dsn in dsns) else 0
            await asyncio.sleep(0.1)


async def test_two_that_follow_one_another_count_everything_once(catalog, databases):
    first, second, _ = databases
    here, there = free_ports(2)
    async with all_of(
        following(catalog, first, here, there), following(catalog, second, there, here)
    ):
        await send(here, spans(40, service__name="shop"), counter(7))
        await send(there, spans(5))
        await until(lambda: used(first) == 52 and used(second) == 52)
        await calm(first, second)
    assert (used(first), used(second)) == (52, 52)
    assert (loops(first), loops(second)) == ({"traces": 40, "metrics": 1}, {"traces": 5})
    parked = "SELECT name, count(*)::int, min(reason) FROM footfall.parked GROUP BY 1"
    said = "the backend refused 5 of its events (partial success)"
    assert rows(first, parked) == [("otlp/0", 1, said)]


async def test_a_longer_circle_ends_where_it_began(catalog, databases):
    ports = free_ports(3)
    async with all_of(
        *(
            following(catalog, dsn, port, to)
            for dsn, port, to in zip(databases, ports, [*ports[1:], ports[0]], strict=True)
        )
    ):
        await send(ports[0], spans(9), counter(3))
        await until(lambda: loops(databases[0]) == {"traces": 9, "metrics": 1})
        await calm(*databases)
    assert [used(dsn) for dsn in databases] == [12] * 3
    assert [loops(dsn) for dsn in databases[1:]] == [{}, {}]


async def test_a_circle_through_gateways_ends_as_well(static_catalog, databases):
    """A store, two gateways, the store."""
    dsn = databases[0]
    store, first, second = free_ports(3)
    async with all_of(
        following(static_catalog, dsn, store, first),
        following(static_catalog, None, first, second),
        following(static_catalog, None, second, store),
    ):
        await send(store, spans(6))
        await until(lambda: loops(dsn) == {"traces": 6})
        await send(first, spans(4))  # comes round to the first gateway, which refuses it
        await until(lambda: used(dsn) == 10)
        await calm(dsn)
    assert (used(dsn), loops(dsn)) == (10, {"traces": 6})


async def test_what_goes_on_in_a_line_is_stored_by_all_with_the_way_it_came(catalog, databases):
    ports = free_ports(3)
    async with all_of(
        following(catalog, databases[0], ports[0], ports[1]),
        following(catalog, databases[1], ports[1], ports[2]),
        following(catalog, databases[2], ports[2]),
    ):
        await send(ports[0], spans(3))
        await until(lambda: used(databases[2]) == 3)
    ways = [rows(dsn, "SELECT relayed_from FROM footfall.feature_dims") for dsn in databases]
    markers = [await marker_of(dsn) for dsn in databases]
    assert ways == [[(None,)], [(markers[0],)], [(",".join(markers[:2]),)]]
    assert len(set(markers)) == 3


async def marker_of(dsn):
    async with await AsyncConnection.connect(dsn) as connection:
        return await origin.marker(connection)


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ([ELSEWHERE], True),
        ([ELSEWHERE] * 8, True),
        ([ELSEWHERE] * 9, False),
        (["here"], False),
        ([ELSEWHERE, "here", ELSEWHERE], False),
    ],
)
async def test_the_sender_is_told_of_a_circle_and_need_not_come_again(
    catalog, databases, path, stored
):
    dsn = databases[0]
    here = await marker_of(dsn)
    [port] = free_ports(1)
    sent = ",".join(here if hop == "here" else hop for hop in path)
    async with all_of(following(catalog, dsn, port)):
        [answer] = await send(port, spans(2, footfall__origin=sent))
    refused = ExportTraceServiceResponse.FromString(answer).partial_success
    if stored:
        assert (refused.rejected_spans, used(dsn), loops(dsn)) == (0, 2, {})
    else:
        assert (refused.rejected_spans, used(dsn), loops(dsn)) == (2, 0, {"traces": 2})
        assert refused.error_message.startswith("loop: 2 (has been here before")


def test_gateways_of_one_configuration_are_one(catalog):
    """A retry that another replica passes on has to be the same bytes."""
    a, b, c = (
        following(catalog, None, 1, *to).subscribers for to in ([4317], [4317], [4317, 4318])
    )
    assert marker(a) == marker(b) != marker(c)
    assert len(marker(a)) == 16
