"""Counts that are passed on: who keeps totals of deltas misses none, and another Footfall knows their hours.

What keeps totals is a model of the OpenTelemetry Collector's deltatocumulative in plain Python;
bench/forwarding.py asks the real one.
"""

import asyncio
import dataclasses
import datetime as dt
import time
from collections import Counter
from contextlib import asynccontextmanager

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from psycopg import AsyncConnection

from footfall_collector.decoding import metrics
from footfall_exporters.background import beside
from footfall_exporters.otlp_sums import metric_requests
from footfall_exporters.postgres.stream import Stream
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Batch, Dimension, Policy

HOUR_US = 3600 * 10**6


# What keeps totals


def pairs(attributes):
    return tuple((a.key, a.value.string_value) for a in attributes)


def points(body):
    """(series, start, time, value) of every point of a request, whose sums must be deltas."""
    for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                assert (metric.sum.aggregation_temporality, metric.sum.is_monotonic) == (1, True)
                for point in metric.sum.data_points:
                    series = (
                        pairs(group.resource.attributes), scope.scope.name, metric.name,
                        pairs(point.attributes),
                    )  # fmt: skip
                    start, end = point.start_time_unix_nano, point.time_unix_nano
                    yield series, start, end, point.as_int


class Totals:
    """What deltatocumulative keeps of a series, v0.156.0, internal/delta/delta.go: `Aggregate`.

    Attributes:
        totals: By series.
        dropped: Points that it took for older or out of order.
    """

    def __init__(self):
        self.totals, self.dropped, self._state = Counter(), 0, {}

    def take(self, body):
        for series, start, end, value in points(body):
            first, last = self._state.get(series, (start, 0))
            if start < first or end <= last:
                self.dropped += 1
                continue
            self._state[series] = first, end
            self.totals[series] += value


# What is stored and followed


def of(name, version=None, path=None, distro=None, event="shop.ping", **enums):
    surface = {"shop.ping": "api", "shop.order": "web"}[event]
    fixed = (event, surface, event.rpartition(".")[2], "invoke", "ok", None, name, version, None)
    return Dimension(*fixed, tuple(sorted(enums.items())), path, distro)


def plain(dimension):
    return tuple(getattr(dimension, name) for name in Dimension.__dataclass_fields__)


SERIES = [
    of("shop"),
    of("shop", "2"),
    of("shop", None, "0123456789abcdef"),
    of("shop", None, None, "footfall"),
    of("bot", event="shop.order", provider="smz3"),
    of("bot", event="shop.order", provider="smr"),
]


@asynccontextmanager
async def storing(dsn, catalog):
    writer = Writer(dsn, catalog)
    async with beside(writer.run()):
        yield writer


async def followed(dsn, catalog, position):
    """(position, requests) of each commit after a position, by a follower that has just been started."""
    found = []
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        stream = await Stream.open(connection, catalog)
        while commit := await stream.after(position):
            bodies = [
                body async for _, batch in stream.batches(commit) for body in metric_requests(batch)
            ]
            found.append((commit.position, bodies))
            position = commit.position
    return found


