"""The built-in page at `/` of the operator's listener: files of `footfall_collector/page`, as they are.

Nothing of the store is in them: the page asks `/api/reports` for that, as whoever opened it. Its modules are
served under a digest of all of them, so that browsers keep them for ever and never mix two versions.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from string import Template
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGES: Final[Mapping[str, str]] = {
    "/": "Overview",
    "/feature": "Feature",
    "/releases": "Releases",
    "/failures": "Failures",
    "/speed": "Speed",
    "/groups": "Groups",
    "/live": "Live",
    "/catalog": "Catalog",
    "/trust": "Trust",
}
"""Path → title."""
ASSET: Final = "/page/{digest}/{name:path}"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_KINDS: Final = {".js": "text/javascript", ".css": "text/css"}
_SHELL: Final = "shell.html"
_STAYS: Final = {"cache-control": "private, max-age=31536000, immutable"}
_MAY_CHANGE: Final = {"cache-control": "private, no-cache"}


def routes(*, has_login: bool = False) -> list[Route]:
    """One for each page, and one for what they are made of. GET and HEAD.

    Args:
        has_login: Whether operators log in, and out.
    """
    pages = [_page(path, title, has_login=has_login) for path, title in PAGES.items()]
    return [*pages, Route(ASSET, _asset)]


@cache
def assets() -> Mapping[str, bytes]:
    """What pages are made of, by its path: scripts and styles."""
    return dict(_found(files("footfall_collector") / "page", PurePosixPath()))


@cache
def digest() -> str:
    """Of all assets: another one when any has changed."""
    every = hashlib.sha256()
    for name, content in sorted(assets().items()):
        every.update(f"{name} {len(content)} ".encode() + content)
    return every.hexdigest()[:16]


def _found(folder: Traversable, within: PurePosixPath) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for each in folder.iterdir():
        name = within / each.name
        if each.is_dir():
            found += _found(each, name)
        elif name.suffix in _KINDS:
            found.append((str(name), each.read_bytes()))
    return found


@cache
def _html(path: str, *, has_login: bool) -> bytes:
    shell = (files("footfall_collector") / "page" / _SHELL).read_text()
    values = {"title": PAGES[path], "page": PAGES[path].lower(), "assets": f"/page/{digest()}"}
    login = "yes" if has_login else "no"
    return Template(shell).substitute(values, login=login).encode()


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress(assets()[name], mtime=0)


def _page(path: str, title: str, *, has_login: bool) -> Route:
    async def page(request: Request) -> Response:
        content = _html(path, has_login=has_login)
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = _MAY_CHANGE | {"etag": tag, "content-security-policy": POLICY}
        if tag in request.headers.get("if-none-match", ""):
            return Response(None, 304, headers)
        return Response(content, headers=headers, media_type="text/html")

    return Route(path, page, methods=["GET"], name=title)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if request.path_params["digest"] != digest() or name not in assets():
        raise HTTPException(404)
    headers = _STAYS | {"etag": f'W/"{digest()}"', "vary": "accept-encoding"}
    if digest() in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    content = assets()[name]
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers = _compressed(name), headers | {"content-encoding": "gzip"}
    return Response(content, headers=headers, media_type=_KINDS[PurePosixPath(name).suffix])
