"""Footfall: count which features of a product are used, without knowing by whom.

Three lines are enough (see `events.yaml` in the documentation for the catalog):

    >>> import footfall
    >>> footfall.configure(catalog="events.yaml", endpoint="http://localhost:4317")
    >>> with footfall.feature("discord.generator", provider="smz3"):
    ...     pass

Telemetry is off unless TELEMETRY_ENABLED=true; then every call is a no-op. No call ever raises, blocks
on the network, or sends anything that the catalog does not declare.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from footfall._client import Client, default
from footfall._feature import Feature, current
from footfall._lifecycle import Flushed
from footfall._settings import Exporters

if TYPE_CHECKING:
    from footfall.discord import instrument_discord
    from footfall.racetime import instrument_racetime
    from footfall.receipts import ReceiptError, receipt
    from footfall.service import (
        NoOpTelemetryService,
        TelemetryService,
        log_telemetry,
        log_telemetry_safe,
    )
    from footfall.sessions import session
    from footfall.web import (
        instrument_asgi,
        instrument_django,
        instrument_fastapi,
        instrument_flask,
        route_event,
    )

configure = default.configure
feature = default.feature
event = default.event
count = default.count
flush = default.flush
shutdown = default.shutdown
consent = default.consent

_LATER = {
    "NoOpTelemetryService": "service",
    "ReceiptError": "receipts",
    "TelemetryService": "service",
    "instrument_asgi": "web",
    "instrument_discord": "discord",
    "instrument_django": "web",
    "instrument_fastapi": "web",
    "instrument_flask": "web",
    "instrument_racetime": "racetime",
    "log_telemetry": "service",
    "log_telemetry_safe": "service",
    "receipt": "receipts",
    "route_event": "web",
    "session": "sessions",
}
"""What is imported at its first use, by module: most programs need little of it."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


__all__ = [
    "Client", "Exporters", "Feature", "Flushed", "NoOpTelemetryService", "ReceiptError",
    "TelemetryService", "configure", "consent", "count", "current", "event", "feature", "flush",
    "instrument_asgi", "instrument_discord", "instrument_django", "instrument_fastapi", "instrument_flask",
    "instrument_racetime", "log_telemetry", "log_telemetry_safe", "receipt", "route_event", "session",
    "shutdown",
]  # fmt: skip
