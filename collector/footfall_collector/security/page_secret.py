"""A key of the store with which something is signed, read again every half a minute."""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import closing

import psycopg

from footfall_collector.security.login import NoSecret, Secret
from footfall_exporters.postgres import connect_sync, page_keys
from footfall_processors import OperatorError

FRESH_S = 30.0
"""After which it is asked for again: somebody may have had another one made."""


class PageSecret:
    """One of them.

    Args:
        dsn: Of the store, as it is known by now; empty where it is not open yet.
        name: Which.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        dsn: Callable[[], str],
        name: page_keys.Name,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dsn, self._name, self._clock = dsn, name, clock
        self._known, self._read_at = b"", -FRESH_S
        self._turn = asyncio.Lock()

    async def __call__(self) -> bytes:
        """It, as it was half a minute ago at most; as it was known last while the store is away.

        Raises:
            NoSecret: it was never known.
        """
        async with self._turn:
            if self._clock() - self._read_at >= FRESH_S:
                await self._refresh()
        if not self._known:
            raise NoSecret
        return self._known

    async def _refresh(self) -> None:
        dsn = self._dsn()
        if not dsn:
            return
        try:
            self._known = await asyncio.to_thread(self._read, dsn)
        except (OperatorError, psycopg.Error):
            if not self._known:
                return
        self._read_at = self._clock()

    def _read(self, dsn: str) -> bytes:
        with closing(connect_sync(dsn, page_keys.SIGNING)) as connection:
            return page_keys.read(connection, self._name)


def own_secret() -> Secret:
    """A key of this process alone."""
    made = secrets.token_bytes(32)

    async def known() -> bytes:
        return made

    return known
