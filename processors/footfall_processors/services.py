"""Who sent it: what is kept of a service's name, its version and its environment.

A catalog may list services and environments; then nothing else passes. Where it does not, usual names
pass, and what looks personal does not: a sender's defaults put host names, paths and user names there. A
version has a form, whatever the catalog.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from footfall_processors import names, usual
from footfall_processors.catalog import Catalog
from footfall_processors.losses import Loss
from footfall_processors.redaction import redact

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._/-]{0,62}")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,39}")
_STAR: Final = "[A-Za-z0-9_-]{1,20}"
"""What `*` stands for in a list."""
_WORD: Final = re.compile(r"[0-9]+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""`ShopAPI-v2` is Shop, API, v and 2."""
_PART: Final = re.compile(r"[._/+-]+")
_HASH: Final = re.compile(r"g?(?=[a-f]*[0-9])[0-9a-f]{7,12}")
"""A commit, shortened as git does it."""
_NUMBERED: Final = re.compile(r"([a-z]*)([0-9]{0,8})([a-z]?)")
_QUAD: Final = re.compile(r"[vV]?[0-9]\.[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}")
"""`1.0.2.0`, which is no address that anybody has."""
_DASHED: Final = re.compile(r"(?<![0-9])(?:[0-9]{1,3}[._-]){3}[0-9]{1,3}(?![0-9])")
"""`10-0-0-1`, as clouds name machines."""
_ID: Final = re.compile(
    r"[0-9a-fA-F]{12,}|(?=.{5})(?:[0-9]+[A-Za-z]+){2,}[0-9]*|(?=.{5})(?:[A-Za-z]+[0-9]+){2,}[A-Za-z]*"
)
"""A pod's or a machine's, which changes between letters and digits: `4f2k9qx`."""
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""Of an installation or a machine, rather than of a build."""
_LONG: Final = re.compile("[0-9]{10,}")
_TIMESTAMPS: Final = {10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
DIGITS: Final = 6
"""In an unlisted name, at most: more may be a telephone number, a date of birth, an id."""

Kept = tuple[str | None, Loss | None]
"""What is stored, and why it is not."""


class About(NamedTuple):
    """What is stored of a resource, and what is lost of it.

    Attributes:
        name: The service's.
        version: The service's.
        environment: Where it runs.
        losses: One for each that was dropped.
    """

    name: str | None
    version: str | None
    environment: str | None
    losses: tuple[Loss, ...]


class Services:
    """What a catalog lets resources say of their services.

    Args:
        catalog: Its lists, and its own words, which are usual.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._services = _listed((*catalog.services, *catalog.products) if catalog.services else ())
        self._environments = _listed(catalog.environments)
        own = frozenset(_own_words(catalog))
        self._usual = usual.SERVICES | own
        self._places = usual.ENVIRONMENTS | own
        self._tags = usual.VERSIONS | own
        self._products = frozenset(catalog.products)

    def about(self, resource: Mapping[str, Any]) -> About:
        """What is stored of a resource's service.

        Args:
            resource: Its attributes, decoded.
        """
        environment = resource.get(names.ENVIRONMENT, resource.get(names.ENVIRONMENT_OLD))
        found = (
            self._name(resource.get(names.SERVICE_NAME)),
            self._version(resource.get(names.SERVICE_VERSION)),
            self._environment(environment),
        )
        name, version, environment = (kept for kept, _ in found)
        return About(name, version, environment, tuple(loss for _, loss in found if loss))

    def _name(self, sent: Any) -> Kept:
        if (bad := _formless(sent, _NAME)) or sent is None:
            return None, bad
        if self._services is not None:
            return _of_list(sent, self._services)
        if sent in self._products:
            return sent, None
        return (None, Loss.RESOURCE_PERSONAL) if self._looks_personal(sent) else (sent, None)

    def _environment(self, sent: Any) -> Kept:
        if (bad := _formless(sent, _NAME)) or sent is None:
            return None, bad
        if self._environments is not None:
            return _of_list(sent, self._environments)
        if all(_is_usual(word, self._places) for word in words(sent)):
            return sent, None
        return None, Loss.RESOURCE_PERSONAL if self._looks_personal(
            sent
        ) else Loss.RESOURCE_UNLISTED

    def _version(self, sent: Any) -> Kept:
        if (bad := _formless(sent, _VERSION)) or sent is None:
            return None, bad
        parts = [part for part in _PART.split(sent) if part]
        if not all(map(self._is_of_version, parts)):
            return None, Loss.RESOURCE_VALUE
        # A time of building is the one long number that is nobody's.
        looked_at = _LONG.sub(lambda m: "0" if _is_timestamp(m.group()) else m.group(), sent)
        if _UUID.search(sent) or (redact(looked_at) != looked_at and not _QUAD.fullmatch(sent)):
            return None, Loss.RESOURCE_PERSONAL
        return sent, None

    def _is_of_version(self, part: str) -> bool:
        """Whether a version may have this part: a number, a usual word with one, a commit, a time."""
        small = part.lower()
        if _HASH.fullmatch(small):
            return not _spells(small.removeprefix("g"))
        numbered = _NUMBERED.fullmatch(small)
        if numbered is None:
            return _is_timestamp(part) or all(_is_usual(word, self._tags) for word in words(part))
        tag, number, suffix = numbered.groups()
        return (not tag or tag in self._tags) and (not suffix or bool(number))

    def _looks_personal(self, name: str) -> bool:
        """Whether a name that no list has may be a path, a host, an address, a user or a number."""
        parts = words(name)
        if is_machine(name, parts) or self._is_user(parts):
            return True
        if all(_is_usual(word, self._usual) for word in parts):
            return False
        return "." in name or "/" in name or (name.isupper() and len(parts) > 1)

    def _is_user(self, parts: Sequence[str]) -> bool:
        """Whether it goes on like somebody's name: `user-one`, `admin2`, but not `user-service`."""
        return any(
            word in usual.PEOPLE and after not in self._usual for word, after in pairwise(parts)
        )


