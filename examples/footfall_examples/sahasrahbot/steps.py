"""What users can do, on each surface, and what it must lead to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Use(NamedTuple):
    """One use of a feature as it must be reported."""

    event: str
    action: str
    error_type: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to the web API."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Slash(NamedTuple):
    """A slash command: its name and its options."""

    name: str
    options: Mapping[str, str]


class Text(NamedTuple):
    """A message: all that is written, a prefix command perhaps."""

    text: str


class Press(NamedTuple):
    """A button, by its custom id, and the fields of the form that it opens, if it opens one."""

    custom_id: str
    form: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a member of a Discord guild does.

    Attributes:
        guild_id: In which guild.
        member: Who: a user name, with its discriminator where there is one.
        does: What.
    """

    guild_id: int
    member: str
    does: Slash | Text | Press

    def __str__(self) -> str:
        return f"a {type(self.does).__name__.lower()} in Discord"


@dataclass(frozen=True, slots=True)
class Chat:
    """A message in a race room.

    Attributes:
        room: The room's number.
        user_id: Who writes, by id,
        user_name: and by name.
        monitor: Whether they may monitor the race.
        text: All that they write.
    """

    room: int
    user_id: str
    user_name: str
    monitor: bool
    text: str

    def __str__(self) -> str:
        return "a message in a race room"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        ask: What is done, on which surface.
        answer: The status it must be answered with, or how the bot's reply must begin.
        uses: The uses it must cause.
    """

    ask: Request | Act | Chat
    answer: int | str
    uses: tuple[Use, ...]
