"""The catalog in force, as what decodes requests under it; replaced as a whole when it is reloaded."""

import datetime as dt
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from footfall_collector.decoding import metrics
from footfall_collector.decoding.budget import Budget
from footfall_collector.decoding.posts import Post
from footfall_collector.decoding.spans import Pipeline
from footfall_collector.decoding.wire import Groups, Take
from footfall_collector.security.keys import Key
from footfall_collector.signals import LOGS, METRICS, TRACES, Signal
from footfall_exporters.contracts import Unavailable
from footfall_processors import Batch, Catalog, Hash, Policy, keyed_hash, window
from footfall_processors.hashing import STATIC_PERIOD, Salts
from footfall_processors.sources import opened


@dataclass(frozen=True, slots=True)
class Decoder:
    """What decodes one signal.

    Attributes:
        signal: Which.
        decode: A request, its sender's key, what the request says when it is not protobuf, and what counts
            the memory that it takes → a batch.
    """

    signal: Signal
    decode: Callable[[bytes, Key | None, Groups | None, Take], Awaitable[Batch]]


class Decoding:
    """Decodes requests; those of a trusted relay keep the pseudonyms that they carry.

    Args:
        catalog: In force.
        salts: For hashed attributes, by period.
        origin: The marker of this store or gateway: what carries it is refused.
        identities: The key under which streams and spans are named; None while it is not known.
        spans: Whether spans are told apart one by one.
        past: How old an event may be.

    Attributes:
        past: As given.
        opened: The objects in what the HTTP API takes that have declared attributes nested in them.
    """

    opened: frozenset[str]

    def __init__(
        self,
        catalog: Catalog,
        salts: Salts,
        origin: str = "",
        identities: bytes | None = None,
        *,
        spans: bool = False,
        past: dt.timedelta = window.PAST,
    ) -> None:
        self.identities, self._spans, self.past = identities, spans, past
        self.use(catalog, salts, origin)

    def use(self, catalog: Catalog, salts: Salts, origin: str) -> None:
        """Takes another catalog; requests that are being decoded are finished under theirs."""
        self._catalog, self._salts, self._origin = catalog, salts, origin
        self._attributes = {
            spelling: event.attributes
            for name, event in catalog.events.items()
            for spelling in (name, *(f"{name}.{action}" for action in event.actions))
        }
        self.opened = opened(catalog)
        budget = Budget()
        self._pipelines = {
            relay: Pipeline(
                Policy(catalog, relay=relay, origin=origin, past=self.past), salts, budget=budget
            )
            for relay in (False, True)
        }
        self._posts = Pipeline(
            Policy(catalog, origin=origin, quantities=True, past=self.past), salts, budget=budget
        )

    def use_origin(self, origin: str) -> None:
        """Takes the marker, which a store has only once it was prepared."""
        if origin != self._origin:
            self.use(self._catalog, self._salts, origin)

    def use_salts(self, salts: Salts) -> None:
        """Takes other salts."""
        self._salts = salts
        for pipeline in (*self._pipelines.values(), self._posts):
            pipeline.contexts.use_salts(salts)

    def decoders(self, names: Collection[str]) -> list[Decoder]:
        """Those of the signals of these names, each under whatever catalog is in force then."""
        known = (
            Decoder(TRACES, self.traces),
            Decoder(METRICS, self.metrics),
            Decoder(LOGS, self.logs),
        )
        return [decoder for decoder in known if decoder.signal.name in names]

    async def traces(
        self, body: bytes, key: Key | None, groups: Groups | None, take: Take
    ) -> Batch:
        """See `Pipeline.traces`."""
        identities = self.identities if self._spans else None
        if self._spans and identities is None:
            raise Unavailable("the collector has not reached its store yet", 5.0)
        return await self._pipeline(key).traces(
            body, _sender(key), groups, identities, _services(key), take
        )

    async def metrics(
        self, body: bytes, key: Key | None, groups: Groups | None, _take: Take
    ) -> Batch:
        """See `metrics.decode`; it reads so little at a time that this is not counted."""
        policy, now_us = self._pipeline(key).policy, time.time_ns() // 1000
        return await metrics.decode(
            policy, body, now_us, _sender(key), groups, self.identities, _services(key)
        )

    async def logs(self, body: bytes, key: Key | None, groups: Groups | None, take: Take) -> Batch:
        """See `Pipeline.logs`."""
        return await self._pipeline(key).logs(body, _sender(key), groups, _services(key), take)

    def attributes(self, event: str) -> Sequence[str]:
        """What an event may carry that is named so, with its action or without."""
        return self._attributes.get(event, ())

    def keys(self, attributes: Iterable[str]) -> set[str]:
        """All that senders may call these attributes, which need not be declared."""
        declared = self._catalog.attributes
        sources = {declared[name].source for name in attributes if name in declared}
        return {*attributes, *filter(None, sources)}

    @property
    def catalog(self) -> Catalog:
        """The one in force."""
        return self._catalog

    def stored_as(self, event: str, attribute: str, value: str) -> bytes | None:
        """What is stored of an event's attribute that is kept as 16 bytes, the same at any time.

        Args:
            event: Declared.
            attribute: With `hash: static`, or a UUID without one.
            value: As a sender has it.

        Returns:
            None where the event does not declare it, or nothing is kept of the value.
        """
        catalog = self._catalog
        declared = catalog.events.get(event)
        if declared is None or attribute not in declared.attributes:
            return None
        if catalog.attributes[attribute].hash:
            salt = self._salts.get((Hash.STATIC, STATIC_PERIOD))
            product = catalog.bound(catalog.owners.get(event, ""), attribute)
            static = catalog.attributes[attribute].hash is Hash.STATIC
            return keyed_hash(salt, attribute, value, product) if salt and static else None
        try:
            return uuid.UUID(value).bytes
        except ValueError:
            return None

    def pseudonym(self, name: str, value: str) -> bytes:
        """What is kept of a value that no event carries, bound to the first product: 16 bytes.

        Args:
            name: Of an attribute, declared or not.
            value: For memory alone.

        Raises:
            KeyError: there is no static salt.
        """
        product = self._catalog.bound(self._catalog.products[0], name)
        return keyed_hash(self._salts[Hash.STATIC, STATIC_PERIOD], name, value, product)

    async def posted(self, resource: bytes, posts: Sequence[Post], key: Key | None) -> Batch:
        """What the HTTP API was sent, as a batch; it alone may have a quantity.

        Args:
            resource: Encoded; empty for none.
            posts: The events.
            key: The sender's.

        Returns:
            A batch whose digest names nothing yet.
        """
        return await self._posts.posts(resource, posts, _sender(key), _services(key))

    def _pipeline(self, key: Key | None) -> Pipeline:
        return self._pipelines[key is not None and key.relay]


def _sender(key: Key | None) -> bytes:
    """What distinguishes senders in the ledger."""
    return key.id if key else b""


def _services(key: Key | None) -> frozenset[str]:
    """The services that a sender may send for; all without any."""
    return key.services if key else frozenset()
