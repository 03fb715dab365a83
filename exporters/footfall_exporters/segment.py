"""Segment, by its HTTP API (its docs, "HTTP API Source"): docs/subscribers.md says what it is sent."""

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec

from footfall_exporters.contracts import Settings
from footfall_exporters.events import Event, Events, encode, occurrences, split
from footfall_exporters.http import HttpConfig, Secret, Sender, Url, sender
from footfall_processors import Batch

MOST, SIZE, LARGEST = 2_500, 490_000, 32_000
"""Events and bytes of a request (Segment takes 2,500 and 500 kB), bytes of an event."""
ANYONE = "footfall"
CONTEXT = {"ip": "0.0.0.0", "library": {"name": "footfall"}}  # noqa: S104 - an address that stands for none


class SegmentConfig(HttpConfig, frozen=True, kw_only=True):
    """`segment`: track calls to Segment, all of the same anonymous id.

    Attributes:
        endpoint: The batch API; of an EU workspace `https://events.eu1.segmentapis.com/v1/batch`.
        write_key: The source's write key.
        pseudonyms: Whether hashed attributes are sent.
    """

    endpoint: Url = "https://api.segment.io/v1/batch"
    write_key: Secret
    pseudonyms: bool = False

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["Segment"]:
        """See `SubscriberConfig`."""
        basic = base64.b64encode(f"{self.write_key}:".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"} | self.headers
        async with sender(msgspec.structs.replace(self, headers=headers)) as to:
            yield Segment(to, Events(settings.catalog, self.pseudonyms))


class Segment:
    """A `Subscriber`."""

    def __init__(self, to: Sender, events: Events) -> None:
        self._sender = to
        self._events = events

    def requests(self, batch: Batch) -> Iterator[bytes]:
        """Bodies without `sentAt`, by which Segment would shift the events' times."""
        encoded = (encode(_event(event)) for event in self._events.of(batch))
        for part in split(encoded, MOST, SIZE, LARGEST):
            yield encode({"batch": part})

    def occurrences(self, request: bytes) -> int:
        """See `Countable`."""
        return occurrences(request)

    async def send(self, request: bytes) -> None:
        """See `Subscriber`."""
        await self._sender.post(request, "application/json")


def _event(event: Event) -> dict[str, object]:
    return {
        "type": "track",
        "messageId": event.id,
        "anonymousId": ANYONE,
        "event": event.name,
        "timestamp": event.time,
        "properties": event.fields | event.attributes,
        "context": CONTEXT,
    }
