"""Reading catalogs from files: all mistakes at once."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from footfall_processors import document, names
from footfall_processors.catalog import (
    ATTRIBUTE_LIMIT,
    ENUM_LIMIT,
    Attribute,
    Catalog,
    Event,
    EventName,
    Hash,
    Name,
    Rule,
    Source,
    Type,
    column_name,
    with_builtins,
)
from footfall_processors.document import Document, DocumentError, Keys, Mistake, nearest
from footfall_processors.error_types import ERROR_TYPES, TIMEOUT
from footfall_processors.matching import KINDS, ROUTE_FORM, kinds
from footfall_processors.sources import check_sources
from footfall_processors.values import FLOAT_MAX, INT_MAX, INT_MIN
from footfall_processors.wording import listed

RESERVED_PREFIX = "footfall"
BUILTIN_ATTRIBUTES = frozenset({"emitted_event", "drop_reason"})


def load_catalog(paths: str | Path | Sequence[str | Path]) -> Catalog:
    """Loads one or more `events.yaml` files into one catalog, built-in events included.

    Args:
        paths: One file, or one per product.

    Raises:
        DocumentError: any mistake in any file; its `mistakes` lists them all.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    mistakes: list[Mistake] = []
    if not files:
        mistakes.append(Mistake("(catalog)", 1, "", "no file was named; name an events.yaml"))
    sources: list[tuple[Document, Source]] = []
    for path in files:
        try:
            sources.append(read_source(document.load(path, "`footfall init` writes one")))
        except DocumentError as error:
            mistakes.extend(error.mistakes)
    _check_number(sources)
    for doc, source in sources:
        _check_against(doc, source, [s for s in sources if s[0] is not doc])
        mistakes.extend(doc.mistakes)
    if mistakes:
        raise DocumentError(mistakes)
    return _merge([source for _, source in sources])


def _check_number(sources: Sequence[tuple[Document, Source]]) -> None:
    """Each attribute is a column of one table."""
    names = {name for _, source in sources for name in source.attributes}
    if len(names) > ATTRIBUTE_LIMIT:
        doc = sources[-1][0]
        doc.wrong(("attributes",), f"a store has at most {ATTRIBUTE_LIMIT}, these are {len(names)}")


def read_source(doc: Document) -> tuple[Document, Source]:
    """Checks one document as a catalog source.

    Raises:
        DocumentError: it has mistakes.
    """
    source = doc.read(Source)
    _check_error_types(doc)
    attributes = _attributes(doc)
    _check_shared(doc, attributes)
    events = _events(doc)
    for name, attribute in attributes.items():
        if attribute is not None:
            _check_attribute(doc, name, attribute)
    for name, event in events.items():
        if event is not None:
            _check_event(doc, name, event, set(events), _declared(doc))
    _check_columns(doc, attributes)
    check_sources(doc, attributes, events)
    _check_rules(doc, events)
    for kind in ("services", "environments"):
        _check_listed(doc, kind)
    doc.refuse()
    assert source is not None  # noqa: S101  # refuse() raised otherwise
    return doc, source


def _section(doc: Document, kind: str, pattern: Any) -> dict[str, Any]:
    """A section's entries, their names checked; none where it is no mapping."""
    section = doc.data.get(kind)
    entries = section if isinstance(section, dict) else {}
    for name in entries:
        document.check(doc, pattern, name, (kind, name))
    return entries


def _attributes(doc: Document) -> dict[str, Attribute | None]:
    """Those that are well formed, None for the others."""
    entries = _section(doc, "attributes", Name)
    return {name: document.peek(Attribute, value) for name, value in entries.items()}


def _events(doc: Document) -> dict[str, Event | None]:
    """Of each event what is well formed, None where that is too little to check the rest."""
    missing = {"surface": "unknown", "feature": "unknown"}
    entries = _section(doc, "events", EventName)
    return {
        name: document.sound(Event, value, ("actions",), **missing)
        for name, value in entries.items()
    }


def _declared(doc: Document) -> Collection[str] | None:
    """The names of the attributes that there are; None where they cannot be known."""
    section = doc.data.get("attributes", {})
    return section.keys() if isinstance(section, dict) else None


