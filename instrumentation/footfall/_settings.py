"""Every setting of the SDK, and the environment variables that it is read from.

An argument of `configure()` wins over its variable, with one exception: where either says that
telemetry is off, it is off. An empty variable counts as unset (OpenTelemetry specification,
"Environment variable specification").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from footfall import _threads, _values
from footfall._decision import Mode, State, decide

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from footfall._destination import Destination
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
    "FOOTFALL_EXIT_HOOKS": Variable(
        "true",
        "`false` leaves alone how the process ends: no handler stands before the host's for SIGTERM, and"
        " os._exit() sends nothing",
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
    "FOOTFALL_ENDPOINT": Variable(
        "",
        "The collector's URL, where it is not that of the host's own telemetry. No OTEL_EXPORTER_OTLP_*"
        " variable is then used or sent: the following ones are",
    ),
    "FOOTFALL_PROTOCOL": Variable("grpc", "`grpc` or `http/protobuf`"),
    "FOOTFALL_HEADERS": Variable(
        "", "What goes with each request, such as a key: `authorization=Bearer%20ffk_...`"
    ),
    "FOOTFALL_CERTIFICATE": Variable(
        "", "Path of the certificates (PEM) that the collector's is signed by; else the system's"
    ),
    "FOOTFALL_CLIENT_CERTIFICATE": Variable(
        "", "Path of the certificate (PEM) that is shown to the collector (mTLS)"
    ),
    "FOOTFALL_CLIENT_KEY": Variable("", "Path of its key (PEM)"),
    "FOOTFALL_TIMEOUT": Variable("10", "Seconds that one export may take, retries included"),
    "FOOTFALL_COMPRESSION": Variable("none", "`gzip` or `none`"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": Variable(
        "", "The collector's URL (default: http://localhost:4317 for grpc, :4318 for http/protobuf)"
    ),
    "OTEL_EXPORTER_OTLP_PROTOCOL": Variable(
        "grpc", "As FOOTFALL_PROTOCOL, like the six that follow"
    ),
    "OTEL_EXPORTER_OTLP_HEADERS": Variable("", "As FOOTFALL_HEADERS"),
    "OTEL_EXPORTER_OTLP_CERTIFICATE": Variable("", "As FOOTFALL_CERTIFICATE"),
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": Variable("", "As FOOTFALL_CLIENT_CERTIFICATE"),
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": Variable("", "As FOOTFALL_CLIENT_KEY"),
    "OTEL_EXPORTER_OTLP_TIMEOUT": Variable("10", "As FOOTFALL_TIMEOUT"),
    "OTEL_EXPORTER_OTLP_COMPRESSION": Variable("none", "As FOOTFALL_COMPRESSION"),
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
"""Also honoured: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES (only service.name, service.version and
deployment.environment.name are used), and OTEL_EXPORTER_OTLP_TRACES_* and OTEL_EXPORTER_OTLP_METRICS_*."""
_HOSTS: Final = frozenset(
    {
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    }
)
"""What the host has set for its own telemetry, which is not for Footfall to judge."""
SUB_INTERPRETER: Final = (
    "this is a sub-interpreter, which could not end while a thread of it sends: call configure() in the main"
    " interpreter"
)
NO_CATALOG: Final = "no catalog is named: configure(catalog=...) or TELEMETRY_CATALOG"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings as they hold.

    Attributes:
        mode: `on`, `local` (nothing is sent) or `off`, when nothing else was looked at.
        catalog: A catalog, or the paths of its files.
        traces: Where observations go; None in a mode that sends nothing.
        metrics: Where counters go.
        sample_rate: Share of observations that are sent as spans, [0, 1].
        salt: Hashes attributes with `hash` before they are sent; empty when they are not.
        metric_interval: Milliseconds between two exports of the counters.
        span_delay: Milliseconds between two exports of spans.
        queue: How many spans may wait.
        batch: Spans in one request.
        notes: What is said about values that are not used as they are.
        exit_hooks: Whether SIGTERM and `os._exit()` flush.
    """

    mode: Mode = "off"
    catalog: "Catalog | Paths" = ()
    traces: "Destination | None" = None
    metrics: "Destination | None" = None
    sample_rate: float = 1.0
    salt: bytes = b""
    metric_interval: float = 60_000.0
    span_delay: float = 5_000.0
    queue: int = 2048
    batch: int = 512
    notes: tuple[str, ...] = ()
    exit_hooks: bool = True


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
    ways: Mapping[str, Any] | None,
    sample_rate: float | None,
    exit_hooks: bool | None = None,
    consent: State | None = None,
) -> Settings:
    """The settings from arguments (None where not given) and environment variables.

    Args:
        environ: The environment variables.
        enabled: As in `configure()`, like the four that follow.
        catalog: A catalog or its files.
        ways: Where telemetry goes and how, by the options of `footfall._destination`; None where
            something else sends.
        sample_rate: The share of observations that are sent as spans.
        exit_hooks: Whether SIGTERM and `os._exit()` flush.
        consent: What the user said, in a program that asks.

    Raises:
        ConfigurationError: anything is wrong. While telemetry is off only what turns it on is read.
    """
    mistakes: list[str] = []
    notes: list[str] = []

    def value(name: str, parse: Callable[[str], T], argument: object = None) -> T:
        text = environ.get(name, "").strip() if argument is None else str(argument)
        try:
            return parse(text or VARIABLES[name].default)
        except ValueError as error:
            if name in _HOSTS:
                notes.append(f"{name} {error}; it is left out")
            else:
                mistakes.append(f"{name} {error}")
            return parse(VARIABLES[name].default)

    value("OTEL_SDK_DISABLED", _values.flag)
    value("TELEMETRY_ENABLED", _values.switch)
    if enabled not in (None, True, False):
        mistakes.append("enabled must be True or False")
    mode = decide(environ, enabled, consent)
    settings = Settings()
    if mode != "off" and not _threads.may_start():
        mistakes.append(SUB_INTERPRETER)
    elif mode != "off":
        traces, metrics = None, None
        if mode == "on" and ways is not None:
            traces, metrics = _destinations(environ, ways, notes, mistakes)
        queue = value("OTEL_BSP_MAX_QUEUE_SIZE", _values.whole)
        settings = Settings(
            mode=mode,
            catalog=catalog_of(environ, catalog),
            traces=traces,
            metrics=metrics,
            sample_rate=value("TELEMETRY_SAMPLE_RATE", _values.share, sample_rate),
            salt=value("TELEMETRY_HASH_SALT", _values.salt),
            metric_interval=value("OTEL_METRIC_EXPORT_INTERVAL", _values.positive),
            span_delay=value("OTEL_BSP_SCHEDULE_DELAY", _values.positive),
            queue=queue,
            batch=min(value("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", _values.whole), queue),
            notes=tuple(dict.fromkeys(notes)),
            exit_hooks=value("FOOTFALL_EXIT_HOOKS", _values.flag, exit_hooks),
        )
        if not settings.catalog:
            mistakes.append(NO_CATALOG)
    if mistakes:
        raise ConfigurationError(mistakes)
    return settings


