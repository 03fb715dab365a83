"""A collector without a store: what comes in is cleaned and passed on (docs/design.md, "The gateway").

A request is acknowledged when every subscriber has taken what was made of it. A sender that is told to come
again sends the same bytes, and so does the gateway: a next hop that took them knows them by then.

Rotating salts are made, shared and destroyed by the store. Without one, two gateways, or one before and after
a restart, would each have its own, and one guild would be many: a gateway whose catalog needs them does
not start.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from footfall_collector.errors import StartError
from footfall_collector.subscribers.group import opened
from footfall_exporters import secret_file
from footfall_exporters.contracts import (
    PartlyRejected,
    Rejected,
    Subscriber,
    SubscriberConfig,
    Unavailable,
)
from footfall_exporters.postgres.digests import keyed
from footfall_processors import Batch, Catalog, Hash

KEY_FILE = "gateway.key"


def marker(configs: Mapping[str, SubscriberConfig]) -> str:
    """What a gateway marks all that it passes on with, as a store does: 16 hexadecimal digits.

    It stands for the names and addresses of the next hops: the same for all workers and replicas and after a
    restart, so that what a sender sends again is passed on as the same bytes, whoever does it.
    """
    hops = sorted((name, str(getattr(each, "endpoint", ""))) for name, each in configs.items())
    return hashlib.sha256(f"footfall gateway {hops}".encode()).hexdigest()[:16]


class GatewayKeys(NamedTuple):
    """What a gateway has in place of a database's keys (ADR 21).

    Attributes:
        requests: Under which the ids of what it passes on derive from requests.
        identities: Under which senders and their counters are named.
    """

    requests: bytes
    identities: bytes


def gateway_keys(salt: bytes | None, directory: Path) -> GatewayKeys:
    """The same for all workers and after a restart; with a salt, which they share, for replicas too.

    Args:
        salt: TELEMETRY_HASH_SALT.
        directory: Where a random secret is kept when there is none.

    Raises:
        StartError: there is neither.
    """
    path = directory / KEY_FILE
    try:
        if salt is None:
            directory.mkdir(parents=True, exist_ok=True)
        secret = salt or secret_file.read(path)
    except OSError as error:
        raise StartError(
            f"a gateway needs a secret of its own, and {path} cannot be kept ({error.strerror}):"
            " set TELEMETRY_HASH_SALT, the same for all replicas, or FOOTFALL_HOME to a directory that lasts"
        ) from None
    # As it was before there were two: other identities would be new counters of all.
    identities = secret if salt else _derived(secret, b"identities")
    return GatewayKeys(_derived(secret, b"requests"), identities)


def _derived(secret: bytes, name: bytes) -> bytes:
    return hmac.digest(secret, b"footfall gateway " + name, "sha256")


class Gateway:
    """A `Consumer` that passes batches on.

    Args:
        subscribers: The next hops by their ids, opened; at least one.
        origin: Its marker.
        key: Under which the ids of what it passes on derive from requests (digests.py).
    """

    def __init__(
        self, subscribers: Mapping[str, Subscriber], origin: str = "", key: bytes = b""
    ) -> None:
        self.subscribers, self._origin, self._key = subscribers, origin, key

    async def consume(self, batch: Batch) -> None:
        """Returns when every subscriber has taken the batch.

        Raises:
            Rejected: one of them never will, and the others have taken it.
            Unavailable: one of them cannot now; those that took it will be sent it again.
        """
        marked = replace(batch, origin=self._origin, digest=keyed(self._key, batch.digest))
        worst = _worst(
            await asyncio.gather(
                *(_send(name, each, marked) for name, each in self.subscribers.items()),
                return_exceptions=True,
            )
        )
        if worst is not None:
            try:
                raise worst
            finally:
                del worst  # its traceback holds this frame, and the batch


def _worst(answers: Iterable[BaseException | None]) -> BaseException | None:
    """The error that decides what the sender is told; None when all have taken it."""
    errors = [answer for answer in answers if answer is not None]
    # What nobody foresaw goes on to the intake, which logs it and has the sender retry.
    for error in errors:
        if not isinstance(error, Rejected | Unavailable):
            return error
    away = [error for error in errors if isinstance(error, Unavailable)]
    return max(away, key=lambda error: error.retry_after) if away else next(iter(errors), None)


async def _send(name: str, subscriber: Subscriber, batch: Batch) -> None:
    """Sends all of a batch's requests; one that is refused does not keep the others back.

    Raises:
        Rejected: as the first refused one was.
        Unavailable: the rest was not sent.
    """
    refused: str | None = None
    for request in subscriber.requests(batch):
        try:
            await subscriber.send(request)
        except PartlyRejected:
            pass  # the next hop has it; what it left out, it has counted
        except Rejected as error:
            refused = refused or f"{name}: {error}"
        except Unavailable as error:
            raise Unavailable(f"{name}: {error}", error.retry_after) from None
    if refused is not None:
        raise Rejected(refused)


class Hops:
    """A gateway and its next hops, which are opened anew under each catalog.

    Attributes:
        origin: Its marker.
        keys: The gateway's.
        gateway: Passes on to the hops that are open now.
    """

    def __init__(self, configs: Mapping[str, SubscriberConfig], keys: GatewayKeys) -> None:
        self._configs, self._stack, self.origin = configs, AsyncExitStack(), marker(configs)
        self.keys, self.gateway = keys, Gateway({}, self.origin, keys.requests)

    async def use(self, catalog: Catalog) -> None:
        """Opens all hops under a catalog, then closes the former; what was in flight there is sent again.

        Raises:
            StartError: a hop cannot be opened, or the catalog needs a store; the former go on.
        """
        if mistakes := unsalted(catalog):
            raise StartError("; ".join(mistakes))
        async with AsyncExitStack() as stack:
            hops = {
                name: await opened(stack, name, config, catalog)
                for name, config in self._configs.items()
            }
            former, self._stack = self._stack, stack.pop_all()
        self.gateway.subscribers = hops
        await former.aclose()

    async def aclose(self) -> None:
        """Closes all of them."""
        await self._stack.aclose()


def unsalted(catalog: Catalog) -> list[str]:
    """Why a gateway cannot work under a catalog: a line for each attribute with a rotating salt."""
    return [
        f"attribute {name}: `hash: {attribute.hash}` needs the store, which makes and destroys its salts;"
        " use `hash: static`, or put postgres into the pipelines"
        for name, attribute in sorted(catalog.attributes.items())
        if attribute.hash not in (None, Hash.STATIC)
    ]
