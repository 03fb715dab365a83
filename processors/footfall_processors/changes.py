"""What a catalog lets be collected, and what one allows more than another, in plain words.

A consent is given to a scope. A catalog that allows less stays within it; one that allows anything
more, for longer, at more places or for another purpose needs a new consent, which is asked for with the
lines that `widened` returns. Who answers for an event is no part of a scope, nor is the order of things.
"""

import datetime as dt
import hashlib
import math
import re
from collections.abc import Iterable, Iterator

import msgspec

from footfall_processors.catalog import (
    DROPPED,
    EMITTED,
    Attribute,
    Catalog,
    Event,
    Hash,
    Rate,
    Rule,
    Type,
)
from footfall_processors.matching import covers, kinds
from footfall_processors.wording import choice, described, listed

_PERIODS = (Hash.DAILY, Hash.WEEKLY, Hash.MONTHLY, Hash.STATIC, None)
"""From what stays recognisable for the shortest time to what is not hashed at all."""


class EventScope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said about one event, where, until when and what for.

    What has a default is missing in a consent that was kept before it was part of a scope. An event
    without its feature is asked for as a new one: nobody knows what it was then.

    Attributes:
        actions: Its actions, sorted.
        attributes: Names of what it may carry, sorted.
        surface: Where it happens.
        feature: What is used.
        description: What it is counted for, as the user may have read it.
        match: The routes, spans and commands that stand for it, sorted.
        expires: The last day on which it is accepted; None for no end.
        sample_rate: The share that is observed, and not only counted.
    """

    actions: tuple[str, ...]
    attributes: tuple[str, ...]
    surface: str = ""
    feature: str = ""
    description: str = ""
    match: tuple[Rule, ...] = ()
    expires: dt.date | None = None
    sample_rate: Rate = 1.0


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
        name: _of_event(event)
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


def _of_event(event: Event) -> EventScope:
    return EventScope(
        actions=tuple(sorted(event.actions)),
        attributes=tuple(sorted(event.attributes)),
        surface=event.surface,
        feature=event.feature,
        description=event.description.strip(),
        match=tuple(sorted(event.match, key=msgspec.json.encode)),
        expires=event.expires,
        sample_rate=event.sample_rate,
    )


def _bare(attribute: Attribute) -> Attribute:
    """An attribute without what changes nothing: the order of its values, a length that is not kept."""
    cut = attribute.type is Type.STRING and attribute.hash is None
    return msgspec.structs.replace(
        attribute,
        description=attribute.description.strip(),
        reviewed="",
        source="",  # what an SDK sends is named as it is declared
        values=tuple(sorted(attribute.values)),
        max_length=attribute.max_length if cut else Attribute(type=attribute.type).max_length,
    )


def _events(before: Scope, after: Scope) -> Iterator[str]:
    for name, event in after.events.items():
        known = before.events.get(name)
        if known is None or not known.feature:
            means = f": {event.description.rstrip('.')}" if event.description else ""
            yield f"New: {name} ({listed(event.actions)}){means}."
        else:
            yield from (f"{name} {line}." for line in _event(known, event))
        for carried in _new(known.attributes if known else (), event.attributes):
            attribute = after.attributes[carried]
            means = f" ({attribute.description.rstrip('.')})" if attribute.description else ""
            yield f"{name} may carry {carried}{means}: {described(attribute)}."


def _event(before: EventScope, after: EventScope) -> Iterator[str]:
    """What is told of an event, where, until when and what for, that was not."""
    if actions := _new(before.actions, after.actions):
        yield f"also tells: {listed(actions)}"
    if (before.surface, before.feature) != (after.surface, after.feature):
        yield (
            f"is now a use of {after.feature} ({after.surface});"
            f" it was {before.feature} ({before.surface})"
        )
    if _means_more(before.description, after.description):
        yield _purpose(before.description, after.description)
    if rules := [
        rule for rule in after.match if not any(covers(told, rule) for told in before.match)
    ]:
        yield f"is now also counted at {listed([_place(rule) for rule in rules])}"
    if (after.expires or dt.date.max) > (before.expires or dt.date.max):
        until = f"until {after.expires}" if after.expires else "without an end"
        yield f"is now counted {until}; it was until {before.expires}"
    if after.sample_rate > before.sample_rate:
        yield (
            f"is now observed in {after.sample_rate:.0%} of all cases;"
            f" it was in {before.sample_rate:.0%}"
        )


def _attribute(before: Attribute, after: Attribute) -> Iterator[str]:
    """What an attribute may hold that it could not; limits do not hold for what is hashed."""
    if _means_more(before.description, after.description):
        yield _purpose(before.description, after.description)
    if _within(before, after):
        return
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


def _within(before: Attribute, after: Attribute) -> bool:
    """Whether another type says less: whole numbers instead of numbers, a choice instead of text."""
    if before.hash or after.hash:
        return False
    if (before.type, after.type) == (Type.FLOAT, Type.INT):
        low = _limit(after.min, -1) >= _limit(before.min, -1)
        return low and _limit(after.max, 1) <= _limit(before.max, 1)
    if (before.type, after.type) == (Type.STRING, Type.ENUM):
        return max(map(len, after.values)) <= before.max_length
    return False


def _means_more(before: str, after: str) -> bool:
    """Whether a description has other words than before; to say less of a thing changes nothing of it."""
    return bool(after) and _words(before) != _words(after)


def _words(description: str) -> list[str]:
    return re.findall(r"\w+", description.casefold())


def _purpose(before: str, after: str) -> str:
    was = f'; it was "{before}"' if before else ""
    return f'is now described as "{after}"{was}'


def _place(rule: Rule) -> str:
    ((kind, text),) = kinds(rule).items()
    outcome = f" ({rule.action})" if rule.action else ""
    return f"{kind} {text}{outcome}"


def _limit(value: float | None, sign: int) -> float:
    return sign * math.inf if value is None else value


def _new(before: Iterable[str], after: Iterable[str]) -> list[str]:
    known = frozenset(before)
    return [name for name in after if name not in known]