def words(name: str) -> list[str]:
    """The words of a name, in small letters: at signs, at capitals and at digits a new one begins."""
    return [word.lower() for word in _WORD.findall(name)]


def listed_form(text: str) -> re.Pattern[str]:
    """An entry of a catalog's list as a pattern; `*` stands for up to 20 letters, digits, `_` and `-`."""
    return re.compile(_STAR.join(map(re.escape, text.split("*"))))


def _listed(entries: Iterable[str]) -> list[tuple[re.Pattern[str], bool]] | None:
    """The entries, and whether each stands for one name alone; None without any."""
    return [(listed_form(entry), "*" not in entry) for entry in entries] or None


def _of_list(sent: str, entries: list[tuple[re.Pattern[str], bool]]) -> Kept:
    fitting = [exact for form, exact in entries if form.fullmatch(sent)]
    if not fitting:
        return None, Loss.RESOURCE_UNLISTED
    if any(fitting) or not is_machine(sent, words(sent)):
        return sent, None
    return None, Loss.RESOURCE_PERSONAL


def _formless(sent: Any, form: re.Pattern[str]) -> Loss | None:
    if sent is None or (isinstance(sent, str) and form.fullmatch(sent)):
        return None
    return (
        Loss.RESOURCE_PERSONAL
        if isinstance(sent, str) and redact(sent) != sent
        else Loss.RESOURCE_VALUE
    )


def _own_words(catalog: Catalog) -> Iterable[str]:
    for product in catalog.products:
        yield from words(product)
    for name, event in catalog.events.items():
        for text in (name, event.surface, event.feature):
            yield from words(text)


def _is_usual(word: str, known: frozenset[str]) -> bool:
    return word in known or (word.isdigit() and len(word) <= 4)


def is_machine(name: str, parts: Sequence[str]) -> bool:
    """Whether a name is a machine's, or has an address or a long number in it."""
    return (
        redact(name) != name
        or sum(map(str.isdigit, name)) > DIGITS
        or not usual.MACHINES.isdisjoint(parts)
        or any(_ID.fullmatch(part) for part in _PART.split(name))
        or _DASHED.search(name) is not None
    )


def _is_timestamp(part: str) -> bool:
    form = _TIMESTAMPS.get(len(part))
    if form is None or not part.isdigit() or part[:2] not in ("19", "20"):
        return False
    try:
        dt.datetime.strptime(part, form)  # noqa: DTZ007  # only whether there is such a time
    except ValueError:
        return False
    return True


def _spells(digits: str) -> bool:
    """Whether hexadecimal digits are a text: of eleven bytes and more chance makes none."""
    text = bytes.fromhex(digits) if len(digits) % 2 == 0 else b""
    return len(text) >= 6 and all(0x20 <= byte < 0x7F for byte in text)
