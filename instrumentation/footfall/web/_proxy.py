"""A site's own way to the collector's HTTP API: its session says who the viewer is (R-numbers B3, B4).

    page ── same origin, with cookies ── Proxy ── get_viewer ── Forwarding, with the key ── collector

Nothing of a browser's request goes on but its body, `days`, `traceparent`, `Idempotency-Key` and its receipt;
nothing that goes wrong comes out as an exception.
"""

import asyncio
import inspect
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from footfall._api import Answer, Unreachable
from footfall._guard import guarded
from footfall._log import Warnings
from footfall.web._forwarding import THREADS, Forwarding

LONGEST_BODY: Final = 2**19
"""Bytes; the collector takes no more either."""
LONGEST_VIEWER: Final = 256
"""Characters of what names a viewer."""
WAITING: Final = 4 * THREADS
"""Requests at once; more are told to come again."""
PATIENCE_S: Final = 10.0
"""Seconds after which a request is not kept waiting any longer."""
ROUTES: Final = {
    ("POST", ""): "/ingest",
    ("POST", "/ingest"): "/ingest",
    ("POST", "/track"): "/track",
    ("POST", "/events"): "/events",
    ("POST", "/psr"): "/psr",
    ("GET", ""): "/summary",
    ("GET", "/summary"): "/summary",
    ("GET", "/receipt"): "/receipt",
    ("DELETE", "/receipt"): "/receipt",
}
"""Method and path below the proxy's own → path of the collector."""
_PASSED: Final = ("traceparent", "idempotency-key", "footfall-receipt")
_TOKEN: Final = "footfall-receipt-token"  # noqa: S105  # a header's name
_DAYS: Final = re.compile(r"(?:^|&)(days=[\w%.+-]{0,32})(?:&|$)", re.ASCII)
_UNUSABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
Scope = MutableMapping[str, Any]  # as Starlette has it
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Refused(Exception):  # an answer, not a fault
    """A request that is not forwarded."""

    def __init__(self, status: int, error: str, text: str, **headers: str) -> None:
        super().__init__(text)
        said = {"ok": False, "error": error, "message": text}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = Answer(status, sent, json.dumps(said).encode())


