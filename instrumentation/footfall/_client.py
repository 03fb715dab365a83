"""The client: what an application calls, and what never fails it (docs/design.md, "The promises")."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from footfall import _configure
from footfall._answer import PresentConsent
from footfall._feature import Feature, Measured
from footfall._guard import Faults, guarded
from footfall._lifecycle import Flushed, Lifecycle
from footfall._threads import Wait

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from footfall._consent.consent import Consent
    from footfall._recording.recorder import Recorder
    from footfall._settings import Exporters
    from footfall_processors.catalog import Attribute
    from footfall_processors.matching import Match


class Client:
    """One sender of telemetry, off until `configure()` turns it on.

    Most programs use the one behind `footfall.configure()`, `footfall.feature()` and so on. A test or a
    library that wants to be isolated makes its own.

    Args:
        strict: Raise Footfall's own errors instead of swallowing them; for tests of Footfall.

    Attributes:
        recorder: What works while telemetry is on; None while it is off. (In a child of a fork, and after
            a no in another program, something that looks at its first use whether it is on.)
        surroundings: What every event carries that declares it; see `Client.ambient`.
        applications: The web applications that are measured; each says which routes it has.
        consent: What the user of the program said, and how to tell what they say.

    Example:
        >>> client = Client()
        >>> client.configure(catalog="events.yaml")  # stays off unless TELEMETRY_ENABLED=true
        >>> with client.feature("discord.generator", provider="smz3"):
        ...     pass
    """

    configure = _configure.configure

    def __init__(self, *, strict: bool = False) -> None:
        self.recorder: Recorder | None = None
        self.surroundings: Mapping[str, Any] = {}
        self.applications: WeakSet[Any] = WeakSet()
        self._faults = Faults(strict=strict)
        self._lifecycle = Lifecycle(self, self._faults)
        self.consent = cast("Consent", PresentConsent(self.present_consent))

    def __reduce__(self) -> str | tuple[type["Client"], tuple[()]]:
        """Functions that it measures are sent to other processes by value (cloudpickle), and so with it.

        There, the default client is that process' own, and another is one that is off.
        """
        return "default" if self is default else (Client, ())

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
            except Exception as error:  # the measured path
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
            except Exception as error:  # the measured path
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
            error_type: A normalised error type, if it failed.
            duration_ms: How long it took, in milliseconds; 0 for an instant.
            keep: Whether to retry until the collector takes it.
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
            except Exception as error:  # the measured path
                self.trouble(error)

    def adopt(self, span: "ReadableSpan") -> None:
        """Sends a finished span of any instrumentation, if it is named as a declared event."""
        if self.recorder is not None:
            try:
                self.recorder.adopt(span)
            except Exception as error:  # the measured path
                self.trouble(error)

    def ambient(self, **attributes: Any) -> None:
        """Makes every event from now on carry these attributes, if it declares them; None ends it."""
        merged = {**self.surroundings, **attributes}
        self.surround({name: value for name, value in merged.items() if value is not None})

    def surround(self, attributes: Mapping[str, Any]) -> None:
        """Replaces what every event carries; never changed in place, as other threads read it."""
        self.surroundings = attributes
        if self.recorder is not None:
            self.recorder.surroundings = attributes

    def match(self, kind: str, text: str) -> "Match | None":
        """The event that a route or a command stands for by the catalog's rules.

        Args:
            kind: `route`, `discord` or `racetime`.
            text: `GET /seeds/{id}`, or a command's name.

        Returns:
            Event and action; None when no rule fits, or while telemetry is off.
        """
        with guarded(self.trouble):
            return None if self.recorder is None else self.recorder.matchers[kind].find(text)
        return None

    def declared(self, event: str, attribute: str) -> "Attribute | None":
        """What an event may carry under this name; None when nothing, or while telemetry is off."""
        with guarded(self.trouble):
            if self.recorder is None or event not in self.recorder.plans:
                return None
            catalog = self.recorder.catalog
            declared = attribute in catalog.events[event].attributes
            return catalog.attributes[attribute] if declared else None
        return None

    def unmeasured(self, event: str, kind: str) -> None:
        """Notes what `@feature` left as it is; mostly before `configure()`, which may tell of it."""
        self._lifecycle.unmeasured(event, kind)

    def flush(self, timeout: float = 5.0) -> Flushed:
        """Sends everything that waits; blocks for at most `timeout` seconds.

        Programs need it before they are frozen or killed, not at exit. In asynchronous code:
        `await asyncio.to_thread(footfall.flush)`.

        Returns:
            `DONE` when the collector took it all in time, `OFF` while telemetry is off; both are true as
            a condition. `NOT_DONE` is false.
        """
        return self._lifecycle.flush(timeout)

    def finish(self, timeout: float) -> bool:
        """Sends what waits because the process may end now, within `timeout` seconds; see `flush()`."""
        return self.finishing()(timeout)

    def finishing(self) -> Wait:
        """Begins with what `finish()` does; what is returned waits for it."""
        return self._lifecycle.finishing()

    def hurry(self) -> None:
        """The process was told to end: for a while, what comes is sent at once."""
        self._lifecycle.hurry()

    def shutdown(self, timeout: float = 2.0) -> bool:
        """Sends everything that waits and turns telemetry off; at exit this happens by itself.

        Returns:
            Whether the collector took it all within `timeout` seconds; the rest is lost.
        """
        return self._lifecycle.shutdown(timeout)

    def trouble(self, error: Exception) -> None:
        """Swallows an error of Footfall itself, naming its type but never its message."""
        self._faults.trouble(error)

    def captured(self, exporters: "Exporters | None") -> "Exporters | None":
        """Makes what is configured from now on go to these exporters; see `footfall.testing`.

        Args:
            exporters: None ends it. What was configured before is shut down.
        """
        return self._lifecycle.captured(exporters)

    def forked(self) -> None:
        """Begins anew in the child of a fork: spans, counts and connections are the parent's.

        Nothing is made until the child uses telemetry: most children never do.
        """
        self._lifecycle.forked()

    def wake(self) -> "Recorder | None":
        """Starts what `forked()` has put to sleep; called at its first use."""
        return self._lifecycle.wake()

    def hear(self) -> None:
        """Acts on what the user has said in another program since; costs a `stat`."""
        self._lifecycle.hear()

    def present_consent(self) -> "Consent":
        """The consent that holds now; see `footfall.consent`."""
        return self._lifecycle.present_consent()

    def keep_receipt(self) -> None:
        """Has events carry this installation's receipt; see `footfall.receipt`."""
        self._lifecycle.keep_receipt()

    @property
    def on(self) -> bool:
        """Whether telemetry is on."""
        return self._lifecycle.on


default = Client()
"""The client behind `footfall.configure()`."""
