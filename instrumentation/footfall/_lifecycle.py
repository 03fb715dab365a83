"""A client's life: configured, started, captured, forked, agreed to, shut down (A5, A6, E1)."""

import atexit
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from footfall import _fork, _hard_exit, _settings, _sigterm, _threads
from footfall._decision import State, decide
from footfall._log import Warnings, log

if TYPE_CHECKING:
    from footfall._consent import Consent
    from footfall._delivery import Delivery
    from footfall._outcome import Errors
    from footfall._recorder import Recorder
    from footfall_processors.catalog import Catalog


@dataclass(frozen=True)
class _Given:
    """The arguments of `configure()`."""

    catalog: "Catalog | _settings.Paths | None" = None
    endpoint: str | None = None
    enabled: bool | None = None
    sample_rate: float | None = None
    consent: bool = False
    errors: "Errors | None" = None
    exporters: _settings.Exporters | None = None
    service: tuple[str | None, str | None, str | None] = (None, None, None)
    exit_hooks: bool | None = None


class PresentConsent:
    """The `Consent` of a client, whichever it has: `configure()` makes another one.

    Before `configure(consent=True)`, or when the catalog is wrong, nothing is read, and what is granted
    has no effect and is not kept.
    """

    def __init__(self, present: "Callable[[], Consent]") -> None:
        self._present = present

    def __getattr__(self, name: str) -> Any:
        return getattr(self._present(), name)


