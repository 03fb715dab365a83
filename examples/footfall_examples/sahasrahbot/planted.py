"""The personal values that the demo plants, and the control values that are stored on purpose."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("planted.txt")
CONTROL = "control"


class Planted(NamedTuple):
    """One line of the file.

    Attributes:
        line: Its number; reports name this, never the value.
        kind: What the value is: `user_id`, `ip_address`, ...; `control` for one that is stored.
        value: As it is planted.
    """

    line: int
    kind: str
    value: str


def load(file: Path = FILE) -> list[Planted]:
    """Every value of a file: one a line, its kind first; empty lines and those with `#` are skipped.

    Raises:
        ValueError: a line holds a kind without a value.
        OSError: the file cannot be read.
    """
    found = []
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not text.strip() or text.startswith("#"):
            continue
        kind, _, value = text.partition(" ")
        if not value.strip():
            raise ValueError(f"{file}:{number}: a kind without a value")
        found.append(Planted(number, kind, value.strip()))
    return found


def controls(planted: Sequence[Planted]) -> list[Planted]:
    """What is stored on purpose."""
    return [one for one in planted if one.kind == CONTROL]


def personal(planted: Sequence[Planted]) -> list[Planted]:
    """What must not be found."""
    return [one for one in planted if one.kind != CONTROL]


def of_kind(planted: Sequence[Planted], *kinds: str) -> list[str]:
    """The values of these kinds, in the file's order."""
    return [one.value for one in planted if one.kind in kinds]


def members(planted: Sequence[Planted]) -> list[str]:
    """Who is a member of every Discord guild, by name."""
    return of_kind(planted, "user_name", "discriminator")


def organizers(planted: Sequence[Planted]) -> list[str]:
    """Those of them who may administer race rooms: every second one."""
    return members(planted)[::2]
