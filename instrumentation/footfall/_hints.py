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
