"""What waits for the exporters: finished spans, and the counters' present state."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor


class Queue(SpanProcessor):
    """Finished spans in their order; adding one takes no lock and never waits.

    `Counters.admit` bounds how many wait.

    Args:
        batch: Spans that are exported together.
        full: Called whenever so many wait, and once after each `ring()`.
    """

    def __init__(self, batch: int, full: Callable[[], None]) -> None:
        self._batch = self._limit = batch
        self._full = full
        self._spans: deque[ReadableSpan] = deque()

    def on_end(self, span: ReadableSpan) -> None:
        """Adds a span."""
        self._spans.append(span)
        if len(self._spans) >= self._limit:
            self._limit = self._batch
            self._full()

    def ring(self) -> None:
        """Has the host's thread that adds the next span call `full`."""
        self._limit = 0

    def is_full(self) -> bool:
        """Whether a whole batch waits."""
        return len(self._spans) >= self._batch

    def batches(self) -> Iterator[Sequence[ReadableSpan]]:
        """Takes what waits now; what comes meanwhile waits for the next time."""
        number = len(self._spans)
        while number > 0:
            size = min(number, self._batch)
            yield [self._spans.popleft() for _ in range(size)]
            number -= size


class Reader(MetricReader):
    """Hands the counters' present state to an exporter whenever it is asked to.

    Args:
        exporter: What sends.
    """

    def __init__(self, exporter: MetricExporter) -> None:
        super().__init__()
        self._exporter = exporter

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        self._exporter.export(metrics_data, timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Ends what is being exported."""
        self._exporter.shutdown(timeout_millis)