class Proxy:
    """An ASGI application.

    Args:
        get_viewer: Says who sends a request: text, a number or a UUID; None for nobody. It may be a coroutine
            function; any other is called on a thread.
        forwarding: To the collector.
        path: Where this is; what comes after it chooses the route.
        seen: Makes of a request's scope what `get_viewer` is given.
    """

    def __init__(
        self,
        get_viewer: Callable[[Any], Any],
        forwarding: Forwarding,
        path: str,
        seen: Callable[[Scope], Any] = lambda scope: scope,
    ) -> None:
        self._get_viewer, self._seen = get_viewer, seen
        self._forwarding, self._path = forwarding, path.rstrip("/")
        self._threads = ThreadPoolExecutor(THREADS, "footfall-proxy")
        self._waiting = 0
        self._warnings = Warnings()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; anything else is left alone."""
        if scope["type"] != "http":
            return
        answer = await self._answered(scope, receive)
        headers = {
            "content-type": "application/json",
            "content-length": str(len(answer.body)),
            "cache-control": "no-store",
            **answer.headers,
        }
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answered(self, scope: Scope, receive: Receive) -> Answer:
        if self._waiting >= WAITING:
            return _unavailable("too many requests are on their way").answer
        self._waiting += 1
        try:
            with guarded(self._trouble):
                return await self._asked(scope, receive)
            return _unavailable("the collector cannot be asked").answer
        finally:
            self._waiting -= 1

    async def _asked(self, scope: Scope, receive: Receive) -> Answer:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._forwarded(scope, receive)
        except _Refused as refused:
            return refused.answer
        except Unreachable as error:
            self._warn("the collector's HTTP API is not reached: %s", error.why)
            return _unavailable("the collector cannot be asked", there=error.is_there).answer

    async def _forwarded(self, scope: Scope, receive: Receive) -> Answer:
        method = scope["method"]
        target = self._target(method, scope)
        headers = _headers(scope)
        _check(method, headers)
        viewer = await self._viewer(scope)
        body = await _body(headers, receive) if method == "POST" else b""
        names = (*_PASSED, _TOKEN) if target == "/receipt" else _PASSED
        passed = {name: headers[name].encode("latin-1") for name in names if name in headers}
        send = self._forwarding.send
        answer: Answer = await self._on_a_thread(send, method, target, viewer, passed, body)
        return answer

    def _target(self, method: str, scope: Scope) -> str:
        """The collector's path and query."""
        path = scope["path"]
        rest = path.rpartition(self._path)[2].rstrip("/")  # what mounts it may have taken it away
        target = ROUTES.get((method, rest))
        if target is not None:
            days = _DAYS.search(scope.get("query_string", b"").decode("latin-1"))
            return f"{target}?{days[1]}" if days and target == "/summary" else target
        allowed = [other for other, known in ROUTES if known == rest]
        if not allowed:
            raise _Refused(404, "not_found", "there is nothing here")
        raise _Refused(405, "method_not_allowed", "use another method", allow=", ".join(allowed))

    async def _viewer(self, scope: Scope) -> str:
        try:
            found = await self._said(self._seen(scope))
        except Exception as error:
            if getattr(error, "status_code", 0) in (401, 403):  # as frameworks say it
                raise _nobody() from None
            self._warn("get_viewer() failed: %s", type(error).__name__)
            raise _unavailable("nobody can say who this is") from None
        viewer = _named(found)
        if viewer is None:
            if found is not None:
                self._warn("get_viewer() gave what names nobody: %s", type(found).__name__)
            raise _nobody()
        return viewer

    async def _said(self, request: Any) -> Any:
        """What `get_viewer` says."""
        ask = self._get_viewer
        if any(map(inspect.iscoroutinefunction, (ask, getattr(ask, "__call__", None)))):  # noqa: B004
            return await ask(request)
        found = await self._on_a_thread(copy_context().run, ask, request)
        return await found if inspect.isawaitable(found) else found

    async def _on_a_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(call, *arguments))

    def _trouble(self, error: Exception) -> None:
        self._warn("a request was not forwarded: %s", type(error).__name__)

    def _warn(self, message: str, what: str) -> None:
        self._warnings.warn(message, f"footfall: proxy: {message}", what)


def _headers(scope: Scope) -> dict[str, str]:
    """By name; those that are there several times, joined: no check takes one of them for all."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").lower()
        found[name] = ", ".join(filter(None, (found.get(name), value.decode("latin-1"))))
    return found


def _check(method: str, headers: Mapping[str, str]) -> None:
    """Takes requests of the site's own pages alone, and of what sends no browser's headers.

    Raises:
        _Refused: another site's page may have sent it, or a form.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        of_this_site = site in ("same-origin", "none")
    else:
        of_this_site = origin is None or _host(origin) == headers.get("host", "").lower()
    if not of_this_site:
        raise _Refused(403, "forbidden", "only this site's own pages may send")
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method == "POST" and (media_type != "application/json" or "content-encoding" in headers):
        text = "the content type must be application/json, and nothing is compressed"
        raise _Refused(415, "unsupported_media_type", text)


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes:
    said = headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > LONGEST_BODY:
        raise _too_large()
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused(400, "invalid_request", "the request did not come whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LONGEST_BODY:
            raise _too_large()
        if not message.get("more_body", False):
            return b"".join(parts)


def _named(found: Any) -> str | None:
    """What names a viewer for the collector; None where it names nobody."""
    if not isinstance(found, str | int | uuid.UUID) or isinstance(found, bool):
        return None
    name = str(found)
    good = 0 < len(name) <= LONGEST_VIEWER and name == name.strip() and not _UNUSABLE.search(name)
    return name if good else None


def _nobody() -> _Refused:
    return _Refused(401, "no_viewer", "nobody is logged in")


def _too_large() -> _Refused:
    return _Refused(413, "too_large", f"a request may have {LONGEST_BODY} bytes")


def _unavailable(text: str, *, there: bool = False) -> _Refused:
    return _Refused(502 if there else 503, "unavailable", text, retry_after="5")


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application without any page."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
    elif scope["type"] == "http":
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"9")]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"Not Found"})
