"""What is published, as a site on the listener of OTLP/HTTP: for anybody, without a key (ADR 42).

    GET PATH/ ── address ── files in memory ── footfall publish's site ── reporting.published, and no more

It is off unless `service.public` is configured. No request reaches the database: the site is made anew, from
what is published, when somebody asks and the one at hand is some minutes old.
"""

import asyncio
import gzip
import hashlib
import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import psycopg
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from footfall_collector.config.schema import PublicConfig
from footfall_collector.security.login import network
from footfall_collector.security.rate import RateLimit
from footfall_collector.site import site
from footfall_collector.site.style import HASH
from footfall_exporters.faults import log_fault
from footfall_exporters.postgres.published import published
from footfall_processors import OperatorError

FRESH_S: Final = 300.0
"""For how long a site is shown before it is made anew."""
KEPT_S: Final = 3600.0
"""For how long it is, where the store does not answer: what is published no more is gone by then."""
PATIENT_S: Final = 5.0
"""How long whoever asks waits for a new site, before the last one is shown."""
AGAIN_S: Final = 10
"""After how many seconds a store that did not answer is asked again."""
POLICY: Final = (
    f"default-src 'none'; style-src '{HASH}'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": POLICY,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_SHOWN: Final = {"cache-control": f"public, max-age={FRESH_S:.0f}", "vary": "accept-encoding"}
_GZIP: Final = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)
"""That it is taken (RFC 9110, section 12.5.3)."""
_KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "svg": "image/svg+xml",
}
log = logging.getLogger("footfall.public")


def routes(config: PublicConfig, dsn: Callable[[], str]) -> list[BaseRoute]:
    """The page and what is below it, and the way there without its slash.

    Args:
        config: Where, and how often.
        dsn: Of the store, as it is known by now; empty where it is not open yet.
    """
    page = PublicPage(config, dsn)
    return [Route(config.path, page), Mount(config.path, page)]


class _File(NamedTuple):
    """A file of the site, as it is sent."""

    plain: bytes
    compressed: bytes
    tag: str


class PublicPage:
    """An ASGI application.

    Args:
        config: Where, and how often.
        dsn: Of the store, as it is known by now; empty where it is not open yet.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        config: PublicConfig,
        dsn: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._dsn, self._clock = config, dsn, clock
        self._rates, self._unguessable = RateLimit(clock), secrets.token_bytes(32)
        self._files: Mapping[str, _File] = {}
        self._made = self._due = -math.inf
        self._making: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers GET and HEAD; a WebSocket is closed."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            response = await self._answer(Request(scope, receive))
            response.headers.update({**_HEADERS, **response.headers})
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("use GET", 405, {"allow": "GET, HEAD"})
        if wait := self._wait(request):
            text = "too many requests from this address"
            return PlainTextResponse(text, 429, {"retry-after": str(math.ceil(wait))})
        path = request.scope["path"].removeprefix(self._config.path)
        if not path:  # what the page points to is below it
            return RedirectResponse(f"{self._config.path.rpartition('/')[2]}/", 308)
        files = await self._current()
        if files is None:
            text = "the figures cannot be shown now"
            return PlainTextResponse(text, 503, {"retry-after": str(AGAIN_S)})
        name = path.removeprefix("/") or "index.html"
        found = files.get(name)
        return _shown(request, name, found) if found else PlainTextResponse("not found", 404)

    def _wait(self, request: Request) -> float:
        """Seconds until this address may ask again; 0.0: it may, and that is counted."""
        address = network(request.client.host if request.client else "")
        key = hashlib.blake2b(address, key=self._unguessable, digest_size=16).digest()
        return self._rates.take(key, self._config.requests_per_minute)

    async def _current(self) -> Mapping[str, _File] | None:
        """The site, made anew where it is time; None where the store is away, and the last one too old.

        Whoever comes meanwhile waits for the same one, and not for long: a store that hangs holds up nobody.
        """
        if self._making is None and self._clock() >= self._due:
            self._making = asyncio.create_task(self._make())
        if self._making is not None:
            await asyncio.wait([self._making], timeout=PATIENT_S)
        return self._files if self._clock() - self._made <= KEPT_S else None

    async def _make(self) -> None:
        dsn = self._dsn()
        try:
            files = await asyncio.to_thread(_files, dsn) if dsn else None
        except (psycopg.Error, OperatorError) as error:
            log.warning("what is published cannot be read: %s", type(error).__name__)
            files = None
        except Exception as error:  # a fault of ours must not have every request try again
            log_fault(log, "making the public page failed", error)
            files = None
        now = self._clock()
        self._due = now + (AGAIN_S if files is None else FRESH_S)
        if files is not None:
            self._files, self._made = files, now
        self._making = None


def _files(dsn: str) -> Mapping[str, _File]:
    """The site of what is published now, ready to be sent."""
    return {
        name: _File(
            content,
            gzip.compress(content, mtime=0),
            f'W/"{hashlib.sha256(content).hexdigest()[:32]}"',
        )
        for name, content in site(published(dsn)).items()
    }


def _shown(request: Request, name: str, file: _File) -> Response:
    headers = {**_SHOWN, "etag": file.tag}
    kind = name.rpartition(".")[2]
    if kind == "svg":  # a badge is for the pages of others
        headers["cross-origin-resource-policy"] = "cross-origin"
    known = (each.strip() for each in request.headers.get("if-none-match", "").split(","))
    if any(each in ("*", file.tag, file.tag.removeprefix("W/")) for each in known):
        return Response(None, 304, headers)
    content = file.plain
    if _GZIP.search(request.headers.get("accept-encoding", "")):
        content, headers["content-encoding"] = file.compressed, "gzip"
    return Response(content, headers=headers, media_type=_KINDS[kind])
