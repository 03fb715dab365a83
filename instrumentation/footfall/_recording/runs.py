"""Counters in runs, of which each lasts as long as the host's clock goes on as a clock does.

OpenTelemetry gives every point the clock's time. Where that is set back, a counter would end before it
began, or two of its exports would change places: receivers refuse or misread that. So points are rewritten
on their way to the exporter, and a clock that jumps ends the run: the next one is another instance, whose
counters begin at zero now, which is what had been acknowledged until then.

A receiver may key streams by resource, by start, or by both: what it adds up is the same.

Source: OTLP metrics data model, "Resets and Gaps", "Unknown start time"; metrics SDK, "Start timestamps".
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from opentelemetry.sdk.metrics.export import (
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource

from footfall._recording.spans import SCOPE
from footfall_processors import names

TICK: Final = 1_000_000
"""ns by which two exports differ at least: less is one moment to receivers that keep milliseconds."""
SLACK: Final = 1_000_000_000
"""ns that the clock may be behind the last export: a coarse or frozen one begins no run with every export."""
LONGEST: Final = 86_400_000_000_000
"""ns between two exports of a run: receivers forget idle streams after some days, and would then take a
counter that goes on for one that they have not seen begin."""


@dataclass(slots=True)
class _Series:
    """One series of a counter.

    Attributes:
        start: When it began in this run, ns since the Unix epoch; 0 while it has not.
        total: What it stood at in the last export, over all runs.
        acknowledged: What it stood at in the last export that a receiver took.
        base: What of it the former runs told.
    """

    start: int = 0
    total: float = 0
    acknowledged: float = 0
    base: float = 0


class Runs:
    """Rewrites what is exported, one export after the other.

    Args:
        resource: What is said about the service, and about the first run.
    """

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._series: dict[Any, _Series] = {}
        self._time = _now()

    def rewrite(self, data: MetricsData) -> MetricsData:
        """Our counters as this run tells them, without what OpenTelemetry says of itself."""
        now = _now()
        if not -SLACK <= now - self._time <= LONGEST:
            self._begin(now - TICK)
        before, self._time = self._time, max(now, self._time + TICK)
        ours = [
            replace(scope, metrics=list(self._metrics(scope.metrics, before)))
            for part in data.resource_metrics
            for scope in part.scope_metrics
            if scope.scope.name == SCOPE.name
        ]
        return MetricsData([ResourceMetrics(self._resource, ours, self._resource.schema_url)])

    def has_news(self) -> bool:
        """Whether a receiver has yet to take something of the last export."""
        return any(series.total > series.acknowledged for series in self._series.values())

    def acknowledge(self) -> None:
        """Notes that a receiver has taken the last export."""
        for series in self._series.values():
            series.acknowledged = series.total

    def _begin(self, start: int) -> None:
        """Begins a run.

        Of an export that failed nobody knows whether a receiver took it and only its answer was lost. It
        counts as not taken: nothing is lost then, and it nearly always is so, as clocks are set while
        machines start, when a collector may not listen yet. Where an answer was lost and the clock jumps
        before the next export, what was new in that one is counted twice.
        """
        about = {**self._resource.attributes, names.SERVICE_INSTANCE: str(uuid.uuid4())}
        self._resource, self._time = Resource(about), start
        for series in self._series.values():
            series.base, series.start = series.acknowledged, 0

    def _metrics(self, metrics: Iterable[Metric], before: int) -> Iterator[Metric]:
        for metric in metrics:
            data = cast("Sum", metric.data)
            if points := list(self._points(metric.name, data.data_points, before)):
                yield replace(metric, data=replace(data, data_points=points))

    def _points(
        self, name: str, points: Iterable[NumberDataPoint], before: int
    ) -> Iterator[NumberDataPoint]:
        """A metric's points; those of which this run has nothing to tell are left out."""
        for point in points:
            key = name, frozenset((point.attributes or {}).items())
            series = self._series.setdefault(key, _Series())
            # Two threads that collect (the periodic one, `flush()`) may export in the other order.
            series.total = max(series.total, point.value)
            if series.total > series.base:
                series.start = series.start or before
                yield replace(
                    point,
                    start_time_unix_nano=series.start,
                    time_unix_nano=self._time,
                    value=series.total - series.base,
                )


def _now() -> int:
    return max(time.time_ns(), 2 * TICK)  # a start of 0 would be an unknown one
