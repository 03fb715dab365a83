"""The way out: queue, exporters, periodic export of the counters, flush and shutdown.

Only OpenTelemetry's own exporters send anything, on one thread. What stands here watches them: it counts what
they fail to send, and keeps what they add (to logs, to the resource) out.
"""

import time
from functools import partial
from typing import Final

from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import Resource

from footfall._delivery.courier import Courier
from footfall._delivery.exporters import CountersExporter, SpansExporter
from footfall._delivery.outage import Outage
from footfall._delivery.queue import Queue, Reader
from footfall._log import later
from footfall._recording.counters import Counters
from footfall._recording.spans import SCOPE
from footfall._settings import Exporters, Settings
from footfall._threads import Wait

AT_THE_END: Final = 0.2
"""Seconds to wait for each answer of a collector that took nothing before the end."""
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

    Attributes:
        outage: Is told how exports end.
    """

    def __init__(
        self, settings: Settings, counters: Counters, resource: Resource, exporters: Exporters
    ) -> None:
        self.outage = outage = Outage(counters.warnings)
        self._spans = SpansExporter(exporters.spans, counters, settings.queue, outage)
        self._metrics = CountersExporter(exporters.metrics, resource, self._spans.retry, outage)
        self._reader = Reader(self._metrics)
        self._meters = MeterProvider(
            [self._reader],
            resource,
            # An exemplar would carry the ids of the host's current span.
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        counters.register(self._meters.get_meter(SCOPE.name))
        self._delay = settings.span_delay / 1000
        self._interval = settings.metric_interval / 1000
        self._spans_due = time.monotonic() + self._delay
        self._counters_due = time.monotonic() + self._interval
        # Else a process that is restarted within the interval would never say what it counted.
        self._spans.first = self._reader.collect
        self._counters, self._hurry_until, self._sent = counters, 0.0, -1
        self._courier = Courier(self._export_what_is_due)
        self.queue = Queue(settings.batch, self._call)
        self._courier.start()

    def flush(self, timeout: float) -> bool:
        """Sends everything that waits; True when the collector took it all within `timeout` seconds."""
        sent = self._courier.do(self._flush, timeout)
        later.log()
        return sent

    def finishing(self) -> Wait:
        """The same where the process may end, but what the collector has already is not sent again.

        It begins at once; what is returned waits for it.
        """
        wait = self._courier.begin(self._finish)

        def finished(timeout: float) -> bool:
            sent = wait(timeout)
            later.log()
            return sent

        return finished

    def close(self, timeout: float) -> bool:
        """Sends everything that waits and stops; after `timeout` seconds the rest is given up."""
        try:
            sent = self._courier.do(self._close, timeout)
            self._interrupt()
            if not sent and timeout > 0:  # by the courier: to look up a name may take long
                self._courier.do(partial(self._spans.tell, AT_THE_END), 2 * AT_THE_END)
        finally:  # also when Ctrl-C, or a time limit of the host's, ends the wait
            self._interrupt()
            self._courier.stop()
        later.log()
        return sent

    def _interrupt(self) -> None:
        """Ends an export that still waits for the collector."""
        self._spans.interrupt()
        self._metrics.interrupt()

    def hurry(self) -> None:
        """From now on, for a while, sends what comes at once; does not wait."""
        self._hurry_until, self._sent = time.monotonic() + HURRY, -1
        self._courier.call()

    def discard(self) -> None:
        """Gives up what waits, without a word to the collector; `close()` comes next."""
        self._spans.discard()
        self._metrics.discard()

    def abandon(self) -> None:
        """Leaves everything to the parent, in a forked process; takes no lock, which may be held."""
        self._spans.abandon()
        self._metrics.abandon()

    def _call(self) -> None:
        """In a thread of the host's: there is something to export, or to log."""
        self._courier.call()
        later.log()

    def _export_what_is_due(self) -> float:
        """The courier's round; returns in how many seconds the next one is due."""
        if time.monotonic() < self._hurry_until:
            if (total := self._counters.total()) != self._sent:
                self._sent = total
                self._finish()
            return PAUSE
        if self.queue.is_full() or self._spans_due <= time.monotonic():
            self._spans_due = time.monotonic() + self._delay
            self._export_spans()
        if self._counters_due <= time.monotonic():
            self._counters_due = time.monotonic() + self._interval
            self._reader.collect()
        if later.kept:
            self.queue.ring()
        return max(min(self._spans_due, self._counters_due) - time.monotonic(), 0.0)

    def _export_spans(self) -> None:
        for spans in self.queue.batches():
            self._spans.export(spans)

    def _flush(self) -> bool:
        """Spans first: what goes wrong with them is in the counters that follow."""
        failures = self._spans.failures + self._metrics.failures
        self._spans.first = None
        self._export_spans()
        self._spans.retry()
        self._reader.collect()
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
        self._export_spans()
        self._spans.retry()
        self._spans.give_up()
        self._metrics.news_only = True
        self._reader.collect()
        self._spans.shutdown()
        self._meters.shutdown()
        return failures == self._spans.failures + self._metrics.failures
