"""A metrics request → a `Batch`: declared monotonic sums, exact whatever their temporality.

A delta counts as it stands (the ledger recognises a repeated request). A cumulative sum becomes a `Point`,
whose increment the store works out. Points that differ only in attributes that nobody declared are
the same series once those are gone, and are added up. Points stay bytes until it is known that their
metric is declared and that they are not too many; histograms and summaries are never looked at.

Source: OTLP metrics data model, "Sums"; opentelemetry/proto/metrics/v1/metrics.proto.
"""

import datetime as dt
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    NumberDataPoint,
)

from footfall_collector import otlp, wire
from footfall_collector.pipeline import FUTURE_US, PAST_US, digest
from footfall_collector.wire import BOOL, BYTES, INT32, MANY, MESSAGE, ONE
from footfall_processors import Batch, Delta, Dimension, Loss, Point, Policy, Service
from footfall_processors.batch import HOUR_US
from footfall_processors.names import SERVICE_INSTANCE

MOST = 10**12
"""The largest value that is believed: one beyond it would make sums overflow, and queries fail."""
MOST_READ = 100_000
"""Metrics, points of declared ones and their attributes in a request: about a second, all at a stretch."""
_DATA = ("gauge", "sum", "histogram", "exponential", "summary")
_SCHEMA: wire.Schema = {
    "Metric": [
        ("name", 1, BYTES, ONE, None),
        ("gauge", 5, MESSAGE, ONE, ".footfall.Points"),
        ("sum", 7, MESSAGE, ONE, ".footfall.Points"),
        ("histogram", 9, BYTES, ONE, None),
        ("exponential", 10, BYTES, ONE, None),
        ("summary", 11, BYTES, ONE, None),
        ("metadata", 12, BYTES, ONE, None),
    ],
    "Points": [
        ("data_points", 1, BYTES, MANY, None),
        ("temporality", 2, INT32, ONE, None),
        ("is_monotonic", 3, BOOL, ONE, None),
    ],
}
(_Metric,) = wire.classes(_SCHEMA, "Metric", oneof=_DATA)
_NONE = NumberDataPoint().SerializeToString()


@dataclass(slots=True)
class _Sums:
    """A batch under construction."""

    counts: Counter[tuple[int, Dimension]] = field(default_factory=Counter)
    points: dict[tuple[bytes, Dimension], Point] = field(default_factory=dict)
    deltas: dict[tuple[bytes, Dimension], Delta] = field(default_factory=dict)
    losses: Counter[Loss] = field(default_factory=Counter)
    read: int = 0
    """Metrics and data points that were looked at, and their attributes."""

    def reading(self, number: int) -> None:
        """Raises `TooLarge` when so many more are too many."""
        self.read += number
        if self.read > MOST_READ:
            raise wire.TooLarge(MOST_READ, "metrics, data points and attributes of such")


def decode(
    policy: Policy,
    body: bytes,
    now_us: int,
    sender: bytes = b"",
    groups: wire.Groups | None = None,
) -> Batch:
    """An encoded ExportMetricsServiceRequest as a batch.

    Args:
        policy: The compiled catalog.
        body: Decompressed.
        now_us: The collector's clock, µs since the Unix epoch.
        sender: As for `pipeline.digest`.
        groups: What the body says, when it is not protobuf.

    Raises:
        google.protobuf.message.DecodeError: it is not one; nothing of it is kept.
        wire.TooLarge: it has too many parts; nothing of it is kept.
    """
    sums = _Sums()
    for resource, metrics in wire.groups(body) if groups is None else groups:
        attributes = otlp.resource_attributes(resource)
        service, bad = policy.service(attributes)
        sums.losses[Loss.RESOURCE_VALUE] += bad
        instance = str(attributes.get(SERVICE_INSTANCE, ""))
        sums.reading(len(metrics))
        for metric in metrics:
            _add_metric(sums, policy, service, instance, metric, now_us)
    return Batch(
        digest=digest("/v1/metrics", sender, body),
        signal="metrics",
        counts=sums.counts,
        points=tuple(sums.points.values()),
        deltas=tuple(sums.deltas.values()),
        losses=+sums.losses,
    )


def _add_metric(
    sums: _Sums, policy: Policy, service: Service, instance: str, encoded: bytes, now_us: int
) -> None:
    wire.check_tags(encoded, 1)
    try:
        metric = _Metric.FromString(encoded)
    except DecodeError:
        sums.losses[Loss.MALFORMED] += 1
        return
    today = dt.datetime.fromtimestamp(now_us / 1e6, dt.UTC).date()
    name = metric.name.decode("utf-8", "replace")
    points = _points(metric)
    refused = policy.judge(service, name, False, (), today).refused
    if refused in (Loss.UNDECLARED_EVENT, Loss.EXPIRED_EVENT, Loss.LOOP):  # whatever its points are
        sums.losses[refused] += len(points)
        return
    sums.reading(len(points))
    cumulative = metric.sum.temporality != AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    for each in points:
        point = _point(sums, each)
        if point is None:
            sums.losses[Loss.MALFORMED] += 1
            continue
        atoms = [policy.classify(kv.key, otlp.any_value(kv.value)) for kv in point.attributes]
        verdict = policy.judge(service, name, False, atoms, today)
        if verdict.shape is None:
            sums.losses[verdict.refused or Loss.MALFORMED] += 1
            continue
        value, refused = _value(metric, point, now_us)
        if refused is not None:
            sums.losses[refused] += 1
            continue
        for reason, number in verdict.losses:
            sums.losses[reason] += number
        dimension = verdict.shape.dimension
        if cumulative:
            _add(sums, dimension, service, instance, point, value)
        else:
            _count(sums, dimension, _stream(service, instance, 0), point, value, now_us)


