"""A client's life: started, captured, forked, flushed, shut down; and what its user says about it."""

import atexit
import os
from contextlib import suppress
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final, cast

from footfall import _threads
from footfall._answer import Answer
from footfall._decision import State, decide, is_forgotten
from footfall._ends import fork, hard_exit, sigterm
from footfall._guard import Faults, guarded
from footfall._settings import ConfigurationError, Exporters, Options, Settings, read

if TYPE_CHECKING:
    from footfall._client import Client
    from footfall._consent.consent import Consent
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
    """What turns a client on and off, by setting its `recorder`.

    Its methods are those of the client, which says what they do.

    Args:
        client: The client.
        faults: Where faults are reported.
    """

    def __init__(self, client: "Client", faults: Faults) -> None:
        self._client, self._faults = client, faults
        self._answer = Answer()
        self._options, self._settings = Options(), Settings()
        self._delivery: Delivery | None = None
        self._closing: Delivery | None = None
        self._parents: list[Delivery | None] = []  # never closed here: their connections are shared
        self._changing = _threads.lock()
        self._asleep = self._ends = self._told = False
        self._unmeasured: set[tuple[str, str]] = set()
        self._capturing: Exporters | None = None

    @property
    def on(self) -> bool:
        """Whether telemetry is on."""
        return self._delivery is not None

    def configure(self, options: Options) -> None:
        """Starts with what `configure()` was told, in place of what it was told before."""
        with guarded(self._faults.refuse), self._changing:
            self._stop()
            self._answer.is_followed, self._told = True, False
            if self._capturing is not None:
                options = replace(
                    options, enabled=True, consent=False, exporters=self._capturing, captured=True
                )
            self._options = options
            self._options = self._answer.ask(options, self._decided)
            self._apply()

    def misfit(self, text: str) -> None:
        """`configure()` was called with arguments that it does not have."""
        self._stop()
        self._faults.refuse(ConfigurationError([text]))

    def unmeasured(self, event: str, kind: str) -> None:
        """Notes what is told when telemetry is turned on."""
        if isinstance(event, str) and len(self._unmeasured) < _UNMEASURED:
            self._unmeasured.add((event, kind))
        if self._client.recorder is not None:
            self._client.recorder.unmeasured(event, kind)

    def flush(self, timeout: float) -> Flushed:
        """Sends everything that waits."""
        with guarded(self._faults.trouble):
            self.hear()
            if self._delivery is None:
                return Flushed.OFF
            return Flushed(self._asleep or self._delivery.flush(timeout))
        return Flushed.NOT_DONE

    def finishing(self) -> _threads.Wait:
        """Sends what waits because the process may end now."""
        with guarded(self._faults.trouble):
            present = None if self._asleep else self._delivery
            both = dict.fromkeys((present, self._closing))  # another thread may configure meanwhile
            waits = [each.finishing() for each in both if each is not None]
            return lambda timeout: _threads.wait_for(waits, timeout)
        return lambda _: False

    def hurry(self) -> None:
        """The process was told to end."""
        if self._delivery is not None and not self._asleep:
            self._delivery.hurry()

    def shutdown(self, timeout: float) -> bool:
        """Sends everything that waits and turns telemetry off."""
        self._answer.is_followed = False
        with guarded(self._faults.trouble):
            atexit.unregister(self._client.shutdown)
            self._ends = False
            stopped = self._stop(timeout)
            with self._changing:  # not before: the signal may come meanwhile
                configured_again = self.on
                if not configured_again and not sigterm.unhook(self._client):
                    hard_exit.unhook()
            return stopped
        return False

    def captured(self, exporters: Exporters | None) -> Exporters | None:
        """Makes what is configured from now on go to these exporters."""
        self._client.shutdown()
        before, self._capturing = self._capturing, exporters
        self._faults.renew()
        return before

    def forked(self) -> None:
        """Begins anew in the child of a fork."""
        self._answer.gate = None  # its lock may have been held
        self._changing = _threads.lock()
        self._faults.renew()
        self._ends, self._closing = False, None
        if self._delivery is not None:
            self._delivery.abandon()
            self._asleep = True
            self._client.recorder = cast("Recorder", fork.Asleep(self._client.wake))

    def wake(self) -> "Recorder | None":
        """Starts what `forked()` has put to sleep."""
        with self._changing:
            if self._asleep:
                self._parents.append(self._delivery)
                self._delivery = self._client.recorder = None
                self._asleep = False
                with guarded(self._faults.refuse):
                    self._start_again()
            return self._client.recorder if self.on else None

    def hear(self) -> None:
        """Acts on what the user has said in another program since.

        Where that ends telemetry, whatever stands for the recorder looks at each use whether they agree
        again: nothing is exported by then, before which one could look.
        """
        if not self._answer.has_news():
            return
        with self._changing:
            if self._answer.has_news():  # another thread may have heard it meanwhile
                before = self._client.recorder
                self._decided()
                if before is not None and not self.on:
                    self._client.recorder = cast("Recorder", fork.Asleep(self._listen))

    def present_consent(self) -> "Consent":
        """The consent that holds now."""
        self.hear()
        return self._answer.present(self._faults.warnings, quiet=self._capturing is not None)

    def keep_receipt(self) -> None:
        """Has events carry this installation's receipt, now and after each yes of the user."""
        with guarded(self._faults.trouble), self._changing:
            self._answer.has_receipt = True
            if self.on:
                self._client.surround(self._answer.around(self._client.surroundings))

    def _listen(self) -> "Recorder | None":
        self.hear()
        return self._client.recorder if self.on else None

    def _overheard(self) -> None:
        """Has it heard by another thread: the one that exports is waited for by whoever stops it."""
        with suppress(RuntimeError):  # at the interpreter's end
            _threads.start(self.hear, "footfall-consent")

    def _decided(self) -> None:
        """The user has just agreed, no longer agrees, or had their id forgotten, here or elsewhere."""
        with guarded(self._faults.refuse), self._changing:
            consent, state = self._answer.consent, self._answer.said() or State()
            mode = decide(os.environ, self._options.enabled, state)
            if mode == "off":
                self._discard()
            elif not self.on or mode != self._settings.mode:
                # What waits was not agreed to be sent, when they now want it kept here.
                self._stop(0 if mode == "local" else 2.0)
                self._apply()
            elif self._answer.gate is not None:
                self._answer.gate.passes()
            if consent is not None:
                around = self._answer.around if self.on else consent.cleaned
                self._client.surround(around(self._client.surroundings))

    def _discard(self) -> None:
        """Stops without sending what still waits, and forgets the session."""
        self._client.surround({})
        if self._delivery is not None:
            self._delivery.discard()
        self._stop(0)

    def _stop(self, timeout: float = 2.0) -> bool:
        with self._changing:
            delivery = None if self._asleep else self._delivery  # else it is the parent's
            if delivery is not None:
                self._closing = delivery  # first: a signal may come between any two instructions
            self._delivery = self._client.recorder = None
            self._asleep = False
        try:
            return delivery is None or delivery.close(timeout)
        finally:
            if self._closing is delivery:
                self._closing = None

    def _apply(self) -> None:
        """Starts, if that is what the settings and the user say now."""
        options, said = self._options, self._answer.said()
        settings = read(os.environ, options, said)
        if settings.mode != "off":
            self._settings = settings
            self._start()
        elif said is None and is_forgotten(os.environ, options.enabled, options.service[2]):
            self._faults.forgotten()

    def _start_again(self) -> None:
        """Starts in a process that was forked."""
        if self._answer.consent is None:
            self._start()
            return
        self._apply()  # what the user says now; another process may have asked them
        if self._client.recorder is None:
            self._client.recorder = cast("Recorder", fork.Asleep(self._listen))

    def _start(self) -> None:
        from footfall import _setup  # not before it is needed: it imports the OpenTelemetry SDK

        client, options = self._client, self._options
        gate = self._answer.new_gate(self._settings, self._overheard)
        tell = not self._told and not options.captured
        recorder, self._delivery = _setup.start(
            self._settings, self._faults.warnings, gate, tell=tell
        )
        self._told = True
        client.surroundings = self._answer.around(client.surroundings)
        recorder.surroundings = client.surroundings
        for event, kind in self._unmeasured:
            recorder.unmeasured(event, kind)
        self._settings = replace(self._settings, catalog=recorder.catalog)  # not read after a fork
        fork.watch(client)
        if not self._ends:  # once: what else the program does at its end comes before
            atexit.register(client.shutdown)
            fork.at_end_of_worker(client.shutdown)
            self._ends = True
        if self._settings.exit_hooks and not options.captured:
            sigterm.hook(client)
            hard_exit.hook()
        client.recorder = fork.told(client, recorder)
