"""What the user of a program agreed to, and whether to ask them.

For programs that run on their users' machines. The dialog is the host's; what was decided in it, and
whether to show it at all, is here.
"""

import datetime as dt
import os
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from footfall._consent import forgetting
from footfall._consent import state as _state
from footfall._consent.state import Granted, Revoked, StateFile, Stored
from footfall._decision import Mode, State, decide
from footfall._log import log
from footfall._recording.receipt import digest_of
from footfall_processors.catalog import Catalog
from footfall_processors.changes import Scope, fingerprint, scope, widened

_FORBIDDEN = (
    "footfall: telemetry is off whatever the user says (DO_NOT_TRACK, OTEL_SDK_DISABLED,"
    " TELEMETRY_ENABLED or enabled=False); the yes was not noted"
)

_STAYS = "footfall: the events that were kept on this machine cannot be deleted"


class Consent:
    """One user's consent to one product's telemetry.

    It is kept in their settings (on Linux `~/.config/footfall/PRODUCT.json`), readable by them alone.
    Reading never writes: before the first `grant`, `revoke`, `nudged` or `never_again` there is no
    file, and before a yes no id. No method raises.

    Args:
        product: The product's name, as in its catalog.
        catalog: What it wants to collect.
        folder: A place for everything, instead of the user's folders for settings and data.
        changed: Called after a `grant`, a `revoke` or a `forget`, so that sending starts or stops at once.
        enabled: What the program says in its code, as in `configure()`.

    Attributes:
        store: Where `local` mode keeps events; None where the user has no home.
        known: Installation ids and digests of receipts that were in the file so far; all but the present ones
            are forgotten.
    """

    def __init__(
        self,
        product: str,
        catalog: Catalog,
        folder: Path | None = None,
        changed: Callable[[], None] | None = None,
        enabled: bool | None = None,
    ) -> None:
        self.store = _state.store_path(product, folder)
        self._file = StateFile(_state.state_path(product, folder))
        self._scope = scope(catalog)
        self._fingerprint = fingerprint(catalog)
        self._catalog = catalog
        self._changed = changed
        self._enabled = enabled
        self.known: set[str] = set()
        self._forgotten: set[str] = set()

    def state(self) -> State:
        """What holds now; another program may have changed it since the last call."""
        match self._read().decision:
            case Granted() as granted:
                return State(granted.mode, True, bool(self._news(granted)), granted.since)
            case Revoked(since=since):
                return State("off", True, False, since)
            case None:
                return State()

    def grant(self, mode: Mode = "on") -> None:
        """Notes that the user agrees to what the catalog allows now.

        Where a switch says no (DO_NOT_TRACK and the others) nothing is noted: who means it says it again
        when the switch is gone.

        Args:
            mode: `on`, or `local` to keep events on this machine.
        """
        if mode not in ("on", "local"):
            log.warning('footfall: grant() knows "on" and "local"; nothing was changed')
            return
        if self._forbidden():
            log.warning(_FORBIDDEN)
            return

        def agree(stored: Stored) -> Stored:
            before = stored.decision if isinstance(stored.decision, Granted) else None
            known = (before.installation, before.receipt) if before else ()
            decision = Granted(mode, _today(), self._fingerprint, self._scope, *known)
            return replace(stored, decision=decision, nudged=None)

        self._file.change(agree)
        self._tell()

    def revoke(self) -> None:
        """Notes that the user does not agree, or no longer does.

        The installation id and everything that `local` mode kept are deleted. Tokens of receipts stay, so
        that what was stored can still be erased.
        """
        self._change(lambda stored: replace(stored, decision=Revoked(_today()), nudged=None))
        self._tell()  # first, so that nothing is put into the store afterwards
        self._remove_store()

    def changes(self) -> list[str]:
        """What the catalog allows and the user has not agreed to, a sentence each, to show to them."""
        decision = self._read().decision
        return self._news(decision if isinstance(decision, Granted) else None)

    def nudge_due(self, days: int = 30, *, blocked: bool = False) -> bool:
        """Whether to ask or remind the user now; never where a switch turns telemetry off anyway.

        Args:
            days: How many days must lie between two reminders, or between a no and the next.
            blocked: Whether the program's requests are blocked on this machine; then a user who
                agreed may be reminded too.
        """
        stored, state = self._read(), self.state()
        refused = state.since if state.decided and state.mode == "off" else None
        last = stored.nudged or refused
        # Either way round: a clock that was wrong once must not silence it for years.
        early = last is not None and abs((_today() - last).days) < days
        agrees = state.mode != "off" and not state.outdated
        return not (self._forbidden() or stored.never_again or early or (agrees and not blocked))

    def nudged(self) -> None:
        """Notes that the user was asked or reminded today."""
        self._change(lambda stored: replace(stored, nudged=_today()))

    def never_again(self) -> None:
        """Notes that the user wants neither questions nor reminders, whatever changes."""
        self._change(lambda stored: replace(stored, never_again=True))

    def installation_id(self) -> str | None:
        """A random id of this installation, made at its first use.

        None without a valid consent, and where a switch says no.
        """

        def make(stored: Stored) -> Stored:
            granted = stored.decision
            if not isinstance(granted, Granted) or granted.installation or self._news(granted):
                return stored
            return replace(stored, decision=replace(granted, installation=uuid.uuid4()))

        granted = self._agreed(make)
        return None if granted is None else str(granted.installation)

    def receipt(self) -> str | None:
        """The token of this installation's receipt, made at its first use; see `footfall.receipt`.

        None without a valid consent, and where a switch says no.
        """

        def make(stored: Stored) -> Stored:
            granted = stored.decision
            if not isinstance(granted, Granted) or granted.receipt or self._news(granted):
                return stored
            token = secrets.token_hex(32)
            granted = replace(granted, receipt=token)
            return replace(stored, decision=granted, tokens=(*stored.tokens, token))

        granted = self._agreed(make)
        return None if granted is None else granted.receipt

    def receipts(self) -> Sequence[str] | None:
        """The tokens under which something may be stored; None where no receipt is kept."""
        return self._read().tokens

    def renew_receipt(self) -> None:
        """Uses another token from the next use on; what waits is sent without the former."""
        self._drop("receipt")

    def erased(self, tokens: Sequence[str]) -> None:
        """Forgets tokens under which nothing is stored any more."""

        def drop(stored: Stored) -> Stored:
            return replace(stored, tokens=tuple(t for t in stored.tokens if t not in tokens))

        self._change(drop)

    def forget(self) -> None:
        """Forgets the installation id; the next use makes another.

        It is forgotten everywhere: from what waits to be sent, in every running program, and from what
        `local` mode kept. So is the receipt, whose token stays, to have erased what is stored under it.
        """
        self._drop("installation", "receipt")

    def stamp(self) -> object:
        """What differs once somebody has decided something: a program that runs looks before it sends."""
        return _state.stamp(self._file.path)

    def forgotten(self) -> forgetting.Forms:
        """The forgotten ids, as each attribute would carry them."""
        decision = self._read().decision
        present = _ids(decision) if isinstance(decision, Granted) else set()
        return forgetting.forms(self._catalog, self.known - present | self._forgotten & self.known)

    def cleaned(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Attributes without the forgotten ids."""
        return forgetting.without(attributes, self.forgotten())

    def clean_store(self) -> None:
        """Takes out of what `local` mode kept what may not stay: all after a no, else forgotten ids."""
        if isinstance(self._read().decision, Revoked):
            self._remove_store()
        elif (forgotten := self.forgotten()) and self.store is not None and self.store.exists():
            from footfall._consent import store

            if not store.forget(self.store, forgotten):
                log.warning(_STAYS)

    def _drop(self, *names: str) -> None:
        """Drops ids of these fields; the next use of each makes another."""

        def drop(stored: Stored) -> Stored:
            if not isinstance(stored.decision, Granted):
                return stored
            dropped = replace(stored.decision, **dict.fromkeys(names))
            # Should it not be saved.
            self._forgotten |= _ids(stored.decision) - _ids(dropped)
            return replace(stored, decision=dropped)

        self._read()  # so that the ids are known
        self._change(drop)
        self._tell()  # first, as in `revoke`
        self.clean_store()

    def _agreed(self, make: Callable[[Stored], Stored]) -> Granted | None:
        """A valid yes, after a change; None without one, and where a switch says no."""
        if self._forbidden():
            return None
        granted = self._change(make).decision
        return granted if isinstance(granted, Granted) and not self._news(granted) else None

    def _remove_store(self) -> None:
        if self.store is not None and not _state.remove_database(self.store):
            log.warning(_STAYS)

    def _read(self) -> Stored:
        return self._know(self._file.read())

    def _change(self, edit: Callable[[Stored], Stored]) -> Stored:
        """Changes what is noted; where a switch says no, only if there is something already."""
        return self._know(self._file.change(edit, make=not self._forbidden()))

    def _know(self, stored: Stored) -> Stored:
        if isinstance(stored.decision, Granted):
            self.known |= _ids(stored.decision)
        return stored

    def _forbidden(self) -> bool:
        """Whether telemetry is off, whatever the user says."""
        return decide(os.environ, self._enabled, State("on", decided=True)) == "off"

    def _news(self, granted: Granted | None) -> list[str]:
        if granted is not None and granted.catalog == self._fingerprint:
            return []
        return widened(granted.scope if granted else Scope({}, {}), self._scope)

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed()


def _ids(granted: Granted) -> set[str]:
    """What events carry of an installation, as it is before it is hashed."""
    installation = {str(granted.installation)} if granted.installation else set()
    return installation | ({digest_of(granted.receipt)} if granted.receipt else set())


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()
