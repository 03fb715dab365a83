"""Who may ask the operator's listener: whoever is on this machine, or has a key, a login or a link (ADR 39).

    Host ── Bearer key ── cookie of a login ── link that was shared ── the login page, or 401

Where there are no keys, nothing but the host counts: a web page could make its visitor's browser send
requests to this machine (DNS rebinding). Where there are, a page of another site gets nothing either, as the
cookie is sent by none but our own pages.
"""

from collections.abc import Callable
from html import escape
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from footfall_collector.receivers import login
from footfall_collector.security.hosts import Hosts, host_of, is_own, local
from footfall_collector.security.keys import bearer
from footfall_collector.security.shares import Refused, Shares, taken

HEADERS: Final = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
PROBES: Final = ("/healthz", "/readyz")
"""Whether it lives, and is ready, is said without a key, as over gRPC: what asks (Docker, Kubernetes, load
balancers) has none. Why it is not ready, operators are told."""
STRANGER: Final = "footfall.stranger"
"""In the scope of such a request."""
_OPEN: Final = (login.PATH, login.LOGOUT)
_ASSETS: Final = "/page/"
"""What pages are made of: the same for everybody, as it is in the package that anybody may have."""
_SAFE: Final = ("GET", "HEAD")
_KEY = "send an operator's key as `Authorization: Bearer ...` (`footfall keys new --operator`)"
_AGAIN = (
    '<!doctype html><meta charset="utf-8"><title>Footfall</title>'
    '<meta http-equiv="refresh" content="0; url={}">'
)


class Guard:
    """Lets in who may, and adds the security headers to every answer that has none of its own.

    Args:
        app: What is guarded.
        authorised: Whether a bearer token is an operator's key; None where there are none.
        hosts: The listener's.
        logins: Of operators in browsers; None for none.
        shares: Of links to single views; None for none.
    """

    def __init__(
        self,
        app: ASGIApp,
        authorised: Callable[[str | None], bool] | None,
        hosts: Hosts,
        logins: login.LoginPages | None = None,
        shares: Shares | None = None,
    ) -> None:
        self._app, self._authorised, self._hosts = app, authorised, hosts
        self._logins, self._shares = logins, shares

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or has it answered."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                added = [each for each in HEADERS.items() if each[0] not in own]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        token, scope["query_string"] = taken(scope["query_string"])
        if self._authorised is None:
            refusal = self._misnamed(Headers(scope=scope))
        else:
            refusal = await self._stranger(scope, token, self._authorised)
            if refusal is not None and scope["path"] in PROBES:
                scope[STRANGER], refusal = True, None
        await (refusal or self._app)(scope, receive, guarded)

    def _misnamed(self, headers: Headers) -> Response | None:
        """Refuses what is not meant for this machine."""
        if self._hosts.is_ours(host_of(headers.get("host", ""))):
            return None
        right = "e.g. localhost, or a name of `service.operator.hosts`"
        return PlainTextResponse(f"the Host header must name this machine, {right}", 421)

    async def _stranger(
        self, scope: Scope, token: str, authorised: Callable[[str | None], bool]
    ) -> Response | None:
        """Refuses whoever shows nothing that opens."""
        headers = Headers(scope=scope)
        is_named = self._hosts.has(host_of(headers.get("host", "")))
        if authorised(bearer(headers.get("authorization"))):
            # No page of another site can know a key: a name matters where names are configured.
            return None if is_named or not self._hosts else _unnamed()
        if not is_named:
            return _unnamed()
        if self._logins is None or "authorization" in headers:
            return _no_key()
        return await self._visitor(scope, token, self._logins)

    async def _visitor(self, scope: Scope, token: str, logins: login.LoginPages) -> Response | None:
        """Refuses a browser that is not logged in, and has no link."""
        headers = Headers(scope=scope)
        if scope["method"] not in _SAFE and not is_own(headers):
            return PlainTextResponse("this is asked for by another site, or by no page", 403)
        if scope["path"] in _OPEN or scope["path"].startswith(_ASSETS):
            return None
        if await logins.knows(headers):
            return None
        if self._shares is not None and token:
            return await self._guest(scope, self._shares, token)
        return _to_login(scope, headers)

    async def _guest(self, scope: Scope, shares: Shares, token: str) -> Response | None:
        """Refuses what a link does not cover; of what it does, no more than that is asked."""
        if scope["method"] not in _SAFE:
            return PlainTextResponse("a link is for looking at one view", 403)
        try:
            asked = scope["path"], scope["query_string"]
            scope["query_string"] = await shares.narrowed(*asked, token)
        except Refused as refused:
            return PlainTextResponse(str(refused), 403)
        return None


def _to_login(scope: Scope, headers: Headers) -> Response:
    """Where somebody who looks at a page in a browser can log in; 401 for programs."""
    if scope["method"] not in _SAFE or "text/html" not in headers.get("accept", ""):
        return _no_key()
    target = local(_target(scope))
    if headers.get("sec-fetch-site") == "cross-site":
        # The cookie is not sent with a link of another site; of our own page it is.
        return HTMLResponse(_AGAIN.format(escape(target)))
    return RedirectResponse(f"{login.PATH}?next={quote(target, safe='')}", 303)


def _target(scope: Scope) -> str:
    path = bytes(scope.get("raw_path") or b"").decode("latin-1") or quote(scope["path"])
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _no_key() -> Response:
    return PlainTextResponse(_KEY, 401, {"www-authenticate": "Bearer"})


def _unnamed() -> Response:
    text = "the Host header names no host of this listener: add it to `service.operator.hosts`"
    return PlainTextResponse(f"{text}; without one of these, {_KEY}", 421)