def shift_clock(dsn, seconds):
    """As if the server's clock had been that far ahead, and was set right."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE footfall.commit_clock SET counted_to = counted_to + %s * interval '1 second'",
            [seconds],
        )


def counts(hours):
    now = time.time_ns() // 1000 // HOUR_US * HOUR_US
    found = Counter()
    for back, series, number in hours:
        found[now - back * HOUR_US, SERIES[series]] += number
    return found


digests = (n.to_bytes(16, "big") for n in iter(lambda: time.time_ns(), None))
increments = st.lists(
    st.tuples(st.integers(0, 48), st.integers(0, len(SERIES) - 1), st.integers(1, 10**6)),
    min_size=1,
    max_size=8,
)
commits = st.lists(
    st.tuples(st.lists(increments, min_size=1, max_size=3), st.sampled_from([0, 0, 0, 2, 3600])),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=15,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink takes minutes, as each example is stored
)
@given(commits=commits, again=st.lists(st.integers(0, 5), max_size=3))
def test_totals_of_what_is_passed_on_are_what_was_counted(commits, again, store_database, catalog):
    """Late events, several requests a commit, a clock set back, a follower that begins again."""

    async def run():
        sent, late = Counter(), Counter()
        start = position(store_database)
        async with storing(store_database, catalog) as writer:
            for requests, ahead in commits:
                found = [counts(each) for each in requests]
                for each in found:
                    late.update({(h, plain(d)): n for (h, d), n in each.items()})
                    sent.update({plain(d): sum(n for (_, e), n in each.items() if e is d)
                                 for d in {d for _, d in each}})  # fmt: skip
                batches = [Batch(next(digests), "metrics", counts=each) for each in found]
                await asyncio.gather(*map(writer.consume, batches))
                shift_clock(store_database, ahead)
        return sent, late, await followed(store_database, catalog, start), start

    sent, late, requests, start = asyncio.run(run())
    totals, windows = Totals(), {}
    for at, (_, bodies) in enumerate(requests):
        for body in bodies:
            totals.take(body)
            for series, begin, end, _ in points(body):
                assert begin < end
                assert begin >= windows.get(series, 0), "a window begins where the former one ended"
                windows[series] = end
        if at in again:  # a follower that was stopped before its cursor moved, a replay
            repeated = asyncio.run(followed(store_database, catalog, start))
            assert repeated[at] == requests[at]
    assert totals.dropped == 0
    assert Counter(totals.totals.values()) == Counter(sent.values())
    assert arrived(catalog, requests) == late


def position(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT position FROM footfall.commit_clock").fetchone()[0]


def arrived(catalog, requests):
    """What another Footfall counts of it, by hour: its hops are not those of the sender."""
    found = Counter()
    policy = Policy(catalog, relay=True)
    for body in (body for _, bodies in requests for body in bodies):
        batch = asyncio.run(metrics.decode(policy, body, time.time_ns() // 1000))
        assert batch.losses == {}
        for (hour, d), number in batch.counts.items():
            *rest, path, distro = plain(d)
            assert path is not None
            former = ",".join(path.split(",")[:-1]) or None
            found[hour, (*rest, former, distro)] += number
    return found


def test_windows_are_adjoining_whatever_the_clock_says(store_database, catalog):
    async def run():
        async with storing(store_database, catalog) as writer:
            for ahead in (0, 7200, 0, 0):
                await writer.consume(Batch(next(digests), "metrics", counts=counts([(0, 0, 1)])))
                shift_clock(store_database, ahead)
        return await followed(store_database, catalog, 0)

    found = [next(points(body)) for _, [body] in asyncio.run(run())]
    ends = [end for _, _, end, _ in found]
    assert [start for _, start, _, _ in found[1:]] == [ends[0], ends[1] + 7200 * 10**9, ends[2]]
    assert ends == sorted(ends)
    assert ends[3] - ends[2] >= 10**6, "a backend with milliseconds sees them apart"


def test_while_the_clock_is_behind_exemplars_say_the_hour(store_database, catalog):
    """Another Footfall would refuse what is minutes ahead of its own clock."""

    async def run():
        async with storing(store_database, catalog) as writer:
            for ahead in (600, 0):
                await writer.consume(Batch(next(digests), "metrics", counts=counts([(0, 0, 7)])))
                shift_clock(store_database, ahead)
        return await followed(store_database, catalog, 0)

    [_, (_, [body])] = asyncio.run(run())
    batch = asyncio.run(metrics.decode(Policy(catalog), body, time.time_ns() // 1000))
    assert ([*batch.counts.values()], batch.losses) == ([7], {})


def test_the_windows_of_commits_by_an_older_version_come_from_when_they_were_made(
    store_database, catalog
):
    async def run():
        async with storing(store_database, catalog) as writer:
            await writer.consume(Batch(next(digests), "metrics", counts=counts([(0, 0, 1)])))
        with psycopg.connect(store_database, autocommit=True) as connection:
            made = connection.execute(
                "UPDATE footfall.commits SET counted_from = NULL, counted_to = NULL"
                " RETURNING committed_at"
            ).fetchone()[0]
        return made, await followed(store_database, catalog, 0)

    made, [(_, [body])] = asyncio.run(run())
    [(_, start, end, _)] = points(body)
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert (end - start, end) == (10**6, (made - epoch) // dt.timedelta(microseconds=1) * 1000)


def test_what_the_catalog_does_not_tell_apart_any_more_is_one_point(store_database, catalog):
    import msgspec

    event = catalog.events["shop.order"]
    kept = tuple(name for name in event.attributes if name != "provider")
    fewer = {**catalog.events, "shop.order": msgspec.structs.replace(event, attributes=kept)}

    async def run():
        async with storing(store_database, catalog) as writer:
            each = counts([(0, 4, 3), (1, 5, 4)])
            await writer.consume(Batch(next(digests), "metrics", counts=each))
        return await followed(store_database, msgspec.structs.replace(catalog, events=fewer), 0)

    [(_, [body])] = asyncio.run(run())
    assert [value for *_, value in points(body)] == [7]


@pytest.mark.parametrize("differing", range(1, 4))
def test_what_differs_in_the_sender_is_another_instance_of_the_service(differing):
    """Prometheus tells senders apart by the service's name and instance only."""

    def instance(dimension, origin="a" * 16):
        batch = Batch(
            b"d" * 16, "metrics", counts={(0, dimension): 1}, window=(0, 1), origin=origin
        )
        [body] = metric_requests(batch)
        [(series, *_)] = points(body)
        return dict(series[0])["service.instance.id"]

    assert instance(SERIES[0]) != instance(SERIES[differing])
    assert instance(SERIES[0]) != instance(SERIES[0], "b" * 16)
    assert instance(SERIES[differing]) == instance(SERIES[differing])


