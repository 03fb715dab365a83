"""What is known of whoever is asking, and why nobody is."""

import re
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from starlette.datastructures import Headers

from footfall_collector.security.keys import Key

LONGEST: Final = 256
"""Characters of what names somebody."""
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs, which UTF-8 does not have."""


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """Whoever is asking, as they are called elsewhere: for memory alone, never for a log or the store.

    Attributes:
        viewer: Whose counts these are.
        owner: Whose events and ratings these are.
        session: In which they act.
        installation: Of the program that they use.
        key: The sender's API key, if one came.
        started: Whether the session is one that was begun here.
    """

    viewer: str | None = None
    owner: str | None = None
    session: str | None = None
    installation: str | None = None
    key: Key | None = None
    started: bool = False

    def __repr__(self) -> str:
        """Nobody is shown."""
        return f"{type(self).__name__}(...)"


class Reason(StrEnum):
    """Why nobody is known to be asking; its value is for machines."""

    NO_VIEWER = auto()
    KEY_INVALID = auto()
    TOKEN_INVALID = auto()
    TOKEN_EXPIRED = auto()
    TOKEN_NOT_YET_VALID = auto()
    TOKEN_FOREIGN = auto()
    VIEWER_INVALID = auto()
    VIEWER_NOT_ALLOWED = auto()
    CROSS_SITE = auto()
    KEYS_UNAVAILABLE = auto()


_STATUS = {
    Reason.VIEWER_NOT_ALLOWED: 403,
    Reason.CROSS_SITE: 403,
    Reason.KEYS_UNAVAILABLE: 503,
}


class Unidentified(Exception):  # an answer, not a fault
    """Nobody is known to be asking.

    Args:
        reason: Why.
        text: The same for people, with what would be right; nothing of what was sent.

    Attributes:
        reason: As given.
        text: As given.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason, self.text = reason, text

    @property
    def status(self) -> int:
        """The HTTP status: 401; 403 where asking otherwise does not help, 503 where later does."""
        return _STATUS.get(self.reason, 401)


def named_in(headers: Headers, name: str | None) -> str | None:
    """Whom a header names, in UTF-8; None where it is empty or not there.

    Args:
        headers: Of a request whose sender may name somebody.
        name: The header; None for none.

    Raises:
        Unidentified: it is there twice, one of them perhaps a client's own, or is no name (viewer_invalid).
    """
    values = headers.getlist(name) if name is not None else []
    if not any(values):
        return None
    try:
        (value,) = (each.encode("latin-1").decode() for each in values)
    except ValueError:
        value = ""
    if not is_name(value):
        text = f"a header that names somebody must be there once, with 1 to {LONGEST} characters in UTF-8"
        raise Unidentified(Reason.VIEWER_INVALID, text)
    return value


def is_name(value: str, longest: int = LONGEST) -> bool:
    """Whether it can name somebody: 1 to so many characters, all of which can be seen and stored."""
    return 0 < len(value) <= longest and not _UNUSABLE.search(value)
