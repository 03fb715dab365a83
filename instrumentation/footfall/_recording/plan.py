"""One declared event compiled for speed: what its calls may carry, and what they become."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from footfall._recording import receipt
from footfall._recording.receipt import Digest
from footfall_processors import names
from footfall_processors.catalog import Attribute, Catalog, Event, Type
from footfall_processors.hashing import keyed_hash
from footfall_processors.policy import sampled_share
from footfall_processors.values import INT_MAX, clean, hashable, safe_text

Check = Callable[[Any], Any]
"""A value as it may be sent, or None when it is not what the catalog declares."""

Key = tuple[str, str | None, str | None, tuple[str | None, ...]]
"""What is counted apart: action, status, error type, and the event's enums in the catalog's order."""

SERIES = 1_900
"""Keys counted apart per event; beyond them a count stays exact but loses its enums. (OpenTelemetry
folds everything beyond 2,000 into one series that says nothing at all.)"""

LONGEST = 1_024
"""Characters of a text that are looked at: the most that a catalog can ask for. Redaction runs inside
the host's call, and its cost grows with the text."""


class Plan:
    """An event's decisions and its numbers (the latter are guarded by the lock of `Counters`).

    Attributes:
        name: The event's name, which is the span's and the counter's name too.
        fixed: The span attributes that every occurrence has.
        rate: The share of occurrences that are sent as spans.
        actions: The declared actions, each to itself.
        invokes: Whether the start of a block is counted. An event that knows no action but invoke
            is not counted at the start: its only observation is made at the end.
        success: The action of a block that ended well; None where the catalog has none.
        failure: The action of a block that failed; None where the catalog has none.
        enums: The attributes that counters carry.
        checks: Attribute name to its check.
        has_receipt: Whether it may carry a receipt.
        counts: Occurrences that travel as counts, by key.
        emitted: All occurrences; the tally.
    """

    __slots__ = (
        "actions", "checks", "counts", "emitted", "enums", "failure", "fixed", "has_receipt", "invokes",
        "name", "rate", "success",
    )  # fmt: skip

    def __init__(
        self, name: str, event: Event, catalog: Catalog, sample_rate: float, salt: bytes = b""
    ) -> None:
        self.name = name
        self.fixed = {names.SURFACE: event.surface, names.FEATURE: event.feature}
        self.rate = sampled_share(sample_rate * event.sample_rate)
        self.actions = {action: action for action in event.actions}
        self.invokes = names.INVOKE in event.actions and len(event.actions) > 1
        self.success = _outcome(event, names.SUCCESS)
        self.failure = _outcome(event, names.FAILURE)
        self.enums = catalog.enums(event)
        self.checks = {n: check_of(n, catalog.attributes[n], salt) for n in event.attributes}
        self.has_receipt = receipt.NAME in self.checks
        self.counts: dict[Key, int] = {}
        self.emitted = 0

    def key(
        self, action: str, status: str | None, error: str | None, kept: Mapping[str, Any]
    ) -> Key:
        """Under what an occurrence is counted.

        Args:
            action: Its action.
            status: Its status, or None where it is not known yet.
            error: Its error type, if it failed.
            kept: Its attributes, checked.
        """
        return action, status, error, tuple([kept.get(name) for name in self.enums])

    def count(self, key: Key, number: int) -> None:
        """Adds `number` occurrences; the caller holds the lock."""
        counts = self.counts
        if key not in counts and len(counts) >= SERIES:
            key = (*key[:3], (None,) * len(self.enums))
        counts[key] = counts.get(key, 0) + number

    def labels(self, key: Key) -> dict[str, str]:
        """A key as the attributes of a counter's point."""
        action, status, error, values = key
        fixed = ((names.ACTION, action), (names.STATUS, status), (names.ERROR_TYPE, error))
        pairs = (*fixed, *zip(self.enums, values, strict=True))
        return {name: value for name, value in pairs if value is not None}


def _outcome(event: Event, action: str) -> str | None:
    """An outcome's action, or the event's only one (the same rule as `Policy.judge`)."""
    if action in event.actions:
        return action
    return event.actions[0] if len(event.actions) == 1 else None


def check_of(name: str, attribute: Attribute, salt: bytes) -> Check:
    """What turns a value into what an attribute carries of it; None for what it may not carry."""
    if attribute.type is Type.ENUM:
        return {value: value for value in attribute.values}.get
    form: Check = _plain
    if attribute.type is Type.UUID:  # the same UUID in another spelling is the same
        plain = replace(attribute, hash=None)
        form = lambda value: _uuid(plain, _plain(value))  # noqa: E731
    if attribute.hash and salt:
        return lambda value: _digest(value) or _keyed(salt, name, form(value))
    if attribute.hash:
        return lambda value: _hashed(form(value))
    if attribute.type is Type.UUID:
        return form
    if attribute.type is Type.STRING:
        return lambda value: clean(attribute, _cut(_plain(value)))
    return lambda value: clean(attribute, _plain(value))


def _plain(value: Any) -> Any:
    """A value of a wire type without the overridden methods that a subclass of it may have."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return str(value) if type(value) is uuid.UUID else value


def _uuid(attribute: Attribute, value: Any) -> str | None:
    kept = clean(attribute, value)
    return str(uuid.UUID(bytes=kept)) if isinstance(kept, bytes) else None


def _cut(value: Any) -> Any:
    """A long text cut so that no pattern of redaction is split: before a word, and before digits."""
    if not isinstance(value, str) or len(value) <= LONGEST:
        return value
    return value[:LONGEST].rpartition(" ")[0].rstrip("0123456789 +()./-") or None


def _digest(value: Any) -> str | None:
    """A receipt's digest, which is sent as it is; None for anything else."""
    return str.__str__(value) if type(value) is Digest else None


def _keyed(salt: bytes, name: str, value: Any) -> str | None:
    """An identifier hashed here already, so that the collector never sees it; it hashes it again."""
    if not hashable(value):
        return None
    return str(uuid.UUID(bytes=keyed_hash(salt, name, value)))


def _hashed(value: Any) -> str | int | None:
    """An identifier that the collector will hash; OTLP has 64-bit integers and valid Unicode only."""
    if not hashable(value):
        return None
    if isinstance(value, str):
        text = value if value.isascii() else safe_text(value)
        return text if len(text) <= LONGEST else None
    return int(value) if value <= INT_MAX else str(value)
