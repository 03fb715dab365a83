"""`GET …/health`: whether events come in, as a verdict in the body (R-number C7); the status is 200 anyhow.

Whether this collector is ready is asked elsewhere: /readyz of the operator's listener, or gRPC health.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from footfall_collector.receivers.api.asking import Needs
from footfall_collector.receivers.api.endpoints import Asked, Endpoint, Json, respond, short
from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres.pulse import Pulse

SILENT = dt.timedelta(minutes=5)
"""Without an event for longer, it is not healthy."""
LOW = 0.5
"""Of the average: a rate below it is low."""
REMEMBERED_S = 1.0
"""For so long whoever asks is told the same."""


class Health:
    """Answers senders.

    Args:
        feel: Takes the store's pulse. Raises Unavailable: it cannot be had.
        needs: Who may ask.
    """

    def __init__(self, feel: Callable[[], Awaitable[Pulse]], needs: Needs) -> None:
        self._feel, self._needs = feel, needs
        self._turn = asyncio.Lock()
        self._said: Json = {}
        self._until = 0.0

    @property
    def endpoint(self) -> Endpoint:
        """The route."""
        return Endpoint("/health", ("GET",), self._answer, short, self._needs)

    async def _answer(self, asked: Asked) -> Response:
        async with self._turn:  # who comes meanwhile is told the same
            if time.monotonic() >= self._until:
                self._said = await self._look()
                self._until = time.monotonic() + REMEMBERED_S
        return respond(self._said)

    async def _look(self) -> Json:
        try:
            return verdict(await self._feel())
        except Unavailable:
            return _verdict(
                healthy=False,
                alerts=[_alert("store_unavailable", "The store does not answer now", "critical")],
            )


def verdict(pulse: Pulse) -> Json:
    """What is said of a pulse."""
    alerts = []
    if pulse.average is not None and pulse.rate < pulse.average * LOW:
        text = f"Event rate dropped to {pulse.rate:.2f} a minute, less than half of its average"
        alerts.append(_alert("low_event_rate", f"{text} ({pulse.average:.2f})", "warning"))
    healthy = pulse.last is not None and pulse.at - pulse.last < SILENT
    return _verdict(pulse.last, pulse.rate, pulse.failed, healthy=healthy, alerts=alerts)


def _verdict(
    last: dt.datetime | None = None,
    rate: float | None = None,
    failed: float | None = None,
    *,
    healthy: bool,
    alerts: list[Json],
) -> dict[str, Any]:
    """As the document has it."""
    return {
        "isHealthy": healthy,
        "lastEventTime": last and f"{last.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventRate": rate and round(rate, 2),
        "errorRate": failed and round(failed, 4),
        "alerts": alerts,
    }


def _alert(kind: str, message: str, severity: str) -> Json:
    return {"type": kind, "message": message, "severity": severity}
