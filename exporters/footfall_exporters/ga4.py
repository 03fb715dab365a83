"""Google Analytics 4, by the Measurement Protocol: docs/subscribers.md says what it is sent.

https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
"""

import hashlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import httpx
import msgspec

from footfall_exporters.contracts import Rejected, Settings
from footfall_exporters.events import Counted, Event, Events, Field, encode, split
from footfall_exporters.http import HttpConfig, Secret, Sender, Url, sender
from footfall_processors import Batch
from footfall_processors.batch import HOUR_US

log = logging.getLogger("footfall.exporters")

MOST, SIZE = 25, 120_000
"""Events and bytes of a request (GA4 takes 130 kB)."""
NAME, VALUE = 40, 100
"""Characters of a name and of a text value."""
PARAMETERS, FIXED = 25, 13
"""Parameters of an event, and how many of them are Footfall's fixed ones at most."""
OLDEST_US = 72 * HOUR_US - 300_000_000
"""Older events would be given another time; five minutes are left for the way and for clocks."""
ANYONE = "1.1"
RESERVED_EVENTS = frozenset(
    {
        "ad_activeview", "ad_click", "ad_exposure", "ad_impression", "ad_query", "ad_reward",
        "adunit_exposure", "app_clear_data", "app_exception", "app_install", "app_remove",
        "app_store_refund", "app_update", "app_upgrade", "dynamic_link_app_open",
        "dynamic_link_app_update", "dynamic_link_first_open", "error", "first_open", "first_visit",
        "in_app_purchase", "notification_dismiss", "notification_foreground", "notification_open",
        "notification_receive", "notification_send", "os_update", "screen_view", "session_start",
        "user_engagement",
    }
)  # fmt: skip
RESERVED_PARAMETERS = frozenset(
    {"client_id", "engagement_time_msec", "session_id", "timestamp_micros", "user_id"}
)
"""Parameters that GA4 would read as who it was, and when."""
RESERVED_PREFIXES = ("firebase_", "ga_", "google_")


class Ga4Config(HttpConfig, frozen=True, kw_only=True):
    """`ga4`: events to a web stream of Google Analytics 4, all of the same client.

    Attributes:
        endpoint: The protocol's; in the EU `https://region1.google-analytics.com/mp/collect`.
        measurement_id: The web stream's id.
        api_secret: The stream's Measurement Protocol secret.
        pseudonyms: Whether hashed attributes are sent.
        compression: GA4 does not say that it takes compressed requests.
    """

    endpoint: Url = "https://www.google-analytics.com/mp/collect"
    measurement_id: Annotated[
        str, msgspec.Meta(pattern=r"^G-[A-Z0-9]+$(?!\n)", description="G- and letters or digits")
    ]
    api_secret: Secret
    pseudonyms: bool = False
    compression: Literal["gzip", "none"] = "none"

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["Ga4"]:
        """See `SubscriberConfig`."""
        async with sender(self, pages=True) as to:
            key = {"measurement_id": self.measurement_id, "api_secret": self.api_secret}
            url = httpx.URL(self.endpoint).copy_merge_params(key)
            events = Events(settings.catalog, self.pseudonyms)
            for name in settings.catalog.events:
                if left_out := events.attributes(name)[PARAMETERS - FIXED :]:
                    right = (
                        f"GA4 takes {PARAMETERS} parameters, so {', '.join(left_out)} is not sent"
                    )
                    log.warning("%s: %s", name, right)
            yield Ga4(str(url), to, events)


class _WithParams(msgspec.Struct):
    params: Counted


class _Posted(msgspec.Struct):
    timestamp_micros: int
    events: list[_WithParams]


class Ga4:
    """A `Subscriber`."""

    def __init__(self, url: str, to: Sender, events: Events) -> None:
        self._url = url
        self._sender = to
        self._events = events

    def requests(self, batch: Batch) -> Iterator[bytes]:
        """Bodies whose events belong to one hour, so that one of them is too old when nearly all are."""
        ordered = sorted(self._events.of(batch), key=lambda event: event.time_us)
        for _, alike in itertools.groupby(ordered, key=lambda event: event.time_us // HOUR_US):
            events = list(alike)
            first = 0
            for part in split((encode(self._event(event)) for event in events), MOST, SIZE):
                yield encode(
                    {
                        "client_id": ANYONE,
                        "consent": {"ad_personalization": "DENIED", "ad_user_data": "DENIED"},
                        "timestamp_micros": events[first].time_us,
                        "events": part,
                    }
                )
                first += len(part)

    def occurrences(self, request: bytes) -> int:
        """See `Countable`."""
        found = msgspec.json.decode(request, type=_Posted)
        return sum(event.params.quantity for event in found.events)

    async def send(self, request: bytes) -> None:
        """See `Subscriber`; what is older than 72 hours is refused here, for GA4 would misdate it."""
        oldest = msgspec.json.decode(request, type=_Posted).timestamp_micros
        if oldest < time.time_ns() // 1000 - OLDEST_US:
            raise Rejected("older than 72 hours, which GA4 does not take")
        await self._sender.post(request, "application/json", self._url)

    def _event(self, event: Event) -> dict[str, object]:
        sent = self._events.attributes(event.name)[: PARAMETERS - FIXED]
        named: dict[str, Field] = {"event": event.name, "event_id": event.id, **event.fields}
        for name in sent:
            if name in event.attributes:
                named[_name(name, RESERVED_PARAMETERS, "attribute_")] = event.attributes[name]
        params = {name: _value(value) for name, value in named.items()}
        return {
            "name": _name(event.name.replace(".", "_"), RESERVED_EVENTS, "event_"),
            "params": params | {"timestamp_micros": event.time_us},
        }


def _name(name: str, reserved: frozenset[str], prefix: str) -> str:
    """A name that GA4 takes: not reserved, and if it is too long, cut and told apart by a digest."""
    if name in reserved or name.startswith(RESERVED_PREFIXES):
        name = prefix + name
    if len(name) <= NAME:
        return name
    return f"{name[: NAME - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _value(value: Field) -> Field:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value[:VALUE] if isinstance(value, str) else value
