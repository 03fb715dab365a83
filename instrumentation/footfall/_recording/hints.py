"""What a developer is told about a call that the catalog does not allow.

Only while developing: what is named here stands in the program, but a name that is put together at run
time may be personal, and must not get into the log of a production system.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final

from footfall._log import Warnings, log
from footfall_processors.catalog import Attribute, Catalog
from footfall_processors.document import nearest
from footfall_processors.matching import fits, rules

MANY: Final = 20
"""Rules that are named in one line."""
_ALIKE: Final = 0.75
"""How much of a word must be the same for it to be a misspelt one, as difflib measures it."""
_PARAMETER: Final = re.compile(r"\{[^}]*\}|<[^>]*>")
LONGEST: Final = 128
"""Characters of a name that can be meant for a declared one."""


def undeclared_event(warnings: Warnings, event: object, known: Iterable[str]) -> None:
    """An event that no catalog declares was not sent."""
    if isinstance(event, str) and len(event) <= LONGEST:
        message = 'footfall: the event "%s" is not declared and was not sent%s'
        warnings.warn(f"event {event}", message, event, nearest(event, known))


def undeclared_attribute(
    warnings: Warnings, event: str, name: object, known: Iterable[str]
) -> None:
    """An attribute that the event may not carry was left out."""
    if isinstance(name, str) and len(name) <= LONGEST:
        message = 'footfall: %s does not declare the attribute "%s", which was left out%s'
        hint = nearest(name, known)
        warnings.warn(f"attribute {event} {name}", message, event, name, hint)


def wrong_type(warnings: Warnings, event: str, name: str, attribute: Attribute) -> None:
    """A value of another type, or that no enum has, was left out; the value itself is not named."""
    expected = f"one of {', '.join(attribute.values)}" if attribute.values else attribute.type
    message = "footfall: %s: the value of %s was left out: it must be %s"
    warnings.warn(f"type {event} {name}", message, event, name, expected)


def undeclared_action(warnings: Warnings, event: str, action: object, known: Iterable[str]) -> None:
    """An action that the event does not have, so that it was not sent; None is the one it has by itself."""
    known = list(known)
    if action is None:
        message = (
            "footfall: %s was not sent: it has no such outcome, and needs one of its actions: %s"
        )
        warnings.warn(f"action {event}", message, event, ", ".join(known))
    elif isinstance(action, str) and len(action) <= LONGEST:
        message = 'footfall: %s has no action "%s" and was not sent%s'
        hint = nearest(action, known) or f"; it has {', '.join(known)}"
        warnings.warn(f"action {event} {action}", message, event, action, hint)


def unknown_error(warnings: Warnings, error: str, known: Iterable[str]) -> None:
    """A word for a failure that no catalog declares was taken for an unexpected error."""
    if len(error) <= LONGEST:
        message = 'footfall: "%s" is no error type, and was sent as unexpected_error%s'
        warnings.warn(f"error {error}", message, error, nearest(error, known))


def unmeasured(warnings: Warnings, event: object, kind: str) -> None:
    """What was decorated is no function, and stays as it is.

    Args:
        warnings: Where it is told.
        event: What was to be measured.
        kind: The class of what was decorated.
    """
    if isinstance(event, str) and len(event) <= LONGEST:
        message = (
            'footfall: @feature("%s") is not measured: it stands above something that is no function (%s)'
            " and stays as it is; put it below the other decorators, on the function itself"
        )
        warnings.warn(f"unmeasured {event} {kind}", message, event, kind)


def rules_without_route(warnings: Warnings, catalog: Catalog, routes: Sequence[str]) -> None:
    """Rules of the catalog that fit none of an application's routes, so that nothing is counted by them.

    A catalog may have rules for several applications, and the same in the words of several frameworks: it is
    a mistake only where some route looks like it and does not stand for the event already.
    """
    others = []
    for text, match in rules(catalog, "route"):
        if any(fits(text, route) for route in routes):
            continue
        near = nearest_route(text, routes)
        if near is None:
            others.append(f'"{text}" ({match.event})')
        elif not any(
            fits(rule.route, near) for rule in catalog.events[match.event].match if rule.route
        ):
            message = 'footfall: the rule "%s" of %s fits no route; did you mean "%s"?'
            warnings.warn(f"rule {text}", message, text, match.event, near)
    if others:
        message = "footfall: rules that fit no route of this application, maybe one of another: %s"
        log.info(message, ", ".join(others[:MANY]))


def nearest_route(rule: str, routes: Sequence[str]) -> str | None:
    """The route that a rule was probably meant for, by the rule's own method if the route takes any.

    It ends in the same word, or nearly so: what comes before may be common to all routes. One that differs
    in the names and types of its parameters alone is nearer than any other.
    """
    method = rule.partition(" ")[0]
    named = [method + route[1:] if route[0] == "*" else route for route in routes]
    word, shape = _last_word(rule), _shape(rule)
    alike = [r for r in named if SequenceMatcher(None, word, _last_word(r)).ratio() >= _ALIKE]
    same = [route for route in alike if _shape(route) == shape]
    found = difflib.get_close_matches(rule, same or alike, n=1, cutoff=0.0)
    return found[0] if found else None


def _shape(route: str) -> str:
    """A route's path without the names of its parameters."""
    return _PARAMETER.sub("{}", route.partition(" ")[2])


def _last_word(route: str) -> str:
    """The last part of a path that stands for itself."""
    parts = _shape(route).split("/")
    return next((part for part in reversed(parts) if part.strip("{}*")), "")