class Lifecycle:
    """What turns a client on and off.

    Args:
        strict: Raise Footfall's own errors instead of swallowing them; for tests of Footfall.

    Attributes:
        recorder: What works while telemetry is on; None while it is off.
        surroundings: What every event carries that declares it; see `Client.ambient`.
        consent: What the user of the program said, and how to tell what he says (E1, E5, E6, G6).
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.recorder: Recorder | None = None
        self.surroundings: Mapping[str, Any] = {}
        self._delivery: Delivery | None = None
        self._closing: Delivery | None = None
        self._strict = strict
        self._warnings = Warnings()
        self._changing = _threads.lock()
        self._asleep = self._ends = False
        self._parents: list[Delivery | None] = []  # never closed here: their connections are shared
        self._capturing: _settings.Exporters | None = None
        self._given = _Given()
        self._settings = _settings.Settings()
        self._consent: Consent | None = None
        self.consent = cast("Consent", PresentConsent(self.present_consent))

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
        consent: bool = False,
        exit_hooks: bool | None = None,
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
            consent: For programs on their users' machines: what the user says in `footfall.consent`
                turns telemetry on and off; until he agrees nothing is collected or made (E1).
            exit_hooks: False leaves SIGTERM and `os._exit()` alone (FOOTFALL_EXIT_HOOKS).

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
                self._stop()
                self._given = _Given(
                    catalog, endpoint, enabled, sample_rate, consent, errors, exporters,
                    (service_name, service_version, environment), exit_hooks,
                )  # fmt: skip
                if self._capturing is not None:
                    self._given = replace(
                        self._given, enabled=True, consent=False, exporters=self._capturing
                    )
                self._consent = self._user() if self._given.consent else None
                self._apply()
        except Exception as error:
            self._refuse(error)

    def present_consent(self) -> "Consent":
        """The consent that holds now; see `footfall.consent`."""
        if self._consent is None:
            from footfall._unasked import Unasked

            return Unasked(self._warnings, quiet=self._capturing is not None)
        return self._consent

    def surround(self, attributes: Mapping[str, Any]) -> None:
        """Replaces what every event carries; never changed in place, as other threads read it."""
        self.surroundings = attributes
        if self.recorder is not None:
            self.recorder.surroundings = attributes

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

    def finish(self, timeout: float) -> bool:
        """Sends what waits because the process may end now, within `timeout` seconds; see `flush()`."""
        try:
            delivery = self._closing or self._delivery
            return delivery is None or self._asleep or delivery.finish(timeout)
        except Exception as error:
            self.trouble(error)
            return False

    def hurry(self) -> None:
        """The process was told to end: for a while, what comes is sent at once."""
        if self._delivery is not None and not self._asleep:
            self._delivery.hurry()

    def shutdown(self, timeout: float = 2.0) -> bool:
        """Sends everything that waits and turns telemetry off; at exit this happens by itself.

        Returns:
            Whether the collector took it all within `timeout` seconds; the rest is lost.
        """
        try:
            atexit.unregister(self.shutdown)
            self._ends = False
            stopped = self._stop(timeout)
            if not _sigterm.unhook(self):  # not before: the signal may come meanwhile
                _hard_exit.unhook()
            return stopped
        except Exception as error:
            self.trouble(error)
            return False

    def _stop(self, timeout: float = 2.0) -> bool:
        with self._changing:
            delivery, self._delivery = self._delivery, None
            if self._asleep:
                delivery = None  # the parent's
            self.recorder, self._asleep = None, False
        self._closing = delivery
        try:
            return delivery is None or delivery.close(timeout)
        finally:
            self._closing = None

    def trouble(self, error: Exception) -> None:
        """Swallows an error of Footfall itself, naming its type but never its message."""
        if isinstance(error, _fork.StaysOff):
            return
        if self._strict:
            raise error
        self._warnings.warn(
            "internal", "footfall: %s in a call, which was ignored", type(error).__name__
        )

    def captured(self, exporters: _settings.Exporters | None) -> _settings.Exporters | None:
        """Makes what is configured from now on go to these exporters; see `footfall.testing`.

        Args:
            exporters: None ends it. What was configured before is shut down.
        """
        self.shutdown()
        before, self._capturing, self._warnings = self._capturing, exporters, Warnings()
        return before

    def forked(self) -> None:
        """Begins anew in the child of a fork: spans, counts and connections are the parent's.

        Nothing is made until the child uses telemetry: most children never do.
        """
        self._changing = _threads.lock()
        self._warnings = Warnings()
        self._ends, self._closing = False, None
        if self._delivery is not None:
            self._delivery.abandon()
            self._asleep = True
            self.recorder = cast("Recorder", _fork.Asleep(self.wake))

    def wake(self) -> "Recorder | None":
        """Starts what `forked()` has put to sleep; called at its first use."""
        with self._changing:
            if self._asleep:
                self._asleep = False
                self._parents.append(self._delivery)
                self._delivery = self.recorder = None
                try:
                    if self._consent is None:
                        self._start()
                    else:
                        self._apply()  # what the user says now; another process may have asked him
                except Exception as error:
                    self._refuse(error)
            return self.recorder

    def _apply(self) -> None:
        """Starts, if that is what the settings and the user say now."""
        given = self._given
        settings = _settings.read(
            os.environ,
            enabled=given.enabled,
            catalog=given.catalog,
            endpoint=given.endpoint,
            sample_rate=given.sample_rate,
            exit_hooks=given.exit_hooks,
            consent=None if self._consent is None else self._consent.state(),
        )
        if settings.mode != "off":
            self._settings = settings
            self._start()

    def _start(self) -> None:
        from footfall import _setup  # not before it is needed: it imports the OpenTelemetry SDK

        given = self._given
        recorder, self._delivery = _setup.start(
            self._settings,
            given.service,
            given.errors,
            given.exporters,
            self._warnings,
            self._capturing is not None,
        )
        recorder.surroundings = self.surroundings
        self._settings = replace(self._settings, catalog=recorder.catalog)  # not read after a fork
        _fork.watch(self)
        if not self._ends:  # once: what else the program does at its end comes before
            atexit.register(self.shutdown)
            _fork.at_end_of_worker(self.shutdown)
            self._ends = True
        if self._settings.exit_hooks and self._capturing is None:
            _sigterm.hook(self)
            _hard_exit.hook()
        self.recorder = _fork.told(self, recorder)

    def _user(self) -> "Consent | None":
        """What the user said about this program's catalog; None where it does not matter.

        Raises:
            ConfigurationError: the catalog is wrong.
        """
        if not _threads.may_start():
            return None
        from footfall import _consent
        from footfall._sources import load

        try:
            catalog = load(_settings.catalog_of(os.environ, self._given.catalog))
        except _settings.ConfigurationError:
            if decide(os.environ, self._given.enabled, State("on", decided=True)) == "off":
                return None  # in silence, as in every program that is turned off
            raise
        self._given = replace(self._given, catalog=catalog)
        return _consent.Consent(catalog.products[0], catalog, changed=self._decided)

    def _decided(self) -> None:
        """The user has just agreed, or no longer agrees."""
        try:
            with self._changing:
                state = State() if self._consent is None else self._consent.state()
                mode = decide(os.environ, self._given.enabled, state)
                if mode == "off":
                    self._discard()
                elif self.recorder is None or mode != self._settings.mode:
                    self._stop()
                    self._apply()
        except Exception as error:
            self._refuse(error)

    def _discard(self) -> None:
        """Stops without sending what still waits, and forgets the session."""
        self.surround({})
        if self._delivery is not None:
            self._delivery.discard()
        self._stop(0)

    def _refuse(self, error: Exception) -> None:
        """Says why telemetry stays off."""
        if isinstance(error, _settings.ConfigurationError):
            lines = "".join(f"\n  {mistake}" for mistake in error.mistakes)
            log.warning("footfall is off, nothing is sent; to turn it on, correct:%s", lines)
            return
        log.warning("footfall is off, nothing is sent: %s in configure()", type(error).__name__)
        if self._strict:
            raise error
