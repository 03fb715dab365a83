"""Every setting of the SDK, and the environment variables that it is read from.

An argument of `configure()` wins over its variable, with one exception: where either says that
telemetry is off, it is off. An empty variable counts as unset (OpenTelemetry specification,
"Environment variable specification").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from os import PathLike, pathsep
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from footfall._decision import Mode, State, decide

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from footfall_processors.catalog import Catalog

T = TypeVar("T")
Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


class Variable(NamedTuple):
    """A row of the table below: the default as it would be written, and what it means."""

    default: str
    meaning: str


VARIABLES: Final = {
    "TELEMETRY_ENABLED": Variable(
        "false",
        "`true` turns telemetry on, `local` keeps everything on this machine; without it every call is a"
        " no-op, except in a program that asks its user",
    ),
    "OTEL_SDK_DISABLED": Variable("false", "`true` turns telemetry off, whatever else is set"),
    "DO_NOT_TRACK": Variable("0", "Anything but `0` and `false` turns telemetry off as well"),
    "TELEMETRY_CATALOG": Variable("", "Path of `events.yaml`; several are joined as in PATH"),
    "TELEMETRY_SAMPLE_RATE": Variable(
        "1",
        "Share of observations sent as spans, 0 to 1; the others are counted, so counts stay exact",
    ),
    "TELEMETRY_HASH_SALT": Variable(
        "",
        "A secret of 32 bytes or more: attributes with `hash` are then hashed before they are sent, and"
        " hashed again by the collector",
    ),
    "OTEL_EXPORTER_OTLP_ENDPOINT": Variable(
        "", "The collector's URL (default: http://localhost:4317 for grpc, :4318 for http/protobuf)"
    ),
    "OTEL_EXPORTER_OTLP_PROTOCOL": Variable("grpc", "`grpc` or `http/protobuf`"),
    "OTEL_EXPORTER_OTLP_TIMEOUT": Variable(
        "10", "Seconds that one export may take, retries included"
    ),
    "OTEL_METRIC_EXPORT_INTERVAL": Variable(
        "60000", "Milliseconds between two exports of the counters"
    ),
    "OTEL_BSP_SCHEDULE_DELAY": Variable("5000", "Milliseconds between two exports of spans"),
    "OTEL_BSP_MAX_QUEUE_SIZE": Variable(
        "2048", "Spans that may wait; what does not fit is counted instead"
    ),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": Variable(
        "512", "Spans in one request, at most the queue's size"
    ),
}
"""Also honoured, by OpenTelemetry's own classes: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES (only
service.version and deployment.environment.name are used) and the OTEL_EXPORTER_OTLP_* variables for
headers, compression and certificates."""


NO_CATALOG: Final = "no catalog is named: configure(catalog=...) or TELEMETRY_CATALOG"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings as they hold.

    Attributes:
        mode: `on`, `local` (nothing is sent) or `off`, when nothing else was looked at.
        catalog: A catalog, or the paths of its files.
        endpoint: The collector's URL, or None for what the variables say.
        protocol: `grpc` or `http/protobuf`.
        sample_rate: Share of observations that are sent as spans, [0, 1].
        salt: Hashes attributes with `hash` before they are sent; empty when they are not.
        metric_interval: Milliseconds between two exports of the counters.
        span_delay: Milliseconds between two exports of spans.
        queue: How many spans may wait.
        batch: Spans in one request.
    """

    mode: Mode = "off"
    catalog: "Catalog | Paths" = ()
    endpoint: str | None = None
    protocol: str = "grpc"
    sample_rate: float = 1.0
    salt: bytes = b""
    metric_interval: float = 60_000.0
    span_delay: float = 5_000.0
    queue: int = 2048
    batch: int = 512


class Exporters(NamedTuple):
    """What sends. `configure()` makes OTLP exporters unless it is given others (tests, benchmarks).

    Attributes:
        spans: Sends observations.
        metrics: Sends counters.
    """

    spans: "SpanExporter"
    metrics: "MetricExporter"


