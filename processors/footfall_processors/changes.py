"""What a catalog lets be collected, and what one allows more than another, in plain words (E1, G6).

A consent is given to a scope. A catalog that allows less stays within it; one that allows anything
more needs a new consent, which is asked for with the lines that `widened` returns.

How a thing is described, where in the code it happens, who answers for it, until when it is accepted and
how large a share of it is sampled are no part of a scope: it says what may be known, not how often.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator

import msgspec

from footfall_processors.catalog import DROPPED, EMITTED, Attribute, Catalog, Hash, Type
from footfall_processors.wording import choice, described, listed

_PERIODS = (Hash.DAILY, Hash.WEEKLY, Hash.MONTHLY, Hash.STATIC, None)
"""From what stays recognisable for the shortest time to what is not hashed at all."""


class EventScope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said about one event.

    Attributes:
        actions: Its actions, sorted.
        attributes: Names of what it may carry, sorted.
    """

    actions: tuple[str, ...]
    attributes: tuple[str, ...]


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a catalog lets be collected, as it is kept with a consent (msgspec reads and writes it).

    Attributes:
        events: Event name to what may be said about it; Footfall's own events are in every catalog.
        attributes: The attributes that an event carries, without what changes nothing.
        error_types: What a failure may be called beyond the names that are built in, sorted.
    """

    events: dict[str, EventScope]
    attributes: dict[str, Attribute]
    error_types: tuple[str, ...] = ()


def scope(catalog: Catalog) -> Scope:
    """What `catalog` lets be collected."""
    events = {
        name: EventScope(tuple(sorted(event.actions)), tuple(sorted(event.attributes)))
        for name, event in catalog.events.items()
        if name not in (EMITTED, DROPPED)
    }
    carried = sorted({name for event in events.values() for name in event.attributes})
    return Scope(
        events={name: events[name] for name in sorted(events)},
        attributes={name: _bare(catalog.attributes[name]) for name in carried},
        error_types=tuple(sorted(catalog.error_types)),
    )


def fingerprint(catalog: Catalog) -> str:
    """The SHA-256, in hex, of what `catalog` lets be collected."""
    return hashlib.sha256(msgspec.json.encode(scope(catalog))).hexdigest()


def widened(before: Scope, after: Scope) -> list[str]:
    """What `after` lets be collected that `before` did not: a sentence each; none if nothing.

    Args:
        before: What was consented to.
        after: What is asked for now.
    """
    return [
        *_events(before, after),
        *(
            f"{name}: {line}."
            for name, attribute in after.attributes.items()
            if name in before.attributes
            for line in _attribute(before.attributes[name], attribute)
        ),
        *(
            f'A failure may be called "{name}".'
            for name in _new(before.error_types, after.error_types)
        ),
    ]


def _bare(attribute: Attribute) -> Attribute:
    """An attribute without what changes nothing: its description, the order of its values."""
    cut = attribute.type is Type.STRING and attribute.hash is None
    return msgspec.structs.replace(
        attribute,
        description="",
        reviewed="",
        values=tuple(sorted(attribute.values)),
        max_length=attribute.max_length if cut else Attribute(type=attribute.type).max_length,
    )


def _events(before: Scope, after: Scope) -> Iterator[str]:
    for name, event in after.events.items():
        known = before.events.get(name)
        if known is None:
            yield f"New: {name} ({listed(event.actions)})."
        elif actions := _new(known.actions, event.actions):
            yield f"{name} also tells: {listed(actions)}."
        for carried in _new(known.attributes if known else (), event.attributes):
            yield f"{name} may carry {carried}: {described(after.attributes[carried])}."


def _attribute(before: Attribute, after: Attribute) -> Iterator[str]:
    """What an attribute may hold that it could not; limits do not hold for what is hashed."""
    if before.type is not after.type or _PERIODS.index(after.hash) > _PERIODS.index(before.hash):
        yield f"is now {described(after)}; it was {described(before)}"
        return
    if values := _new(before.values, after.values):
        yield f"may also be {choice(values)}"
    if not (before.hash or after.hash) and after.max_length > before.max_length:
        yield f"may have {after.max_length} characters; it had at most {before.max_length}"
    if not before.hash and _limit(after.min, -1) < _limit(before.min, -1):
        yield f"may be below {before.min}"
    if not before.hash and _limit(after.max, 1) > _limit(before.max, 1):
        yield f"may be above {before.max}"


def _limit(value: float | None, sign: int) -> float:
    return sign * math.inf if value is None else value


def _new(before: Iterable[str], after: Iterable[str]) -> list[str]:
    known = frozenset(before)
    return [name for name in after if name not in known]
