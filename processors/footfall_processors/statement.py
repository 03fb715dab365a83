"""The telemetry statement: what a catalog lets be collected, in plain words.

It is written for the people whose use is counted, and says nothing that the catalog does not. What it
denies is what no attribute of the catalog can hold.
"""

from collections.abc import Collection, Iterator, Mapping
from enum import Enum, auto
from itertools import starmap
from typing import Final, NamedTuple

from footfall_processors.catalog import DROPPED, EMITTED, Attribute, Catalog, Event, Hash, Type
from footfall_processors.cautions import is_boundless, looks_personal, names_id, names_person
from footfall_processors.names import DURATION
from footfall_processors.window import SALT_GRACE
from footfall_processors.wording import described, listed


class Holds(Enum):
    """What an attribute could hold of somebody."""

    TEXT = auto()  # whatever is typed
    NUMBER = auto()  # an id, a telephone number, an address as a number
    LISTED = auto()  # a value of the catalog's own that looks like somebody's


_T, _N, _L = Holds.TEXT, Holds.NUMBER, Holds.LISTED
NEVER: Final[Mapping[str, frozenset[Holds]]] = {
    "names": frozenset((_T, _L)),
    "discriminators": frozenset((_T, _L)),
    "raw ids of users, servers and channels": frozenset((_T, _N, _L)),
    "sign-in ids and tokens": frozenset((_T, _N, _L)),
    "IP addresses": frozenset((_T, _N, _L)),
    "browsers and devices (user agents)": frozenset((_T,)),
    "commands as they were typed": frozenset((_T,)),
    "texts of messages": frozenset((_T,)),
    "contents of requests": frozenset((_T,)),
    "error messages": frozenset((_T,)),
    "stack traces": frozenset((_T,)),
}
"""What nobody shall store, and what an attribute holds that could hold it all the same."""

_TEXTS: Final = (
    "What is typed or sent as {names} is kept as text. E-mail and IP addresses, phone and card numbers, ids"
    " and tokens are removed from it before it is stored, where they are recognised. Names of people are not"
    " recognised."
)
_CODES: Final = (
    "A code is made of a value with a secret key: equal values have equal codes, and the value is not stored."
    " Whoever has the key can find out whether a code is that of a value they know."
)
_PERIODS: Final = {Hash.DAILY: "day", Hash.WEEKLY: "week", Hash.MONTHLY: "month"}


class Item(NamedTuple):
    """Of a list: an event or an attribute, and what is said of it.

    Attributes:
        name: Of what.
        text: What is said.
        link: Where more is to be seen, in the place of a text.
    """

    name: str
    text: str
    link: str = ""


class Paragraph(NamedTuple):
    """Sentences, and the list that they introduce, if any."""

    text: str
    items: tuple[Item, ...] = ()


def statement(catalog: Catalog) -> str:
    """The statement of a catalog, as lines of plain text (English).

    Args:
        catalog: One or more products' catalog.

    Returns:
        Paragraphs parted by empty lines; lists with a dash before each item.
    """
    return "\n\n".join(
        "\n".join([text, *(f"- {item.name}: {item.text}" for item in items)])
        for text, items in paragraphs(catalog)
    )


def paragraphs(catalog: Catalog, *, alone: bool = True) -> list[Paragraph]:
    """The same in its parts, for those who set it in another way.

    Args:
        catalog: What is counted.
        alone: Whether nothing is kept beside what is counted.
    """
    nothing = "Nothing else is stored" if alone else "Of a use nothing else is stored"
    events = {n: e for n, e in sorted(catalog.events.items()) if n not in (EMITTED, DROPPED)}
    used = sorted({name for event in events.values() for name in event.attributes})
    carried = {name: catalog.attributes[name] for name in used}
    held = {kind for name, attribute in carried.items() for kind in holds(name, attribute)}
    never = [what for what, by in NEVER.items() if by.isdisjoint(held)]
    return [
        Paragraph(
            f"What is counted in {listed(catalog.products)}: which features are used and how it"
            f" went{_by_whom(carried)}."
        ),
        Paragraph("It counts:", tuple(starmap(_event, events.items()))),
        Paragraph(
            "Noted each time: when it was, how long it took, whether it went well and otherwise which"
            " kind of error it was, and the program's name, version, environment and a random number of"
            " the running program. How much was sent and lost is counted as well."
        ),
        *_carried(carried),
        Paragraph(
            f"{nothing}; in particular no {listed(never, 'or')}." if never else f"{nothing}."
        ),
    ]


def holds(name: str, attribute: Attribute) -> frozenset[Holds]:
    """What an attribute could hold of somebody; nothing of what is only kept as a code."""
    if attribute.hash or attribute.type is Type.BOOL:
        return frozenset()
    if attribute.type is Type.ENUM:
        return frozenset((_L,) if any(map(looks_personal, attribute.values)) else ())
    if attribute.type is Type.STRING:
        return frozenset((_T,))
    if name == DURATION:
        return frozenset()
    telling = attribute.type is Type.UUID or is_boundless(attribute)
    return frozenset((_N,) if telling or names_person(name) or names_id(name) else ())


def _by_whom(attributes: Mapping[str, Attribute]) -> str:
    if any(holds(name, attribute) for name, attribute in attributes.items()):
        return ""
    return (
        ", not by whom other than as codes"
        if any(a.hash for a in attributes.values())
        else ", not by whom"
    )


def _event(name: str, event: Event) -> Item:
    about = event.description or f"a use of {event.feature} on {event.surface}"
    details = []
    if event.attributes:
        details.append(f"with {listed(sorted(event.attributes))}")
    if event.sample_rate < 1.0:
        details.append(f"in detail for {event.sample_rate:.0%} of the uses, the others as a number")
    if event.expires is not None:
        details.append(f"until {event.expires}")
    return Item(name, " ".join(map(_sentence, (about, *details))))


def _carried(attributes: Mapping[str, Attribute]) -> Iterator[Paragraph]:
    """What events carry, and how it is kept."""
    if attributes:
        yield Paragraph("Some carry more:", tuple(starmap(_attribute, attributes.items())))
    texts = [name for name, a in attributes.items() if _T in holds(name, a)]
    if texts:
        yield Paragraph(_TEXTS.format(names=listed(texts)))
    telling = [name for name, a in attributes.items() if holds(name, a) - {_T}]
    if telling:
        yield Paragraph(f"Who or what it was could be told by {listed(telling)}, kept as sent.")
    if any(each.hash for each in attributes.values()):
        yield Paragraph(" ".join((_CODES, *_keys({each.hash for each in attributes.values()}))))


def _keys(kinds: Collection[Hash | None]) -> Iterator[str]:
    """Until when the keys of codes exist."""
    periods = [period for kind, period in _PERIODS.items() if kind in kinds]
    if periods:
        yield (
            f"The key of a code that changes is destroyed {SALT_GRACE.days} days after its"
            f" {listed(periods, 'or')} (UTC) is over; copies of the server's disk that were made before may"
            " hold it for longer."
        )
    if Hash.STATIC in kinds:
        yield "The key of a code that stays the same is kept by the operator."


def _attribute(name: str, attribute: Attribute) -> Item:
    parts = filter(None, (attribute.description, described(attribute)))
    return Item(name, " ".join(map(_sentence, parts)))


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
