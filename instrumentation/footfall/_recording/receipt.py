"""The receipt under which events are sent: the SHA-256 of a token that somebody keeps (R-number G7).

The collector stores a pseudonym of the digest, as of one that comes by its HTTP API. It is a random token's
hash, and nobody's identifier: an SDK that hashes at the source (TELEMETRY_HASH_SALT) leaves it as it is, or
the collector could not find it again by the token.
"""

import hashlib
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

NAME: Final = "receipt_id"
"""The attribute that carries it."""


class Digest(str):
    """A token's SHA-256, in hexadecimal, and nothing else: it is made by `digest_of` alone."""

    __slots__ = ()


present: ContextVar[Digest | None] = ContextVar("footfall_receipt", default=None)
"""Of whoever is served in this context."""


def digest_of(token: str) -> Digest:
    """What is sent along for a token."""
    return Digest(hashlib.sha256(token.encode()).hexdigest())


def under(surroundings: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an event carries, with the receipt of this context, if it has one."""
    digest = present.get()
    return surroundings if digest is None else {**surroundings, NAME: digest}
