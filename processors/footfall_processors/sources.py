"""What an attribute is called by those who send it: its name, or what `from` says (docs/catalog.md)."""

from collections.abc import Mapping
from itertools import accumulate

from footfall_processors.catalog import Attribute, Catalog, Event
from footfall_processors.document import Document
from footfall_processors.names import OWN_KEYS

BODY = "body"
"""What has this key is refused by the HTTP API, whatever it holds."""


def meanings(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """Key as sent → the attributes that it may stand for, of which no event has two."""
    found: dict[str, tuple[str, ...]] = {name: (name,) for name in catalog.attributes}
    for name, attribute in catalog.attributes.items():
        if attribute.source:
            found[attribute.source] = (*found.get(attribute.source, ()), name)
    return found


def opened(catalog: Catalog) -> frozenset[str]:
    """The names of objects in which attributes are nested: of `a.b.c` they are `a` and `a.b`."""
    return frozenset(
        outer
        for attribute in catalog.attributes.values()
        for outer in accumulate(attribute.source.split(".")[:-1], "{}.{}".format)
    )


def check_sources(
    doc: Document,
    attributes: Mapping[str, Attribute | None],
    events: Mapping[str, Event | None],
) -> None:
    """Notes what no attribute can come from, and what would be two things of one event."""
    sources = {name: a.source for name, a in attributes.items() if a is not None and a.source}
    for name, source in sources.items():
        path = ("attributes", name, "from")
        if source == name:
            doc.wrong(path, "is its name, under which it comes anyway; leave `from` out")
        elif source in attributes:
            doc.wrong(path, f'"{source}" is an attribute itself: list that one in `attributes`')
        elif source in OWN_KEYS:
            doc.wrong(path, f'"{source}" says something to Footfall itself; it is no attribute')
        elif BODY in source.split("."):
            doc.wrong(path, f"what has a key `{BODY}` is refused, whatever it holds")
    for event_name, event in events.items():
        _check_event(doc, event_name, event, sources)


def _check_event(doc: Document, name: str, event: Event | None, sources: Mapping[str, str]) -> None:
    owners: dict[str, str] = {}
    for number, attribute in enumerate(event.attributes if event is not None else ()):
        source = sources.get(attribute)
        if source is None:
            continue
        other = owners.setdefault(source, attribute)
        if other != attribute:
            message = (
                f'"{attribute}" and "{other}" both come from {source}; an event has one of them'
            )
            doc.wrong(("events", name, "attributes", number), message)
