"""What a catalog declares, kept beside what came of it: an event that nobody uses is known as well."""

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

import psycopg

from footfall_processors import Catalog, Event
from footfall_processors.catalog import BUILTIN, Attribute, Type
from footfall_processors.changes import fingerprint

_DECLARE = """
    INSERT INTO footfall.catalog_events AS c
        (product, event, title, description, owner, surface, feature, actions, expires, version)
    SELECT product, event, title, description, owner, surface, feature, actions, expires, %(version)s
    FROM jsonb_to_recordset(%(events)s::jsonb) AS e (product text, event text, title text, description text,
        owner text, surface text, feature text, actions text[], expires date)
    ON CONFLICT (product, event) DO UPDATE SET title = excluded.title, description = excluded.description,
        owner = excluded.owner, surface = excluded.surface, feature = excluded.feature,
        actions = excluded.actions, expires = excluded.expires, version = excluded.version,
        declared = true, last_declared = excluded.last_declared
"""
_WITHDRAW = """
    UPDATE footfall.catalog_events AS c SET declared = false
    WHERE declared AND product = ANY(%(products)s) AND NOT EXISTS (
        SELECT FROM jsonb_to_recordset(%(events)s::jsonb) AS e (product text, event text)
        WHERE (e.product, e.event) = (c.product, c.event))
"""
_FORGET = "DELETE FROM footfall.catalog_attributes WHERE product = ANY(%(products)s)"
_CARRY = """
    INSERT INTO footfall.catalog_attributes
        (product, event, attribute, holds, lasts, names, description)
    SELECT * FROM jsonb_to_recordset(%(carried)s::jsonb) AS a (product text, event text, attribute text,
        holds text, lasts text, names text, description text)
"""
_NUMBERS = (Type.INT, Type.FLOAT)


class Held(NamedTuple):
    """What an attribute holds.

    Attributes:
        holds: enum, number, boolean, hash, identifier or text.
        lasts: For how long equal hashes stay equal.
        names: Whether it could name somebody: `no`; `pseudonym`, which stands for somebody; or `maybe`, as
            text does in which a name is not recognised, and a number of any size, which may be an account's.
    """

    holds: str
    lasts: str | None
    names: str


def declare(connection: psycopg.Connection, catalog: Catalog) -> None:
    """Records a catalog's events; those of its products that it has no more are kept as withdrawn.

    Args:
        connection: In a transaction that holds the schema's lock, as the owner.
        catalog: With its built-in events, which are not recorded.

    Raises:
        psycopg.Error: Postgres refused.
    """
    events = [
        _row(catalog.owners.get(name, ""), name, event)
        for name, event in sorted(catalog.events.items())
        if event.surface != BUILTIN
    ]
    said = {
        "events": json.dumps(events),
        "version": fingerprint(catalog),
        "products": list(catalog.products),
    }
    connection.execute(_DECLARE, said)
    connection.execute(_WITHDRAW, said)
    connection.execute(_FORGET, said)
    connection.execute(_CARRY, said | {"carried": json.dumps(list(_carried(catalog)))})


def title_of(event: Event) -> str:
    """What people call an event: its title, or else its feature as words."""
    return event.title or event.feature.replace("_", " ").replace("-", " ").capitalize()


def held(attribute: Attribute) -> Held:
    """What an attribute holds, and whether that could name somebody."""
    if attribute.hash is not None:
        return Held("hash", attribute.hash, "pseudonym")
    if attribute.type in _NUMBERS:
        return Held("number", None, "maybe" if None in (attribute.min, attribute.max) else "no")
    return _OTHERS[attribute.type]


_OTHERS: Final = {
    Type.ENUM: Held("enum", None, "no"),
    Type.BOOL: Held("boolean", None, "no"),
    Type.UUID: Held("identifier", None, "pseudonym"),
    Type.STRING: Held("text", None, "maybe"),
}


def _carried(catalog: Catalog) -> Iterator[dict[str, object]]:
    """Each attribute of each event that is recorded."""
    for name, event in catalog.events.items():
        for each in event.attributes if event.surface != BUILTIN else ():
            attribute = catalog.attributes[each]
            yield {
                "product": catalog.owners.get(name, ""),
                "event": name,
                "attribute": each,
                "description": attribute.description,
                **held(attribute)._asdict(),
            }


def _row(product: str, name: str, event: Event) -> dict[str, object]:
    return {
        "product": product,
        "event": name,
        "title": title_of(event),
        "description": event.description,
        "owner": event.owner,
        "surface": event.surface,
        "feature": event.feature,
        "actions": event.actions,
        "expires": event.expires.isoformat() if event.expires else None,
    }
