"""The telemetry statement: what a catalog lets be collected, in plain words (A2, A10).

It is written for the people whose use is counted, and says nothing that the catalog does not.
"""

from collections.abc import Iterator, Mapping
from itertools import starmap
from typing import Final

from footfall_processors.catalog import DROPPED, EMITTED, Attribute, Catalog, Event, Type
from footfall_processors.wording import described, listed

NEVER: Final = (
    "names", "discriminators", "raw ids of users, servers and channels", "sign-in ids and tokens",
    "IP addresses", "browsers and devices (user agents)", "commands as they were typed",
    "texts of messages", "contents of requests", "error messages", "stack traces",
)  # fmt: skip
"""What nobody shall store (A2)."""

_TEXTS: Final = (
    "E-mail and IP addresses, phone and card numbers, ids and tokens are removed from texts before"
    " they are stored."
)
_CODES: Final = (
    "A code is made of a value with a secret key: equal values have equal codes, and the value is not"
    " stored. The key of a code that changes is destroyed after its day, week or month (UTC); the key"
    " of a code that stays the same is kept by the operator."
)


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
        f"What is counted in {listed(catalog.products)}: which features are used and how it"
        " went, not by whom.",
        "It counts:\n" + "\n".join(_event(name, event) for name, event in events.items()),
        "Noted each time: when it was, how long it took, whether it went well and otherwise which"
        " kind of error it was, and the program's name, version, environment and a random number of"
        " the running program. How much was sent and lost is counted as well.",
    ]
    paragraphs += _carried({name: catalog.attributes[name] for name in used})
    paragraphs.append(f"Nothing else is stored; in particular no {listed(NEVER, 'or')}.")
    return "\n\n".join(paragraphs)


def _event(name: str, event: Event) -> str:
    about = event.description or f"a use of {event.feature} on {event.surface}"
    details = []
    if event.attributes:
        details.append(f"with {listed(sorted(event.attributes))}")
    if event.sample_rate < 1.0:
        details.append(f"in detail for {event.sample_rate:.0%} of the uses, the others as a number")
    if event.expires is not None:
        details.append(f"until {event.expires}")
    return f"- {name}: {_sentence(about)}" + "".join(f" {_sentence(part)}" for part in details)


def _carried(attributes: Mapping[str, Attribute]) -> Iterator[str]:
    """What events carry, and how it is kept."""
    if attributes:
        yield "Some carry more:\n" + "\n".join(starmap(_attribute, attributes.items()))
    if any(each.type is Type.STRING and not each.hash for each in attributes.values()):
        yield _TEXTS
    if any(each.hash for each in attributes.values()):
        yield _CODES


def _attribute(name: str, attribute: Attribute) -> str:
    parts = filter(None, (attribute.description, described(attribute)))
    return f"- {name}: " + " ".join(map(_sentence, parts))


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
