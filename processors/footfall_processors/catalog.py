"""The catalog: which events exist and what they may carry (docs/catalog.md).

The types below are the definition of `events.yaml`. Nothing that is not declared here is sent by the
SDK or stored by the collector.
"""

import datetime as dt
import re
from enum import StrEnum
from typing import Annotated

import msgspec

from footfall_processors.names import DURATION, FAILURE, INVOKE, SUCCESS

ENUM_LIMIT = 1000
"""How many values an enum may have: each combination of enums is a row of dimensions."""
ATTRIBUTE_LIMIT = 1000
"""Of all products of a store: each is a column, of which a table has 1,600 at most, dropped ones too."""

# `$` alone would let a final newline pass; the descriptions are what a user reads of a mistake.
Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_]{0,50}$(?!\n)",
        description="1 to 51 of a-z, 0-9 and _, beginning with a letter",
    ),
]
EventName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$(?!\n)",
        max_length=128,
        description="words of a-z, 0-9 and _ joined by dots, at most 128 characters",
    ),
]
Slug = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_-]{0,62}$(?!\n)",
        description="1 to 63 of a-z, 0-9, _ and -, beginning with a letter",
    ),
]
SentAs = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*)?$(?!\n)",
        max_length=128,
        description="words of letters, digits, _ and - joined by dots, at most 128 characters",
    ),
]
EnumValue = Annotated[
    str, msgspec.Meta(min_length=1, max_length=64, description="1 to 64 characters")
]
ServiceName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z*][A-Za-z0-9._/*-]{0,62}$(?!\n)",
        description="1 to 63 letters, digits, `.`, `_`, `/` and `-`, beginning with a letter; a `*` for any"
        " letters and digits",
    ),
]
Title = Annotated[str, msgspec.Meta(max_length=80, description="at most 80 characters")]
Rate = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Type(StrEnum):
    """What an attribute holds. An enum is preferred to a string: it cannot carry a name."""

    ENUM = "enum"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STRING = "string"
    UUID = "uuid"


class Hash(StrEnum):
    """For how long equal values of a hashed attribute stay recognisable as equal.

    `static` uses the operator's TELEMETRY_HASH_SALT; the others a random salt per period (UTC) that
    is destroyed afterwards.
    """

    STATIC = "static"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Attribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one attribute may hold.

    Attributes:
        type: The value's type.
        description: For people; becomes the column's COMMENT.
        values: The allowed values of an enum.
        min: Smaller numbers are raised to it.
        max: Larger numbers are lowered to it.
        max_length: Longer strings are cut to it, in characters, after redaction.
        hash: Keep only a keyed hash of the value, as a uuid.
        reviewed: Why it may be as it is, where `footfall validate` would warn of it.
        source: Written `from`: another key under which senders may have it; with dots a nested one.
    """

    type: Type
    description: str = ""
    values: tuple[EnumValue, ...] = ()
    min: int | float | None = None
    max: int | float | None = None
    max_length: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 280
    hash: Hash | None = None
    reviewed: str = ""
    source: SentAs = msgspec.field(name="from", default="")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stands for an event elsewhere; exactly one of the first four is given.

    Attributes:
        route: An HTTP method and a route template: `GET /seeds/{id}`; `*` for any method.
        span: A span's name, of any OpenTelemetry SDK; `*` stands for any characters.
        discord: A command's qualified name (`generator alttpr`), or the custom id of a component or
            a modal; `*` stands for any characters.
        racetime: A room command's name without `ex_` (`*` stands for any characters), or a method of
            the handler, exactly: `generate_seed()`.
        action: What a use that went well is called, one of the event's actions; `success` unless given.
    """

    route: Annotated[str, msgspec.Meta(max_length=256)] = ""
    span: Annotated[str, msgspec.Meta(max_length=256)] = ""
    discord: Annotated[str, msgspec.Meta(max_length=128)] = ""
    racetime: Annotated[str, msgspec.Meta(max_length=128)] = ""
    action: Slug | None = None


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One declared event.

    Attributes:
        surface: Where it happens: discord, racetime, api, web, plugin.
        feature: What is used.
        description: For people.
        title: What people call it; made of the feature where there is none.
        actions: What may be said about it; `event.action` names both, and is `event_name` in reports.
        attributes: Names from the catalog's `attributes` that it may carry.
        match: The routes, spans and commands that stand for it.
        owner: Who answers for it.
        expires: The last day on which it is accepted.
        sample_rate: Share of observations that the SDK sends as spans; counts stay exact.
        reviewed: Why it may be as it is, where `footfall validate` would warn of it.
    """

    surface: Slug
    feature: Slug
    description: str = ""
    title: Title = ""
    actions: tuple[Slug, ...] = (INVOKE, SUCCESS, FAILURE)
    attributes: tuple[Name, ...] = ()
    match: tuple[Rule, ...] = ()
    owner: str = ""
    expires: dt.date | None = None
    sample_rate: Rate = 1.0
    reviewed: str = ""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `events.yaml` as it is written."""

    product: Slug
    events: dict[str, Event]
    attributes: dict[str, Attribute] = {}
    error_types: tuple[Name, ...] = ()
    services: tuple[ServiceName, ...] = ()
    environments: tuple[ServiceName, ...] = ()
    shared: tuple[Name, ...] = ()


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may be sent and stored: one or more sources and the built-in events.

    Attributes:
        products: The products' names.
        events: Event name to event.
        attributes: Attribute name to attribute.
        error_types: Normalised error types beyond the five that every catalog has.
        services: The services that may be named, beside the products; without any, all that look harmless.
        environments: The environments that may be named; without any, the usual ones.
        owners: Of each event the product.
        shared: Of each product the hashed attributes whose pseudonyms other products may have as well.
    """

    products: tuple[str, ...]
    events: dict[str, Event]
    attributes: dict[str, Attribute]
    error_types: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    owners: dict[str, str] = {}
    shared: dict[str, tuple[str, ...]] = {}

    def bound(self, product: str, attribute: str) -> str:
        """The product to which an attribute's pseudonyms are bound; empty where it shares them."""
        return "" if attribute in self.shared.get(product, ()) else product

    def columns(self, event: Event) -> tuple[str, ...]:
        """The event's attributes that are values rather than enums, sorted (the duration is fixed)."""
        return tuple(
            sorted(
                name
                for name in event.attributes
                if self.attributes[name].type is not Type.ENUM and name != DURATION
            )
        )

    def enums(self, event: Event) -> tuple[str, ...]:
        """The event's enum attributes, sorted; they are part of its dimension."""
        return tuple(sorted(n for n in event.attributes if self.attributes[n].type is Type.ENUM))


def column_name(name: str, attribute: Attribute) -> str:
    """The Postgres column of an attribute."""
    return hashed_column(name) if attribute.hash else name


def hashed_column(name: str) -> str:
    """That of a hashed one: `guild_id` becomes `guild_hash`."""
    return re.sub(r"_id$", "", name) + "_hash"


BUILTIN = "footfall"
"""The surface of Footfall's own events."""
EMITTED = "footfall.emitted"
DROPPED = "footfall.dropped"


class Drop(StrEnum):
    """Why an SDK did not send something."""

    QUEUE_FULL = "queue_full"
    EXPORT_FAILED = "export_failed"
    UNDECLARED_EVENT = "undeclared_event"
    UNDECLARED_ATTRIBUTE = "undeclared_attribute"
    WRONG_TYPE = "wrong_type"


def with_builtins(catalog: Catalog) -> Catalog:
    """The catalog with Footfall's own events, which every catalog has."""
    declared = tuple(sorted(catalog.events))
    attributes = {
        "emitted_event": Attribute(
            type=Type.ENUM, values=declared, description="The event that the SDK counted"
        ),
        "drop_reason": Attribute(
            type=Type.ENUM,
            values=tuple(Drop),
            description="Why the SDK could not send an observation as it was",
        ),
    }
    events = {
        EMITTED: Event(
            surface=BUILTIN,
            feature="emitted",
            actions=("count",),
            attributes=("emitted_event",),
            description="The SDK's own tally per event, against which what is stored is compared",
        ),
        DROPPED: Event(
            surface=BUILTIN,
            feature="dropped",
            actions=("count",),
            attributes=("drop_reason",),
            description="What the SDK dropped, by reason",
        ),
    }
    return msgspec.structs.replace(
        catalog, events=catalog.events | events, attributes=catalog.attributes | attributes
    )
