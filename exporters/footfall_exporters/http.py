"""POST to a backend over HTTP: what every subscriber that speaks it shares.

A backend is never believed more than its status: what it answers is bounded, and neither repeated in an
error nor logged. Redirects are not followed and cookies not kept: either could carry a key, or the data, to
someone else. Nor is a URL logged, since some APIs want the key in it.
"""

import asyncio
import datetime as dt
import email.utils
import gzip
import logging
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Annotated, Literal, cast

import httpx
import msgspec

from footfall_exporters.contracts import Rejected, Unavailable

log = logging.getLogger("footfall.exporters")

LARGEST_ANSWER = 64 * 1024
"""Bytes of an answer that are read; more are not waited for."""
LONGEST_WAIT = 3600.0
"""Seconds; a longer Retry-After counts as this."""
OPERATOR_WAIT = 300.0
"""Seconds until a wrong key or address is tried again."""
PAGE_WAIT = 30.0
"""The same after a web page, which may be one of maintenance."""
COME_AGAIN = frozenset({408, 425, 429})
OPERATOR = frozenset({401, 402, 403, 404, 405, 407})
"""Answers about the key, the account or the address, not about what was sent: somebody has to correct them.
Taken as final, a wrong key would cost everything that was sent with it."""

Url = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^https?://[^\s/?#@]+[^\s#@]*$(?!\n)",
        description="an http:// or https:// URL without a user name",
    ),
]
HeaderName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$(?!\n)",
        description="a header's name (RFC 9110, 5.1)",
    ),
]
HeaderValue = Annotated[
    str, msgspec.Meta(pattern=r"^[\t\x20-\x7e]*$(?!\n)", description="printable ASCII")
]
Secret = Annotated[
    str, msgspec.Meta(pattern=r"^[\x21-\x7e]+$(?!\n)", description="printable ASCII without spaces")
]


class ClientTls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a backend is trusted, and what it is shown.

    Attributes:
        ca_file: Trust what these have signed, and no one else, PEM; the known authorities without.
        cert_file: A certificate to show, with its chain, PEM.
        key_file: Its private key, PEM, without a passphrase.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where and how to POST; the base of configurations that have more to say.

    Proxies are taken from the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).

    Attributes:
        endpoint: The URL.
        headers: Sent with every request.
        timeout: Seconds that one request may take, answer included.
        compression: Of the request's body.
        tls: How a backend behind https:// is trusted.
    """

    endpoint: Url
    headers: dict[HeaderName, HeaderValue] = {}
    timeout: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10
    compression: Literal["gzip", "none"] = "gzip"
    tls: ClientTls | None = None

    def __repr__(self) -> str:
        """The class alone: the fields hold keys, and a repr ends in logs."""
        return f"{type(self).__name__}(...)"


class Sender:
    """Sends to one backend; `sender` makes it."""

    def __init__(self, config: HttpConfig, client: httpx.AsyncClient, *, pages: bool) -> None:
        self._config, self._client, self._pages = config, client, pages
        self._complaint = ""

    async def post(
        self,
        body: bytes,
        content_type: str,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Returns when the backend has answered 2xx, and not with a page where that is no answer of it.

        Args:
            body: What is sent; compressed here.
            content_type: Its media type.
            url: In place of the endpoint.
            headers: Beside the configured ones.

        Returns:
            The answer's body, at most LARGEST_ANSWER bytes of it.

        Raises:
            Rejected: the backend refuses what was sent: 4xx but those below.
            Unavailable: anything else, to be sent again: COME_AGAIN, OPERATOR, 3xx, 5xx, no answer in time,
                a broken connection, a certificate that is not trusted.
        """
        sent = {"Content-Type": content_type, **(headers or {})}
        if self._config.compression == "gzip":
            body = await asyncio.to_thread(gzip.compress, body, 6, mtime=0)
            sent["Content-Encoding"] = "gzip"
        try:
            # httpx bounds each read; only this bounds an answer that trickles.
            async with (
                asyncio.timeout(self._config.timeout),
                self._client.stream(
                    "POST", url or self._config.endpoint, content=body, headers=sent
                ) as response,
            ):
                answer = await _read(response)
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(_trouble(error)) from None  # its text and its request stay here
        self._judge(response)
        return answer

    def _judge(self, response: httpx.Response) -> None:
        status = response.status_code
        is_page = response.is_success and not self._pages and _is_page(response)
        if response.is_success and not is_page:
            self._complaint = ""
            return
        wait = retry_after(response.headers.get("Retry-After"))
        if is_page or status in OPERATOR or 300 <= status < 400:
            answer = f"HTTP {status}{' with a web page' if is_page else ''}"
            self._complain(answer)
            reason = f"the backend answered {answer}: its key or its address is wrong"
            raise Unavailable(reason, max(wait, PAGE_WAIT if is_page else OPERATOR_WAIT))
        if 400 <= status < 500 and status not in COME_AGAIN:
            raise Rejected(f"the backend answered HTTP {status}")
        raise Unavailable(f"the backend answered HTTP {status}", wait)

    def _complain(self, answer: str) -> None:
        """One line until it answers otherwise: it is asked again and again."""
        if self._complaint != answer:
            host = httpx.URL(self._config.endpoint).host
            right = "check the exporter's endpoint and key; nothing is lost, it is tried again"
            log.error("%s answers %s: %s", host, answer, right)
        self._complaint = answer


