"""Cumulative counters on their way from the bytes to the counts, however a hop cuts and joins exports.

What is right is worked out below in plain Python: of each stream what it stood at last.
"""

import asyncio
import itertools
import random
import time

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from footfall_collector.decoding import metrics
from footfall_exporters.background import beside
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Policy

SECOND = 10**9
KEY = b"k" * 32
PAGES = ("", "/a", "/b", "/c")
numbers = itertools.count()


@st.composite
def exports(draw):
    """Runs of a service: (instance, start, page, plan, time, value) of every stream and export."""
    points = []
    now = time.time_ns()
    for run in range(draw(st.integers(1, 3))):
        instance, start = f"run-{run}", now - 3600 * SECOND + run
        streams = draw(
            st.lists(
                st.tuples(st.sampled_from(PAGES), st.sampled_from(["free", "pro"])),
                min_size=1, max_size=4, unique=True,
            )
        )  # fmt: skip
        for page, plan in streams:
            value = 0
            for export in range(draw(st.integers(1, 5))):
                value += draw(st.integers(0, 50))
                kind = draw(st.sampled_from([int, float]))
                moment = now - 60 * SECOND + export * 10 * SECOND
                points.append((instance, start, page, plan, moment, kind(value)))
    return points


def request(service, points):
    """Points as one request, each where it belongs; equal resources are not joined, as hops do not."""
    message = ExportMetricsServiceRequest()
    for instance, start, page, plan, moment, value in points:
        group = message.resource_metrics.add()
        for key, text in (("service.name", service), ("service.instance.id", instance)):
            group.resource.attributes.add(key=key).value.string_value = text
        metric = group.scope_metrics.add().metrics.add(name="shop.order")
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
        sent = metric.sum.data_points.add(start_time_unix_nano=start, time_unix_nano=moment)
        if isinstance(value, int):
            sent.as_int = value
        else:
            sent.as_double = value
        for key, text in (("page", page), ("provider", {"free": "smz3", "pro": "alttpr"}[plan])):
            if text:
                sent.attributes.add(key=key).value.string_value = text
    return message.SerializeToString()


def scattered(points, chance):
    """Requests that hold every point once or more, in any order and any company."""
    sent = points + chance.choices(points, k=chance.randrange(len(points) + 1))
    chance.shuffle(sent)
    while sent:
        size = chance.randint(1, len(sent))
        yield sent[:size]
        sent = sent[size:]


@pytest.fixture
def policy(catalog):
    return Policy(catalog)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(points=exports(), chance=st.randoms(use_true_random=False))
def test_however_exports_are_split_joined_repeated_and_delayed_the_counts_are_the_same(
    store_database, catalog, policy, points, chance
):
    service = f"service-{next(numbers)}"
    bodies = [request(service, part) for part in scattered(points, chance)]
    asyncio.run(store(store_database, catalog, policy, bodies, chance))
    last = {}
    for instance, _, page, plan, _, value in points:
        key = instance, page, plan
        last[key] = max(last.get(key, 0), int(value))
    expected = {}
    for (_, _, plan), value in last.items():
        expected[plan] = expected.get(plan, 0) + value
    assert counted(store_database, service) == {p: n for p, n in expected.items() if n}


async def store(dsn, catalog, policy, bodies, chance):
    writer = Writer(dsn, catalog)
    async with beside(writer.run()):
        together = chance.randint(1, 4)
        for at in range(0, len(bodies), together):
            await asyncio.gather(
                *[
                    writer.consume(await metrics.decode(policy, b, time.time_ns() // 1000, key=KEY))
                    for b in bodies[at : at + together]
                ]
            )


def counted(dsn, service):
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT CASE provider WHEN 'smz3' THEN 'free' ELSE 'pro' END, sum(count)::int"
            " FROM footfall.feature_counts JOIN footfall.feature_dims ON id = dim_id"
            " WHERE service = %s GROUP BY 1",
            [service],
        )
        return dict(found.fetchall())


def test_a_request_of_the_same_export_from_two_resources_counts_both(
    store_database, catalog, policy
):
    now = time.time_ns()
    points = [(f"run-{n}", now - SECOND, "", "pro", now, 5 + n) for n in range(2)]
    body = request("twice", points)
    asyncio.run(store(store_database, catalog, policy, [body, body], random.Random(1)))
    assert counted(store_database, "twice") == {"pro": 11}
