"""GET /footfall.js: the browser client, for pages of any origin (instrumentation/browser/README.md)."""

import hashlib
from importlib.resources import files

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATHS = {"/footfall.js": "footfall.min.js", "/footfall.source.js": "footfall.js"}
"""What is served, and the file that it is."""
HEADERS = {
    # An hour without asking; after it, a day in which the old one is used while the browser asks.
    "cache-control": "public, max-age=3600, stale-while-revalidate=86400",
    # Modules are fetched with CORS; pages that isolate themselves (COEP) want the second as well.
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}


def routes() -> list[Route]:
    """One route for the minified module and one for its source; GET and HEAD."""
    return [_route(path, name) for path, name in PATHS.items()]


def _route(path: str, name: str) -> Route:
    content = (files("footfall") / "browser" / name).read_bytes()
    # Weak: the bytes on the wire differ with the encoding.
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = HEADERS | {"etag": tag}

    async def module(request: Request) -> Response:
        if _knows(request.headers.get("if-none-match", ""), tag):
            return Response(None, 304, headers)
        return Response(content, headers=headers, media_type="text/javascript")

    return Route(path, module, methods=["GET"], middleware=[Middleware(GZipMiddleware)])


def _knows(if_none_match: str, tag: str) -> bool:
    """RFC 9110, section 13.1.2: any of the listed tags, compared weakly, or `*`."""
    opaque = tag.removeprefix("W/")
    known = (each.strip().removeprefix("W/") for each in if_none_match.split(","))
    return any(each in ("*", opaque) for each in known)
