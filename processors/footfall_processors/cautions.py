"""What a valid catalog is careless about: what could hold or tell who somebody is.

A caution is no mistake: an operator may know better, and says so in the field `reviewed`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from footfall_processors import document
from footfall_processors.catalog import Attribute, Event, Rule, Source, Type
from footfall_processors.document import Document, Keys, Mistake
from footfall_processors.loading import read_source
from footfall_processors.names import DURATION
from footfall_processors.redaction import redact
from footfall_processors.services import is_machine, words

MANY: Final = 100
"""Values of an enum; beyond it they rather name things or people than kinds."""
HARMLESS: Final = 9_999_999
"""A number up to it is no telephone number with its area, and no id that a large service draws."""
_PERSON: Final = frozenset(
    word
    for line in (
        "user users username userid uid login logon email mail mailbox phone telephone tel mobile fax msisdn",
        "firstname lastname surname forename fullname nick nickname handle alias displayname discriminator",
        "person people customer client patient student employee member player viewer actor author owner",
        "sender recipient contact friend follower guest visitor subscriber account profile avatar",
        "ip ipaddress address addr street city zip postcode postal location lat lon latitude longitude geo",
        "birth birthday birthdate dob age gender ssn passport iban bic card tax vat plate",
        "device hostname host mac imei imsi serial advertising idfa fingerprint useragent agent cookie",
        "session token secret password passwd pwd key apikey jwt bearer credential auth referrer referer url",
        "benutzer nutzer kunde telefon adresse utilisateur usuario correo utente gebruiker",
    )
    for word in line.split()
)
"""Words in the names of attributes that hold a person, or what leads to one."""
_ID: Final = frozenset(("id", "ids", "uuid", "guid", "oid", "hash", "ref"))
_COUNTED: Final = frozenset(("count", "counts", "total", "kind", "type", "role", "status"))
"""Behind one of those words: not a person, but how many or of which kind."""
_IDS: Final = re.compile(r"(?:\d[_-]?){6,}|(?=[a-f]*\d[a-f]*\d)[0-9a-f]{8,}")
"""A number that counts nothing, or hexadecimal digits, in the name of an event or a route."""
_NUMBER: Final = re.compile(r"\d{6,}|(?=[a-f]*\d[a-f]*\d)[0-9a-f]{8,}")
"""The same in a value, where dates are usual."""
_EVERYTHING: Final = re.compile(r"(?:(?:\*|[A-Z]+) )?/?(?=/*\*)[*/]*")
"""A rule of stars alone; that of the home page, `GET /`, is none."""
_DOTTED: Final = re.compile(r"[a-z]+\.(?!net$)[a-z]{3,}")
"""A value such as `first.last`, `f.last`."""
FEW: Final = 20
"""Values that kinds of persons, or of what is theirs, may have."""


def cautions(paths: Iterable[str | Path]) -> list[Mistake]:
    """What the catalogs in these files are careless about, in the order of their lines.

    Args:
        paths: Files that `load_catalog` takes.

    Raises:
        DocumentError: one of them has mistakes.
    """
    return [caution for path in paths for caution in _of_file(*read_source(document.load(path)))]


def _of_file(doc: Document, source: Source) -> list[Mistake]:
    noted = replace(doc, mistakes=[])
    for name, attribute in source.attributes.items():
        if not attribute.reviewed:
            _note(noted, ("attributes", name), _of_attribute(name, attribute))
    for name, event in source.events.items():
        if not event.reviewed:
            _note(noted, ("events", name), _of_event(name, event))
            for number, rule in enumerate(event.match):
                _note(noted, ("events", name, "match", number), _of_rule(rule))
    for kind in ("services", "environments"):
        for number, entry in enumerate(getattr(source, kind)):
            _note(noted, (kind, number), _of_list(entry))
    return sorted(noted.mistakes, key=lambda caution: caution.line)


def _note(doc: Document, path: Keys, messages: Iterable[str]) -> None:
    for message in messages:
        doc.wrong(path, message)


def names_person(name: str) -> bool:
    """Whether an attribute of this name holds a person, or what leads to one."""
    parts = words(name)
    if parts and parts[-1] in _COUNTED:
        return False
    return parts == ["name"] or not _PERSON.isdisjoint((*parts, "".join(parts)))


def names_id(name: str) -> bool:
    """Whether an attribute of this name holds an id."""
    return not _ID.isdisjoint(words(name))


def looks_personal(value: str) -> bool:
    """Whether a value that a catalog lists is rather somebody's than a kind of something."""
    found = _NUMBER.search(value) or _DOTTED.fullmatch(value)
    return found is not None or redact(value) != value


def is_boundless(attribute: Attribute) -> bool:
    """Whether a number may be so large that it is somebody's id or telephone number."""
    if attribute.type not in (Type.INT, Type.FLOAT) or attribute.hash:
        return False
    most = max(
        abs(attribute.min or 0), HARMLESS + 1 if attribute.max is None else abs(attribute.max)
    )
    return most > HARMLESS


def _of_attribute(name: str, attribute: Attribute) -> Iterator[str]:
    plain = attribute.hash is None and attribute.type not in (Type.ENUM, Type.BOOL)
    called = filter(None, (name, attribute.source))
    if plain and any(names_person(each) or names_id(each) for each in called):
        yield (
            f"is named like a person or an id, and is kept as it is ({attribute.type}): give it a `hash`,"
            " or leave it out"
        )
    elif attribute.type is Type.UUID and plain:
        yield "a uuid that is kept as it is tells one person or thing from all others: give it a `hash`"
    elif attribute.type is Type.STRING and plain:
        yield (
            "text can hold a name, which no pattern recognises: where the values can be listed, an `enum`"
            " does; where equal ones are counted, a `hash`"
        )
    if name != DURATION and is_boundless(attribute):
        yield f"without a `max` of {HARMLESS:,} or less a number can be somebody's id or telephone number"
    if attribute.type is Type.ENUM:
        yield from _of_values(name, attribute)
    if redact(attribute.description) != attribute.description:
        yield "its description has an address, a number or a token in it, which the database shows"


def _of_values(name: str, attribute: Attribute) -> Iterator[str]:
    if len(attribute.values) > MANY:
        yield f"{len(attribute.values)} values rather name things or people than kinds: group them"
    found = sum(map(looks_personal, attribute.values))
    if found:
        yield f"{found} of its values look like an address, a name or an id of somebody: list kinds"
    elif names_person(name) and FEW < len(attribute.values) <= MANY:
        yield "is named like what identifies somebody, and has many values: list kinds"


def _of_event(name: str, event: Event) -> Iterator[str]:
    for text in (name, event.feature, event.surface, *event.actions):
        if _IDS.search(text) or redact(text) != text:
            yield f'"{text}" has an id in it: an event stands for what is done, whoever does it'
    if redact(event.description) != event.description:
        yield "its description has an address, a number or a token in it, which users and reports show"


def _of_rule(rule: Rule) -> Iterator[str]:
    for text in (rule.route, rule.span, rule.discord, rule.racetime):
        if text in (rule.route, rule.span) and text and _EVERYTHING.fullmatch(text):
            yield f'"{text}" matches everything, and says of nothing what it is: name the routes or spans'
        elif _IDS.search(text) or redact(text) != text:
            yield f'"{text}" has an id or an address in it: write the route as its template'


def _of_list(entry: str) -> Iterator[str]:
    if is_machine(entry, words(entry)):
        yield f'"{entry}" looks like a machine, an address or a number of somebody'
    elif "*" in entry and len(entry) < 4:
        yield f'"{entry}" lets nearly every name pass: say how the names begin'
