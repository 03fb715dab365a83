"""The consent of a program that does not ask: there is none, and none can be given."""

from pathlib import Path

from footfall._consent.consent import Consent
from footfall._consent.state import StateFile, Stored
from footfall._decision import Mode
from footfall._log import Warnings
from footfall_processors.catalog import Catalog


class Unasked(Consent):
    """Reads and keeps nothing, and says so when it is told something.

    Args:
        warnings: Where it says so.
        quiet: Whether it does not: in a test that captures, consent is not asked for.
    """

    def __init__(self, warnings: Warnings, *, quiet: bool = False) -> None:
        super().__init__("none", Catalog(products=("none",), events={}, attributes={}), Path())
        self._warnings, self._quiet = warnings, quiet
        self.store = None
        self._file = _NoFile(None)

    def grant(self, mode: Mode = "on") -> None:
        """Changes nothing, with a warning."""
        if not self._quiet:
            self._warnings.warn(
                "unasked",
                "footfall: configure(consent=True) comes before consent; nothing was changed",
            )

    def receipts(self) -> None:
        """None are kept: nobody was asked whether they may be."""

    def revoke(self) -> None:
        """Changes nothing: nothing is sent on anybody's word."""


class _NoFile(StateFile):
    def change(self, edit: object, *, make: bool = True) -> Stored:
        return Stored()
