"""What an exporter is: read this first (DESIGN, "Contracts").

The collector decodes a request into a `Batch` and hands it to a `Consumer`. When `consume` returns, the
batch is durable and the sender is told so; when it raises, the sender is told to retry or to give up.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from footfall_processors import Batch, Catalog


class Rejected(Exception):  # what happened, not a fault of ours
    """The batch can never be stored; sending it again is pointless (gRPC INVALID_ARGUMENT, HTTP 400)."""


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

    async def consume(self, batch: Batch) -> None:
        """Returns when the batch is durable.

        Raises:
            Rejected: permanently refused.
            Unavailable: try again later.
        """


@dataclass(frozen=True, slots=True)
class Settings:
    """What every exporter is opened with.

    Attributes:
        catalog: The catalog in force.
    """

    catalog: Catalog


class ExporterConfig(Protocol):
    """An exporter's configuration, which is its factory."""

    def open(self, settings: Settings) -> AbstractAsyncContextManager[Consumer]:
        """Connects, prepares and yields the consumer; closes it at the end."""
