"""A metrics request → a `Batch`: declared monotonic sums, exact whatever their temporality.

A delta counts as it stands (the ledger recognises a repeated request). A cumulative sum becomes a `Point`,
whose increment the store works out. Points that differ only in attributes that nobody declared are
the same series once those are gone, and are added up.

Source: OTLP metrics data model, "Sums"; opentelemetry/proto/metrics/v1/metrics.proto.
"""

import datetime as dt
import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    Metric,
    NumberDataPoint,
)

from footfall_collector import otlp
from footfall_collector.pipeline import FUTURE_US, HOUR_US, PAST_US, digest
from footfall_processors import Batch, Dimension, Loss, Point, Policy, Service
from footfall_processors.names import SERVICE_INSTANCE

MOST = 10**12
"""The largest value that is believed: one beyond it would make sums overflow, and queries fail."""


@dataclass(slots=True)
class _Sums:
    """A batch under construction."""

    counts: Counter[tuple[int, Dimension]] = field(default_factory=Counter)
    points: dict[tuple[bytes, Dimension], Point] = field(default_factory=dict)
    losses: Counter[Loss] = field(default_factory=Counter)


def decode(policy: Policy, body: bytes, now_us: int, sender: bytes = b"") -> Batch:
    """An encoded ExportMetricsServiceRequest as a batch.

    Args:
        policy: The compiled catalog.
        body: Decompressed.
        now_us: The collector's clock, µs since the Unix epoch.
        sender: As for `pipeline.digest`.

    Raises:
        google.protobuf.message.DecodeError: it is not one; nothing of it is kept.
    """
    sums = _Sums()
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        attributes = {kv.key: otlp.any_value(kv.value) for kv in resource.resource.attributes}
        service, bad = policy.service(attributes)
        sums.losses[Loss.RESOURCE_VALUE] += bad
        instance = str(attributes.get(SERVICE_INSTANCE, ""))
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                _add_metric(sums, policy, service, instance, metric, now_us)
    return Batch(
        digest=digest("/v1/metrics", sender, body),
        signal="metrics",
        counts=sums.counts,
        points=tuple(sums.points.values()),
        losses=+sums.losses,
    )


def _add_metric(
    sums: _Sums, policy: Policy, service: Service, instance: str, metric: Metric, now_us: int
) -> None:
    today = dt.datetime.fromtimestamp(now_us / 1e6, dt.UTC).date()
    cumulative = metric.sum.aggregation_temporality != (
        AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    )
    for point in _points(metric):
        atoms = [policy.classify(kv.key, otlp.any_value(kv.value)) for kv in point.attributes]
        verdict = policy.judge(service, metric.name, False, atoms, today)
        if verdict.shape is None:
            sums.losses[verdict.refused or Loss.MALFORMED] += 1
            continue
        value, refused = _value(metric, point, now_us)
        if refused is not None:
            sums.losses[refused] += 1
            continue
        for reason, number in verdict.losses:
            sums.losses[reason] += number
        _add(sums, verdict.shape.dimension, service, instance, point, value, cumulative)


def _add(
    sums: _Sums,
    dimension: Dimension,
    service: Service,
    instance: str,
    point: NumberDataPoint,
    value: int,
    cumulative: bool,
) -> None:
    time_us = point.time_unix_nano // 1000
    if not cumulative:
        sums.counts[time_us // HOUR_US * HOUR_US, dimension] += value
        return
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


def _points(metric: Metric) -> Iterator[NumberDataPoint]:
    """A metric's points; of kinds other than sum and gauge one that stands for them all."""
    if metric.WhichOneof("data") == "sum":
        yield from metric.sum.data_points
    elif metric.WhichOneof("data") == "gauge":
        yield from metric.gauge.data_points
    else:
        yield NumberDataPoint()


def _value(metric: Metric, point: NumberDataPoint, now_us: int) -> tuple[int, Loss | None]:
    """A point's whole number, or why it is refused."""
    if metric.WhichOneof("data") != "sum" or not metric.sum.is_monotonic:
        return 0, Loss.UNSUPPORTED_METRIC
    number = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    start, end = point.start_time_unix_nano, point.time_unix_nano
    unrecorded = point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
    cumulative = metric.sum.aggregation_temporality == (
        AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    )
    if unrecorded or not math.isfinite(number) or not 0 <= number <= MOST:
        return 0, Loss.MALFORMED
    if start > end or (cumulative and not start) or not metric.sum.aggregation_temporality:
        return 0, Loss.MALFORMED
    if not now_us - PAST_US <= end // 1000 <= now_us + FUTURE_US:
        return 0, Loss.OUT_OF_WINDOW
    return round(number), None


def _stream(service: Service, instance: str, start_ns: int) -> bytes:
    """Stands for one run of one sender. The start, to the nanosecond, is not stored: it is the salt."""
    text = repr((tuple(service), instance, start_ns))
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16]


def _series(stream: bytes, dimension: Dimension) -> bytes:
    counted = (dimension.event, dimension.action, dimension.status, dimension.error_type)
    text = repr((counted, dimension.enums))
    return hashlib.sha256(stream + text.encode("utf-8", "replace")).digest()[:16]
