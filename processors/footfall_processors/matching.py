"""Which event a route or a command stands for: the catalog's `match` rules (A8, F3)."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from footfall_processors.catalog import Catalog, Rule

ROUTE_FORM = re.compile(r"(\*|[A-Z]+) /\S*")
"""`GET /seeds/{id}`: a method (`*` for any) and a route template as the framework writes it."""
KINDS = ("route", "discord", "racetime")
"""What rules can be about."""
REMEMBERED = 1_024
"""Texts whose event is remembered; how many commands a bot has, or routes an application, is bounded,
but the custom ids of components may not be."""


class Match(NamedTuple):
    """What a text stands for.

    Attributes:
        event: A declared event.
        action: What a use that went well is called; None is the event's own `success`.
    """

    event: str
    action: str | None


def kinds(rule: Rule) -> dict[str, str]:
    """What a rule matches: its kind and text; exactly one if it is valid."""
    return {kind: text for kind in KINDS if (text := getattr(rule, kind))}


def rules(catalog: Catalog, kind: str) -> Iterator[tuple[str, Match]]:
    """The texts of one kind and what each stands for."""
    for name, event in catalog.events.items():
        for rule in event.match:
            text = kinds(rule).get(kind)
            if text is not None:
                yield text, Match(name, rule.action)


class Matcher:
    """Finds the event that a text of one kind stands for.

    An exact rule wins over one with `*`, and a longer pattern over a shorter one.

    Args:
        catalog: The catalog in force.
        kind: One of KINDS.
    """

    def __init__(self, catalog: Catalog, kind: str) -> None:
        found = dict(rules(catalog, kind))
        self._exact = {text: match for text, match in found.items() if "*" not in text}
        patterns = [text for text in found if "*" in text]
        self._patterns = [
            (text.replace("[", "[[]").replace("?", "[?]"), found[text])
            for text in sorted(patterns, key=lambda text: (-len(text), text))
        ]
        self._known: dict[str, Match | None] = {}

    def find(self, text: str) -> Match | None:
        """What `text` stands for, or None."""
        if text in self._exact:
            return self._exact[text]
        if text not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = next((m for p, m in self._patterns if fnmatchcase(text, p)), None)
        return self._known[text]
