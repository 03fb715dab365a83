"""Where telemetry goes, and how.

| the endpoint is from | headers, protocol, certificates, timeout and compression are from |
|---|---|
| `configure(endpoint=...)`, FOOTFALL_ENDPOINT | `configure()`, else FOOTFALL_* |
| OTEL_EXPORTER_OTLP_ENDPOINT or its default | `configure()`, else FOOTFALL_*, else OTEL_EXPORTER_OTLP_* |

What a host has set for its vendor is neither sent to nor used for an endpoint that is Footfall's own. A value
that cannot be used is left out, and noted by the name of its variable: it may be a secret, so it is never
repeated. What would send to another place, or trust another one, than was said is a mistake instead.

Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter", "Configuration Options".
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

from footfall._headers import parse_headers
from footfall._values import bare

T = TypeVar("T")
Signal = Literal["traces", "metrics"]
Protocol = Literal["grpc", "http/protobuf"]

OPTIONS: Final = (
    "endpoint", "protocol", "headers", "certificate", "client_certificate", "client_key", "timeout",
    "compression",
)  # fmt: skip
"""Arguments of `configure()`, and the ends of FOOTFALL_* and OTEL_EXPORTER_OTLP_* variables."""
OWN: Final = "FOOTFALL_"
GENERIC: Final = "OTEL_EXPORTER_OTLP_"
LONG_TIMEOUT: Final = 60.0
"""Seconds; a longer timeout is probably meant in milliseconds, as most other SDKs have it."""
_DEFAULTS: Final = {"grpc": "http://localhost:4317", "http/protobuf": "http://localhost:4318"}
_PROTOCOLS: Final[dict[str, Protocol]] = {"grpc": "grpc", "http/protobuf": "http/protobuf"}
_NO_URL: Final = "must be a URL without a password, such as http://localhost:4317"
_SCHEMES: Final = {"http": "http", "https": "https", "grpc": "http", "grpcs": "https"}
_SLASHES: Final = re.compile(r"^(https?|grpcs?):/+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one signal goes.

    Attributes:
        endpoint: The URL of a gRPC server, or the one that OTLP over HTTP posts to; without user, password
            and query, so that it may be logged.
        protocol: `grpc` or `http/protobuf`.
        headers: Sent with each request, as a key.
        certificate: Path of the authorities' certificates in PEM; empty for those of the system.
        client_certificate: Path of the certificate that is shown (mTLS), or empty.
        client_key: Path of its key, or empty.
        timeout: Seconds that one export may take, retries included.
        compression: `gzip` or `none`.
        own: Whether the endpoint is Footfall's own, so that no generic variable counts.
    """

    endpoint: str
    protocol: Protocol
    headers: Mapping[str, str]
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    timeout: float = 10.0
    compression: str = "none"
    own: bool = True


class _Found(NamedTuple):
    """A value that was given: by whom, and whether to Footfall alone."""

    name: str
    value: Any
    own: bool


class _Given:
    """Looks options up, in the order of the table above.

    Args:
        signal: Whose they are.
        environ: The environment variables.
        arguments: Those of `configure()`; None where not given.
        notes: Takes what is said about values that cannot be used as they are.
    """

    def __init__(
        self,
        signal: Signal,
        environ: Mapping[str, str],
        arguments: Mapping[str, Any],
        notes: list[str],
    ) -> None:
        self._signal, self._environ, self._arguments = signal, environ, arguments
        self.notes = notes
        self.own = any(found.own for found in self._all("endpoint", generic=False))

    def _all(self, option: str, *, generic: bool) -> Iterator[_Found]:
        argument = self._arguments.get(option)
        if argument is not None and argument != "":
            yield _Found(option, argument, True)
        names = [(f"{OWN}{option.upper()}", True)]
        if generic:
            ends = (f"{self._signal.upper()}_{option.upper()}", option.upper())
            names += [(f"{GENERIC}{end}", False) for end in ends]
        for name, own in names:
            if text := self._environ.get(name, "").strip():
                yield _Found(name, text, own)

    def first(self, option: str, parse: Callable[[_Found], T], default: T) -> tuple[T, str]:
        """The first value that can be used, and its name; ("") with the default.

        Raises:
            ValueError: what would send or trust differently than Footfall was told.
        """
        for found in self._all(option, generic=not self.own):
            try:
                return parse(found), found.name
            except ValueError as error:
                if found.own and option in ("endpoint", *_FILES):
                    raise ValueError(f"{found.name} {error}") from None
                self.notes.append(f"{found.name} {error}; it is left out")
        return default, ""