def _add(
    sums: _Sums,
    dimension: Dimension,
    service: Service,
    instance: str,
    point: NumberDataPoint,
    value: int,
) -> None:
    time_us = point.time_unix_nano // 1000
    stream = _stream(service, instance, point.start_time_unix_nano)
    earlier = sums.points.get((stream, dimension))
    sums.points[stream, dimension] = Point(
        stream=stream,
        series=_series(stream, dimension),
        dimension=dimension,
        start_us=point.start_time_unix_nano // 1000,
        time_us=max(time_us, earlier.time_us if earlier else 0),
        value=value + (earlier.value if earlier else 0),
    )


def _count(
    sums: _Sums,
    dimension: Dimension,
    stream: bytes,
    point: NumberDataPoint,
    value: int,
    now_us: int,
) -> None:
    """Adds a delta, or of its occurrences those that were within the window of acceptance."""
    hours: Counter[int] = Counter()
    for moment_us, number in _moments(point, value):
        if _accepted(moment_us, now_us):
            hours[moment_us // HOUR_US * HOUR_US] += number
        else:
            sums.losses[Loss.OUT_OF_WINDOW] += 1
    if not hours:
        return
    for hour, number in hours.items():
        sums.counts[hour, dimension] += number
    start, end = point.start_time_unix_nano // 1000, point.time_unix_nano // 1000
    if earlier := sums.deltas.get((stream, dimension)):
        start, end = min(start, earlier.start_us), max(end, earlier.time_us)
        hours += earlier.hours
    sums.deltas[stream, dimension] = Delta(stream, dimension, start, end, hours)


def _points(metric: Any) -> Sequence[bytes]:
    """A metric's encoded points; of kinds other than sum and gauge one that stands for them all."""
    kind = metric.WhichOneof("data")
    if kind not in ("sum", "gauge"):
        return [_NONE]
    return getattr(metric, kind).data_points  # type: ignore[no-any-return]


def _point(sums: _Sums, encoded: bytes) -> NumberDataPoint | None:
    """A data point, None when it cannot be parsed; one that is longer than any sender's is not parsed."""
    if len(encoded) > otlp.MOST_BYTES:
        return None
    try:
        point = NumberDataPoint.FromString(encoded)
    except DecodeError:
        return None
    sums.reading(len(point.attributes) + len(point.exemplars))
    return point


def _value(metric: Any, point: NumberDataPoint, now_us: int) -> tuple[int, Loss | None]:
    """A point's whole number, or why it is refused."""
    if metric.WhichOneof("data") != "sum" or not metric.sum.is_monotonic:
        return 0, Loss.UNSUPPORTED_METRIC
    number = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    start, end = point.start_time_unix_nano, point.time_unix_nano
    unrecorded = point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
    cumulative = metric.sum.temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    if unrecorded or not math.isfinite(number) or not 0 <= number <= MOST:
        return 0, Loss.MALFORMED
    if start > end or (cumulative and not start) or not metric.sum.temporality:
        return 0, Loss.MALFORMED
    if cumulative and not _accepted(end // 1000, now_us):  # of a delta see `_count`
        return 0, Loss.OUT_OF_WINDOW
    return round(number), None


def _accepted(moment_us: int, now_us: int) -> bool:
    return now_us - PAST_US <= moment_us <= now_us + FUTURE_US


def _moments(point: NumberDataPoint, value: int) -> list[tuple[int, int]]:
    """When so many occurrences of a delta were, µs since the Unix epoch, and how many.

    Exemplars that account for all of them say it: a Footfall that passes on what came late sends such. Else
    it is the point's time.
    """
    told = [(e.time_unix_nano // 1000, e.as_int) for e in point.exemplars if e.as_int > 0]
    if sum(number for _, number in told) == value and told:
        return told
    return [(point.time_unix_nano // 1000, value)]


def _stream(service: Service, instance: str, start_ns: int) -> bytes:
    """Stands for one run of one sender. The start, to the nanosecond, is not stored: it is the salt."""
    text = repr((tuple(service[:3]), instance, start_ns))
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16]


def _series(stream: bytes, dimension: Dimension) -> bytes:
    counted = (dimension.event, dimension.action, dimension.status, dimension.error_type)
    text = repr((counted, dimension.enums))
    return hashlib.sha256(stream + text.encode("utf-8", "replace")).digest()[:16]
