"""The page for developers: what is counted of whoever is logged in to their own site (R-number B5).

It is three files, served by one route: the page itself, and its parts, which its address names after a
question mark. So they are found wherever it is mounted. Figures come from the site's own way to the HTTP API.
"""

from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

from footfall.web._proxy import Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = "dashboard.html"
_KINDS: Final[Mapping[str, str]] = {
    _PAGE: "text/html; charset=utf-8",
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
}
_ALWAYS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Dashboard:
    """An ASGI application: the page, wherever it is.

    Args:
        endpoint: Where the site's own way to the HTTP API is, as a path.
        below: Whether `endpoint` is below the application's root path, and not below the host.
    """

    def __init__(self, endpoint: str, *, below: bool = False) -> None:
        self._endpoint, self._below = endpoint, below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers GET and HEAD; anything else is refused or left alone."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        if scope["type"] != "http":
            return
        status, headers, body = self._answer(scope)
        said = {**_ALWAYS, **headers, "content-length": str(len(body))}
        raw = [(name.encode(), value.encode()) for name, value in said.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    def _answer(self, scope: Scope) -> tuple[int, Mapping[str, str], bytes]:
        if scope["method"] not in ("GET", "HEAD"):
            return 405, {"content-type": "text/plain", "allow": "GET, HEAD"}, b"Method Not Allowed"
        name = scope.get("query_string", b"").decode("latin-1")
        name = name if name in _KINDS else _PAGE
        body = _read(name)
        if name == _PAGE:
            body = self._page(scope, body)
        return 200, {"content-type": _KINDS[name]}, body.encode()

    def _page(self, scope: Scope, text: str) -> str:
        root: Any = scope.get("root_path", "") if self._below else ""
        return Template(text).substitute(endpoint=escape(f"{root}{self._endpoint}"))


@cache
def _read(name: str) -> str:
    return (files("footfall.web") / "developer" / name).read_text(encoding="utf-8")
