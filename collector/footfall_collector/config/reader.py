"""A configuration file as it was written, every section as its class, and all mistakes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from footfall_collector.config import alerts, digest
from footfall_collector.config.environment import (
    expand,
    fill,
    fill_api,
    fill_sinks,
    leave_out_analytics,
)
from footfall_collector.config.identity import is_loopback
from footfall_collector.config.schema import (
    File,
    GrpcConfig,
    HttpConfig,
    OperatorConfig,
    PipelineConfig,
)
from footfall_collector.signals import SIGNALS
from footfall_exporters import registry
from footfall_exporters.postgres import PostgresConfig
from footfall_processors.document import Document, DocumentError, Keys, convert, load, nearest

STORE = "postgres"
"""The exporter that is the store; all others are subscribers."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a configuration says.

    Attributes:
        document: With the mistakes so far.
        file: None when it has not the right form.
        exporters: By their ids those that are set or used; None for one that is wrong.
        filled: The paths that variables have filled, as mistakes show them, with the variables.
        folder: What its files are seen from.
    """

    document: Document
    file: File | None
    exporters: dict[str, Any]
    filled: dict[str, str]
    folder: Path


def read(path: str | Path | None, environment: Mapping[str, str]) -> Reading:
    """Reads a configuration file, or the environment alone.

    Raises:
        DocumentError: the file cannot be read, or is not YAML.
    """
    document = load(path) if path is not None else Document("(environment)", {})
    document.lax = True
    document.data = expand(document, document.data, (), environment)
    filled = fill(document.data, environment)
    fill_sinks(document, environment)
    filled |= fill_api(document, environment)
    filled |= leave_out_analytics(document, environment)
    file = document.read(File)
    folder = Path(path).parent if path is not None else Path()
    exporters = _exporters(document, file, folder)
    if file is not None:
        _check(document, file)
    document.mistakes = [
        replace(m, message=f"{m.message} (set by {filled[m.path]})") if m.path in filled else m
        for m in document.mistakes
    ]
    return Reading(document, file, exporters, filled, folder)


def logs_json(path: str | Path | None, environment: Mapping[str, str]) -> bool:
    """Whether the collector's log is JSON, as far as a configuration with mistakes can say it."""
    try:
        document = read(path, environment).document
    except DocumentError:
        return False
    return bool(section(document, "service", "telemetry", "logs", "encoding") == "json")


def section(document: Document, *keys: str) -> Any:
    """What the document has under these keys, whatever it is; None for nothing."""
    found = document.data
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _exporters(document: Document, file: File | None, folder: Path) -> dict[str, Any]:
    """Every exporter that the file sets or a pipeline uses, by its id."""
    said = section(document, "exporters")
    said = said if isinstance(said, dict) else {}
    pipelines = file.service.pipelines.values() if file else ()
    used = [name for pipeline in pipelines for name in pipeline.exporters]
    found: dict[str, Any] = {}
    for name in dict.fromkeys([STORE, *said, *used]):
        path: Keys = ("exporters", name)
        shape = PostgresConfig if name == STORE else _kind(document, name, path)
        if shape is not None:
            config = convert(document, shape, said.get(name) or {}, path)
            found[name] = config and located(config, folder)
    return found


def _kind(document: Document, name: str, path: Keys) -> Any:
    """The class of an exporter's configuration; None, and a mistake, for a kind that is not there."""
    kind = name.partition("/")[0]
    try:
        shape = registry.config_class(kind)
    except ImportError as error:
        document.wrong(path, f"the kind {kind} needs {error.name}, which is not installed")
        return None
    if shape is None:
        known = [STORE, *registry.kinds()]
        hint = f"{nearest(kind, known)} (known: {', '.join(known)})"
        document.wrong(path, f"is no kind of exporter{hint}; name one as kind or kind/name")
    return shape


def located(config: T, folder: Path) -> T:
    """A section whose files and folders are seen from the configuration's own folder."""
    if not isinstance(config, msgspec.Struct):
        return config
    changed: dict[str, Any] = {}
    for name in config.__struct_fields__:
        value = getattr(config, name)
        if isinstance(value, msgspec.Struct):
            changed[name] = located(value, folder)
        elif isinstance(value, str) and (name.endswith("_file") or name in ("directory", "path")):
            changed[name] = str(folder / value)
    return msgspec.structs.replace(config, **changed)


