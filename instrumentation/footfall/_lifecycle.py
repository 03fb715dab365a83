"""A client's life: started, captured, forked, flushed, shut down."""

import atexit
import os
from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast
from weakref import WeakSet

from footfall import _settings, _threads
from footfall._decision import State
from footfall._ends import fork, hard_exit, sigterm
from footfall._guard import guarded
from footfall._log import Warnings, log

if TYPE_CHECKING:
    from footfall._consent.gate import Gate
    from footfall._delivery.delivery import Delivery
    from footfall._recording.recorder import Recorder


_UNMEASURED: Final = 64
"""How many things that `@feature` left as they are may wait to be told of."""


class Flushed(IntEnum):
    """How `flush()` ended; as a condition it is false only where something may be lost.

    Attributes:
        NOT_DONE: The collector has not taken everything in time. A warning on the logger `footfall` says why.
        DONE: It has.
        OFF: Telemetry is off: there was nothing to send, and nothing will be.
    """

    NOT_DONE = 0
    DONE = 1
    OFF = 2

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


class Lifecycle:
    """What turns a client on and off.

    Args:
        strict: Raise Footfall's own errors instead of swallowing them; for tests of Footfall.

    Attributes:
        recorder: What works while telemetry is on; None while it is off. (In a child of a fork, and after
            a no in another program, something that looks at its first use whether it is on.)
        surroundings: What every event carries that declares it; see `Client.ambient`.
        applications: The web applications that are measured; each says which routes it has.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.recorder: Recorder | None = None
        self.surroundings: Mapping[str, Any] = {}
        self._delivery: Delivery | None = None
        self._closing: Delivery | None = None
        self._strict = strict
        self._warnings = Warnings()
        self._changing = _threads.lock()
        self._asleep = self._ends = self._told = False
        self._parents: list[Delivery | None] = []  # never closed here: their connections are shared
        self.applications: WeakSet[Any] = WeakSet()
        self._unmeasured: set[tuple[str, str]] = set()
        self._capturing: _settings.Exporters | None = None
        self._options = _settings.Options()
        self._settings = _settings.Settings()

    def surround(self, attributes: Mapping[str, Any]) -> None:
        """Replaces what every event carries; never changed in place, as other threads read it."""
        self.surroundings = attributes
        if self.recorder is not None:
            self.recorder.surroundings = attributes

    def unmeasured(self, event: str, kind: str) -> None:
        """Notes what `@feature` left as it is; mostly before `configure()`, which may tell of it."""
        if isinstance(event, str) and len(self._unmeasured) < _UNMEASURED:
            self._unmeasured.add((event, kind))
        if self.recorder is not None:
            self.recorder.unmeasured(event, kind)

    def flush(self, timeout: float = 5.0) -> Flushed:
        """Sends everything that waits; blocks for at most `timeout` seconds.

        Programs need it before they are frozen or killed, not at exit. In asynchronous code:
        `await asyncio.to_thread(footfall.flush)`.

        Returns:
            `DONE` when the collector took it all in time, `OFF` while telemetry is off; both are true as
            a condition. `NOT_DONE` is false.
        """
        with guarded(self.trouble):
            self.hear()
            if self._delivery is None:
                return Flushed.OFF
            return Flushed(self._asleep or self._delivery.flush(timeout))
        return Flushed.NOT_DONE

    def finish(self, timeout: float) -> bool:
        """Sends what waits because the process may end now, within `timeout` seconds; see `flush()`."""
        with guarded(self.trouble):
            delivery = self._closing or self._delivery
            return delivery is None or self._asleep or delivery.finish(timeout)
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
        with guarded(self.trouble):
            atexit.unregister(self.shutdown)
            self._ends = False
            stopped = self._stop(timeout)
            if not sigterm.unhook(self):  # not before: the signal may come meanwhile
                hard_exit.unhook()
            return stopped
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
        if isinstance(error, fork.StaysOff):
            return
        if self._strict:
            self._raise(error)
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
            self.recorder = cast("Recorder", fork.Asleep(self.wake))

    def wake(self) -> "Recorder | None":
        """Starts what `forked()` has put to sleep; called at its first use."""
        with self._changing:
            if self._asleep:
                self._asleep = False
                self._parents.append(self._delivery)
                self._delivery = self.recorder = None
                with guarded(self._refuse):
                    self._start_again()
            return self.recorder if self.on else None

    def hear(self) -> None:
        """Acts on what the user has said in another program since; here nobody asks one."""

    def _said(self) -> State | None:
        """What the user says; None where nobody asks him."""
        return None

    def _new_gate(self) -> "Gate | None":
        """What looks at the user's answer before each export."""
        return None

    def _start_again(self) -> None:
        """Starts in a process that was forked."""
        self._start()

    def _apply(self) -> None:
        """Starts, if that is what the settings and the user say now."""
        settings = _settings.read(os.environ, self._options, self._said())
        if settings.mode != "off":
            self._settings = settings
            self._start()

    @property
    def on(self) -> bool:
        """Whether telemetry is on."""
        return self._delivery is not None

    def _start(self) -> None:
        from footfall import _setup  # not before it is needed: it imports the OpenTelemetry SDK

        tell = not self._told and not self._options.captured
        recorder, self._delivery = _setup.start(
            self._settings, self._warnings, self._new_gate(), tell=tell
        )
        self._told = True
        recorder.surroundings = self.surroundings
        for event, kind in self._unmeasured:
            recorder.unmeasured(event, kind)
        self._settings = replace(self._settings, catalog=recorder.catalog)  # not read after a fork
        fork.watch(self)
        if not self._ends:  # once: what else the program does at its end comes before
            atexit.register(self.shutdown)
            fork.at_end_of_worker(self.shutdown)
            self._ends = True
        if self._settings.exit_hooks and not self._options.captured:
            sigterm.hook(self)
            hard_exit.hook()
        self.recorder = fork.told(self, recorder)

    def _refuse(self, error: Exception) -> None:
        """Says why telemetry stays off."""
        if isinstance(error, _settings.ConfigurationError):
            lines = "".join(f"\n  {mistake}" for mistake in error.mistakes)
            log.warning("footfall is off, nothing is sent; to turn it on, correct:%s", lines)
            return
        log.warning("footfall is off, nothing is sent: %s in configure()", type(error).__name__)
        if self._strict:
            self._raise(error)

    @staticmethod
    def _raise(error: Exception) -> NoReturn:
        try:
            raise error
        finally:
            del error
