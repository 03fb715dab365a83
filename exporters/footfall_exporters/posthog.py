"""PostHog, by its batch API (https://posthog.com/docs/api/capture); docs/subscribers.md: what it is sent."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from footfall_exporters.contracts import Settings
from footfall_exporters.events import Event, Events, encode, occurrences, split
from footfall_exporters.http import HttpConfig, Secret, Sender, Url, sender
from footfall_processors import Batch

MOST, SIZE, LARGEST = 1_000, 4_000_000, 1_000_000
"""Events and bytes of a request (PostHog takes 20 MB), bytes of an event."""
NOBODY = {
    "$process_person_profile": False,
    "$geoip_disable": True,
    "$ip": None,  # said, since PostHog puts the collector's own where nothing is said
    "$lib": "footfall",
}
RESERVED = frozenset({"distinct_id", "token", "api_key"})
"""Properties that PostHog reads as who and whose it is."""


class PostHogConfig(HttpConfig, frozen=True, kw_only=True):
    """`posthog`: events to PostHog, without persons.

    Attributes:
        endpoint: The batch API; of the EU cloud `https://eu.i.posthog.com/batch/`.
        api_key: The project's key (`phc_...`).
        pseudonyms: Whether hashed attributes are sent.
    """

    endpoint: Url = "https://us.i.posthog.com/batch/"
    api_key: Secret
    pseudonyms: bool = False

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["PostHog"]:
        """See `SubscriberConfig`."""
        async with sender(self) as to:
            yield PostHog(self.api_key, to, Events(settings.catalog, self.pseudonyms))


class PostHog:
    """A `Subscriber`."""

    def __init__(self, api_key: str, to: Sender, events: Events) -> None:
        self._api_key = api_key
        self._sender = to
        self._events = events

    def requests(self, batch: Batch) -> Iterator[bytes]:
        """Bodies without the key, which PostHog wants in them: `send` adds it."""
        encoded = (encode(_event(event)) for event in self._events.of(batch))
        for part in split(encoded, MOST, SIZE, LARGEST):
            yield encode({"batch": part})

    def occurrences(self, request: bytes) -> int:
        """See `Countable`."""
        return occurrences(request)

    async def send(self, request: bytes) -> None:
        """See `Subscriber`."""
        body = b'{"api_key":' + encode(self._api_key) + b"," + request[1:]
        await self._sender.post(body, "application/json")


def _event(event: Event) -> dict[str, object]:
    attributes = {
        f"attribute_{name}" if name in RESERVED else name: value
        for name, value in event.attributes.items()
    }
    return {
        "uuid": event.id,
        "event": event.name,
        "distinct_id": event.id,
        "timestamp": event.time,
        "properties": event.fields | attributes | NOBODY,
    }
