"""What an exporter is: read this first (docs/design.md, "Subscribers").

The collector decodes a request into a `Batch` and hands it to a `Consumer`. When `consume` returns, the
batch is durable and the sender is told so; when it raises, the sender is told to retry or to give up.

A `Subscriber` is any other backend. It follows what was stored, at its own pace, and slows nobody: what
it is sent for a batch are always the same bytes, so that a retry can be recognised there.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from footfall_processors import Batch, Catalog, Loss, column_name

Losses = Mapping[Loss, int]
"""How many, by reason."""


class Rejected(Exception):  # what happened, not a fault of ours
    """The batch can never be stored; sending it again is pointless (gRPC INVALID_ARGUMENT, HTTP 400)."""


class PartlyRejected(Rejected):  # what happened, not a fault of ours
    """The backend took the request but for some of its events, which it never will.

    Args:
        reason: As of the others.
        number: How many, where that is known.
    """

    def __init__(self, reason: str, number: int | None = None) -> None:
        super().__init__(reason)
        self.number = number


class Conflict(Rejected):
    """Under its name something else was stored before (HTTP 422)."""


class Unavailable(Exception):  # what happened, not a fault of ours
    """The batch cannot be stored now, and is not; the sender should send it again.

    Args:
        reason: For the sender: no statement, no value, no address.
        retry_after: Seconds to wait.
    """

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Consumer(Protocol):
    """Takes batches."""

    async def consume(self, batch: Batch) -> Losses | None:
        """Returns when the batch is durable.

        Returns:
            What of it was dropped when it was stored before, which is then what its sender is told; None
            when it is stored now.

        Raises:
            Rejected: permanently refused.
            Unavailable: try again later.
        """


@dataclass(frozen=True, slots=True)
class Settings:
    """What every exporter is opened with.

    Attributes:
        catalog: The catalog in force.
        found_by: Hashed attributes by whose values a store finds observations quickly.
    """

    catalog: Catalog
    found_by: tuple[str, ...] = ()

    @property
    def found_by_columns(self) -> list[str]:
        """The columns of those that the catalog has, hashed."""
        known = ((name, self.catalog.attributes.get(name)) for name in self.found_by)
        return [column_name(name, a) for name, a in known if a is not None and a.hash]


class Subscriber(Protocol):
    """A backend that follows what was stored."""

    def requests(self, batch: Batch) -> Iterable[bytes]:
        """What is sent for a batch, in order: the same bytes for the same batch, always.

        Nothing that changes between two calls may enter: no clock, no random number. A time that grows from
        batch to batch is `Batch.window`, who passes it on is `Batch.origin`; both are the store's. Events are
        named by `Batch.event_id`, and counted once: `Batch.beyond_rows` leaves rows out of the counts.
        """

    async def send(self, request: bytes) -> None:
        """Returns when the backend has taken one of `requests`.

        Raises:
            Rejected: it never will; sending it again is pointless.
            Unavailable: try again later.
        """


@runtime_checkable
class Countable(Protocol):
    """A subscriber that can say how much is in one of its requests; of another's a batch's is counted."""

    def occurrences(self, request: bytes) -> int:
        """How many occurrences one of `requests` tells of; asked when it is refused."""


class SubscriberConfig(Protocol):
    """A subscriber's configuration, which is its factory; found by the entry points `footfall.exporters`."""

    def open(self, settings: Settings) -> AbstractAsyncContextManager[Subscriber]:
        """Prepares and yields the subscriber, whether or not its backend is there; closes it at the end."""
