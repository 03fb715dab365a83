"""Requests of counters, built up metric by metric, and what is counted of them."""

import asyncio
import datetime as dt

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from footfall_collector.decoding import metrics

NOW = dt.datetime(2026, 11, 18, 10, 30, tzinfo=dt.UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
NOW_US, HOUR_US = NOW_NS // 1000, 3600 * 10**6
SECOND, DAY = 10**9, 86_400 * 10**9
START = NOW_NS - 3600 * SECOND
DELTA, CUMULATIVE = 1, 2
KEY = b"k" * 32


def point(number=1, *, time=NOW_NS, start=START, **attributes):
    found = NumberDataPoint(time_unix_nano=time, start_time_unix_nano=start)
    if isinstance(number, int):
        found.as_int = number
    elif number is not None:
        found.as_double = number
    for key, text in attributes.items():
        found.attributes.add(key=key.replace("__", ".")).value.string_value = text
    return found


class Request:
    """An ExportMetricsServiceRequest of one resource, built up metric by metric."""

    def __init__(self, **resource):
        self.message = ExportMetricsServiceRequest()
        self._group = self.message.resource_metrics.add()
        for key, text in resource.items():
            self._group.resource.attributes.add(
                key=key.replace("__", ".")
            ).value.string_value = text
        self._scope = self._group.scope_metrics.add()

    def sum(self, *points, name="shop.ping", temporality=CUMULATIVE, monotonic=True):
        metric = self._scope.metrics.add(name=name)
        metric.sum.aggregation_temporality = temporality
        metric.sum.is_monotonic = monotonic
        metric.sum.data_points.extend(points)
        return self

    def delta(self, *points, **options):
        return self.sum(*points, temporality=DELTA, **options)

    def other(self, kind, *points, name="shop.ping"):
        metric = self._scope.metrics.add(name=name)
        getattr(metric, kind).SetInParent()
        if points:
            getattr(metric, kind).data_points.extend(points)
        return self

    def decoded_by(self, policy):
        return decode(policy, self.message.SerializeToString())


def decode(policy, body, key=KEY):
    return asyncio.run(metrics.decode(policy, body, NOW_US, key=key))


def counts(batch):
    """(event, action, status, enums, hour from now) → count."""
    return {
        (
            d.event,
            d.action,
            d.status,
            d.enums,
            (hour - NOW_US // HOUR_US * HOUR_US) // HOUR_US,
        ): number
        for (hour, d), number in batch.counts.items()
    }