def destination(
    signal: Signal, environ: Mapping[str, str], arguments: Mapping[str, Any], notes: list[str]
) -> Destination:
    """Where `signal` goes.

    Args:
        signal: `traces` or `metrics`.
        environ: The environment variables.
        arguments: By option, as `configure()` was given them; None where not.
        notes: Takes what is said about values that cannot be used as they are.

    Raises:
        ValueError: the endpoint or a certificate that was given to Footfall cannot be used.
    """
    given = _Given(signal, environ, arguments, notes)
    protocol: Protocol = given.first("protocol", lambda f: _protocol(f, notes), _PROTOCOLS["grpc"])[
        0
    ]
    url, source = given.first("endpoint", lambda found: _url(found, environ, notes), None)
    headers, _ = given.first(
        "headers", lambda f: parse_headers(f.name, f.value, protocol, notes), dict[str, str]()
    )
    files = {name: given.first(name, _file, "")[0] for name in _FILES}
    if bool(files["client_key"]) != bool(files["client_certificate"]):
        files |= {"client_key": "", "client_certificate": ""}
        notes.append(
            "client_certificate and client_key go together; the one that is given is left out"
        )
    timeout, _ = given.first("timeout", lambda found: _timeout(found, notes), 10.0)
    compression, _ = given.first("compression", _compression, "none")
    return Destination(
        _endpoint(url or urlsplit(_DEFAULTS[protocol]), protocol, signal, source),
        protocol, headers, **files, timeout=timeout, compression=compression, own=given.own,
    )  # fmt: skip


_FILES: Final = ("certificate", "client_certificate", "client_key")


def _endpoint(url: SplitResult, protocol: Protocol, signal: Signal, source: str) -> str:
    """A variable for one signal holds the whole URL; others hold what stands before `/v1/...`."""
    path = url.path.rstrip("/")
    if protocol == "grpc":
        path = ""
    elif source != f"{GENERIC}{signal.upper()}_ENDPOINT":
        path = path.removesuffix("/v1/traces").removesuffix("/v1/metrics") + f"/v1/{signal}"
    return url._replace(path=path).geturl()


def _url(found: _Found, environ: Mapping[str, str], notes: list[str]) -> SplitResult:
    if not isinstance(found.value, str):
        raise ValueError(_NO_URL)
    text = _SLASHES.sub(r"\1://", "".join(bare(found.value).split()))
    text = text.removeprefix("dns:///")  # gRPC's own way to name a host
    if "://" not in text:
        text = f"{_scheme(text, {} if found.own else environ)}://{text}"
        notes.append(f"{found.name} has no scheme; it is read as {text.partition(':')[0]}://")
    try:
        url = urlsplit(text)
        known = url.scheme in _SCHEMES and bool(url.hostname) and url.port != 0
        known = known and not url.netloc.endswith(":")
    except ValueError:
        known = False
    if not known or (found.own and "@" in url.netloc):
        raise ValueError(_NO_URL)
    host = url.netloc.rpartition("@")[2]
    plain = url._replace(scheme=_SCHEMES[url.scheme], netloc=host, query="", fragment="")
    if (host, "") != (url.netloc, url.query):
        notes.append(f"{found.name} holds a user or a query, which is not sent")
    return plain


def _scheme(text: str, environ: Mapping[str, str]) -> str:
    """What `host:port` stands for: TLS, as OpenTelemetry has it, but not where hardly anybody has it."""
    host = urlsplit(f"//{text}").hostname or ""
    if said := environ.get(f"{GENERIC}INSECURE", "").strip().lower():
        return "http" if said == "true" else "https"
    try:
        near = ipaddress.ip_address(host).is_private
    except ValueError:
        near = "." not in host or host.endswith((".local", ".internal", ".localhost"))
    return "http" if near else "https"


def _protocol(found: _Found, notes: list[str]) -> Protocol:
    text = str(found.value).strip()
    plain = bare(text).lower()
    if plain in ("http/json", "http", "http/proto"):
        plain = "http/protobuf"
    if plain not in _PROTOCOLS:
        raise ValueError("must be grpc or http/protobuf")
    if plain != text:
        notes.append(f"{found.name} is read as {plain}")
    return _PROTOCOLS[plain]


def _file(found: _Found) -> str:
    try:
        path = Path(bare(str(found.value)))
        readable = b"-----BEGIN " in path.read_bytes()
    except (OSError, ValueError):
        readable = False
    if not readable:
        raise ValueError("must be a file in PEM that can be read")
    return str(path)


def _timeout(found: _Found, notes: list[str]) -> float:
    try:
        seconds = float(bare(str(found.value)))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError("must be a number of seconds above 0")
    if seconds > LONG_TIMEOUT:
        notes.append(
            f"{found.name} is {seconds:g} seconds; is it meant in milliseconds? Then it is"
            f" {seconds / 1000:g} here"
        )
    return seconds


def _compression(found: _Found) -> str:
    text = bare(str(found.value)).lower()
    if text not in ("gzip", "none"):
        raise ValueError("must be gzip or none")
    return text
