"""All subscribers of a collector, opened and followed together, under one catalog at a time."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from footfall_collector.errors import StartError
from footfall_collector.subscribers.follower import Follower, following
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.contracts import Settings, Subscriber, SubscriberConfig
from footfall_exporters.postgres.connecting import FOLLOWING, connect
from footfall_processors import Catalog


class Subscribers:
    """The subscribers of a store.

    Attributes:
        followers: By their ids; what each of them has sent and parked in this process.
    """

    def __init__(
        self,
        configs: Mapping[str, SubscriberConfig],
        dsn: str,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._configs, self._dsn, self._telemetry = configs, dsn, telemetry
        self._stack = AsyncExitStack()
        self.followers: dict[str, Follower] = {}

    async def use(self, catalog: Catalog) -> None:
        """Follows under another catalog; what was in flight is sent again.

        To be called before anything is stored under it: what a follower's catalog does not declare is not
        sent, and the follower does not come back for it.

        Raises:
            StartError: a subscriber cannot be opened; the former go on.
        """
        async with AsyncExitStack() as stack:
            found = {
                name: await opened(stack, name, config, catalog)
                for name, config in self._configs.items()
            }
            await self.close()
            for name, subscriber in found.items():
                self.followers[name] = await stack.enter_async_context(
                    following(name, subscriber, self._dsn, catalog, telemetry=self._telemetry)
                )
            self._stack = stack.pop_all()

    async def register(self) -> None:
        """Gives those that are new their cursors, at the end of what is stored.

        Raises:
            psycopg.Error: Postgres refused.
        """
        if self.followers:
            async with await connect(self._dsn, FOLLOWING) as connection:
                for follower in self.followers.values():
                    await follower.register(connection)

    async def close(self) -> None:
        """Ends all of them."""
        await self._stack.aclose()
        self.followers.clear()


@asynccontextmanager
async def subscribers(
    configs: Mapping[str, SubscriberConfig],
    dsn: str,
    catalog: Catalog,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[Subscribers]:
    """Feeds all subscribers for as long as the context lasts.

    Args:
        configs: By their ids.
        dsn: Of the store.
        catalog: In force.
        telemetry: Where what is sent is counted.

    Raises:
        StartError: a subscriber cannot be opened.
    """
    found = Subscribers(configs, dsn, telemetry)
    await found.use(catalog)
    try:
        yield found
    finally:
        await found.close()


async def opened(
    stack: AsyncExitStack, name: str, config: SubscriberConfig, catalog: Catalog
) -> Subscriber:
    """A subscriber, closed with the stack; its backend need not be there.

    Raises:
        StartError: its configuration names a file or an address that cannot be used.
    """
    try:
        return await stack.enter_async_context(config.open(Settings(catalog)))
    except (ValueError, OSError) as error:
        raise StartError(f"exporter {name}: {error}") from None
