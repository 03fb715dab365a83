"""Who developers say they are: a header or a cookie, believed without proof, and so in development alone.

A browser adds the cookie to whatever another site has it send. It counts for what changes something (any
method but GET, HEAD and OPTIONS) only when

- the browser says that the site's own page sends it (`Sec-Fetch-Site: same-origin`), or the user (`none`);
  one that does not know this header must say that its page is of this host (`Origin`);
- and the body is `application/json`, which no form can send.

A header of ours needs none of this: another site's page cannot set it unless it is allowed to by CORS.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from footfall_collector.security.identity.identity import Identity, Reason, Unidentified, is_name

HEADER: Final = "x-sd-viewer"
COOKIE: Final = "sd_viewer"
LONGEST: Final = 64
"""Characters of a developer's name."""
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


def identity(headers: Headers, method: str) -> Identity | None:
    """Who a developer says they are; None when they do not say it.

    Raises:
        Unidentified: it cannot be a name (viewer_invalid), or another site may have sent it (cross_site).
    """
    names = headers.getlist(HEADER)
    if not names:
        names = _cookies(headers)
        if names and method not in SAFE and not _is_of_this_site(headers):
            text = "with the cookie, only this site's own pages may send, and only application/json"
            raise Unidentified(Reason.CROSS_SITE, text)
    if not names:
        return None
    if len(names) > 1 or not is_name(names[0], LONGEST):
        text = f"a developer is named once, by 1 to {LONGEST} characters"
        raise Unidentified(Reason.VIEWER_INVALID, text)
    return Identity(viewer=names[0], owner=names[0])


def _cookies(headers: Headers) -> list[str]:
    cookies = cookie_parser("; ".join(headers.getlist("cookie")))
    return [cookies[COOKIE]] if COOKIE in cookies else []


def _is_of_this_site(headers: Headers) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return _host(headers.get("origin", "")) == headers.get("host", "").lower() != ""


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
