"""The HTTP API's part of a configuration: where, who is asking, and where the catalog keeps it."""

import re
from typing import Annotated

import msgspec

from footfall_collector.config.identity import IdentityConfig, is_loopback
from footfall_processors import Attribute, Catalog, Hash, Type
from footfall_processors.document import Document, Keys

_PREFIX = re.compile(r"(/[A-Za-z0-9_-]+)+")
AttributeName = Annotated[str, msgspec.Meta(min_length=1, max_length=51)]


class AttributesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """In which attributes of the catalog it is kept who is asking; of events that declare them, and hashed.

    Attributes:
        viewer: Whose counts these are.
        owner: Whose events and ratings these are.
        session: In which they act; what a client says of it counts where the server knows nothing.
        installation: Of the program that they use.
        receipt: What a client keeps, to ask for its events and to have them erased.
        prompt: What is rated; hashed as well, unless the catalog declares it without.
    """

    viewer: AttributeName = "viewer_id"
    owner: AttributeName = "owner_id"
    session: AttributeName = "session_id"
    installation: AttributeName = "installation_id"
    receipt: AttributeName = "receipt_id"
    prompt: AttributeName = "prompt_id"


class RateLimitConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many requests are taken in a minute, by all collectors of a store; of 50 events each.

    Attributes:
        user: Of a viewer, an owner or a session.
        address: Of an address, by those whom nothing else names.
    """

    user: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 120
    address: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 1200


class PsrConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ratings of prompts.

    Attributes:
        enabled: Whether they are taken; if not, `/psr` is 404.
    """

    enabled: bool = False


class HttpApiConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The HTTP API, on the listener of OTLP/HTTP; off without this section.

    Attributes:
        enabled: Whether it takes anything; if not, each of its routes is 404 `telemetry_disabled`.
        prefixes: Where its routes are; several at once.
        service: The `service.name` of what is posted; none without.
        identity: Who is asking.
        attributes: Where that is kept.
        rate_limit: What is too much.
        psr: Ratings.
    """

    enabled: bool = True
    prefixes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("/telemetry",)
    service: str | None = None
    identity: IdentityConfig = IdentityConfig()
    attributes: AttributesConfig = AttributesConfig()
    rate_limit: RateLimitConfig = RateLimitConfig()
    psr: PsrConfig = PsrConfig()

    def __post_init__(self) -> None:
        if not all(map(_PREFIX.fullmatch, self.prefixes)):
            raise ValueError("`prefixes` are paths, such as /telemetry or /api/telemetry")


def check(
    document: Document, config: HttpApiConfig, catalog: Catalog | None, *, has_salt: bool
) -> None:
    """Notes what the catalog and the salt must be like for those who are asking to be kept as pseudonyms.

    Args:
        document: Gets the mistakes.
        config: The receiver's.
        catalog: None where it has mistakes of its own.
        has_salt: Whether there is a static salt.
    """
    path: Keys = ("receivers", "http_api")
    if not has_salt:
        why = "whose counts these are is kept as a keyed hash for as long as a summary reaches"
        document.wrong(path, f"needs a TELEMETRY_HASH_SALT: {why}")
    for field in AttributesConfig.__struct_fields__:
        name = getattr(config.attributes, field)
        attribute = catalog.attributes.get(name) if catalog else None
        wrong = attribute and _wrong(field, attribute, ratings=config.psr.enabled)
        if wrong:
            document.wrong((*path, "attributes", field), f"`{name}` {wrong}")


def _wrong(field: str, attribute: Attribute, *, ratings: bool) -> str:
    """What is wrong with how an attribute is hashed that is declared for one of these fields."""
    if field == "prompt":
        rotates = ratings and attribute.hash not in (None, Hash.STATIC)
        right = "give it `hash: static`, or none"
        return f"rotates, and the ratings of a prompt are added up: {right}" if rotates else ""
    if _is_pseudonym(field, attribute):
        return ""
    return "is in the catalog and would be kept as it is: give it `hash: static`"


def _is_pseudonym(field: str, attribute: Attribute) -> bool:
    """Whether what is kept names nobody: sessions may have random ids."""
    if field == "session":
        return attribute.hash is not None or attribute.type is Type.UUID
    return attribute.hash is Hash.STATIC


def check_development(document: Document, endpoint: str) -> None:
    """Notes a listener that others could reach: whoever is believed without proof must be on this machine.

    Args:
        document: Gets the mistake.
        endpoint: Of OTLP/HTTP.
    """
    if not is_loopback(endpoint.rpartition(":")[0]):
        path: Keys = ("receivers", "otlp", "protocols", "http", "endpoint")
        right = "is reached from other machines, and `--dev` believes anybody: use 127.0.0.1"
        document.wrong(path, right)
