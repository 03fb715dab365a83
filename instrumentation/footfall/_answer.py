"""What the user of a program says, for the client that is turned on and off by it (`footfall._lifecycle`)."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from footfall import _settings, _threads
from footfall._decision import State, decide

if TYPE_CHECKING:
    from footfall._consent.consent import Consent
    from footfall._consent.gate import Gate
    from footfall._log import Warnings
    from footfall_processors.catalog import Catalog


class PresentConsent:
    """The `Consent` of a client, whichever it has: `configure()` makes another one.

    Before `configure(consent=True)`, or when the catalog is wrong, nothing is read, and what is granted
    has no effect and is not kept.
    """

    def __init__(self, present: "Callable[[], Consent]") -> None:
        self._present = present

    def __getattr__(self, name: str) -> Any:
        return getattr(self._present(), name)


class Answer:
    """The answer of a program's user, and which one was acted on; where nobody asks, there is none.

    Attributes:
        consent: Where the answer is noted; None where nobody asks.
        gate: What looks at it before each export, while telemetry is on.
        has_receipt: Whether events carry this installation's receipt.
        is_followed: Whether what is said in another program is acted on: no more after `shutdown()`.
    """

    def __init__(self) -> None:
        self.consent: Consent | None = None
        self.gate: Gate | None = None
        self.has_receipt = False
        self.is_followed = True
        self._heard: object = None

    def ask(self, options: _settings.Options, changed: Callable[[], None]) -> _settings.Options:
        """Finds the consent of the user for what `configure()` was told, where the program asks them.

        Args:
            options: What `configure()` was told.
            changed: Called when the user has said something here.

        Returns:
            The options, with the catalog read.

        Raises:
            ConfigurationError: the catalog is wrong.
        """
        consent = None
        if options.consent and _threads.may_start():
            try:
                catalog = _settings.load(_settings.catalog_of(os.environ, options.catalog))
            except _settings.ConfigurationError:
                if decide(os.environ, options.enabled, State("on", decided=True)) != "off":
                    raise
            else:
                options = replace(options, catalog=catalog)
                consent = self._consent_to(options, catalog, changed)
        self.consent = consent
        return options

    def _consent_to(
        self, options: _settings.Options, catalog: "Catalog", changed: Callable[[], None]
    ) -> "Consent":
        from footfall._consent.consent import Consent

        product, enabled = catalog.products[0], options.enabled
        consent = Consent(product, catalog, changed=changed, enabled=enabled)
        if self.consent is not None:
            # A session that goes on may still carry one of them.
            consent.known |= self.consent.known
        return consent

    def said(self) -> State | None:
        """What the user says now; None where nobody asks. Notes which answer this was."""
        consent = self.consent
        self._heard = None if consent is None else consent.stamp()
        return None if consent is None else consent.state()

    def has_news(self) -> bool:
        """Whether the user has said something since; costs a `stat`."""
        consent = self.consent
        return consent is not None and self.is_followed and consent.stamp() != self._heard

    def around(self, surroundings: Mapping[str, Any]) -> Mapping[str, Any]:
        """What every event carries while telemetry is on: nothing that is forgotten, and the receipt."""
        if self.consent is None:
            return surroundings
        around = self.consent.cleaned(surroundings)
        token = self.consent.receipt() if self.has_receipt else None
        if token is None:
            return around
        from footfall._recording import receipt

        return {**around, receipt.NAME: receipt.digest_of(token)}

    def new_gate(self, settings: _settings.Settings, heard: Callable[[], None]) -> "Gate | None":
        """A gate for what is started now; None where nobody asks.

        Args:
            settings: As they hold now.
            heard: Called when the user has said something else meanwhile; it must not block.
        """
        self.gate, consent = None, self.consent
        if consent is not None:
            from footfall._consent.gate import Gate

            enabled = settings.options.enabled
            said = lambda: decide(os.environ, enabled, consent.state())  # noqa: E731
            self.gate = Gate(consent, settings.mode, said, heard)
        return self.gate

    def present(self, warnings: "Warnings", *, quiet: bool) -> "Consent":
        """The consent that holds now; see `footfall.consent`.

        Args:
            warnings: Where it is told that nobody asks, or can be asked.
            quiet: Whether the former is not.
        """
        if self.consent is not None:
            return self.consent
        if not _threads.may_start():
            from footfall._consent.absent import Absent

            return cast("Consent", Absent(warnings))
        from footfall._consent.unasked import Unasked

        return Unasked(warnings, quiet=quiet)
