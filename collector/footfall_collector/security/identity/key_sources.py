"""Where the keys of JWTs come from: read at the start and when told to, or fetched from a URL and kept.

An identity provider changes its keys when it likes. A set that is old is fetched again while the known keys
go on; a key that nobody knows is a reason to look at once, though not more often than every few seconds. All
who wait share one request, and nobody waits longer than for that.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Protocol, cast

import httpx

from footfall_collector.config.identity import JwtConfig
from footfall_collector.errors import StartError
from footfall_collector.security.identity import key_set
from footfall_collector.security.identity.identity import Reason, Unidentified
from footfall_collector.security.identity.key_set import KeySet

LARGEST: Final = 256 * 1024
"""Bytes of a JWKS."""
TIMEOUT_S: Final = 5.0
"""Seconds for all of a request."""
PAUSE_S: Final = 5.0
"""Seconds between two requests, whatever is asked for."""
AGES: Final = (60.0, 600.0, 3600.0)
"""Seconds for which a set is fresh: at least, where the answer does not say, and at most."""
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})", re.IGNORECASE)
log = logging.getLogger("footfall.identity")


class KeySource(Protocol):
    """Where keys come from."""

    def current(self) -> KeySet:
        """The keys as they are known now; the same object for as long as they are the same."""

    async def newer(self) -> KeySet:
        """The keys, looked up again if that may be.

        Raises:
            Unidentified: they cannot be had now (keys_unavailable).
        """

    def reload(self) -> None:
        """Looks them up again because an operator says so.

        Raises:
            StartError: they cannot be used; the former go on.
        """


class Kept:
    """Keys that are what they were when they were last read.

    Args:
        read: Reads them. Raises StartError: they cannot be used.

    Raises:
        StartError: see `read`.
    """

    def __init__(self, read: Callable[[], KeySet]) -> None:
        self._read, self._keys = read, read()

    def current(self) -> KeySet:
        """See KeySource."""
        return self._keys

    async def newer(self) -> KeySet:
        """See KeySource."""
        return self._keys

    def reload(self) -> None:
        """See KeySource."""
        self._keys = self._read()


class Remote:
    """Keys that a URL has; `remote` makes it.

    Args:
        url: Of the JWKS.
        algorithms: For which keys are wanted.
        client: Follows no redirect: it could lead to whoever likes to sign.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        url: str,
        algorithms: Iterable[str],
        client: httpx.AsyncClient,
        clock: Callable[[], float],
    ) -> None:
        self._url, self._algorithms, self._client = url, tuple(algorithms), client
        self._clock = clock
        self._keys, self._content = KeySet(), b""
        self._stale_at = self._again_at = clock()
        self._trouble = ""
        self._fetching: asyncio.Task[None] | None = None

    def current(self) -> KeySet:
        """See KeySource; a set that is old is fetched again meanwhile."""
        if self._clock() >= self._stale_at:
            self._fetch()
        return self._keys

    async def newer(self) -> KeySet:
        """See KeySource."""
        if fetching := self._fetch():
            await asyncio.shield(fetching)  # who leaves takes it from nobody else
        if self._trouble:
            text = "the keys that verify tokens cannot be had now; send it again later"
            raise Unidentified(Reason.KEYS_UNAVAILABLE, text)
        return self._keys

    def reload(self) -> None:
        """See KeySource; it is asked meanwhile, and the known keys go on until it has answered."""
        self._fetch()

    async def close(self) -> None:
        """Ends what is under way."""
        if fetching := self._fetching:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    def _fetch(self) -> asyncio.Task[None] | None:
        """The request that is under way, or that may begin; None when it is too early for another."""
        now = self._clock()
        if self._fetching is None and now >= self._again_at:
            self._again_at = self._stale_at = now + PAUSE_S
            self._fetching = asyncio.create_task(self._renew())
        return self._fetching

    async def _renew(self) -> None:
        try:
            content, age = await self._get()
            if content != self._content:
                self._keys, self._content = await self._read(content), content
            self._stale_at = self._clock() + age
            self._tell("")
        except (httpx.HTTPError, OSError, ValueError) as error:
            self._tell(_plainly(error))
        finally:
            self._fetching = None

    async def _read(self, content: bytes) -> KeySet:
        try:
            return await asyncio.to_thread(key_set.of_jwks, content, self._algorithms)
        except ValueError as error:
            raise ValueError(f"answers with what {error}") from None

    async def _get(self) -> tuple[bytes, float]:
        """The JWKS, and for how many seconds it is fresh.

        Raises:
            ValueError: the answer is none, or too large.
        """
        async with asyncio.timeout(TIMEOUT_S), self._client.stream("GET", self._url) as response:
            if response.status_code != 200:
                raise ValueError(f"answers HTTP {response.status_code}")
            content = bytearray()
            raw = cast(AsyncGenerator[bytes, None], response.aiter_raw())
            async with aclosing(raw) as chunks:
                async for chunk in chunks:
                    content += chunk
                    if len(content) > LARGEST:
                        raise ValueError(f"sends more than {LARGEST} bytes")
            return bytes(content), _age(response.headers.get("cache-control", ""))

    def _tell(self, trouble: str) -> None:
        """One line when it begins, and one when it is over."""
        host = httpx.URL(self._url).host
        if trouble and trouble != self._trouble:
            known = "the known keys go on" if self._keys else "no JWT can be verified until then"
            log.warning("jwks_url: %s %s; it is tried again, %s", host, trouble, known)
        elif self._trouble and not trouble:
            log.info("jwks_url: %s has keys again", host)
        self._trouble = trouble


def fixed(config: JwtConfig) -> dict[str, KeySource]:
    """Where the keys of each algorithm come from, as far as that is no URL.

    Raises:
        StartError: a file or the secret cannot be used.
    """
    sources: dict[str, KeySource] = {}
    public = config.public_algorithms
    if config.secret is not None:
        sources["HS256"] = Kept(partial(key_set.of_secret, config.secret))
    if config.jwks_file is not None:
        read = partial(key_set.of_jwks_file, config.jwks_file, public)
        sources |= dict.fromkeys(public, Kept(read))
    if config.public_key_file is not None:
        read = partial(key_set.of_pem, config.public_key_file, public)
        sources |= dict.fromkeys(public, Kept(read))
    return sources


@asynccontextmanager
async def remote(
    url: str, algorithms: Iterable[str], clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[Remote]:
    """The keys of a URL, which need not answer yet; the first request begins at once.

    Args:
        url: Of the JWKS.
        algorithms: For which keys are wanted.
        clock: Seconds that never go back.

    Raises:
        StartError: it is no URL.
    """
    for name in ("httpx", "httpcore"):  # they log URLs
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        httpx.URL(url)
    except httpx.InvalidURL:  # its message would quote it
        raise StartError("`jwks_url` is not a URL") from None
    async with httpx.AsyncClient(
        headers={"User-Agent": "footfall", "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=TIMEOUT_S,
        follow_redirects=False,
    ) as client:
        source = Remote(url, algorithms, client, clock)
        source.current()
        try:
            yield source
        finally:
            await source.close()


def _age(cache_control: str) -> float:
    """Seconds for which an answer is fresh (RFC 9111, 5.2.2), within bounds."""
    least, usual, most = AGES
    if re.search(r"\bno-(store|cache)\b", cache_control, re.IGNORECASE):
        return least
    said = _MAX_AGE.search(cache_control)
    return min(max(float(said[1]), least), most) if said else usual


def _plainly(error: Exception) -> str:
    """What is wrong with the other end, in words of our own."""
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "does not answer in time"
    return "cannot be reached"
