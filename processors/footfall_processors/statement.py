"""The telemetry statement: what a catalog lets be collected, in plain words (A2, A10).

It is written for the people whose use is counted, and says nothing that the catalog does not.
"""

from collections.abc import Iterator
from typing import Final

from footfall_processors.catalog import DROPPED, EMITTED, Attribute, Catalog, Event, Hash, Type

SHOWN: Final = 20
"""Values of an enum that are listed."""

NEVER: Final = (
    "names", "discriminators", "raw ids of users, servers and channels", "sign-in ids and tokens",
    "IP addresses", "browsers and devices (user agents)", "commands as they were typed",
    "texts of messages", "contents of requests", "error messages", "stack traces",
)  # fmt: skip
"""What nobody shall store (A2)."""

_RECOGNISABLE: Final = {
    Hash.STATIC: "the same id stays recognisable for as long as the operator keeps the key",
    Hash.DAILY: "the same id is recognisable within one day (UTC), whose key is then destroyed",
    Hash.WEEKLY: "the same id is recognisable within one week (UTC), whose key is then destroyed",
    Hash.MONTHLY: "the same id is recognisable within one month (UTC), whose key is then destroyed",
}


def statement(catalog: Catalog) -> str:
    """The statement of a catalog, as lines of plain text (English).

    Args:
        catalog: One or more products' catalog.

    Returns:
        Paragraphs parted by empty lines; lists with a dash before each item.
    """
    events = {n: e for n, e in sorted(catalog.events.items()) if n not in (EMITTED, DROPPED)}
    used = sorted({name for event in events.values() for name in event.attributes})
    paragraphs = [
        f"What is counted in {_listed(catalog.products, 'and')}: which features are used and how it"
        " went, not by whom.",
        "It counts:\n" + "\n".join(_event(name, event) for name, event in events.items()),
        "Noted each time: when it was, how long it took, whether it went well and otherwise which"
        " kind of error it was, and the program's name, version, environment and a random number of"
        " the running program. How much was sent and lost is counted as well.",
    ]
    if used:
        described = "\n".join(_attribute(name, catalog.attributes[name]) for name in used)
        paragraphs.append(f"Some carry more:\n{described}")
    paragraphs.append(f"Nothing else is stored; in particular no {_listed(NEVER, 'or')}.")
    return "\n\n".join(paragraphs)


def _event(name: str, event: Event) -> str:
    about = event.description or f"a use of {event.feature} on {event.surface}"
    details = []
    if event.attributes:
        details.append(f"with {_listed(sorted(event.attributes), 'and')}")
    if event.sample_rate < 1.0:
        details.append(f"in detail for {event.sample_rate:.0%} of the uses, the others as a number")
    if event.expires is not None:
        details.append(f"until {event.expires}")
    return f"- {name}: {_sentence(about)}" + "".join(f" {_sentence(part)}" for part in details)


def _attribute(name: str, attribute: Attribute) -> str:
    parts = [attribute.description] if attribute.description else []
    return f"- {name}: " + " ".join(_sentence(part) for part in (*parts, *_kept(attribute)))


def _kept(attribute: Attribute) -> Iterator[str]:
    """What is kept of a value."""
    if attribute.hash:
        yield f"Only a keyed hash of it is stored: {_RECOGNISABLE[attribute.hash]}"
    elif attribute.type is Type.ENUM:
        values, more = attribute.values[:SHOWN], len(attribute.values) - SHOWN
        shown = (*values, f"{more} others") if more > 0 else values
        yield f"One of: {_listed(shown, 'or')}"
    elif attribute.type is Type.STRING:
        yield (
            f"A text of at most {attribute.max_length} characters, from which e-mail and IP addresses,"
            " phone and card numbers, ids and tokens are removed"
        )
    else:
        yield {
            Type.INT: f"A whole number{_bounds(attribute)}",
            Type.FLOAT: f"A number{_bounds(attribute)}",
            Type.BOOL: "Yes or no",
            Type.UUID: "A UUID, as it is",
        }[attribute.type]


def _bounds(attribute: Attribute) -> str:
    low, high = attribute.min, attribute.max
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return "" if high is None else f" of at most {high}"


def _listed(words: tuple[str, ...] | list[str], last: str) -> str:
    """`a, b and c`."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