def _check(document: Document, file: File) -> None:
    """What the types cannot say."""
    known = {"receivers": ("otlp",), "processors": ("footfall",)}
    first = next(iter(file.service.pipelines.values()), PipelineConfig())
    for signal, pipeline in file.service.pipelines.items():
        path = ("service", "pipelines", signal)
        if signal not in SIGNALS:
            document.wrong(path, f"is not a signal that is taken (known: {', '.join(SIGNALS)})")
        for kind, names in known.items():
            if getattr(pipeline, kind) != names:
                document.wrong((*path, kind), f"must be [{', '.join(names)}]")
        if not pipeline.exporters or pipeline.exporters != first.exporters:
            right = (
                "must name at least one"
                if not pipeline.exporters
                else "must be those of all pipelines"
            )
            document.wrong((*path, "exporters"), right)
    if file.receivers.otlp.deduplicate == "spans" and STORE not in first.exporters:
        right = (
            "spans are known by what is stored: a gateway, which stores nothing, takes `requests`"
        )
        document.wrong(("receivers", "otlp", "deduplicate"), right)
    _check_api(document, file, first)
    _check_digest(document, file, first)
    _check_alerts(document, file, first)
    if not file.processors.footfall.catalog:
        document.wrong(("processors", "footfall", "catalog"), "must name at least one file")
    _check_dsn(document)
    _check_readers(document)
    protocols = file.receivers.otlp.protocols
    if not (protocols.grpc or protocols.http):
        document.wrong(("receivers", "otlp", "protocols"), "leave at least one protocol on")
    operator = file.service.operator
    listeners: list[tuple[Keys, GrpcConfig | HttpConfig | OperatorConfig | None]] = [
        (("receivers", "otlp", "protocols", "grpc"), protocols.grpc),
        (("receivers", "otlp", "protocols", "http"), protocols.http),
        (("service", "operator"), operator),
    ]
    for where, listener in listeners:
        if listener is not None and int(listener.endpoint.rpartition(":")[2]) > 65535:
            document.wrong((*where, "endpoint"), "the port must be at most 65535")
    if (
        operator
        and not operator.keys_file
        and not is_loopback(operator.endpoint.rpartition(":")[0])
    ):
        document.wrong(
            ("service", "operator", "endpoint"),
            "is reached from other machines: set keys_file beside it, or use 127.0.0.1",
        )


def _check_api(document: Document, file: File, pipeline: PipelineConfig) -> None:
    path: Keys = ("receivers", "http_api")
    if file.receivers.http_api is None:
        return
    if file.receivers.otlp.protocols.http is None:
        document.wrong(path, "is served on the listener of OTLP/HTTP: leave `protocols.http` on")
    if STORE not in pipeline.exporters:
        document.wrong(path, "needs the store: name `postgres` among the exporters")


def _check_digest(document: Document, file: File, pipeline: PipelineConfig) -> None:
    if file.digest is None:
        return
    if STORE not in pipeline.exporters:
        document.wrong(("digest",), "needs the store: name `postgres` among the exporters")
    digest.check(document, file.digest)


def _check_alerts(document: Document, file: File, pipeline: PipelineConfig) -> None:
    if file.alerts is None:
        return
    if file.alerts.targets and STORE not in pipeline.exporters:
        document.wrong(("alerts",), "needs the store: name `postgres` among the exporters")
    alerts.check(document, file.alerts)


def _check_readers(document: Document) -> None:
    path: Keys = ("exporters", STORE, "readers")
    readers = section(document, "exporters", STORE, "readers")
    if not isinstance(readers, dict):
        return
    if section(document, "exporters", STORE, "dsn"):
        right = "is of the embedded Postgres, and `dsn` names another; make a login there"
        document.wrong(path, right)
    port = str(readers.get("endpoint")).rpartition(":")[2]
    if port.isdecimal() and int(port) > 65535:
        document.wrong((*path, "endpoint"), "the port must be at most 65535")


def _check_dsn(document: Document) -> None:
    for key in ("dsn",):
        dsn = section(document, "exporters", STORE, key)
        try:
            conninfo_to_dict(dsn if isinstance(dsn, str) else "")
        except ProgrammingError:  # libpq's message would quote it, password and all
            right = "is not a libpq connection string, such as postgresql://user@host/database"
            document.wrong(("exporters", STORE, key), right)
