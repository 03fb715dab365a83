"""Telemetry as a service that is handed to the code that needs it, and the `log_telemetry` calls.

The service is another face of a client: the same catalog, queue and promises.
"""

from collections.abc import Mapping
from typing import Any

from footfall._client import Client, default
from footfall._lifecycle import Flushed


class TelemetryService:
    """What code that reports usage is given; while its client is off, every call is a no-op.

    A client is off until it is configured, when it is disabled, and when its configuration is wrong.

    Args:
        client: None is the client behind `footfall.configure()`.

    Example:
        >>> class Generator:
        ...     def __init__(self, telemetry: TelemetryService) -> None:
        ...         self.telemetry = telemetry
        >>> generator = Generator(TelemetryService())
        >>> generator.telemetry.record("discord.generator.success", provider="smz3")
    """

    def __init__(self, client: Client | None = None) -> None:
        self._client = default if client is None else client

    def record(
        self,
        event: str,
        /,
        action: str | None = None,
        *,
        error_type: str | None = None,
        **attributes: Any,
    ) -> None:
        """Records something that happened and took no time.

        Args:
            event: A declared event, alone or with its action: `discord.generator.success`.
            action: One of its actions; None is `success`, or `failure` with an error type.
            error_type: A normalised error type; the status follows from it.
            attributes: Declared attributes.
        """
        self._client.observe(event, action, attributes, error_type=error_type)

    def record_timing(
        self,
        event: str,
        duration_ms: float,
        /,
        action: str | None = None,
        *,
        error_type: str | None = None,
        **attributes: Any,
    ) -> None:
        """Records something that took `duration_ms` milliseconds and has just ended; see `record`."""
        self._client.observe(
            event, action, attributes, error_type=error_type, duration_ms=duration_ms
        )

    def flush(self, timeout: float = 5.0) -> Flushed:
        """Sends what waits, within `timeout` seconds; see `footfall.flush`."""
        return self._client.flush(timeout)

    async def aflush(self, timeout: float = 5.0) -> Flushed:  # noqa: ASYNC109  # as `flush()`
        """`flush()` for asynchronous code: the loop goes on meanwhile."""
        import asyncio  # not before it is there: some Pythons end badly with it in a sub-interpreter

        return await asyncio.to_thread(self._client.flush, timeout)


class NoOpTelemetryService(TelemetryService):
    """A service that does nothing: for tests, and for code whose host wants no telemetry at all."""

    def __init__(self) -> None:
        super().__init__(Client())  # which nobody turns on


def log_telemetry(event: str, properties: Mapping[str, Any] | None = None, /) -> None:
    """Sends an event whose attributes are a mapping.

    Args:
        event: A declared event, alone or with its action.
        properties: Declared attributes; others are dropped and counted.

    Example:
        >>> log_telemetry("api_call", {"method": "GET", "response_time": 150})
    """
    default.observe(event, None, {} if properties is None else properties)


def log_telemetry_safe(event: str, properties: Mapping[str, Any] | None = None, /) -> None:
    """Sends an event as `log_telemetry` does, and retries until the collector takes it.

    What waits is bounded by the queue's size (OTEL_BSP_MAX_QUEUE_SIZE); beyond it the oldest is given
    up and counted. It does not outlive the process.
    """
    default.observe(event, None, {} if properties is None else properties, keep=True)
