"""Every setting of the SDK: what `configure()` was told, and what holds with the environment variables.

An argument of `configure()` wins over its variable, with one exception: where either says that
telemetry is off, it is off. An empty variable counts as unset (OpenTelemetry specification,
"Environment variable specification").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from footfall import _threads, _values
from footfall._decision import Mode, State, decide
from footfall._variables import LEFT_OUT, VARIABLES

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from footfall._destination import Destination
    from footfall._recording.outcome import Errors
    from footfall_processors.catalog import Catalog

T = TypeVar("T")
Paths = str | PathLike[str] | Sequence[str | PathLike[str]]

SUB_INTERPRETER: Final = (
    "this is a sub-interpreter, which could not end while a thread of it sends: call configure() in the main"
    " interpreter"
)
NO_CATALOG: Final = "no catalog is named: configure(catalog=...) or TELEMETRY_CATALOG"


class Exporters(NamedTuple):
    """What sends. `configure()` makes OTLP exporters unless it is given others (tests, benchmarks).

    Attributes:
        spans: Sends observations.
        metrics: Sends counters.
    """

    spans: "SpanExporter"
    metrics: "MetricExporter"


@dataclass(frozen=True, slots=True)
class Options:
    """What `configure()` was told; None where it was not.

    Attributes:
        catalog: A catalog, or the paths of its files.
        destination: Where telemetry goes and how, by the options of `footfall._destination`.
        enabled: Whether to send anything.
        sample_rate: Share of observations that are sent as spans.
        consent: Whether the program asks its user.
        errors: The application's exception classes and their error types.
        exporters: What sends, in place of OTLP exporters.
        service: Name, version and environment of the service.
        exit_hooks: Whether signals, `os._exit()` and `os.exec*()` flush.
        captured: Whether a test captures what would be sent.
    """

    catalog: "Catalog | Paths | None" = None
    destination: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool | None = None
    sample_rate: float | None = None
    consent: bool = False
    errors: "Errors | None" = None
    exporters: Exporters | None = None
    service: tuple[object, object, object] = (None, None, None)
    exit_hooks: bool | None = None
    captured: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings as they hold.

    Attributes:
        options: What `configure()` was told, of which no variable says anything: errors, exporters, service.
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
        exit_hooks: Whether signals, `os._exit()` and `os.exec*()` flush.
    """

    options: Options = Options()
    mode: Mode = "off"
    catalog: "Catalog | Paths" = ()
    traces: "Destination | None" = None
    metrics: "Destination | None" = None
    sample_rate: float = 1.0
    salt: bytes = b""
    metric_interval: float = 60_000.0
    span_delay: float = 5_000.0
    queue: int = 2048
    batch: int = 100
    notes: tuple[str, ...] = ()
    exit_hooks: bool = True


class ConfigurationError(ValueError):
    """What was configured cannot be used; `mistakes` holds every reason, one line each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


def read(environ: Mapping[str, str], options: Options, consent: State | None = None) -> Settings:
    """The settings from what `configure()` was told, and from environment variables.

    Args:
        environ: The environment variables.
        options: What it was told.
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
            if name in LEFT_OUT:
                notes.append(f"{name} {error}; it is left out")
            else:
                mistakes.append(f"{name} {error}")
            return parse(VARIABLES[name].default)

    def first(ours: str, hosts: str) -> str:
        is_hosts = environ.get(hosts, "").strip() and not environ.get(ours, "").strip()
        return hosts if is_hosts else ours

    value("OTEL_SDK_DISABLED", _values.flag)
    value("TELEMETRY_ENABLED", _values.switch)
    if options.enabled not in (None, True, False):
        mistakes.append("enabled must be True or False")
    mode = decide(environ, options.enabled, consent)
    settings = Settings(options)
    if mode != "off" and not _threads.may_start():
        mistakes.append(SUB_INTERPRETER)
    elif mode != "off":
        traces, metrics = None, None
        if mode == "on" and options.exporters is None:
            traces, metrics = _destinations(environ, options.destination, notes, mistakes)
        queue = value("OTEL_BSP_MAX_QUEUE_SIZE", _values.whole)
        batch = first("TELEMETRY_BATCH_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
        settings = Settings(
            options,
            mode,
            catalog=catalog_of(environ, options.catalog),
            traces=traces,
            metrics=metrics,
            sample_rate=value("TELEMETRY_SAMPLE_RATE", _values.share, options.sample_rate),
            salt=value("TELEMETRY_HASH_SALT", _values.salt),
            metric_interval=value("OTEL_METRIC_EXPORT_INTERVAL", _values.positive),
            span_delay=value(
                first("TELEMETRY_FLUSH_INTERVAL", "OTEL_BSP_SCHEDULE_DELAY"), _values.positive
            ),
            queue=queue,
            batch=min(value(batch, _values.whole), queue),
            notes=tuple(dict.fromkeys(notes)),
            exit_hooks=value("FOOTFALL_EXIT_HOOKS", _values.flag, options.exit_hooks),
        )
        if not settings.catalog:
            mistakes.append(NO_CATALOG)
    if mistakes:
        raise ConfigurationError(mistakes)
    return settings


def _destinations(
    environ: Mapping[str, str], arguments: Mapping[str, Any], notes: list[str], mistakes: list[str]
) -> "tuple[Destination | None, Destination | None]":
    from footfall._destination import destination  # not before it is needed

    try:
        return (
            destination("traces", environ, arguments, notes),
            destination("metrics", environ, arguments, notes),
        )
    except ValueError as error:
        mistakes.append(str(error))
        return None, None


def catalog_of(environ: Mapping[str, str], catalog: "Catalog | Paths | None") -> "Catalog | Paths":
    """The catalog that was given, or the files that TELEMETRY_CATALOG names; empty without either."""
    return (
        _values.paths(environ.get("TELEMETRY_CATALOG", "").strip()) if catalog is None else catalog
    )


def load(catalog: "Catalog | Paths") -> "Catalog":
    """A catalog from its files; needs no OpenTelemetry, which nobody needs before a user was asked.

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
