"""Subscribers at work: each follows the store's commits from its own cursor (docs/design.md, "Subscribers").

A task a subscriber. Of several collectors one follows: it holds a lock, which Postgres gives back when that
collector is gone. The cursor moves when a whole commit has been taken: whatever happens
before that, the commit is sent again, as the same bytes.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg import AsyncConnection

from footfall_collector.subscribers.delivery import Backoff, Delivery
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.background import beside
from footfall_exporters.contracts import Subscriber
from footfall_exporters.faults import log_fault
from footfall_exporters.postgres import locks, subscriptions
from footfall_exporters.postgres.connecting import FOLLOWING, HOLDING, connect
from footfall_exporters.postgres.stream import Stream
from footfall_processors import Catalog

log = logging.getLogger("footfall.subscribers")
POLL = 1.0
"""Seconds between two looks at the store when there was nothing new."""
LOCK_POLL = 5.0
"""Seconds after which a collector that does not follow looks whether the other one is gone."""
RECONNECT = 5.0


@asynccontextmanager
async def following(
    name: str,
    subscriber: Subscriber,
    dsn: str,
    catalog: Catalog,
    *,
    backoff: Backoff | None = None,
    poll: float = POLL,
    telemetry: Telemetry | None = None,
) -> AsyncIterator["Follower"]:
    """Feeds a subscriber for as long as the context lasts.

    A new one is fed what is stored from now on; for what was stored before there is `footfall export`.

    Args:
        name: Its id in the configuration: `kind` or `kind/name`. Its cursor is kept under it.
        subscriber: Opened.
        dsn: Of the store.
        catalog: In force; what it does not declare is not sent.
        backoff: Between attempts while its backend is not available.
        poll: Seconds between looks at the store.
        telemetry: Where it is counted.
    """
    delivery = Delivery(name, subscriber, backoff, telemetry)
    follower = Follower(name, delivery, dsn, catalog, poll=poll)
    with suppress(psycopg.Error):  # it is done again as soon as the store is there
        async with await connect(dsn, FOLLOWING) as connection:
            await follower.register(connection)
    async with beside(follower.run(), f"subscriber {name}"):
        yield follower


class Follower:
    """One subscriber's task.

    Attributes:
        delivery: What was sent and parked by this process.
        gone: Commits of which retention had deleted something before they could be sent.
    """

    def __init__(
        self,
        name: str,
        delivery: Delivery,
        dsn: str,
        catalog: Catalog,
        *,
        poll: float = POLL,
    ) -> None:
        self.delivery = delivery
        self.gone = 0
        self._name, self._dsn, self._catalog, self._poll = name, dsn, catalog, poll

    async def run(self) -> None:
        """Follows until cancelled, whatever becomes of Postgres or the backend."""
        while True:
            try:
                async with await connect(self._dsn, HOLDING) as lock:
                    await self._lock(lock)
                    async with locks.kept(lock), await connect(self._dsn, FOLLOWING) as connection:
                        await self._follow(connection)
            except psycopg.Error as error:
                log.warning("%s does not reach the store (%s)", self._name, type(error).__name__)
            except Exception as error:  # a fault of ours must not end it
                log_fault(log, f"{self._name} failed", error)
            await asyncio.sleep(min(RECONNECT, 5 * self._poll))

    async def register(self, connection: AsyncConnection) -> None:
        """Gives a new subscriber its cursor, at the end of what is stored, and its lock.

        Raises:
            psycopg.Error: Postgres refused.
        """
        await subscriptions.register(connection, self._name)

    async def _lock(self, connection: AsyncConnection) -> None:
        """Returns when no other collector feeds this subscriber."""
        await self.register(connection)
        while True:
            if await locks.taken(connection, locks.of_subscriber(self._name)):
                return
            await asyncio.sleep(min(LOCK_POLL, 5 * self._poll))

    async def _follow(self, connection: AsyncConnection) -> None:
        stream = await Stream.open(connection, self._catalog)
        position = await subscriptions.cursor(connection, self._name)
        gone = self.gone
        while True:
            commit = await stream.after(position)
            if commit is None:
                await subscriptions.refuse_read_only(connection)
                await asyncio.sleep(self._poll)
                continue
            await self.delivery.commit(connection, stream, commit)
            position = commit.position
            await subscriptions.advance(connection, self._name, position)
            self.gone = gone + stream.gone
