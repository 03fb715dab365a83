"""What stands between a program that asks its user and the network: a look at what they say.

Before each export the file of their decision is looked at (a `stat`): another program may have changed it.
After a no nothing is sent, whoever said it; a forgotten id is taken out of what waited.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from footfall import _threads
from footfall._consent.consent import Consent
from footfall._consent.forgetting import Forms, carries, without
from footfall._decision import Mode
from footfall._delivery.quiet import quiet
from footfall._settings import Exporters

EVERY: Final = 0.5
"""Seconds between two looks while one export goes on: one that fails is retried for a while."""


class Gate:
    """What the user says, looked at before each export; of one delivery.

    Args:
        consent: What they said, on disk.
        mode: What this delivery does: `on` or `local`.
        said: What telemetry may do now.
        heard: Told when that is something else; it must not block.

    Attributes:
        forgotten: What must not be sent any more.
        mode: As given.
    """

    def __init__(
        self,
        consent: Consent,
        mode: Mode,
        said: Callable[[], Mode],
        heard: Callable[[], None],
    ) -> None:
        self.mode = mode
        self.forgotten: Forms = {}
        self._consent = consent
        self._said, self._heard = said, heard
        self._told: list[Callable[[], None]] = []
        self._stamp: object = self  # nothing was looked at yet
        self._open = False
        self._lock = _threads.lock()

    def exporters(self, inner: Exporters, renew: Callable[[], Exporters] | None) -> Exporters:
        """Exporters that look first.

        Args:
            inner: What sends, or keeps.
            renew: Makes others of the kind, for when a request in flight must end; None for what
                takes no time.
        """
        spans = GatedSpans(self, inner.spans, renew)
        self._told.append(spans.end_what_carries)
        return Exporters(spans, GatedCounters(self, inner.metrics))

    def passes(self) -> bool:
        """Whether anything may be sent now, by what is on disk now."""
        with self._lock:
            stamp = self._consent.stamp()
            if stamp != self._stamp:
                self._open = False  # should what follows fail
                self._stamp = stamp
                self._open = self._look()
            return self._open

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Goes on looking during an export, and ends it if that may not go on."""
        over = _threads.Signal()
        with suppress(RuntimeError):  # no new thread at the interpreter's end, which is soon enough
            _threads.start(partial(self._watch, over), "footfall-consent")
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: _threads.Signal) -> None:
        while not over.wait(EVERY) and self.passes():
            pass

    def _look(self) -> bool:
        said, before = self._said(), self.forgotten
        self.forgotten = self._consent.forgotten()
        if self.mode == "local":
            self._consent.clean_store()
        if self.forgotten != before:
            for tell in self._told:
                tell()
        if said != self.mode:
            self._heard()
        return said == self.mode or (said, self.mode) == ("on", "local")


class _Telling:
    """Tells of the exporter inside what `footfall._delivery.outage` asks."""

    def __getattr__(self, name: str) -> Any:
        if name not in ("destination", "failure", "rejected"):
            raise AttributeError(name)
        return getattr(vars(self)["_inner"], name)


class GatedSpans(_Telling, SpanExporter):
    """Exports spans if the user still agrees, without an id that they had forgotten."""

    def __init__(
        self, gate: Gate, inner: SpanExporter, renew: Callable[[], Exporters] | None
    ) -> None:
        self._gate = gate
        self._inner = inner
        self._renew = renew
        self._in_flight: deque[Sequence[ReadableSpan]] = deque()
        quiet.watch(inner)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports what may be sent; what may not is nobody's failure."""
        if not self._gate.passes():
            return SpanExportResult.SUCCESS
        # Before the ids are taken out: one that is forgotten from now on ends it.
        self._in_flight.append(spans)
        try:
            with self._gate.watching():
                return self._inner.export([self._cleaned(span) for span in spans])
        finally:
            self._in_flight.remove(spans)
            if self._gate.mode == "local":
                self._gate.passes()  # what was forgotten meanwhile may have been kept after it was

    def end_what_carries(self) -> None:
        """Ends the requests in flight that have a forgotten id: they would be retried."""
        batches = list(self._in_flight)
        if self._renew is not None and any(self._carries(span) for b in batches for span in b):
            before, self._inner = self._inner, self._renewed(self._renew)
            before.shutdown()

    def _renewed(self, renew: Callable[[], Exporters]) -> SpanExporter:
        fresh = renew()
        fresh.metrics.shutdown()
        return fresh.spans

    def _carries(self, span: ReadableSpan) -> bool:
        return carries(span.attributes or {}, self._gate.forgotten)

    def _cleaned(self, span: ReadableSpan) -> ReadableSpan:
        if not self._carries(span):
            return span
        return ReadableSpan(
            span.name,
            span.get_span_context(),
            resource=span.resource,
            attributes=without(span.attributes or {}, self._gate.forgotten),
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True

    def shutdown(self) -> None:
        """Ends what is being exported."""
        self._renew = None
        self._inner.shutdown()


class GatedCounters(_Telling, MetricExporter):
    """Exports counters if the user still agrees; they carry no id."""

    def __init__(self, gate: Gate, inner: MetricExporter) -> None:
        super().__init__()
        self._gate = gate
        self._inner = inner
        quiet.watch(inner)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Exports what may be sent; what may not is nobody's failure."""
        if not self._gate.passes():
            return MetricExportResult.SUCCESS
        with self._gate.watching():
            return self._inner.export(metrics_data, timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Ends what is being exported."""
        self._inner.shutdown()
