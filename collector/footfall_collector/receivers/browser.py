"""The browser's modules, for pages of any origin (instrumentation/browser/README.md).

Each is served under a name that stays, and under one with a digest of its content, which browsers may keep
for ever. `GET /browser.importmap.json` says what the second is, and the hash by which a browser checks it.
"""

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MODULES = {"footfall": "footfall", "footfall/psr": "psr"}
"""What a page imports, and the module that it is."""
IMPORT_MAP = "/browser.importmap.json"
HEADERS = {
    # Modules are fetched with CORS; pages that isolate themselves (COEP) want the second as well.
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}
# An hour without asking; after it, a day in which the old one is used while the browser asks.
CHANGES = {"cache-control": "public, max-age=3600, stale-while-revalidate=86400"}
STAYS = {"cache-control": "public, max-age=31536000, immutable"}
JAVASCRIPT = "text/javascript"


def routes() -> list[Route]:
    """Of each module the minified one under both names and its source; the import map. GET and HEAD."""
    found = [_route(IMPORT_MAP, json.dumps(import_map()).encode(), CHANGES, "application/json")]
    for name in MODULES.values():
        minified = _content(f"{name}.min.js")
        found += [
            _route(f"/{name}.js", minified, CHANGES),
            _route(f"/{name}.source.js", _content(f"{name}.js"), CHANGES),
            _route(_immutable(name), minified, STAYS),
        ]
    return found


def import_map() -> dict[str, dict[str, str]]:
    """What pages put into `<script type="importmap">` to import the modules that this version has.

    Returns:
        `imports`: the path of each module, by its name; `integrity`: the hash of its bytes (W3C Subresource
        Integrity), by its path.
    """
    paths = {_immutable(name): _content(f"{name}.min.js") for name in MODULES.values()}
    return {
        "imports": {imported: _immutable(name) for imported, name in MODULES.items()},
        "integrity": {path: _integrity(content) for path, content in paths.items()},
    }


def _immutable(name: str) -> str:
    return f"/{name}.{hashlib.sha256(_content(f'{name}.min.js')).hexdigest()[:16]}.js"


def _integrity(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


@cache
def _content(file: str) -> bytes:
    return (files("footfall") / "browser" / file).read_bytes()


def _route(path: str, content: bytes, caching: dict[str, str], kind: str = JAVASCRIPT) -> Route:
    # Weak: the bytes on the wire differ with the encoding.
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = HEADERS | caching | {"etag": tag}

    async def read(request: Request) -> Response:
        if _knows(request.headers.get("if-none-match", ""), tag):
            return Response(None, 304, headers)
        return Response(content, headers=headers, media_type=kind)

    return Route(path, read, methods=["GET"], middleware=[Middleware(GZipMiddleware)])


def _knows(if_none_match: str, tag: str) -> bool:
    """RFC 9110, section 13.1.2: any of the listed tags, compared weakly, or `*`."""
    opaque = tag.removeprefix("W/")
    known = (each.strip().removeprefix("W/") for each in if_none_match.split(","))
    return any(each in ("*", opaque) for each in known)
