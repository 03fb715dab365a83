"""What the host is told when a collector takes nothing: once, where, why, and what to do."""

from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from footfall import _threads
from footfall._delivery import reasons
from footfall._delivery.diagnosis import diagnose
from footfall._delivery.quiet import quietly
from footfall._delivery.reasons import Failure, Reason
from footfall._destination import Destination
from footfall._guard import at_debug, guarded
from footfall._log import Warnings
from footfall._settings import Settings

_UNKNOWN: Final = (
    "footfall: what sends did not take it; set the logger `footfall` to DEBUG to see more. Observations that"
    " are lost are counted; counters are sent again"
)
_KNOWN: Final = (
    "footfall: nothing is sent to %s (%s): %s. What to do: %s Observations that are lost meanwhile are"
    " counted; counters are sent again"
)
PATIENCE: Final = 0.6
"""Seconds to wait for each answer while an endpoint is looked at."""
PROBE: Final = 0.7
"""Seconds; too short for OpenTelemetry to retry, so that a refusal is known at once."""


class Outage:
    """Tells of failures, once for each reason, until an export succeeds.

    Args:
        warnings: Where warnings go, the same reason at most once per `footfall._log.INTERVAL`.
    """

    def __init__(self, warnings: Warnings) -> None:
        self._warnings = warnings
        self._lock = _threads.lock()
        self._told: str | None = None

    def failed(self, exporter: Any, patience: float = PATIENCE, *, hurried: bool = False) -> None:
        """An export failed, or has not ended in time. Never raises.

        Args:
            exporter: What sent.
            patience: Seconds to wait for each answer.
            hurried: Whether there was little time, so that a slow answer is no failure.
        """
        with guarded(at_debug("the search for a reason")):
            self._failed(exporter, patience, hurried)

    def _failed(self, exporter: Any, patience: float, hurried: bool) -> None:
        to: Destination | None = getattr(exporter, "destination", None)
        if to is None:
            self._tell(_UNKNOWN)
        elif exporter.failure is None and exporter.rejected:
            self._say(to, Failure(""), reasons.REJECTED)
        else:
            failure = exporter.failure or Failure("", late=True)
            found = diagnose(to, patience) if failure.status in reasons.UNCLEAR else None
            if found or not (hurried and failure.late):
                self._say(to, failure, found or reasons.by_status(failure))

    def over(self) -> None:
        """An export succeeded."""
        self._told = None

    def _say(self, to: Destination, failure: Failure, reason: Reason) -> None:
        known = {
            "status": failure.status,
            "protocol": to.protocol,
            "timeout": to.timeout,
            "detail": reason.detail,
        }
        url = urlsplit(to.endpoint)  # whose path may hold a key
        what, remedy = reason.what.format(**known), reason.remedy.format(**known)
        end = "" if remedy.endswith("?") else "."
        self._tell(_KNOWN, f"{url.scheme}://{url.netloc}", to.protocol, what, remedy + end)

    def _tell(self, message: str, *values: object) -> None:
        text = message % values
        with self._lock:
            if self._told == text:
                return
            self._told = text
        self._warnings.warn(text, message, *values)


def probe(settings: Settings, outage: Outage) -> None:
    """Sends an empty request while developing, so that a wrong setting is told at once; does not wait.

    It takes a key as any other request does.
    """

    def run() -> None:
        from footfall._delivery import otlp

        exporters = otlp.exporters(settings, PROBE)
        sender: Any = exporters.spans
        try:
            with quietly(sender):
                sender.export(())
            if sender.failure is not None:
                outage.failed(sender, hurried=True)
        finally:
            exporters.spans.shutdown()
            exporters.metrics.shutdown()

    with suppress(RuntimeError):  # an interpreter that ends, or has no such threads
        _threads.start(run, "footfall-probe")
