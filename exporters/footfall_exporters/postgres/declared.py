"""What a catalog declares, kept beside what came of it: an event that nobody uses is known as well."""

import json

import psycopg

from footfall_processors import Catalog, Event
from footfall_processors.catalog import BUILTIN
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


def title_of(event: Event) -> str:
    """What people call an event: its title, or else its feature as words."""
    return event.title or event.feature.replace("_", " ").replace("-", " ").capitalize()


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