def _is_page(response: httpx.Response) -> bool:
    """One for people: whoever stands before the backend shows it, a proxy, or a login."""
    kind = response.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() in ("text/html", "application/xhtml+xml")


@asynccontextmanager
async def sender(config: HttpConfig, *, pages: bool = False) -> AsyncIterator[Sender]:
    """A sender with its connections, which are closed at the end; the backend need not be there.

    Args:
        config: Where and how to send.
        pages: Whether a 2xx with a web page is an answer of the backend; otherwise nothing has arrived.

    Raises:
        ValueError: the endpoint or a file of `tls` cannot be used.
    """
    for name in ("httpx", "httpcore"):  # they log URLs and headers
        logging.getLogger(name).setLevel(logging.WARNING)
    _check(config.endpoint)
    async with httpx.AsyncClient(
        verify=_ssl_context(config.tls or ClientTls(), config.endpoint),
        headers={"User-Agent": "footfall", "Accept-Encoding": "identity"} | config.headers,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=config.timeout,
        follow_redirects=False,
    ) as client:
        yield Sender(config, client, pages=pages)


def retry_after(value: str | None) -> float:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3): a number or a date; 1 without."""
    if value is None:
        return 1.0
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return min(max(float(value), 1.0), LONGEST_WAIT)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 1.0
    date = date if date.tzinfo else date.replace(tzinfo=dt.UTC)
    return min(max((date - dt.datetime.now(dt.UTC)).total_seconds(), 1.0), LONGEST_WAIT)


def _check(endpoint: str) -> None:
    """What the pattern of a URL cannot say."""
    try:
        port = httpx.URL(endpoint).port
    except httpx.InvalidURL:  # its message would quote it
        raise ValueError("endpoint: is not a URL") from None
    if port is not None and not 0 < port < 65536:
        raise ValueError("endpoint: the port must be 1 to 65535")


async def _read(response: httpx.Response) -> bytes:
    """As it comes: an answer that was compressed unasked is not unpacked."""
    read = bytearray()
    raw = cast(AsyncGenerator[bytes, None], response.aiter_raw())
    async with aclosing(raw) as chunks:
        async for chunk in chunks:
            read += chunk
            if len(read) >= LARGEST_ANSWER:
                break
    return bytes(read[:LARGEST_ANSWER])


def _trouble(error: BaseException) -> str:
    """What went wrong, in words of our own: no address, nothing that the backend said."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the backend's certificate is not trusted"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "the backend did not answer in time"
    if isinstance(error, httpx.ConnectError):
        return "the backend cannot be reached"
    return "the connection to the backend broke"


def _ssl_context(tls: ClientTls, endpoint: str) -> ssl.SSLContext:
    if (tls.cert_file is None) != (tls.key_file is None):
        raise ValueError("tls: cert_file and key_file go together")
    what = "ca_file"
    try:
        known = ssl.create_default_context(cafile=tls.ca_file) if tls.ca_file else None
        context = known or _default_context(endpoint)
        what = "cert_file or key_file"
        if tls.cert_file:
            # Without a password, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: "")
    except OSError as error:
        reason = "is not valid PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"tls: {what} cannot be used: {reason}") from None
    return context


def _default_context(endpoint: str) -> ssl.SSLContext:
    """Trusts the known authorities; nobody for http://, where they would be read, 50 ms, for nothing."""
    if endpoint.startswith("https://"):
        return httpx.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