# A gateway, which stores nothing


def exported(sender, start, end, hours, event="shop.ping"):
    """One export of a delta by a program, or by a Footfall that says the hours."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    known = {"service.name": "shop", "service.instance.id": sender, "footfall.origin": "b" * 16}
    for key, value in known.items():
        group.resource.attributes.add(key=key).value.string_value = value
    metric = group.scope_metrics.add().metrics.add(name=event)
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 1
    point = metric.sum.data_points.add(as_int=sum(hours.values()))
    point.start_time_unix_nano, point.time_unix_nano = start, end
    for back, number in hours.items():
        moment = end - back * HOUR_US * 1000
        if hours.keys() != {0}:
            point.exemplars.add(time_unix_nano=moment, as_int=number)
    return request


exports = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.dictionaries(st.integers(0, 30), st.integers(1, 1000), min_size=1, max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=20,
)


@settings(deadline=None)
@given(exports=exports)
def test_a_gateway_passes_deltas_on_as_they_came(exports, catalog):
    """Senders of one service, each with windows of its own; now and then several exports in a request."""
    now = time.time_ns() - 60 * 10**9
    ends, bodies, sent, hours = Counter(), [], Counter(), Counter()
    joined = ExportMetricsServiceRequest()
    for at, (sender, counted, more) in enumerate(exports):
        start, end = ends[sender] or now, now + (at + 1) * 10**9
        ends[sender] = end
        sent[sender] += sum(counted.values())
        for back, number in counted.items():
            hours[(end // 1000 - back * HOUR_US) // HOUR_US * HOUR_US] += number
        joined.MergeFrom(exported(sender, start, end, counted))
        if not more:
            bodies.append(joined.SerializeToString())
            joined = ExportMetricsServiceRequest()
    bodies.append(joined.SerializeToString())
    totals, policy, arrived = Totals(), Policy(catalog), Counter()
    for body in bodies:
        passed, again = (
            [
                *metric_requests(
                    dataclasses.replace(
                        asyncio.run(metrics.decode(policy, body, time.time_ns() // 1000, key=b"k")),
                        origin="a" * 16,
                    )
                )
            ]
            for _ in range(2)
        )
        assert passed == again
        for request in passed:
            totals.take(request)
            batch = asyncio.run(metrics.decode(policy, request, time.time_ns() // 1000, key=b"k"))
            for (hour, _), number in batch.counts.items():
                arrived[hour] += number
    assert totals.dropped == 0
    assert sorted(totals.totals.values()) == sorted(sent.values())
    assert arrived == hours
