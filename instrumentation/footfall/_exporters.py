"""Exporters that watch exporters: they count failures, and let nothing undeclared through."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics import ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from footfall._counters import Counters
from footfall._log import log
from footfall._recorder import SCOPE
from footfall_processors.catalog import Drop

_LOST = (
    "footfall: the collector did not take %d observations, which are lost; set the logger `footfall`"
    " to DEBUG to see why"
)
_LATE = (
    "footfall: the collector did not take the counters; the next export makes it good. Set the"
    " logger `footfall` to DEBUG to see why"
)


class _Quiet(logging.Filter):
    """Turns what OpenTelemetry's exporters log about our exports into `footfall`'s DEBUG.

    They log an error for every batch while a collector is away. What they log about exports of the
    host's own is not touched.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.local()

    @contextmanager
    def exporting(self) -> Iterator[None]:
        """What this thread logs inside the block is about our export."""
        self._thread.exporting = True
        try:
            yield
        finally:
            self._thread.exporting = False

    def watch(self, exporter: object) -> None:
        """Filters an exporter's loggers, which are named for the modules of its classes."""
        for cls in type(exporter).__mro__:
            if cls.__module__.startswith("opentelemetry.exporter"):
                logging.getLogger(cls.__module__).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets a record pass unless it is about our export."""
        if not getattr(self._thread, "exporting", False):
            return True
        log.debug("%s", record.getMessage())
        return False


_quiet = _Quiet()


class SpansExporter(SpanExporter):
    """Passes spans on, and counts those that the collector did not take.

    Attributes:
        failures: Exports that failed.
    """

    def __init__(self, exporter: SpanExporter, counters: Counters) -> None:
        self.failures = 0
        self._exporter = exporter
        self._counters = counters
        self._stopped = False
        _quiet.watch(exporter)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports spans that have just left the queue."""
        self._counters.taken(len(spans))
        try:
            with _quiet.exporting():
                result = self._exporter.export(spans)
        except Exception as error:
            log.debug("%s in the exporter of spans", type(error).__name__)
            result = SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self.failures += 1
            self._counters.drop(Drop.EXPORT_FAILED, len(spans))
            self._counters.warnings.warn(Drop.EXPORT_FAILED, _LOST, len(spans))
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True

    def shutdown(self) -> None:
        """Ends what is being exported; may be called again."""
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()


class CountersExporter(MetricExporter):
    """Passes our counters on, cumulative, with our own resource, and nothing else.

    OpenTelemetry adds metrics about itself and, after a fork, what it detects about the process.

    Attributes:
        failures: Exports that failed.
    """

    def __init__(self, exporter: MetricExporter, counters: Counters, resource: Resource) -> None:
        super().__init__({ObservableCounter: AggregationTemporality.CUMULATIVE})
        self.failures = 0
        self._exporter = exporter
        self._counters = counters
        self._resource = resource
        self._stopped = False
        _quiet.watch(exporter)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Exports the counters' present state."""
        ours = [
            replace(
                part,
                resource=self._resource,
                scope_metrics=[s for s in part.scope_metrics if s.scope.name == SCOPE.name],
            )
            for part in metrics_data.resource_metrics
        ]
        try:
            with _quiet.exporting():
                result = self._exporter.export(MetricsData(ours), timeout_millis)
        except Exception as error:
            log.debug("%s in the exporter of counters", type(error).__name__)
            result = MetricExportResult.FAILURE
        if result is not MetricExportResult.SUCCESS:
            self.failures += 1
            self._counters.warnings.warn("counters", _LATE)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Ends what is being exported; may be called again."""
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()
