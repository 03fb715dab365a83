"""A client of a program that asks its user: what he says, here or elsewhere, starts and stops it."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from footfall import _settings, _threads
from footfall._decision import State, decide
from footfall._ends import fork
from footfall._guard import guarded
from footfall._lifecycle import Lifecycle

if TYPE_CHECKING:
    from footfall._consent.consent import Consent
    from footfall._consent.gate import Gate
    from footfall._recording.recorder import Recorder


class PresentConsent:
    """The `Consent` of a client, whichever it has: `configure()` makes another one.

    Before `configure(consent=True)`, or when the catalog is wrong, nothing is read, and what is granted
    has no effect and is not kept.
    """

    def __init__(self, present: "Callable[[], Consent]") -> None:
        self._present = present

    def __getattr__(self, name: str) -> Any:
        return getattr(self._present(), name)


class Asking(Lifecycle):
    """What a user turns on and off, where the program asks him; elsewhere nothing of this matters.

    Args:
        strict: As for `Lifecycle`.

    Attributes:
        consent: What the user of the program said, and how to tell what he says.
    """

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._consent: Consent | None = None
        self._gate: Gate | None = None
        self._heard: object = None
        self._hears = True
        self.consent = cast("Consent", PresentConsent(self.present_consent))

    def present_consent(self) -> "Consent":
        """The consent that holds now; see `footfall.consent`."""
        self.hear()
        if self._consent is None:
            if not _threads.may_start():
                from footfall._consent.absent import Absent

                return cast("Consent", Absent(self._warnings))
            from footfall._consent.unasked import Unasked

            return Unasked(self._warnings, quiet=self._capturing is not None)
        return self._consent

    def hear(self) -> None:
        """Acts on what the user has said in another program since; costs a `stat`.

        Where that ends telemetry, whatever stands for the recorder looks at each use whether he agrees
        again: nothing is exported by then, before which one could look.
        """
        if not self._has_news():
            return
        with self._changing:
            if self._has_news():  # another thread may have heard it meanwhile
                before = self.recorder
                self._decided()
                if before is not None and not self.on:
                    self.recorder = cast("Recorder", fork.Asleep(self._listen))

    def _has_news(self) -> bool:
        consent = self._consent
        return consent is not None and self._hears and consent.stamp() != self._heard

    def _listen(self) -> "Recorder | None":
        self.hear()
        return self.recorder if self.on else None

    def _overheard(self) -> None:
        """Has it heard by another thread: the one that exports is waited for by whoever stops it."""
        with suppress(RuntimeError):  # at the interpreter's end
            _threads.start(self.hear, "footfall-consent")

    def _said(self) -> State | None:
        """Notes which answer this was."""
        consent = self._consent
        self._heard = None if consent is None else consent.stamp()
        return None if consent is None else consent.state()

    def _new_gate(self) -> "Gate | None":
        self._gate, consent = None, self._consent
        if consent is not None:
            from footfall._consent.gate import Gate

            enabled = self._options.enabled
            said = lambda: decide(os.environ, enabled, consent.state())  # noqa: E731
            self._gate = Gate(consent, self._settings.mode, said, self._overheard)
        return self._gate

    def forked(self) -> None:
        """Begins anew in the child of a fork; see `Lifecycle.forked`."""
        self._gate = None  # its lock may have been held
        super().forked()

    def _start_again(self) -> None:
        if self._consent is None:
            super()._start_again()
            return
        self._apply()  # what the user says now; another process may have asked him
        self.recorder = self.recorder or cast("Recorder", fork.Asleep(self._listen))

    def shutdown(self, timeout: float = 2.0) -> bool:
        """Sends everything that waits and turns telemetry off; at exit this happens by itself.

        Returns:
            Whether the collector took it all within `timeout` seconds; the rest is lost.
        """
        self._hears = False
        return super().shutdown(timeout)

    def _user(self) -> "Consent | None":
        """What the user said about this program's catalog; None where it does not matter.

        Raises:
            ConfigurationError: the catalog is wrong.
        """
        if not _threads.may_start():
            return None
        from footfall._consent import consent as _consent

        try:
            catalog = _settings.load(_settings.catalog_of(os.environ, self._options.catalog))
        except _settings.ConfigurationError:
            if decide(os.environ, self._options.enabled, State("on", decided=True)) == "off":
                return None  # in silence, as in every program that is turned off
            raise
        self._options = replace(self._options, catalog=catalog)
        user = _consent.Consent(
            catalog.products[0], catalog, changed=self._decided, enabled=self._options.enabled
        )
        if self._consent is not None:
            user.known |= self._consent.known  # a session that goes on may still carry one of them
        return user

    def _decided(self) -> None:
        """The user has just agreed, no longer agrees, or dropped his id; here or in another program."""
        with guarded(self._refuse), self._changing:
            consent, state = self._consent, self._said() or State()
            mode = decide(os.environ, self._options.enabled, state)
            if mode == "off":
                self._discard()
            elif not self.on or mode != self._settings.mode:
                # What waits was not agreed to be sent, when he now wants it kept here.
                self._stop(0 if mode == "local" else 2.0)
                self._apply()
            elif self._gate is not None:
                self._gate.passes()
            if consent is not None:
                self.surround(consent.cleaned(self.surroundings))

    def _discard(self) -> None:
        """Stops without sending what still waits, and forgets the session."""
        self.surround({})
        if self._delivery is not None:
            self._delivery.discard()
        self._stop(0)
