"""A first request to the collector while developing, so that a wrong setting is told at once."""

from contextlib import suppress
from typing import Any, Final

from footfall import _threads
from footfall._delivery.outage import Outage
from footfall._delivery.quiet import quietly
from footfall._settings import Settings

TIMEOUT: Final = 0.7
"""Seconds; too short for OpenTelemetry to try again, so that a refusal is known at once."""


def probe(settings: Settings, outage: Outage) -> None:
    """Sends an empty request, which takes a key as any other does, and tells why it failed; does not wait."""

    def run() -> None:
        from footfall._delivery import otlp

        exporters = otlp.exporters(settings, TIMEOUT)
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
