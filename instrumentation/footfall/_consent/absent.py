"""The consent where its file cannot be read: in an isolated sub-interpreter, which cannot import msgspec.

Telemetry is off there, so nothing is asked and nothing is sent; what the user says is not heard.
"""

from footfall._decision import Mode, State
from footfall._log import Warnings

_UNHEARD = (
    "footfall: consent cannot be read or changed in a sub-interpreter: ask in the main interpreter;"
    " nothing was changed"
)


class Absent:
    """Answers like a `Consent` that nobody has given.

    Args:
        warnings: Where it says that what it is told is not kept.
    """

    store = None

    def __init__(self, warnings: Warnings) -> None:
        self._warnings = warnings

    def state(self) -> State:
        """Nobody has decided anything."""
        return State()

    def changes(self) -> list[str]:
        """What is new is not known."""
        return []

    def nudge_due(self, days: int = 30, *, blocked: bool = False) -> bool:
        """Nobody is asked here."""
        return False

    def installation_id(self) -> str | None:
        """There is none."""
        return None

    def receipts(self) -> None:
        """None are kept here."""

    def receipt(self) -> str | None:
        """There is none."""
        return None

    def grant(self, mode: Mode = "on") -> None:
        """Changes nothing, with a warning."""
        self._warnings.warn("absent", _UNHEARD)

    def revoke(self) -> None:
        """Changes nothing, with a warning."""
        self._warnings.warn("absent", _UNHEARD)

    def forget(self) -> None:
        """Changes nothing, with a warning."""
        self._warnings.warn("absent", _UNHEARD)

    def nudged(self) -> None:
        """Changes nothing, with a warning."""
        self._warnings.warn("absent", _UNHEARD)

    def never_again(self) -> None:
        """Changes nothing, with a warning."""
        self._warnings.warn("absent", _UNHEARD)