def _check_attribute(doc: Document, name: str, attribute: Attribute) -> None:
    path = ("attributes", name)
    kind = attribute.type
    if name in BUILTIN_ATTRIBUTES or column_name(name, attribute) in names.FIXED_COLUMNS:
        doc.wrong(path, "is a name that Footfall or Postgres uses itself; choose another")
    if kind is Type.ENUM and name in names.COUNTED_COLUMNS:
        doc.wrong(
            path, "is a name that no enum may have, for reports count by enums; choose another"
        )
    if name == names.DURATION and (kind is not Type.INT or attribute.hash):
        doc.wrong((*path, "type"), "duration_ms is a fixed field: it must be a plain int")
    if kind is Type.ENUM and not 1 <= len(attribute.values) <= ENUM_LIMIT:
        doc.wrong((*path, "values"), f"an enum needs 1 to {ENUM_LIMIT} values")
    if kind is not Type.ENUM and attribute.values:
        doc.wrong((*path, "values"), f"only an enum has values, this is of type {kind}")
    if len(set(attribute.values)) < len(attribute.values):
        doc.wrong((*path, "values"), "a value stands twice")
    for number, value in enumerate(attribute.values):
        if not value.isprintable():
            doc.wrong((*path, "values", number), "an enum value must be printable text")
    _check_limits(doc, path, attribute)
    if attribute.hash and kind not in (Type.STRING, Type.INT, Type.UUID):
        doc.wrong((*path, "hash"), f"only string, int and uuid can be hashed, this is {kind}")


def _check_limits(doc: Document, path: tuple[str, str], attribute: Attribute) -> None:
    for field in ("min", "max"):
        limit: int | float | None = getattr(attribute, field)
        if limit is None:
            continue
        if attribute.type not in (Type.INT, Type.FLOAT) or attribute.hash:
            doc.wrong((*path, field), "limits are for numbers that are not hashed")
        elif attribute.type is Type.FLOAT and not abs(limit) <= FLOAT_MAX:  # NaN compares false
            doc.wrong((*path, field), f"must be a number within ±{FLOAT_MAX:g}")
        elif attribute.type is Type.INT and isinstance(limit, float):
            doc.wrong((*path, field), "the limits of an int must be whole numbers")
        elif attribute.type is Type.INT and not INT_MIN <= limit <= INT_MAX:
            doc.wrong((*path, field), "the limits of an int must fit in 64 bits")
    if attribute.min is not None and attribute.max is not None and attribute.min > attribute.max:
        doc.wrong((*path, "min"), "min is larger than max")


def _check_event(
    doc: Document,
    name: str,
    event: Event,
    events: set[str],
    attributes: Collection[str] | None,
) -> None:
    path = ("events", name)
    if name.split(".")[0] == RESERVED_PREFIX:
        doc.wrong(path, f"event names that begin with `{RESERVED_PREFIX}` are Footfall's own")
    if not event.actions:
        doc.wrong((*path, "actions"), "an event needs at least one action")
    for field in ("actions", "attributes"):
        listed: tuple[str, ...] = getattr(event, field)
        for number, item in enumerate(listed):
            if item in listed[:number]:
                doc.wrong((*path, field, number), f'"{item}" stands twice')
    for number, item in enumerate(event.attributes):
        if attributes is not None and item not in attributes:
            hint = nearest(item, attributes)
            doc.wrong((*path, "attributes", number), f'"{item}" is not declared{hint}')
    for action in dict.fromkeys(event.actions):
        if f"{name}.{action}" in events:
            doc.wrong(path, f'with action "{action}" it has the name of the event {name}.{action}')


def _check_rules(doc: Document, events: Mapping[str, Event | None]) -> None:
    """Each rule says one thing, and no two events are matched by the same."""
    owners: dict[tuple[str, str], str] = {}
    for name, event in events.items():
        for number, rule in enumerate(event.match if event is not None else ()):
            path = ("events", name, "match", number)
            matched = kinds(rule)
            if len(matched) != 1:
                doc.wrong(path, f"a rule has exactly one of {listed(KINDS)}")
            if rule.route and not ROUTE_FORM.fullmatch(rule.route):
                doc.wrong((*path, "route"), "must be a method and a path, such as GET /seeds/{id}")
            if named := _named(rule.span, events):
                message = f"a span of this name is {named} already, whatever rules say"
                doc.wrong((*path, "span"), message)
            if event is not None:
                _check_action(doc, path, rule, name, event)
            for key in matched.items():
                if key in owners:
                    doc.wrong(path, f"stands for {owners[key]} already")
                owners.setdefault(key, name)


def _check_action(doc: Document, path: Keys, rule: Rule, name: str, event: Event) -> None:
    """What a use that goes well is called is an action, and for the collector it is known."""
    if rule.action is not None and rule.action not in event.actions:
        hint = nearest(rule.action, event.actions)
        doc.wrong((*path, "action"), f'"{rule.action}" is no action of {name}{hint}')
    known = names.SUCCESS in event.actions or len(event.actions) == 1
    if rule.span and rule.action is None and not known:
        actions = listed(event.actions, "or")
        doc.wrong(path, f"needs an action, what a use that goes well is called: {actions}")


def _named(span: str, events: Mapping[str, Event | None]) -> str | None:
    """The event whose name, alone or with an action, a span has, or None."""
    if span in events:
        return span
    name, _, action = span.rpartition(".")
    event = events.get(name)
    return name if event is not None and action in event.actions else None


