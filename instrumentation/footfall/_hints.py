"""What a developer is told about a call that the catalog does not allow.

Only while developing: what is named here stands in the program, but a name that is put together at run
time may be personal, and must not get into the log of a production system.
"""

from collections.abc import Iterable
from typing import Final

from footfall._log import Warnings
from footfall_processors.catalog import Attribute
from footfall_processors.document import nearest

DEVELOPMENT: Final = frozenset({"dev", "development", "local", "test", "testing"})
"""Values of `deployment.environment.name` in which mistakes are told."""

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