def _destinations(
    environ: Mapping[str, str], ways: Mapping[str, Any], notes: list[str], mistakes: list[str]
) -> "tuple[Destination | None, Destination | None]":
    from footfall._destination import destination  # not before it is needed

    try:
        return (
            destination("traces", environ, ways, notes),
            destination("metrics", environ, ways, notes),
        )
    except ValueError as error:
        mistakes.append(str(error))
        return None, None


def catalog_of(environ: Mapping[str, str], catalog: "Catalog | Paths | None") -> "Catalog | Paths":
    """The catalog that was given, or the files that TELEMETRY_CATALOG names; empty without either."""
    return _values.paths(environ.get("TELEMETRY_CATALOG", "").strip()) if catalog is None else catalog


def load(catalog: "Catalog | Paths") -> "Catalog":
    """A catalog from its files; needs no OpenTelemetry, which nobody needs before their user was asked.

    Raises:
        ConfigurationError: with every mistake in every file.
    """
    from footfall_processors.catalog import Catalog
    from footfall_processors.document import DocumentError
    from footfall_processors.loading import load_catalog

    if isinstance(catalog, Catalog):
        return catalog
    if not catalog:
        raise ConfigurationError([NO_CATALOG])
    paths = [catalog] if isinstance(catalog, str | PathLike) else list(catalog)
    try:
        return load_catalog([str(path) for path in paths])
    except DocumentError as error:
        raise ConfigurationError([str(mistake) for mistake in error.mistakes]) from error
