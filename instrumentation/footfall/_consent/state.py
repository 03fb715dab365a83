"""The file that remembers what a user decided about telemetry.

Reading never writes: before the first decision there is no file, and no folder. The file is replaced in
one step, so that no reader sees half of it; whatever else is found in its place counts as no decision.
"""

import datetime as dt
import os
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import platformdirs

from footfall._consent.saving import alone, overwrite, replace
from footfall._log import Warnings
from footfall_processors.changes import Scope

_user = getattr(os, "geteuid", None)
"""Who runs this process; on Windows nobody is known."""

_LARGEST = 1 << 24
_NOT_SAVED = (
    "footfall: what was decided about telemetry cannot be saved (%s); it holds until this program"
    " ends"
)

Token = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""Of a receipt."""


class Granted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="granted"):
    """The user said yes.

    Attributes:
        mode: `on`, or `local`: nothing is sent.
        since: The day (UTC).
        catalog: The fingerprint of the catalog that was agreed to.
        scope: What that catalog allowed.
        installation: A random id, from its first use on.
        receipt: The token under whose digest events are sent, from its first use on.
    """

    mode: Literal["on", "local"]
    since: dt.date
    catalog: str
    scope: Scope
    installation: uuid.UUID | None = None
    receipt: Token | None = None


class Revoked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="revoked"):
    """The user said no, or took back a yes.

    Attributes:
        since: The day (UTC).
    """

    since: dt.date


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds; as it stands here it is what holds without one.

    Attributes:
        decision: None until there is one.
        nudged: The day (UTC) of the last reminder since then.
        never_again: Whether the user wants no more of them.
        tokens: Of receipts under which something may be stored, the oldest first: a no keeps them, or nobody
            could have it erased any more.
        version: Of this layout; a file of a later one is not understood, and counts as no decision.
    """

    decision: Granted | Revoked | None = None
    nudged: dt.date | None = None
    never_again: bool = False
    tokens: tuple[Token, ...] = ()
    version: Literal[1] = 1


def state_path(product: str, folder: Path | None = None) -> Path | None:
    """Where a product's decision is kept: among the user's settings, unless a folder is given.

    None where the user has no home.
    """
    place = folder or _own_folder(platformdirs.user_config_dir)
    return place and place / f"{product}.json"


def store_path(product: str, folder: Path | None = None) -> Path | None:
    """Where `local` mode keeps a product's events: among the user's data, unless a folder is given.

    None where the user has no home.
    """
    place = folder or _own_folder(platformdirs.user_data_dir)
    return place and place / f"{product}.sqlite"


def _own_folder(place: Callable[[str, Literal[False]], str]) -> Path | None:
    try:
        folder = Path(place("footfall", False))
    except RuntimeError:  # no home
        return None
    return folder if folder.is_absolute() else None


def remove_database(path: Path) -> bool:
    """Deletes an SQLite file and what belongs to it, where it really is; False when something is left."""
    try:
        for each in dict.fromkeys((path.resolve(), path)):
            for end in ("", "-wal", "-shm", "-journal"):
                each.with_name(each.name + end).unlink(missing_ok=True)
    except (OSError, RuntimeError):  # the latter: a link to itself
        return False
    return True


def make_folder(folder: Path, parents: int) -> None:
    """Makes a folder that only its owner may enter: whoever owns the home that it is in.

    Args:
        folder: The folder.
        parents: How many folders above it may be made too: a home that is missing is not made.

    Raises:
        OSError: it cannot be made.
    """
    for each in reversed([folder, *folder.parents[:parents]]):
        if not each.is_dir():
            each.mkdir(0o700, exist_ok=True)
            give_to_owner(each)


def give_to_owner(path: Path | int, folder: Path | None = None) -> None:
    """Gives what was just made to the owner of the folder that it is in.

    That is another than this process' user where root runs a program in somebody's home (sudo).

    Raises:
        OSError: it cannot be given to them, who could not even read it then.
    """
    if _user is not None and _user() == 0:
        owner = (folder or Path(str(path)).parent).stat()
        if owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid)


def read(path: Path) -> Stored | None:
    """What the file holds; None when there is none, or something else in its place."""
    try:
        if not path.is_file():  # a pipe would block
            return None
        with path.open("rb") as file:
            stored = msgspec.json.decode(file.read(_LARGEST), type=Stored)
            if isinstance(stored.decision, Granted) and _somebody_elses(os.fstat(file.fileno())):
                return None
            return stored
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None


def _somebody_elses(file: os.stat_result) -> bool:
    """Whether a file is another user's, and this one is not root, who acts for everybody."""
    return _user is not None and _user() not in (file.st_uid, 0)


def stamp(path: Path | None) -> object:
    """What differs when a file was replaced, changed, removed or made; costs a `stat`."""
    try:
        if path is not None:
            found = path.stat()
            return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
    except OSError:
        pass
    return None


class StateFile:
    """One product's file.

    Args:
        path: Its place; None when there is no place for it.

    Attributes:
        path: The same.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._held: Stored | None = None
        self._held_over: object = None
        self._warnings = Warnings()

    def read(self) -> Stored:
        """What holds now: what could not be written, or what the file says.

        The former gives way to a file that another program has changed since, unless it is a no.
        """
        held = self._held
        if held is not None and (
            isinstance(held.decision, Revoked) or stamp(self.path) == self._held_over
        ):
            return held
        return (read(self.path) if self.path else None) or Stored()

    def change(self, edit: Callable[[Stored], Stored], *, make: bool = True) -> Stored:
        """Replaces what holds by what `edit` makes of it, and returns that.

        What cannot be written holds for this process, after a warning on the logger `footfall`. When
        nothing is to be changed, nothing is written or made.

        Args:
            edit: Makes what shall hold of what holds.
            make: Whether a file is made where there is none.
        """
        now = self.read()
        if now == edit(now) or (not make and stamp(self.path) is None):
            return now
        try:
            if self.path is None:
                raise FileNotFoundError
            make_folder(self.path.parent, parents=1)
            with alone(self.path.parent):
                wanted = edit(self.read())
                _save(self.path, wanted)
                self._held = None
        except OSError as error:
            self._held = wanted = edit(self.read())
            self._held_over = stamp(self.path)
            # The error's message would name the user's home.
            self._warnings.warn("state", _NOT_SAVED, type(error).__name__)
        return wanted


def _save(path: Path, wanted: Stored) -> None:
    """Writes what was decided; on a full disk or in a folder that may not be changed, over what is there.

    A no that has no room even there takes the yes away: then nobody was asked.

    Raises:
        OSError: it is not written.
    """
    content = msgspec.json.encode(wanted)
    try:
        replace(path, content, partial(give_to_owner, folder=path.parent))
    except OSError:
        try:
            overwrite(path, content)
        except OSError:
            if isinstance(wanted.decision, Revoked):
                path.unlink(missing_ok=True)
            raise
