"""Exporters that watch exporters: they count failures, and let nothing undeclared through."""

from collections import deque
from collections.abc import Callable, Sequence
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

from footfall import _threads
from footfall._delivery.outage import Outage
from footfall._delivery.quiet import quiet
from footfall._guard import at_debug, guarded
from footfall._recording.counters import Counters
from footfall._recording.runs import Runs
from footfall._recording.spans import KeptSpan


class Waits:
    """Where an exporter of OpenTelemetry waits before it retries.

    It does so with an event of `threading`: beside greenlets a loop of theirs would begin in our thread, and
    a process that ends while it runs is killed by it (SIGSEGV). There is no public place for another one.

    Args:
        exporter: What sends; others than OpenTelemetry's are left as they are.
    """

    def __init__(self, exporter: Any) -> None:
        self._event = _threads.Event()
        places = (
            (exporter, "_shutdown_in_progress"),
            (getattr(exporter, "_client", None), "_shutdown_event"),
        )
        for owner, name in places:
            if hasattr(owner, name):
                setattr(owner, name, self._event)

    def end(self) -> None:
        """Ends its retries."""
        self._event.set()


class SpansExporter(SpanExporter):
    """Passes spans on, and counts those that the collector did not take.

    A batch with a span that is to be kept is retried, as a whole and in the same order: should the
    collector have stored it, although its answer was lost, it recognises the same bytes.

    Args:
        exporter: What sends.
        counters: The client's numbers.
        capacity: Spans that may be kept; of what exceeds it the oldest batch is given up.
        outage: Is told how exports end.

    Attributes:
        failures: Exports that failed.
        first: Called once, after the first export that succeeded; None when that is not needed.
    """

    def __init__(
        self, exporter: SpanExporter, counters: Counters, capacity: int, outage: Outage
    ) -> None:
        self.failures = 0
        self.first: Callable[[], object] | None = None
        self._exporter = exporter
        self._counters = counters
        self._capacity = capacity
        self._outage = outage
        self._waits = Waits(exporter)
        self._kept: deque[Sequence[ReadableSpan]] = deque()
        self._stopped = False
        self._abandoned = False
        quiet.watch(exporter)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports spans that have just left the queue."""
        if self._abandoned:
            return SpanExportResult.SUCCESS
        self._counters.taken(len(spans))
        result = self._send(spans)
        if self._is_over():  # meanwhile
            return SpanExportResult.SUCCESS
        if result is SpanExportResult.SUCCESS:
            self.retry()
            first, self.first = self.first, None
            if first is not None:
                first()
        elif any(isinstance(span, KeptSpan) for span in spans):
            self._keep(spans)
        else:
            self._lose(spans)
        return result

    def _is_over(self) -> bool:
        return self._abandoned

    def retry(self) -> None:
        """Exports what was kept, oldest first, until two batches fail: one alone may be refused for ever."""
        failed: list[Sequence[ReadableSpan]] = []
        while self._kept and not self._abandoned and len(failed) < 2:
            spans = self._kept.popleft()
            if self._send(spans) is not SpanExportResult.SUCCESS:
                failed.append(spans)
        if not self._abandoned:
            self._kept.extendleft(reversed(failed))

    def give_up(self) -> None:
        """Counts what is still kept as lost."""
        while self._kept:
            self._lose(self._kept.popleft())

    def discard(self) -> None:
        """Sends nothing any more, neither what waits nor what was kept."""
        self._abandoned = True
        self._kept.clear()

    def abandon(self) -> None:
        """The same in a forked process: the connection and the spans are the parent's."""
        self._stopped = True
        self.discard()

    def _send(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        with guarded(at_debug("the exporter of spans")), quiet.exporting():
            result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._outage.over()
        else:
            self.failures += 1
            if not self._stopped:
                self._outage.failed(self._exporter)
        return result

    def tell(self, patience: float) -> bool:
        """Says in a hurry why nothing is taken; see `Outage.failed`."""
        if not self._abandoned:
            self._outage.failed(self._exporter, patience, hurried=True)
        return True

    def _keep(self, spans: Sequence[ReadableSpan]) -> None:
        self._kept.append(tuple(spans))
        while sum(map(len, self._kept)) > self._capacity:
            self._lose(self._kept.popleft())

    def _lose(self, spans: Sequence[ReadableSpan]) -> None:
        self._counters.lost(len(spans))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True

    def interrupt(self) -> None:
        """Ends what another thread is exporting; beside greenlets, when it is answered."""
        self._waits.end()
        if not _threads.is_green():
            self.shutdown()

    def shutdown(self) -> None:
        """Ends what is being exported; may be called again."""
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()


class CountersExporter(MetricExporter):
    """Passes our counters on, cumulative, with our own resource, and nothing else.

    OpenTelemetry adds metrics about itself and, after a fork, what it detects about the process.

    Args:
        exporter: What sends.
        resource: What is said about the service.
        exported: Called after each export that succeeded: the collector is there.
        outage: Is told how exports end.

    Attributes:
        failures: Exports that failed.
        news_only: Whether counters that a receiver has already taken as they are stay here; the periodic
            export sends them again.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        resource: Resource,
        exported: Callable[[], None],
        outage: Outage,
    ) -> None:
        super().__init__({ObservableCounter: AggregationTemporality.CUMULATIVE})
        self.failures = 0
        self.news_only = False
        self._exporter = exporter
        self._runs = Runs(resource)
        self._waits = Waits(exporter)
        self._exported = exported
        self._outage = outage
        self._stopped = False
        self._abandoned = False
        quiet.watch(exporter)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Exports the counters' present state."""
        if self._abandoned:
            return MetricExportResult.SUCCESS
        ours = self._runs.rewrite(metrics_data)
        if self.news_only and not self._runs.has_news():
            return MetricExportResult.SUCCESS
        result = MetricExportResult.FAILURE
        with guarded(at_debug("the exporter of counters")), quiet.exporting():
            result = self._exporter.export(ours, timeout_millis)
        if self._is_over():  # meanwhile
            return MetricExportResult.SUCCESS
        if result is not MetricExportResult.SUCCESS:
            self.failures += 1
            if not self._stopped:
                self._outage.failed(self._exporter)
        else:
            self._outage.over()
            self._runs.acknowledge()
            self._exported()
        return result

    def _is_over(self) -> bool:
        return self._abandoned

    def discard(self) -> None:
        """Sends nothing any more."""
        self._abandoned = True

    def abandon(self) -> None:
        """The same in a forked process; see `SpansExporter.abandon`."""
        self._stopped = self._abandoned = True

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here."""
        return True

    def interrupt(self) -> None:
        """As `SpansExporter.interrupt`."""
        self._waits.end()
        if not _threads.is_green():
            self.shutdown()

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Ends what is being exported; may be called again."""
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()
