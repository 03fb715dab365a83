"""A webhook: POST of JSON, signed by the Standard Webhooks specification (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import msgspec

from footfall_exporters.contracts import Settings
from footfall_exporters.events import Counted, Events, encode, split
from footfall_exporters.http import HttpConfig, Sender, sender
from footfall_processors import Batch

MOST, SIZE = 1_000, 1_000_000
"""Events and bytes of a request."""
PREFIX = "whsec_"
SigningSecret = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:whsec_(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
        r"|(?!whsec_)[\x21-\x7e]{24,})$(?!\n)",
        description="whsec_ and the base64 of 24 bytes or more, or text of 24 characters or more",
    ),
]
"""Standard Webhooks, "Signature scheme": 24 bytes at least."""


class WebhookConfig(HttpConfig, frozen=True, kw_only=True):
    """`webhook`: every batch as signed JSON to a URL.

    Attributes:
        secret: Signs what is sent: `whsec_` and base64, or text of 24 characters or more.
        pseudonyms: Whether hashed attributes are sent.
        compression: Of the body; what is signed is the JSON.
    """

    secret: SigningSecret
    pseudonyms: bool = False
    compression: Literal["gzip", "none"] = "none"

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["Webhook"]:
        """See `SubscriberConfig`."""
        async with sender(self, pages=True) as to:
            yield Webhook(_key(self.secret), to, Events(settings.catalog, self.pseudonyms))


class _Posted(msgspec.Struct):
    events: list[Counted]
    counts: list[Counted]


class Webhook:
    """A `Subscriber`."""

    def __init__(self, key: bytes, to: Sender, events: Events) -> None:
        self._key = key
        self._sender = to
        self._events = events

    def requests(self, batch: Batch) -> Iterator[bytes]:
        """Bodies; most batches fit into one."""
        observations = [encode(e.as_dict()) for e in self._events.observations(batch)]
        counts = [encode(e.as_dict()) for e in self._events.counts(batch)]
        left = len(observations)
        for number, part in enumerate(split(observations + counts, MOST, SIZE)):
            yield encode(
                {
                    "batch": batch.digest.hex(),
                    "part": number,
                    "events": part[:left],
                    "counts": part[left:],
                }
            )
            left = max(left - len(part), 0)

    def occurrences(self, request: bytes) -> int:
        """See `Countable`."""
        found = msgspec.json.decode(request, type=_Posted)
        return sum(each.quantity for each in found.events + found.counts)

    async def send(self, request: bytes) -> None:
        """See `Subscriber`; the id, by which a retry is recognised, is a digest of the body."""
        name = hashlib.sha256(request).hexdigest()[:32]
        now = str(int(time.time()))
        signed = hmac.digest(self._key, f"{name}.{now}.".encode() + request, "sha256")
        headers = {
            "webhook-id": name,
            "webhook-timestamp": now,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
        await self._sender.post(request, "application/json", headers=headers)


def _key(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        return base64.b64decode(secret.removeprefix(PREFIX))
    return secret.encode()
