"""Batches → OTLP sums: what was counted beyond the rows as deltas, a gateway's counters as they stand.

Backends that keep totals (`deltatocumulative`, Prometheus) drop a delta that overlaps the one before it, or
does not end later. So a store's deltas have the window of their commit, each of which begins where the one
before ends, and one point for each series. Of occurrences in other hours than that, exemplars say how many
were when: another Footfall counts them there, other backends where the window ends.

Source: OTLP metrics data model, "Temporality", "Sums", "Exemplars"; metrics/v1/metrics.proto.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import NamedTuple
from uuid import UUID

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Exemplar,
    NumberDataPoint,
    ResourceMetrics,
)

from footfall_exporters.otlp_parts import MOST, SCOPE, Pairs, attributes, resource, sender, texts
from footfall_processors import Batch, Dimension
from footfall_processors.batch import HOUR_US

_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_SECOND_US = 10**6
SERIES = "footfall.series"
"""Attribute of a scope: tells series apart whose undeclared attributes are not sent on."""
SHORTEST_US = 1000
"""Of a commit's window (`postgres.statements.take_position`)."""


class _Sum(NamedTuple):
    """A metric's point before it is encoded; sorted by what comes first, which is its series.

    Attributes:
        sender: The resource's attributes.
        scope: The scope's.
        event: The metric's name.
        attributes: Of the point.
        start_us: µs since the Unix epoch.
        time_us: The same.
        value: Occurrences.
        hours: (µs since the Unix epoch, occurrences), where the time does not say it.
    """

    sender: Pairs
    scope: Pairs
    event: str
    attributes: Pairs
    start_us: int
    time_us: int
    value: int
    hours: tuple[tuple[int, int], ...] = ()


_Key = tuple[Pairs, Pairs, str, Pairs]


def metric_requests(batch: Batch) -> Iterator[bytes]:
    """Encoded ExportMetricsServiceRequests with what a batch counts beyond its rows."""
    for temporality, sums in ((_DELTA, _deltas(batch)), (_CUMULATIVE, _cumulatives(batch))):
        ordered = iter(sorted(sums))
        while part := list(islice(ordered, MOST)):
            request = ExportMetricsServiceRequest()
            for who, group in groupby(part, key=lambda each: each.sender):
                _add_metrics(request.resource_metrics.add(), who, group, temporality)
            yield request.SerializeToString(deterministic=True)


def _deltas(batch: Batch) -> Iterator[_Sum]:
    """Occurrences: in the window of their commit; a gateway's as they came; else in their hours."""
    if batch.window is None:
        yield from _as_they_came(batch) if batch.deltas else _hourly(batch)
        return
    start, end = batch.window
    series: dict[_Key, Counter[int]] = {}
    for (hour, dimension), number in batch.beyond_rows(one_each=True).items():
        # Dimensions can differ in what the catalog does not declare any more.
        hours = series.setdefault(_series(batch, dimension), Counter())
        hours[hour // HOUR_US * HOUR_US] += number
    for key, hours in series.items():
        yield _Sum(*key, start, end, hours.total(), _elsewhere(hours, start, end))


def _elsewhere(hours: Mapping[int, int], start: int, end: int) -> tuple[tuple[int, int], ...]:
    """The hours, unless the window ends in the only one; a shortest one's end is not the clock's."""
    told = set(hours) == {end // HOUR_US * HOUR_US} and end - start > SHORTEST_US
    return () if told else tuple(sorted(hours.items()))


def _as_they_came(batch: Batch) -> Iterator[_Sum]:
    for each in batch.deltas:
        key, start, end = (
            _series(batch, each.dimension, each.stream.hex()),
            each.start_us,
            each.time_us,
        )
        yield _Sum(*key, start, end, each.hours.total(), _elsewhere(each.hours, start, end))


def _hourly(batch: Batch) -> Iterator[_Sum]:
    """Each hour by itself, at a time within its first second that differs from batch to batch.

    Only the hour is known, and many backends keep one point of a series at a time.
    """
    moment = int.from_bytes(batch.digest[:8], "big") % _SECOND_US
    for (hour, dimension), number in batch.beyond_rows(one_each=True).items():
        start = hour // HOUR_US * HOUR_US
        yield _Sum(*_series(batch, dimension), start, start + moment, number)


def _cumulatives(batch: Batch) -> Iterator[_Sum]:
    """Counters as they stand.

    The instance stands for the sender, an attribute of the scope for what told its series apart.
    """
    for point in batch.points:
        key = _series(batch, point.dimension, point.stream.hex(), point.series.hex())
        yield _Sum(*key, point.start_us, point.time_us, point.value)


def _series(batch: Batch, dimension: Dimension, instance: str = "", series: str = "") -> _Key:
    """What tells a series apart: the sender, the scope, the metric, the attributes.

    Of a resource many backends look at the service's name and instance only: what differs in anything, such
    as the store that it was counted in, is an instance of its own.
    """
    if batch.origin and not instance:
        told = repr(sender(dimension, batch.origin)).encode()
        instance = str(UUID(bytes=hashlib.sha256(told).digest()[:16]))
    who = sender(dimension, batch.origin, instance)
    scope = ((SERIES, series),) if series else ()
    return who, scope, dimension.event, attributes(dimension)


def _add_metrics(
    group: ResourceMetrics,
    who: Pairs,
    sums: Iterable[_Sum],
    temporality: AggregationTemporality.ValueType,
) -> None:
    """A metric for each event, with a point for each of its sums."""
    group.resource.ParseFromString(resource(who))
    for said, alike in groupby(sums, key=lambda each: each.scope):
        scope = group.scope_metrics.add()
        scope.scope.name = SCOPE
        scope.scope.attributes.extend(texts(said))
        for event, points in groupby(alike, key=lambda each: each.event):
            metric = scope.metrics.add(name=event, unit="1")
            metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, temporality
            metric.sum.data_points.extend(map(_point, points))


def _point(each: _Sum) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=texts(each.attributes),
        start_time_unix_nano=each.start_us * 1000,
        time_unix_nano=each.time_us * 1000,
        as_int=each.value,
        exemplars=[Exemplar(time_unix_nano=us * 1000, as_int=number) for us, number in each.hours],
    )
