"""Names of events for what an application has: short, alike for alike, the same each time."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from footfall_processors.catalog import EventName, Slug
from footfall_processors.document import peek
from footfall_processors.names import FAILURE, INVOKE, SUCCESS

ACTIONS: Final = (INVOKE, SUCCESS, FAILURE)
_PARAMETER: Final = re.compile(r"\{([^}:]*)[^}]*\}|<(?:[^<>:]*:)?([^<>:]*)>|\(\?P<([^>]*)>[^/]*\)")
"""Of a route: FastAPI's and Starlette's, Flask's and Django's, Django's in a regular expression."""
_PREFIX: Final = re.compile(r"api|v[0-9]+")
"""What comes before every route, and says nothing of a feature."""
_WORDS: Final = 3
"""Of a name; a longer route is told by its last ones."""
_LONGEST: Final = 18
"""Characters of a word."""


class Named(NamedTuple):
    """An event that is proposed.

    Attributes:
        event: Its name.
        feature: What is used.
        text: What its rule stands for; empty without a rule.
    """

    event: str
    feature: str
    text: str


def named(
    product: str, rule: str, texts: Iterable[str], taken: Mapping[str, Collection[str]]
) -> list[Named]:
    """An event for each text, in the order of their names.

    Args:
        product: Of the catalog.
        rule: The kind of rule.
        texts: Each once.
        taken: The events that there are, with their actions.
    """
    names = dict(taken)
    every = frozenset(texts)
    found = []
    for text in sorted(every, key=_rank):
        words, verb, more = _parts(rule, text, every)
        event = next(name for name in _names(product, words, verb, more) if _is_free(name, names))
        names[event] = ACTIONS
        found.append(Named(event, _feature(words), text))
    return sorted(found)


def example(product: str, rule: str) -> Named:
    """An event for an application that nothing is known of."""
    texts = {"route": "GET /", "discord": "ping", "racetime": "seed"}
    (event,) = named(product, rule, [texts.get(rule, "example")], {})
    return event if rule in texts else event._replace(text="")


def _rank(text: str) -> tuple[int, str]:
    """Short routes have the first choice."""
    return text.count("/") + text.count(" "), text


def _parts(rule: str, text: str, every: Collection[str]) -> tuple[list[str], str, list[str]]:
    """The words of a text, what is done there, and words that tell it from others alike."""
    if rule != "route":
        return [word(part) for part in re.split(r"[\s:.-]+", text) if word(part)], "", []
    method, _, path = text.partition(" ")
    segments = [part for part in path.strip("^/$").split("/") if part]
    fixed = [word(part) for part in segments if not _PARAMETER.search(part)]
    words = [part for part in fixed if part and not _PREFIX.fullmatch(part)]
    held = [word(next(filter(None, m.groups()), "")) for m in _PARAMETER.finditer(path)]
    verb = "request" if method == "*" else word(method)
    if method in ("GET", "*") and _is_list(text, every):
        verb = "list"
    by = [f"by_{held[-1]}"] if held and held[-1] else []
    return words or ["home"], verb, by


def _is_list(text: str, every: Collection[str]) -> bool:
    """Whether what follows this route is one of what it lists."""
    start = text.rstrip("/") + "/"
    following = (other[len(start) :].strip("/$") for other in every if other.startswith(start))
    return any(_PARAMETER.fullmatch(rest) for rest in following)


def _names(product: str, words: list[str], verb: str, more: list[str]) -> Iterator[str]:
    """Names for an event, the best first, without end."""
    first = word(product) or "app"
    start = "app" if first == "footfall" else first
    tail = [verb] if verb else []
    short = (words or ["command"])[-_WORDS:]
    yield ".".join([start, *short, *tail])
    yield ".".join([start, *short, *more, *tail])
    number = 2
    while True:
        yield ".".join([start, *short, *tail]) + f"_{number}"
        number += 1


def _is_free(name: str, taken: Mapping[str, Collection[str]]) -> bool:
    """Whether no event has this name, alone or with an action, nor would have with one of this one."""
    before, _, last = name.rpartition(".")
    return (
        peek(EventName, name) is not None
        and name not in taken
        and last not in taken.get(before, ())
        and not any(f"{name}.{action}" in taken for action in ACTIONS)
    )


def _feature(words: list[str]) -> str:
    feature = "-".join(words)[:63].strip("-")
    return feature if peek(Slug, feature) is not None else "command"


def word(text: str) -> str:
    """A text as a word of an event's name; empty where nothing of it can be one."""
    plain = unicodedata.normalize("NFKD", text.replace("%", "_").casefold())
    plain = re.sub(r"[^a-z0-9]+", "_", plain.encode("ascii", "ignore").decode()).strip("_")
    plain = plain[:_LONGEST].strip("_")
    return f"n{plain}" if plain[:1].isdigit() else plain
