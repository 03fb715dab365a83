"""What an application would send, captured for its tests, without sending it.

pytest finds the fixtures `captured_telemetry` and `strict_telemetry` by itself (`footfall._fixtures`); other
frameworks use `capture()`.
"""

import datetime as dt
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from footfall._client import Client, default
from footfall._log import log
from footfall._settings import Exporters, Paths
from footfall_processors import Drop, Policy, Service, names
from footfall_processors.catalog import DROPPED

_MISTAKES = (Drop.UNDECLARED_EVENT, Drop.UNDECLARED_ATTRIBUTE, Drop.WRONG_TYPE)
_FEATURE = "feature."
_SWITCHES = ("TELEMETRY_ENABLED", "OTEL_SDK_DISABLED", "DO_NOT_TRACK")
"""Variables that turn telemetry off; OpenTelemetry reads one of them itself."""


@dataclass(frozen=True)
class Observation:
    """One observation as the collector would get it.

    Attributes:
        event: The event's name.
        action: `success`, `failure` or another of its actions.
        status: `ok`, `error`, `timeout` or `denied`.
        error_type: Its error type, or None.
        duration_ms: How long it took, in milliseconds; 0 for an instant.
        attributes: Its declared attributes.
    """

    event: str
    action: str
    status: str
    error_type: str | None
    duration_ms: float
    attributes: dict[str, Any] = field(default_factory=dict)


class Captured:
    """What a client would have sent so far.

    Args:
        client: The client that is captured.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._spans = _Spans()
        self._metrics = _Metrics()
        self._told = _Told()

    @property
    def observations(self) -> list[Observation]:
        """All observations, in the order in which they ended."""
        return [_observation(span) for span in self._finished()]

    def count(self, event: str, action: str | None = None, **attributes: Any) -> int:
        """How often an event happened, however it travels: observed, counted, sampled out.

        Args:
            event: A declared event.
            action: Only this action; None counts all, starts (`invoke`) included.
            attributes: Only with these enums.
        """
        wanted = attributes if action is None else attributes | {names.ACTION: action}
        self._client.flush()
        counted = (
            point.value
            for point in self._metrics.points(event)
            if wanted.items() <= dict(point.attributes or {}).items()
        )
        observed = sum(
            wanted.items() <= dict(span.attributes or {}).items()
            for span in self._finished()
            if span.name == event
        )
        return observed + int(sum(counted))

    def dropped(self) -> dict[str, int]:
        """What could not be sent as it was given, by reason (docs/losses.md)."""
        self._client.flush()
        found: Counter[str] = Counter()
        for point in self._metrics.points(DROPPED):
            found[str(dict(point.attributes or {})["drop_reason"])] += int(point.value)
        return dict(found)

    def assert_sent(
        self, event: str, action: str | None = None, *, times: int | None = None, **attributes: Any
    ) -> None:
        """Fails unless the event happened, at least once or exactly `times` times, with these enums.

        Raises:
            AssertionError: it did not; the message lists what was sent.
        """
        found = self.count(event, action, **attributes)
        if found == 0 if times is None else found != times:
            asked = " ".join([event, *([action] if action else []), *map(str, attributes.items())])
            wanted = "at least once" if times is None else f"{times} times"
            lines = "".join(f"\n  {each}" for each in self.observations) or " nothing"
            raise AssertionError(
                f"{asked} was sent {found} times instead of {wanted}; observed:{lines}"
            )

    def mistakes(self) -> list[str]:
        """What was called but is not allowed, and what the collector would refuse, a line each."""
        if self._client.recorder is None and not self.observations and not self._metrics.any:
            return [
                "telemetry was never on: the application did not call configure()",
                *self._told.lines,
            ]
        dropped = self.dropped()
        lines = [f"{reason}: {dropped[reason]}" for reason in _MISTAKES if reason in dropped]
        return [*lines, *self._told.lines, *self._refused()]

    def _refused(self) -> Iterator[str]:
        """The losses by the collector's own policy."""
        recorder = self._client.recorder
        if recorder is None:
            return
        policy, today = Policy(recorder.catalog), dt.datetime.now(dt.UTC).date()
        for span in self._finished():
            atoms = [policy.classify(key, value) for key, value in (span.attributes or {}).items()]
            failed = span.status.status_code is StatusCode.ERROR
            verdict = policy.judge(Service(), span.name, failed, atoms, today)
            reasons = [verdict.refused] if verdict.refused else [loss for loss, _ in verdict.losses]
            for reason in reasons:
                yield f"{span.name}: the collector counts it as {reason}"

    def _finished(self) -> Sequence[ReadableSpan]:
        self._client.flush()
        return self._spans.get_finished_spans()


@contextmanager
def capture(catalog: Paths | None = None, client: Client | None = None) -> Iterator[Captured]:
    """Captures what a client would send, whatever it is configured to do meanwhile.

    Args:
        catalog: Turns the client on with this file, or these; None leaves that to the application's own
            `configure()`, whose endpoint and switches then have no effect.
        client: None is the client behind `footfall.configure()`.
    """
    client = default if client is None else client
    captured = Captured(client)
    log.addHandler(captured._told)
    switches = {name: os.environ.pop(name) for name in _SWITCHES if name in os.environ}
    try:
        outer = client.captured(Exporters(captured._spans, captured._metrics))
        if catalog is not None:
            client.configure(catalog)
        yield captured
    finally:
        log.removeHandler(captured._told)
        client.captured(outer)
        os.environ.update(switches)


def _observation(span: ReadableSpan) -> Observation:
    given = dict(span.attributes or {})
    length = (span.end_time or 0) - (span.start_time or 0)
    error = given.pop(names.ERROR_TYPE, None)
    return Observation(
        event=span.name,
        action=str(given[names.ACTION]),
        status=str(given[names.STATUS]),
        error_type=None if error is None else str(error),
        duration_ms=length / 1e6,
        attributes={k: v for k, v in given.items() if not k.startswith(_FEATURE)},
    )


class _Spans(InMemorySpanExporter):
    """Stays open when the application configures the client again."""

    def shutdown(self) -> None: ...


class _Metrics(MetricExporter):
    """Keeps the latest state of each instance's counters."""

    def __init__(self) -> None:
        super().__init__()
        self._latest: dict[Any, Any] = {}

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        for part in metrics_data.resource_metrics:
            self._latest[part.resource.attributes[names.SERVICE_INSTANCE]] = part
        return MetricExportResult.SUCCESS

    @property
    def any(self) -> bool:
        """Whether anything was exported."""
        return bool(self._latest)

    def points(self, name: str) -> Iterator[Any]:
        """The points of one counter."""
        for part in self._latest.values():
            for scope in part.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        yield from metric.data.data_points

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None: ...


class _Told(logging.Handler):
    """What Footfall logged meanwhile: its hints at misspelt names."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