def _check_columns(doc: Document, attributes: Mapping[str, Attribute | None]) -> None:
    """Two attributes may not share a column (`guild_id` hashed and `guild_hash`)."""
    owners: dict[str, str] = {}
    for name, attribute in attributes.items():
        column = column_name(name, attribute) if attribute is not None else name
        if column in owners:
            doc.wrong(("attributes", name), f"has the same column as {owners[column]}: {column}")
        owners.setdefault(column, name)


def _check_error_types(doc: Document) -> None:
    listed = doc.data.get("error_types")
    for number, name in enumerate(listed if isinstance(listed, list) else ()):
        if name in ERROR_TYPES and name != TIMEOUT:  # which was not built in at first
            doc.wrong(("error_types", number), f'"{name}" is built in; leave it out')
        elif name in listed[:number]:
            doc.wrong(("error_types", number), f'"{name}" stands twice')


def _check_listed(doc: Document, kind: str) -> None:
    """An entry of a list stands once, and says at least how a name begins or ends."""
    section = doc.data.get(kind)
    listed = section if isinstance(section, list) else []
    for number, entry in enumerate(listed):
        if entry in listed[:number]:
            doc.wrong((kind, number), f'"{entry}" stands twice')
        elif isinstance(entry, str) and entry.count("*") > 1:
            doc.wrong((kind, number), "may have one `*`")
        elif isinstance(entry, str) and not re.search(r"[A-Za-z]", entry):
            doc.wrong(
                (kind, number), "would let every name pass; say how the names begin: worker-*"
            )


def _check_shared(doc: Document, attributes: Mapping[str, Attribute | None]) -> None:
    """Pseudonyms are all that there is to share."""
    listed = doc.data.get("shared")
    for number, name in enumerate(listed if isinstance(listed, list) else ()):
        attribute = attributes.get(name) if isinstance(name, str) else None
        if name not in attributes:
            doc.wrong(
                ("shared", number), f'"{name}" is no attribute{nearest(str(name), attributes)}'
            )
        elif attribute is not None and attribute.hash is None:
            doc.wrong(("shared", number), f'"{name}" has no hash: there is no pseudonym to share')


def _check_against(doc: Document, source: Source, others: list[tuple[Document, Source]]) -> None:
    """One name means one thing across products; a conflict names both files."""
    for other_doc, other in others:
        for name, attribute in source.attributes.items():
            if other.attributes.get(name, attribute) != attribute:
                doc.wrong(("attributes", name), f"is declared differently in {other_doc.file}")
        columns = {column_name(n, a): n for n, a in other.attributes.items()}
        for name, attribute in source.attributes.items():
            owner = columns.get(column_name(name, attribute), name)
            if owner != name:
                doc.wrong(("attributes", name), f"has the column of {owner} in {other_doc.file}")
        for name, event in source.events.items():
            if name in other.events:
                doc.wrong(("events", name), f"is declared in {other_doc.file} as well")
            for action in event.actions:
                if (taken := f"{name}.{action}") in other.events:
                    message = (
                        f'with action "{action}" it has the name of {taken} in {other_doc.file}'
                    )
                    doc.wrong(("events", name), message)
        _check_rules_against(doc, source, other_doc, other)
        if source.product == other.product:
            doc.wrong(("product",), f"is the product of {other_doc.file} as well")


def _check_rules_against(doc: Document, source: Source, other_doc: Document, other: Source) -> None:
    owners = {
        key: name for name, e in other.events.items() for r in e.match for key in kinds(r).items()
    }
    for name, event in source.events.items():
        for number, rule in enumerate(event.match):
            for key in owners.keys() & kinds(rule).items():
                message = f"stands for {owners[key]} in {other_doc.file} already"
                doc.wrong(("events", name, "match", number), message)
            if named := _named(rule.span, other.events):
                message = f"a span of this name is {named} of {other_doc.file}, whatever rules say"
                doc.wrong(("events", name, "match", number, "span"), message)


def _merge(sources: list[Source]) -> Catalog:
    events: dict[str, Event] = {}
    attributes: dict[str, Attribute] = {}
    error_types: set[str] = set()
    services: set[str] = set()
    environments: set[str] = set()
    for source in sources:
        events |= source.events
        attributes |= source.attributes
        error_types |= set(source.error_types)
        services |= set(source.services)
        environments |= set(source.environments)
    return with_builtins(
        Catalog(
            products=tuple(s.product for s in sources),
            events=events,
            attributes=attributes,
            error_types=tuple(sorted(error_types)),
            services=tuple(sorted(services)),
            environments=tuple(sorted(environments)),
            owners={name: s.product for s in sources for name in s.events},
            shared={s.product: s.shared for s in sources if s.shared},
        )
    )


def needs_static_salt(catalog: Catalog) -> bool:
    """Whether any attribute is hashed with the operator's own salt."""
    return any(a.hash is Hash.STATIC for a in catalog.attributes.values())
