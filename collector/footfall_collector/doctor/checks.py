"""What `footfall doctor` finds: one line of what is, and one of what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        area: What it belongs to: configuration, catalog, store, ...
        level: How bad it is; the worst of all checks decides the command's exit status.
        found: What is, in one line; never a secret, never a value that was sent.
        advice: What to do, in one line; empty where there is nothing to do.
        commands: To be run as they are, each a line of its own.
    """

    area: str
    level: Level
    found: str
    advice: str = ""
    commands: Sequence[str] = ()


def ok(area: str, found: str) -> Check:
    """Nothing to do."""
    return Check(area, Level.OK, found)


def warning(area: str, found: str, advice: str, *commands: str) -> Check:
    """It works, and something is to be done."""
    return Check(area, Level.WARNING, found, advice, commands)


def problem(area: str, found: str, advice: str, *commands: str) -> Check:
    """It does not work, or will not for long, or loses something."""
    return Check(area, Level.PROBLEM, found, advice, commands)


def count(number: int, thing: str) -> str:
    """`1 key`, `1,200 keys`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def span(seconds: float) -> str:
    """How long, in the largest unit of which there are two: `90 s`, `3 h`, `12 days`."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
