"""What is said about the service: three fields, by the rules that the collector has for them.

A host's settings are made for its own telemetry. What may not be sent as it is, is sent in another form where
it means the same, and else left out; never sent is what looks personal.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from footfall._values import bare, resource
from footfall_processors import names
from footfall_processors.catalog import Catalog
from footfall_processors.policy import Policy
from footfall_processors.redaction import redact

_GIVEN_BY: Final = {
    names.SERVICE_NAME: "service_name (OTEL_SERVICE_NAME)",
    names.SERVICE_VERSION: "service_version (service.version in OTEL_RESOURCE_ATTRIBUTES)",
    names.ENVIRONMENT: "environment (deployment.environment.name in OTEL_RESOURCE_ATTRIBUTES)",
}
_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
"""A commit's name in git (SHA-1, SHA-256)."""
_SHORT: Final = 12
"""Characters of it that tell a project's commits apart."""
_LONGEST: Final = 63


def service(
    catalog: Catalog, given: Sequence[object], environ: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The fields that can be sent, and what is said about those that cannot be as they are.

    Args:
        catalog: Whose first product is the name of a service that has none.
        given: Name, version and environment, None where `configure()` was not told.
        environ: The environment variables.
    """
    policy, found = Policy(catalog), _from_environment(environ)
    kept: dict[str, str] = {}
    notes: list[str] = []
    for key, argument in zip(_GIVEN_BY, given, strict=True):
        value = found.get(key) if argument in (None, "") else argument
        if value is None:
            continue
        form = _form(policy, key, value)
        if form is not None:
            kept[key] = form
        if form != value:
            what = "is left out" if form is None else f'is sent as "{form}"'
            notes.append(f"{_GIVEN_BY[key]} {what}: {_rule(key)}")
    kept.setdefault(names.SERVICE_NAME, catalog.products[0])
    return kept, notes


def _rule(key: str) -> str:
    if key == names.SERVICE_VERSION:
        return "it must be letters, digits and . _ + -, at most 32, and nothing personal"
    return "it must be letters, digits and . _ / -, at most 63, begin with a letter, and be nothing personal"


def _form(policy: Policy, key: str, value: object) -> str | None:
    """How a value can be sent."""
    if not isinstance(value, str):
        return None
    if _is_good(policy, key, value):
        return value
    text = unicodedata.normalize("NFKD", bare(value))
    if key == names.SERVICE_VERSION and _HASH.fullmatch(text):
        text = text[:_SHORT]
    elif redact(text) != text:
        return None
    text = re.sub(r"[^A-Za-z0-9._/+-]+", "-", re.sub(r"[\u0300-\u036f]", "", text)).strip("-")
    if key != names.SERVICE_VERSION:
        text = text.replace("+", "-")
        text = (text if text[:1].isalpha() else f"s-{text}")[:_LONGEST] if text else ""
    else:
        text = text.replace("/", "-")[:32]
    return text if _is_good(policy, key, text) else None


def _is_good(policy: Policy, key: str, value: str) -> bool:
    fields, _ = policy.service({key: value})
    return value in (fields.name, fields.version, fields.environment)


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The attributes that count are among them."""
    found = resource(environ)
    if name := environ.get("OTEL_SERVICE_NAME", "").strip():
        found[names.SERVICE_NAME] = name
    return found
