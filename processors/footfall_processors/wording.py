"""How the people whose use is counted are told what is kept of an attribute.

The statement and the request for consent say it in the same words.
"""

from collections.abc import Iterable
from typing import Final

from footfall_processors.catalog import Attribute, Hash, Type

SHOWN: Final = 20
"""Values of an enum that are named; the others are counted."""

_CODES: Final = {
    Hash.DAILY: "a code that changes every day",
    Hash.WEEKLY: "a code that changes every week",
    Hash.MONTHLY: "a code that changes every month",
    Hash.STATIC: "a code that stays the same",
}
_KINDS: Final = {
    Type.INT: "a whole number",
    Type.FLOAT: "a number",
    Type.BOOL: "yes or no",
    Type.STRING: "text",
    Type.UUID: "a UUID",
}


def described(attribute: Attribute) -> str:
    """What is kept of an attribute, such as `a whole number from 0 to 100`."""
    if attribute.type is Type.ENUM:
        return f"one of {choice(attribute.values)}"
    kind = _KINDS[attribute.type]
    if attribute.hash:
        return f"{kind}, kept only as {_CODES[attribute.hash]}"
    if attribute.type is Type.STRING:
        return f"{kind} as it is typed or sent, of at most {attribute.max_length} characters"
    if attribute.type is Type.UUID:
        return f"{kind}, as it is"
    return kind if attribute.type is Type.BOOL else kind + _bounds(attribute)


def _bounds(attribute: Attribute) -> str:
    low, high = attribute.min, attribute.max
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return " of any size" if high is None else f" of at most {high}"


def choice(values: Iterable[str]) -> str:
    """Values of an enum, `a, b or c`; of many only the first are named."""
    every = list(values)
    more = len(every) - SHOWN
    return listed([*every[:SHOWN], f"{more} more"] if more > 0 else every, "or")


def listed(words: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    *before, end = words
    return f" {last} ".join(filter(None, (", ".join(before), end)))