class ConfigurationError(ValueError):
    """What was configured cannot be used; `mistakes` holds every reason, one line each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


def read(
    environ: Mapping[str, str],
    *,
    enabled: bool | None,
    catalog: "Catalog | Paths | None",
    endpoint: str | None,
    sample_rate: float | None,
    consent: State | None = None,
) -> Settings:
    """The settings from arguments (None where not given) and environment variables.

    Args:
        environ: The environment variables.
        enabled: As in `configure()`, like the three that follow.
        catalog: A catalog or its files.
        endpoint: The collector's URL.
        sample_rate: The share of observations that are sent as spans.
        consent: What the user said, in a program that asks.

    Raises:
        ConfigurationError: anything is wrong. While telemetry is off only what turns it on is read.
    """
    mistakes: list[str] = []

    def value(name: str, parse: Callable[[str], T], argument: object = None) -> T:
        text = environ.get(name, "").strip() if argument is None else str(argument)
        try:
            return parse(text or VARIABLES[name].default)
        except ValueError as error:
            mistakes.append(f"{name} {error}")
            return parse(VARIABLES[name].default)

    value("OTEL_SDK_DISABLED", _flag)
    value("TELEMETRY_ENABLED", _switch)
    mode = decide(environ, enabled, consent)
    settings = Settings()
    if mode != "off":
        value("OTEL_EXPORTER_OTLP_TIMEOUT", _positive)  # which the exporters read themselves
        queue = value("OTEL_BSP_MAX_QUEUE_SIZE", _whole)
        settings = Settings(
            mode=mode,
            catalog=catalog_of(environ, catalog),
            endpoint=value("OTEL_EXPORTER_OTLP_ENDPOINT", _url, endpoint) and endpoint,
            protocol=value("OTEL_EXPORTER_OTLP_PROTOCOL", _protocol),
            sample_rate=value("TELEMETRY_SAMPLE_RATE", _share, sample_rate),
            salt=value("TELEMETRY_HASH_SALT", _salt),
            metric_interval=value("OTEL_METRIC_EXPORT_INTERVAL", _positive),
            span_delay=value("OTEL_BSP_SCHEDULE_DELAY", _positive),
            queue=queue,
            batch=min(value("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", _whole), queue),
        )
        if not settings.catalog:
            mistakes.append(NO_CATALOG)
    if mistakes:
        raise ConfigurationError(mistakes)
    return settings


def catalog_of(environ: Mapping[str, str], catalog: "Catalog | Paths | None") -> "Catalog | Paths":
    """The catalog that was given, or the files that TELEMETRY_CATALOG names; empty without either."""
    return _paths(environ.get("TELEMETRY_CATALOG", "").strip()) if catalog is None else catalog


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError("must be true or false")
    return text.lower() in ("true", "1")


def _switch(text: str) -> None:
    if text.lower() not in ("true", "false", "1", "0", "local"):
        raise ValueError("must be true, false or local")


def _number(text: str, good: Callable[[float], bool], rule: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not (isfinite(number) and good(number)):
        raise ValueError(rule)
    return number


def _share(text: str) -> float:
    return _number(text, lambda n: 0 <= n <= 1, "must be a number from 0 to 1")


def _salt(text: str) -> bytes:
    from footfall_processors.hashing import SaltError, static_salts

    try:
        return next(iter(static_salts(text).values()), b"")
    except SaltError as error:  # its message names the variable, as ours does
        raise ValueError(str(error).partition(" ")[2].rstrip(".")) from None


def _positive(text: str) -> float:
    return _number(text, lambda n: n > 0, "must be a number above 0")


def _whole(text: str) -> int:
    return int(_number(text, lambda n: n >= 1 and n == int(n), "must be a whole number above 0"))


def _protocol(text: str) -> str:
    if text not in ("grpc", "http/protobuf"):
        raise ValueError("must be grpc or http/protobuf")
    return text


def _paths(text: str) -> Sequence[str]:
    return [path for path in text.split(pathsep) if path]


def _url(text: str) -> str:
    """An endpoint as both exporters understand it; it may not hold a password, which could be logged."""
    url = urlsplit(text)
    if text and (url.scheme not in ("http", "https") or not url.hostname or url.username):
        raise ValueError("must be a URL without a password, such as http://localhost:4317")
    return text
