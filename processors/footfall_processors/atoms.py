"""What decisions are about: the class of an attribute, who sends, and what becomes of a span or counter."""

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import NamedTuple

from footfall_processors import names
from footfall_processors.batch import Shape
from footfall_processors.losses import Loss
from footfall_processors.matching import Candidates

LOOP = "loop"
"""In place of the markers of what has been here before; no marker is written so."""


class Origin(IntEnum):
    """What observed an event, which decides on the rules it may be matched by."""

    OTHER = 0  # a counter, a log record: none, lest what a span tells is counted twice
    SPAN = 1  # those about spans' names
    SERVER = 2  # and those about routes: the span of a server that answered a request


class Role(Enum):
    """What an attribute is used for."""

    UNDECLARED = auto()
    IMPLIED = auto()  # known, but the catalog says it already: surface and feature
    ACTION = auto()
    STATUS = auto()
    ERROR_TYPE = auto()
    HTTP_METHOD = auto()
    HTTP_ROUTE = auto()  # known by the events that it may stand for
    HTTP_STATUS = auto()  # how a request was answered; known by the error type that follows from it
    SAMPLE_RATE = auto()
    QUANTITY = auto()
    ENUM = auto()
    COLUMN = auto()
    EITHER = auto()  # one of several attributes, of which an event has one at most


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """The class of one attribute: everything a decision may depend on.

    Attributes:
        role: What the attribute is used for.
        name: As it is declared; empty when undeclared.
        value: For fixed fields and enums the value, of which there are few; otherwise None.
        valid: False when the value is not what the catalog allows.
        source: The key under which it came, where that is not its name.
        among: The classes of which it has one for each event, where its key is not one attribute's.
    """

    role: Role
    name: str = ""
    value: "str | float | Candidates | None" = None
    valid: bool = True
    source: str = ""
    among: "tuple[Atom, ...]" = ()


class Service(NamedTuple):
    """Who sent it, from the resource; None where absent or not of the expected form.

    The last two are as in `Dimension`; `relayed_from` is LOOP for what has been here before.
    """

    name: str | None = None
    version: str | None = None
    environment: str | None = None
    relayed_from: str | None = None
    telemetry_distro: str | None = None


NOBODY = Service()


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What becomes of a span or counter.

    Attributes:
        refused: Why it is not stored, or None.
        shape: The constant part of its row.
        positions: For each of `shape.columns`, where its attribute stands; -1 when absent.
        duration_at: Where `duration_ms` stands, -1 when the span's own times count.
        losses: Attributes dropped from it, by reason.
    """

    refused: Loss | None = None
    shape: Shape | None = None
    positions: tuple[int, ...] = ()
    duration_at: int = -1
    losses: tuple[tuple[Loss, int], ...] = ()


UNDECLARED = Atom(Role.UNDECLARED)
FIXED = {
    names.SURFACE: Role.IMPLIED,
    names.FEATURE: Role.IMPLIED,
    names.ACTION: Role.ACTION,
    names.STATUS: Role.STATUS,
    names.ERROR_TYPE: Role.ERROR_TYPE,
    names.HTTP_STATUS: Role.HTTP_STATUS,
    names.HTTP_STATUS_OLD: Role.HTTP_STATUS,
    names.SAMPLE_RATE: Role.SAMPLE_RATE,
}
"""What the keys of fixed fields are used for."""
REQUEST = {
    names.HTTP_METHOD: Role.HTTP_METHOD,
    names.HTTP_METHOD_OLD: Role.HTTP_METHOD,
    names.HTTP_ROUTE: Role.HTTP_ROUTE,
}
"""And those of requests, which are looked at only where rules are about routes."""
