"""The way out: queue, exporters, periodic export of the counters, flush and shutdown (A6).

Only OpenTelemetry's own classes send anything. What stands here watches them: it counts what they
fail to send, and keeps what they add (to logs, to the resource) out.
"""

import threading
from functools import partial
from typing import Final

from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from footfall._counters import Counters
from footfall._courier import Courier
from footfall._exporters import CountersExporter, SpansExporter
from footfall._outage import Outage
from footfall._recorder import SCOPE
from footfall._settings import Exporters, Settings

AT_THE_END: Final = 0.2
"""Seconds to wait for each answer of a collector that took nothing before the end."""


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
        self._courier = Courier()

    def flush(self, timeout: float) -> bool:
        """Sends everything that waits; True when the collector took it all within `timeout` seconds."""
        return self._courier.do(self._flush, timeout)

    def close(self, timeout: float) -> bool:
        """Sends everything that waits and stops; after `timeout` seconds the rest is given up."""
        sent = self._courier.do(self._close, timeout)
        self._spans.shutdown()  # ends an export that still waits for the collector
        self._metrics.shutdown()
        if not sent and timeout > 0:  # by the courier: to look up a name may take long
            self._courier.do(partial(self._spans.tell, AT_THE_END), 2 * AT_THE_END)
        self._courier.stop()
        return sent

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
        self.queue.force_flush()
        self._spans.retry()
        self._meters.force_flush()
        return failures == self._spans.failures + self._metrics.failures

    def _close(self) -> bool:
        failures = self._spans.failures + self._metrics.failures
        self.queue.force_flush()
        self._spans.retry()
        self._spans.give_up()
        self.queue.shutdown()  # type: ignore[no-untyped-call]  # so in opentelemetry-sdk
        self._meters.shutdown()
        return failures == self._spans.failures + self._metrics.failures
