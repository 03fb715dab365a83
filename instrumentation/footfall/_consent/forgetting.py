"""Taking a forgotten installation id out of what still has it."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from footfall._recording.plan import check_of
from footfall_processors.catalog import Catalog
from footfall_processors.hashing import SaltError, static_salts

Forms = Mapping[str, frozenset[Any]]
"""What must not be sent any more: values by the name of the attribute that would carry them; under `` the
ids themselves, as a program with another catalog may have kept them."""


def forms(catalog: Catalog, ids: Iterable[str]) -> Forms:
    """The ids as each attribute of the catalog would carry them: as they are, cut, or hashed here.

    Whatever an attribute is called: a program may send the id under a name of its own.
    """
    salts = {b"", *_own_salt()}
    ids = set(ids)
    found = {"": ids} | {
        name: {check_of(name, attribute, salt)(each) for salt in salts for each in ids} - {None}
        for name, attribute in catalog.attributes.items()
    }
    return {name: frozenset(values) for name, values in found.items() if values}


def carries(attributes: Mapping[str, Any], forgotten: Forms) -> bool:
    """Whether any of the attributes is a form of a forgotten id."""
    return any(attributes.get(name) in values for name, values in forgotten.items())


def without(attributes: Mapping[str, Any], forgotten: Forms) -> dict[str, Any]:
    """The attributes that are none."""
    return {n: value for n, value in attributes.items() if value not in forgotten.get(n, ())}


def _own_salt() -> Iterable[bytes]:
    try:
        return static_salts(os.environ.get("TELEMETRY_HASH_SALT", "").strip()).values()
    except SaltError:  # with which nothing is sent
        return ()
