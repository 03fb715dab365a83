"""Footfall: count which features of a product are used, without knowing by whom.

Three lines are enough (see `events.yaml` in the documentation for the catalog):

    >>> import footfall
    >>> footfall.configure(catalog="events.yaml", endpoint="http://localhost:4317")
    >>> with footfall.feature("discord.generator", provider="smz3"):
    ...     pass

Telemetry is off unless TELEMETRY_ENABLED=true; then every call is a no-op. No call ever raises, blocks
on the network, or sends anything that the catalog does not declare.
"""

from footfall._client import Client, default
from footfall._feature import Feature
from footfall._settings import Exporters

configure = default.configure
feature = default.feature
event = default.event
count = default.count
flush = default.flush
shutdown = default.shutdown

__all__ = [
    "Client", "Exporters", "Feature", "configure", "count", "event", "feature", "flush", "shutdown",
]  # fmt: skip
