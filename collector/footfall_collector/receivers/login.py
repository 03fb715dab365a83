"""`/login` and `/logout` of the operator's listener: forms of plain HTML, which need no script (ADR 39)."""

import logging
import math
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from footfall_collector.receivers import page
from footfall_collector.security.hosts import host_of, is_loopback, local
from footfall_collector.security.login import LASTS_S, Logins, NoSecret

PATH: Final = "/login"
LOGOUT: Final = "/logout"
COOKIE, SECURE_COOKIE = "footfall", "__Host-footfall"
"""The second one no other host can set, and no connection without TLS."""
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_LONGEST = 8192
"""Bytes of a form."""
_FIELDS: Final = {"key": "", "next": "/"}
_NO_TLS = (
    "This connection is not encrypted: a key would be read by whoever is on the way. Give the listener TLS,"
    " or set service.operator.behind_tls where something in front of it has it."
)
_WRONG = "This is no key of an operator, or it is no longer one."
_LATER = "The store is away, or not open yet: nobody can log in. Try again in a moment."
log = logging.getLogger("footfall.collector")


class LoginPages:
    """Lets operators in and out.

    Args:
        logins: The listener's.
        encrypted: Whether browsers speak TLS, to this listener or to something in front of it.
    """

    def __init__(self, logins: Logins, *, encrypted: bool) -> None:
        self._logins, self._encrypted = logins, encrypted
        self._name = SECURE_COOKIE if encrypted else COOKIE

    def routes(self) -> list[Route]:
        """Where they are served."""
        return [
            Route(PATH, self._form, methods=["GET"]),
            Route(PATH, self._enter, methods=["POST"]),
            Route(LOGOUT, self._goodbye, methods=["GET"]),
            Route(LOGOUT, self._leave, methods=["POST"]),
        ]

    async def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether a request is of a browser that has logged in."""
        return await self._logins.holds(self._cookie(headers))

    def _cookie(self, headers: Mapping[str, str]) -> str:
        """The cookie of a login, as a browser sent it; empty without one.

        With TLS no other name will do: one without `__Host-` may have been set by a neighbour, or read.
        """
        sent = (each.strip().partition("=")[::2] for each in headers.get("cookie", "").split(";"))
        return dict(sent).get(self._name, "")

    async def _form(self, request: Request) -> Response:
        target = local(request.query_params.get("next", "/"))
        if await self.knows(request.headers):
            return RedirectResponse(target, 303)
        return _page("login", target=target, said="" if self._is_private(request) else _NO_TLS)

    async def _enter(self, request: Request) -> Response:
        form = await _read(request)
        if form is None:
            return _page("login", 413, said="This is no form of a login.")
        target = local(form["next"])
        if not self._is_private(request):
            return _page("login", 403, target=target, said=_NO_TLS)
        wait = self._logins.wait(request.client.host if request.client else "")
        if wait:
            seconds = math.ceil(wait)
            said = f"Too many keys were tried from here. Try again in {seconds} seconds."
            return _page("login", 429, target=target, said=said, retry=seconds)
        try:
            cookie = await self._logins.begin(form["key"].strip())
        except NoSecret:
            return _page("login", 503, target=target, said=_LATER, retry=5)
        if cookie is None:
            log.warning("somebody tried to log in with what is no operator's key")
            return _page("login", 403, target=target, said=_WRONG)
        answer = RedirectResponse(target, 303)
        self._set(answer, cookie, LASTS_S)
        return answer

    async def _goodbye(self, _: Request) -> Response:
        return _page("logout")

    async def _leave(self, request: Request) -> Response:
        await self._logins.end(self._cookie(request.headers))
        answer = RedirectResponse(PATH, 303)
        self._set(answer, "", 0)
        return answer

    def _is_private(self, request: Request) -> bool:
        """Whether nobody is on the way who could read a key: TLS, or this very machine."""
        return self._encrypted or is_loopback(host_of(request.headers.get("host", "")))

    def _set(self, answer: Response, cookie: str, lasts_s: int) -> None:
        answer.set_cookie(
            self._name,
            cookie,
            max_age=lasts_s,
            secure=self._encrypted,
            httponly=True,
            samesite="strict",
        )


async def _read(request: Request) -> Mapping[str, str] | None:
    """The fields of a form; None for what is none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST:
            return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=10, errors="strict")
    except ValueError:
        return None
    return _FIELDS | {name: values[0] for name, values in fields.items() if name in _FIELDS}


@cache
def _template(name: str) -> Template:
    return Template((files("footfall_collector") / "page" / f"{name}.html").read_text())


def _page(
    name: str, status: int = 200, *, target: str = "/", said: str = "", retry: int = 0
) -> Response:
    shown = f'<p class="said" role="alert">{escape(said)}</p>' if said else ""
    values = {"assets": f"/page/{page.digest()}", "next": escape(target), "said": shown}
    headers = {"content-security-policy": _POLICY, "referrer-policy": "same-origin"}
    if retry:
        headers["retry-after"] = str(retry)
    return HTMLResponse(_template(name).substitute(values), status, headers)
