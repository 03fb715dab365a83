"""Sends what was stored to a subscriber again."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from footfall_collector.subscribers.delivery import Backoff, Delivery
from footfall_exporters.contracts import Subscriber
from footfall_exporters.postgres import subscriptions
from footfall_exporters.postgres.connecting import FOLLOWING, connect
from footfall_exporters.postgres.stream import Stream
from footfall_processors import Catalog

PATIENCE = 120.0
"""Seconds for which a backend that is not available is waited for."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did.

    Attributes:
        commits: Of the store, in the period.
        sent: Requests that the exporter's backend took.
        parked: Requests that it refused for good.
        retries: Attempts that failed.
        incomplete: Commits of which retention had deleted something.
    """

    commits: int
    sent: int
    parked: int
    retries: int
    incomplete: int


async def replay(
    dsn: str,
    name: str,
    subscriber: Subscriber,
    catalog: Catalog,
    since: dt.datetime,
    until: dt.datetime,
    advanced: Callable[[int, int], None] = lambda done, total: None,
    patience: float | None = None,
) -> Exported:
    """Sends every commit of a period; the subscriber's cursor stays where it is.

    Args:
        dsn: Of the store.
        name: The subscriber's; what it refuses is parked under it, what it takes now is no longer.
        subscriber: Opened.
        catalog: In force; what it does not declare is not sent.
        since: Commits from then on.
        until: Commits before.
        advanced: Told how many commits of how many are done.
        patience: Seconds for which its backend is waited for; `PATIENCE` unless given.

    Raises:
        OutOfPatience: the backend is not available.
        psycopg.Error: Postgres refused.
    """
    delivery = Delivery(
        name, subscriber, Backoff(patience=PATIENCE if patience is None else patience)
    )
    async with await connect(dsn, FOLLOWING) as connection:
        stream = await Stream.open(connection, catalog)
        positions = await subscriptions.positions(connection, since, until)
        for done, position in enumerate(positions):
            advanced(done, len(positions))
            commit = await stream.after(position - 1)
            if commit is not None and commit.position == position:
                await delivery.commit(connection, stream, commit)
    return Exported(len(positions), delivery.sent, delivery.parked, delivery.retries, stream.gone)
