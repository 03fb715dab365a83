"""The way out: queue, exporters, periodic export of the counters, flush and shutdown (A6).

Only OpenTelemetry's own classes send anything. What stands here watches them: it counts what they
fail to send, and keeps what they add (to logs, to the resource) out.
"""

import threading
import time
from typing import Final

from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from footfall._counters import Counters
from footfall._courier import Courier
from footfall._exporters import CountersExporter, SpansExporter
from footfall._recorder import SCOPE
from footfall._settings import Exporters, Settings

HURRY: Final = 30.0
"""Seconds in which a process that was told to end is expected to do so."""
PAUSE: Final = 0.05
"""Seconds between two looks for what came meanwhile."""


class Delivery:
    """Everything between a finished span or count and the network.

    Args:
        settings: Sizes and intervals.
        counters: The client's numbers.
        resource: What is said about the service.
        exporters: What sends.
    """

    def __init__(
        self, settings: Settings, counters: Counters, resource: Resource, exporters: Exporters
    ) -> None:
        self._spans = SpansExporter(exporters.spans, counters, settings.queue)
        self._metrics = CountersExporter(exporters.metrics, counters, resource, self._spans.retry)
        self.queue = BatchSpanProcessor(
            self._spans,
            max_queue_size=settings.queue,
            schedule_delay_millis=settings.span_delay,
            max_export_batch_size=settings.batch,
        )
        reader = PeriodicExportingMetricReader(self._metrics, settings.metric_interval)
        self._meters = MeterProvider(
            [reader],
            resource,
            # An exemplar would carry the ids of the host's current span.
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        counters.register(self._meters.get_meter(SCOPE.name))
        # Else a process that is restarted within the interval would never say what it counted.
        self._spans.first = self._meters.force_flush
        self._counters = counters
        self._courier = Courier()
        self._hurrying = self._closed = False

    def flush(self, timeout: float) -> bool:
        """Sends everything that waits; True when the collector took it all within `timeout` seconds."""
        return self._courier.do(self._flush, timeout)

    def finish(self, timeout: float) -> bool:
        """The same where the process may end, but what the collector has already is not sent again."""
        return self._courier.do(self._finish, timeout)

    def close(self, timeout: float) -> bool:
        """Sends everything that waits and stops; after `timeout` seconds the rest is given up."""
        self._closed = True
        sent = self._courier.do(self._close, timeout)
        self._spans.shutdown()  # ends an export that still waits for the collector
        self._metrics.shutdown()
        self._courier.stop()
        return sent

    def hurry(self) -> None:
        """From now on, for a while, sends what comes at once; does not wait."""
        self._courier.do(self._begin_to_hurry, 0)

    def _begin_to_hurry(self) -> bool:
        if not self._hurrying:
            self._hurrying = True
            threading.Thread(target=self._hurry, name="footfall", daemon=True).start()
        return True

    def _hurry(self) -> None:
        until, sent = time.monotonic() + HURRY, -1
        while not self._closed and time.monotonic() < until:
            if (total := self._counters.total()) != sent:
                self.finish(1.0)
                sent = total
            time.sleep(PAUSE)
        self._hurrying = False

    def discard(self) -> None:
        """Gives up what waits, without a word to the collector; `close()` comes next."""
        self._spans.discard()
        self._metrics.discard()

    def abandon(self) -> None:
        """Leaves everything to the parent, in a forked process; takes no lock, which may be held."""
        self._spans.abandon()
        self._metrics.abandon()

    def bury(self, abandoned: "Delivery") -> None:
        """Ends the threads that OpenTelemetry started again in this process for an abandoned delivery."""
        # Not by the courier: a lock that another thread held at the fork is never released here.
        threading.Thread(target=abandoned._close, name="footfall", daemon=True).start()

    def _flush(self) -> bool:
        """Spans first: what goes wrong with them is in the counters that follow."""
        failures = self._spans.failures + self._metrics.failures
        self._spans.first = None
        self.queue.force_flush()
        self._spans.retry()
        self._meters.force_flush()
        return failures == self._spans.failures + self._metrics.failures

    def _finish(self) -> bool:
        self._metrics.news_only = True
        try:
            return self._flush()
        finally:
            self._metrics.news_only = False

    def _close(self) -> bool:
        failures = self._spans.failures + self._metrics.failures
        self._spans.first = None
        self.queue.force_flush()
        self._spans.retry()
        self._spans.give_up()
        self.queue.shutdown()  # type: ignore[no-untyped-call]  # so in opentelemetry-sdk
        self._metrics.news_only = True
        self._meters.shutdown()
        return failures == self._spans.failures + self._metrics.failures
