"""Sending a commit to a subscriber: each request until it is taken, or refused for good."""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from psycopg import AsyncConnection

from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.contracts import (
    Countable,
    PartlyRejected,
    Rejected,
    Subscriber,
    Unavailable,
)
from footfall_exporters.postgres import subscriptions
from footfall_exporters.postgres.stream import Commit, Stream
from footfall_exporters.postgres.subscriptions import Place
from footfall_processors import Batch, OperatorError, redact, safe_text

log = logging.getLogger("footfall.subscribers")
LONGEST_HINT = 3600.0
"""Seconds; a backend that asks for more is tried again earlier."""
FAULTS = 5
"""Attempts after which an error that an exporter did not foresee counts as a refusal."""
LONGEST_REASON = 200


class OutOfPatience(OperatorError):
    """The backend was not available for as long as it was waited for."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long is waited between attempts, in seconds.

    Attributes:
        first: Before the second attempt; then twice as long each time.
        longest: At most; of each wait half is random, so that collectors do not come together.
        patience: In total for one request; without end if None.
    """

    first: float = 1.0
    longest: float = 60.0
    patience: float | None = None

    def wait(self, attempt: int, hint: float) -> float:
        """Seconds after a failed attempt (0, 1, ...); never less than the backend's own hint."""
        most = min(self.longest, self.first * 2.0 ** min(attempt, 32))
        return max(most * random.uniform(0.5, 1), min(hint, LONGEST_HINT))  # noqa: S311  # no secret


class _Refusal(NamedTuple):
    """Why a request was refused for good, and how many events with it, where that is known."""

    reason: str
    events: int | None = None


class Delivery:
    """One subscriber and what it was sent.

    Attributes:
        sent: Requests that it took.
        parked: Requests that it refused for good.
        retries: Attempts that failed.
    """

    def __init__(
        self,
        name: str,
        subscriber: Subscriber,
        backoff: Backoff | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.name, self._subscriber, self._backoff = name, subscriber, backoff or Backoff()
        self._telemetry = telemetry
        self.sent = self.parked = self.retries = 0

    async def commit(self, connection: AsyncConnection, stream: Stream, commit: Commit) -> None:
        """Returns when everything of a commit is taken, or parked.

        Raises:
            OutOfPatience: the backend is not available.
            psycopg.Error: Postgres is not. Sending the commit again does no harm.
        """
        before = await subscriptions.parked(connection, self.name, commit.position)
        async for number, batch in stream.batches(commit):
            refused, parked = 0, self.parked
            for part, request in enumerate(self._requests(batch)):
                place = Place(self.name, commit.position, number, part)
                refusal = await self._send(request, batch)
                if refusal is not None:
                    whole = batch.size + sum(batch.beyond_rows(one_each=True).values())
                    events = whole if refusal.events is None else refusal.events
                    # Those of several requests together are the batch's.
                    events = min(events, max(whole - refused, 0))
                    refused += events
                    await self._park(connection, place, events, refusal.reason)
                elif place in before:
                    await subscriptions.unpark(connection, place)
                # What is sent in one go must not keep the receivers waiting.
                await asyncio.sleep(0)
            if self._telemetry is not None and self.parked == parked:
                self._telemetry.sent(self.name, [batch])

    def _requests(self, batch: Batch) -> Iterator[bytes | _Refusal]:
        """The batch's requests; an error that the exporter makes of it ends them, and is named."""
        try:
            yield from self._subscriber.requests(batch)
        except Exception as error:  # a batch that cannot be put into words must not stop the others
            yield _Refusal(type(error).__name__)

    def _refused(self, request: bytes, reason: str, number: int | None = None) -> _Refusal:
        if number is None and isinstance(self._subscriber, Countable):
            with suppress(Exception):  # of a third party's exporter
                number = self._subscriber.occurrences(request)
        return _Refusal(reason, number)

    async def _send(self, request: bytes | _Refusal, batch: Batch) -> _Refusal | None:
        """Why a request was refused for good; None when it was taken."""
        if isinstance(request, _Refusal):
            return request
        waited, faults = 0.0, 0
        for attempt in count():
            hint = 0.0
            try:
                await self._subscriber.send(request)
            except Rejected as error:
                number = error.number if isinstance(error, PartlyRejected) else None
                return self._refused(request, _reason(error), number)
            except Unavailable as error:
                reason, hint = _reason(error), error.retry_after
            except Exception as error:  # of a third party's exporter
                reason, faults = type(error).__name__, faults + 1
                if faults == FAULTS:
                    return self._refused(request, reason)
            else:
                self._taken(attempt)
                return None
            wait = self._failed(attempt, hint, reason)
            if self._telemetry is not None:
                self._telemetry.send_failed(self.name, [batch])
            waited += wait
            if self._backoff.patience is not None and waited > self._backoff.patience:
                raise OutOfPatience(f"{self.name} is not available ({reason})")
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    def _taken(self, attempt: int) -> None:
        self.sent += 1
        if attempt:
            log.info("%s is available again", self.name)

    def _failed(self, attempt: int, hint: float, reason: str) -> float:
        """Seconds to wait now."""
        self.retries += 1
        if not attempt:
            log.warning("%s is not available (%s); it is sent again", self.name, reason)
        return self._backoff.wait(attempt, hint)

    async def _park(
        self, connection: AsyncConnection, place: Place, events: int, reason: str
    ) -> None:
        self.parked += 1
        log.warning("%s refused a request (%s); it is parked", self.name, reason)
        await subscriptions.park(connection, place, events, reason)


def _reason(error: Rejected | Unavailable) -> str:
    """What an error says; a third party's might say too much."""
    return redact(safe_text(str(error)))[:LONGEST_REASON]
