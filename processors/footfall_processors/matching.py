"""Which event a route, a span or a command stands for: the catalog's `match` rules."""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from footfall_processors.catalog import Catalog, Rule

ROUTE_FORM = re.compile(r"(\*|[A-Z]+) /\S*")
"""`GET /seeds/{id}`: a method (`*` for any) and a route template as the framework writes it."""
KINDS = ("route", "span", "discord", "racetime")
"""What rules can be about."""
REMEMBERED = 1_024
"""Texts whose event is remembered; how many commands a bot has, or routes an application, is bounded,
but the custom ids of components may not be."""
LONGEST: Final = 256
"""Characters: what is longer than a rule may be is no name or template, but a path or a statement."""
_METHOD = re.compile("[A-Z]+")


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


def covers(told: Rule, rule: Rule) -> bool:
    """Whether whatever `rule` stands for, `told` stands for as well, under the same action.

    A `*` of `rule` is taken for a letter of its own, which nothing but a `*` stands for.
    """
    ((kind, text),) = kinds(rule).items()
    wider = kinds(told).get(kind)
    return (
        wider is not None
        and told.action == rule.action
        and fnmatchcase(text.replace("*", "\0"), _pattern(wider))
    )


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
        self._patterns = [(_pattern(text), found[text]) for text in _by_rank(found) if "*" in text]
        self._known: dict[str, Match | None] = {}

    def find(self, text: str) -> Match | None:
        """What `text` stands for, or None."""
        if text in self._exact:
            return self._exact[text]
        return self.like(text)

    def exactly(self, text: str) -> Match | None:
        """What a rule without `*` says that `text` stands for, or None."""
        return self._exact.get(text)

    def like(self, text: str) -> Match | None:
        """What a rule with `*` says that `text` stands for, or None."""
        if text not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = next((m for p, m in self._patterns if fnmatchcase(text, p)), None)
        return self._known[text]


class Candidate(NamedTuple):
    """What a route stands for, if it is asked for by this method.

    Attributes:
        method: An HTTP method; `*` is any.
        exact: Whether its rule has no `*`.
        match: The event.
    """

    method: str
    exact: bool
    match: Match


Candidates = tuple[Candidate, ...]
"""Of one route, the best first; there are as few such tuples as the rules allow."""


class Requests:
    """Finds the event that a request stands for, which another instrumentation measured.

    Rules are chosen between as `Matcher` does it; but what a route may stand for is found once, for
    whichever method.

    Args:
        catalog: The catalog in force.

    Attributes:
        methods: Those that rules name.
    """

    def __init__(self, catalog: Catalog) -> None:
        found = dict(rules(catalog, "route"))
        self.methods = {text.partition(" ")[0] for text in found} - {"*"}
        self._exact: dict[str, list[tuple[int, Candidate]]] = {}
        self._patterns: list[tuple[int, str, Candidate]] = []
        for rank, text in enumerate(_by_rank(found)):
            method, _, path = text.partition(" ")
            candidate = Candidate(method, "*" not in text, found[text])
            if "*" in path:
                self._patterns.append((rank, _pattern(path), candidate))
            else:
                self._exact.setdefault(path, []).append((rank, candidate))

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self._exact or self._patterns)

    def candidates(self, route: str) -> Candidates:
        """What a route may stand for, as a framework writes it.

        Args:
            route: The attribute `http.route`, of any length.
        """
        path = template(route)
        if path is None:
            return ()
        fitting = [(rank, c) for rank, form, c in self._patterns if fnmatchcase(path, form)]
        ranked = sorted([*self._exact.get(path, ()), *fitting], key=lambda each: each[0])
        best: dict[str, Candidate] = {}  # of a method's, and none that one for any method hides
        for _, candidate in ranked:
            if "*" not in best:
                best.setdefault(candidate.method, candidate)
        return tuple(best.values())

    def named(self, span: str) -> Candidates:
        """What the span of a server stands for whose name alone says the route: `GET /orders/{id}`.

        The semantic conventions name it so; Go's otelhttp around a whole ServeMux says it nowhere else.
        Others put the path there of what no route fits (Flask), to which a rule with `*` would be open.
        """
        method, _, path = span.partition(" ")
        return tuple(c for _, c in self._exact.get(path, ()) if c.method in ("*", method))


def template(route: str) -> str | None:
    """A route template as rules have it, with a leading slash; None when it is none.

    Django and ASP.NET Core leave out the slash (`orders/<int:id>`); a pattern of Go's ServeMux may have
    a method and a host before it (`GET shop.example/orders/{id}`).
    """
    if not 0 < len(route) <= LONGEST:
        return None
    method, space, pattern = route.partition(" ")
    if space and _METHOD.fullmatch(method):
        _, slash, path = pattern.partition("/")
        return slash + path or None
    return route if route.startswith("/") else f"/{route}"


class Spans:
    """Finds the event that a span of another instrumentation stands for.

    An exact rule wins over one with `*`, and of two such the one that names the span.

    Args:
        catalog: The catalog in force.

    Attributes:
        requests: The rules about routes.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._names = Matcher(catalog, "span")
        self._any = next(rules(catalog, "span"), None) is not None
        self.requests = Requests(catalog)

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return self._any or bool(self.requests)

    def find(self, name: str, method: str | None, candidates: Candidates) -> Match | None:
        """What a span stands for, or None.

        Args:
            name: Its name.
            method: The request's; None when the span is no server's.
            candidates: What its route may stand for.
        """
        fitting = (c for c in candidates if method is not None and c.method in ("*", method))
        exact, route = next(((c.exact, c.match) for c in fitting), (False, None))
        named = self._names.exactly(name) or (route if exact else None)
        if named is not None or len(name) > LONGEST:
            return named or route
        return self._names.like(name) or route


def fits(rule: str, route: str) -> bool:
    """Whether a rule means a route of an application.

    Args:
        rule: Such as `GET /seeds/*`.
        route: Its method, `*` if it takes any, and its template.
    """
    method, _, path = rule.partition(" ")
    taken, _, template = route.partition(" ")
    same = fnmatchcase(template, _pattern(path)) if "*" in path else template == path
    return same and (method == taken or "*" in (method, taken))


def _by_rank(texts: Iterable[str]) -> list[str]:
    """Texts of rules, the one that wins first: those without `*`, then the longer ones."""
    return sorted(texts, key=lambda text: ("*" in text, -len(text), text))


def _pattern(text: str) -> str:
    """A rule with `*` as a pattern of fnmatch, to which two more characters are special."""
    return text.replace("[", "[[]").replace("?", "[?]")
