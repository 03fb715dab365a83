"""The client: what an application calls, and what never fails it (A5; DESIGN, third promise)."""

import atexit
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from footfall import _fork, _settings
from footfall._feature import Feature, Measured
from footfall._log import Warnings, log

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from footfall._delivery import Delivery
    from footfall._outcome import Errors
    from footfall._recorder import Recorder
    from footfall_processors.catalog import Attribute, Catalog
    from footfall_processors.matching import Match

    _Service = tuple[str | None, str | None, str | None]
    _Exporters = _settings.Exporters | None


class Client:
    """One sender of telemetry, off until `configure()` turns it on.

    Most programs use the one behind `footfall.configure()`, `footfall.feature()` and so on. A test or a
    library that wants to be isolated makes its own.

    Args:
        strict: Raise Footfall's own errors instead of swallowing them; for tests of Footfall.

    Attributes:
        recorder: What works while telemetry is on; None while it is off.

    Example:
        >>> client = Client()
        >>> client.configure(catalog="events.yaml")  # stays off unless TELEMETRY_ENABLED=true
        >>> with client.feature("discord.generator", provider="smz3"):
        ...     pass
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.recorder: Recorder | None = None
        self._delivery: Delivery | None = None
        self._strict = strict
        self._warnings = Warnings()
        self._changing = threading.RLock()
        self._asleep = False
        self._capturing: _Exporters = None
        self._started_with: (
            tuple[_settings.Settings, _Service, Errors | None, _Exporters] | None
        ) = None

    def configure(
        self,
        catalog: "Catalog | _settings.Paths | None" = None,
        endpoint: str | None = None,
        *,
        enabled: bool | None = None,
        service_name: str | None = None,
        service_version: str | None = None,
        environment: str | None = None,
        sample_rate: float | None = None,
        errors: "Errors | None" = None,
        exporters: _settings.Exporters | None = None,
    ) -> None:
        """Turns telemetry on, if it is enabled; call it once, when the program starts.

        It never raises. When anything is wrong, one warning on the logger `footfall` lists all of
        it and telemetry stays off. Called again it flushes and replaces what was configured before.

        Args:
            catalog: `events.yaml`, or several such files, or a loaded catalog (TELEMETRY_CATALOG).
            endpoint: The collector's URL (OTEL_EXPORTER_OTLP_ENDPOINT).
            enabled: Whether to send anything. TELEMETRY_ENABLED=false wins over True.
            service_name: OTEL_SERVICE_NAME; the catalog's product when neither is given.
            service_version: `service.version` in OTEL_RESOURCE_ATTRIBUTES.
            environment: `deployment.environment.name` in OTEL_RESOURCE_ATTRIBUTES.
            sample_rate: Share of observations sent as spans, [0, 1] (TELEMETRY_SAMPLE_RATE).
            errors: The application's exception classes and their error types (A4).
            exporters: What sends, instead of OTLP; for tests.

        Example:
            >>> import footfall
            >>> class PresetError(Exception): ...
            >>> footfall.configure(
            ...     catalog="events.yaml",
            ...     endpoint="http://localhost:4317",
            ...     errors={PresetError: "invalid_preset"},
            ... )
        """
        try:
            with self._changing:
                self.shutdown()
                if self._capturing is not None:
                    enabled, exporters = True, self._capturing
                settings = _settings.read(
                    os.environ,
                    enabled=enabled,
                    catalog=catalog,
                    endpoint=endpoint,
                    sample_rate=sample_rate,
                )
                if settings.enabled:
                    service = (service_name, service_version, environment)
                    self._started_with = (settings, service, errors, exporters)
                    self._start()
        except _settings.ConfigurationError as error:
            lines = "".join(f"\n  {mistake}" for mistake in error.mistakes)
            log.warning("footfall is off, nothing is sent; to turn it on, correct:%s", lines)
        except Exception as error:
            log.warning("footfall is off, nothing is sent: %s in configure()", type(error).__name__)
            if self._strict:
                raise

    def feature(self, event: str, /, action: str | None = None, **attributes: Any) -> Feature:
        """Measures a use of a feature: as a context manager or as a decorator, in sync and async code.

        Its start is counted (`invoke`); its end sends one observation: success or failure, status,
        error type, duration. An exception passes through unchanged; only its type is looked at.

        Args:
            event: A declared event.
            action: What a use that goes well is called, one of the event's actions; its start is
                then not counted. None is `success`, or the only action there is.
            attributes: Declared attributes; None means not given. Others are dropped and counted.

        Example:
            >>> import footfall
            >>> with footfall.feature("discord.generator", provider="smz3") as use:
            ...     use.set(provider="alttpr")
            >>> @footfall.feature("discord.generator")
            ... async def generate() -> None: ...
        """
        recorder = self.recorder
        if recorder is None:
            return Feature(self, event, action, attributes)
        return Measured(self, event, action, attributes, recorder)

    def event(self, event: str, /, action: str | None = None, **attributes: Any) -> None:
        """Sends an observation that takes no time.

        Args:
            event: A declared event.
            action: One of its actions; None is `success`, or the only action there is.
            attributes: Declared attributes.

        Example:
            >>> import footfall
            >>> footfall.event("web.login", "success")
        """
        if self.recorder is not None:
            try:
                self.recorder.instant(event, action, attributes)
            except Exception as error:
                self.trouble(error)

    def count(
        self, event: str, /, n: int = 1, action: str | None = None, **attributes: Any
    ) -> None:
        """Counts occurrences without observing each: the cheapest way, for what happens often.

        Args:
            event: A declared event.
            n: How many, 1 to 1,000,000,000.
            action: One of its actions; None is `success`, or the only action there is.
            attributes: Declared attributes, of which a count keeps the enums.

        Example:
            >>> import footfall
            >>> footfall.count("viewer.skip", 3)
        """
        if self.recorder is not None:
            try:
                self.recorder.count(event, n, action, attributes)
            except Exception as error:
                self.trouble(error)

    def observe(
        self,
        event: str,
        action: str | None,
        attributes: Mapping[str, Any],
        *,
        error_type: str | None = None,
        duration_ms: float = 0.0,
        keep: bool = False,
    ) -> None:
        """Sends an observation of which everything is known.

        Args:
            event: A declared event, alone or with its action.
            action: One of its actions; None is `success`, or `failure` with an error type.
            attributes: Declared attributes.
            error_type: A normalised error type (A4), if it failed.
            duration_ms: How long it took, in milliseconds; 0 for an instant.
            keep: Whether to try again until the collector takes it.
        """
        recorder = self.recorder
        if recorder is not None:
            try:
                recorder.instant(
                    event,
                    action,
                    attributes,
                    error=None if error_type is None else recorder.failure(error_type),
                    length=recorder.length(duration_ms),
                    keep=keep,
                )
            except Exception as error:
                self.trouble(error)

    def adopt(self, span: "ReadableSpan") -> None:
        """Sends a finished span of any instrumentation, if it is named as a declared event."""
        if self.recorder is not None:
            try:
                self.recorder.adopt(span)
            except Exception as error:
                self.trouble(error)

    def match(self, kind: str, text: str) -> "Match | None":
        """The event that a route or a command stands for by the catalog's rules (A8).

        Args:
            kind: `route`, `discord` or `racetime`.
            text: `GET /seeds/{id}`, or a command's name.

        Returns:
            Event and action; None when no rule fits, or while telemetry is off.
        """
        try:
            return None if self.recorder is None else self.recorder.matchers[kind].find(text)
        except Exception as error:
            self.trouble(error)
            return None

    def declared(self, event: str, attribute: str) -> "Attribute | None":
        """What an event may carry under this name; None when nothing, or while telemetry is off."""
        if self.recorder is None or event not in self.recorder.plans:
            return None
        catalog = self.recorder.catalog
        declared = attribute in catalog.events[event].attributes
        return catalog.attributes[attribute] if declared else None

    def flush(self, timeout: float = 5.0) -> bool:
        """Sends everything that waits; blocks for at most `timeout` seconds.

        Programs need it before they are frozen or killed, not at exit. In asynchronous code:
        `await asyncio.to_thread(footfall.flush)`.

        Returns:
            Whether the collector took it all in time.
        """
        try:
            if self._delivery is None or self._asleep:
                return True
            return self._delivery.flush(timeout)
        except Exception as error:
            self.trouble(error)
            return False

    def shutdown(self, timeout: float = 2.0) -> bool:
        """Sends everything that waits and turns telemetry off; at exit this happens by itself.

        Returns:
            Whether the collector took it all within `timeout` seconds; the rest is lost.
        """
        try:
            with self._changing:
                delivery, self._delivery = self._delivery, None
                if self._asleep:
                    delivery = None  # the parent's
                self.recorder, self._asleep = None, False
                atexit.unregister(self.shutdown)
            return delivery is None or delivery.close(timeout)
        except Exception as error:
            self.trouble(error)
            return False

    def trouble(self, error: Exception) -> None:
        """Swallows an error of Footfall itself, naming its type but never its message."""
        if self._strict:
            raise error
        self._warnings.warn(
            "internal", "footfall: %s in a call, which was ignored", type(error).__name__
        )

    def captured(self, exporters: "_Exporters") -> None:
        """Makes what is configured from now on go to these exporters; see `footfall.testing`.

        Args:
            exporters: None ends it. What was configured before is shut down.
        """
        self.shutdown()
        self._capturing, self._warnings = exporters, Warnings()

    def forked(self) -> None:
        """Begins anew in the child of a fork: spans, counts and connections are the parent's.

        Nothing is made until the child uses telemetry: most children never do.
        """
        self._changing = threading.RLock()
        self._warnings = Warnings()
        if self._delivery is not None:
            self._delivery.abandon()
            self._asleep = True
            self.recorder = cast("Recorder", _fork.Asleep(self.wake))

    def wake(self) -> "Recorder | None":
        """Starts what `forked()` has put to sleep; called at its first use."""
        with self._changing:
            if self._asleep:
                self._asleep = False
                parents, self.recorder = self._delivery, None
                self._start()
                _fork.at_end_of_worker(self.shutdown)
                if parents is not None and self._delivery is not None:
                    self._delivery.bury(parents)
            return self.recorder

    def _start(self) -> None:
        from footfall import _setup  # not before it is needed: it imports the OpenTelemetry SDK

        if self._started_with is None:
            return
        settings, service, errors, exporters = self._started_with
        recorder, self._delivery = _setup.start(
            settings, service, errors, exporters, self._warnings, self._capturing is not None
        )
        settings = replace(settings, catalog=recorder.catalog)  # not read again after a fork
        self._started_with = (settings, service, errors, exporters)
        _fork.watch(self)
        atexit.register(self.shutdown)
        self.recorder = recorder


default = Client()
"""The client behind `footfall.configure()`."""
