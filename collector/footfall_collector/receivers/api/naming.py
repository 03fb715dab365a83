"""What a client calls its request, so that a retry stores it once: `Idempotency-Key`.

Source: draft-ietf-httpapi-idempotency-key-header; the ledger keeps a name for as long as events are accepted.
"""

import hashlib
from typing import Final, NamedTuple

from footfall_collector.decoding.found import digest
from footfall_collector.receivers.api.errors import ApiError, Problem
from footfall_collector.security.identity.identity import Identity

HEADER: Final = "idempotency-key"
LONGEST: Final = 255
"""Characters of a key."""


class Named(NamedTuple):
    """A request that its client has named.

    Attributes:
        name: 16 bytes that are equal for equal names of one client.
        content: 16 bytes that are equal for equal bodies.
    """

    name: bytes
    content: bytes


def named(key: str | None, path: str, who: Identity, body: bytes) -> Named | None:
    """What a request is called; None where the client does not say it.

    Args:
        key: The header's value.
        path: Of the contract: the same key elsewhere is another.
        who: Whose name it is: others may use the same.
        body: What it says.

    Raises:
        ApiError: the header cannot be used.
    """
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
        text = f"`Idempotency-Key` must have 1 to {LONGEST} printable ASCII characters"
        raise ApiError(Problem.INVALID_REQUEST, text)
    sender = repr((who.key.id if who.key else b"", who.viewer, who.owner, who.session)).encode()
    content = hashlib.sha256(body).digest()[:16]
    return Named(digest(f"api {path}", sender, key.encode()), content)
