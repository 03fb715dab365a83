"""The collector's configuration: YAML in the OpenTelemetry Collector's shape, every key optional.

    receivers:  {otlp: {protocols: {grpc: {endpoint: 127.0.0.1:4317}, http: {endpoint: 127.0.0.1:4318}}}}
    processors: {footfall: {catalog: events.yaml, hash_salt: "${env:TELEMETRY_HASH_SALT}"}}
    exporters:  {postgres: {dsn: "${env:FOOTFALL_DSN}", retention_days: 30}}
    service:    {pipelines: {traces: {receivers: [otlp], processors: [footfall], exporters: [postgres]}}}

`${env:VAR}` and `${env:VAR:-default}` stand for environment variables, `$$` for a dollar sign. What the
file leaves out is taken from the environment (`ENVIRONMENT`), then from the defaults.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from footfall_exporters.postgres import PostgresConfig
from footfall_processors import Catalog, SaltError, load_catalog, needs_static_salt, static_salts
from footfall_processors.document import Document, DocumentError, Mistake, load, peek
from footfall_processors.hashing import Period

ENVIRONMENT = {
    "TELEMETRY_CATALOG": ("processors", "footfall", "catalog"),
    "TELEMETRY_HASH_SALT": ("processors", "footfall", "hash_salt"),
    "TELEMETRY_RETENTION_DAYS": ("exporters", "postgres", "retention_days"),
    "FOOTFALL_DSN": ("exporters", "postgres", "dsn"),
}
"""Environment variables and the keys they stand for where the file has none."""
SIGNALS = ("traces", "metrics", "logs")
MAX_BYTES = 64 * 2**20
"""Of one request after decompression, unless configured otherwise."""
_CATALOG = "processors.footfall.catalog"
_REFERENCE = re.compile(r"\$\$|\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_Endpoint = Annotated[str, msgspec.Meta(pattern=r"^(\[[0-9a-fA-F:]+\]|[^\s:/]+):[0-9]{1,5}$")]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class GrpcConfig(_Struct, frozen=True):
    """The OTLP/gRPC listener; port 0 takes a free one.

    Attributes:
        endpoint: host:port.
        max_recv_msg_size_mib: The largest request in MiB, after decompression.
    """

    endpoint: _Endpoint = "127.0.0.1:4317"
    max_recv_msg_size_mib: Annotated[int, msgspec.Meta(ge=1, le=1024)] = MAX_BYTES // 2**20


class CorsConfig(_Struct, frozen=True):
    """Which web pages may send to OTLP/HTTP from a browser.

    Attributes:
        allowed_origins: `https://example.org`; `*` stands for any characters.
        allowed_headers: Request headers beside Content-Type and those that need no leave.
        max_age: Seconds that a browser may remember the answer.
    """

    allowed_origins: tuple[str, ...]
    allowed_headers: tuple[str, ...] = ()
    max_age: Annotated[int, msgspec.Meta(ge=0)] = 7200


class HttpConfig(_Struct, frozen=True):
    """The OTLP/HTTP listener; port 0 takes a free one.

    Attributes:
        endpoint: host:port.
        max_request_body_size: The largest request in bytes, after decompression.
        cors: Which web pages may send; none without.
    """

    endpoint: _Endpoint = "127.0.0.1:4318"
    max_request_body_size: Annotated[int, msgspec.Meta(ge=1024, le=2**30)] = MAX_BYTES
    cors: CorsConfig | None = None


class ProtocolsConfig(_Struct, frozen=True):
    """Which protocols are spoken; null switches one off."""

    grpc: GrpcConfig | None = GrpcConfig()
    http: HttpConfig | None = HttpConfig()


class OtlpConfig(_Struct, frozen=True):
    """The OTLP receiver."""

    protocols: ProtocolsConfig = ProtocolsConfig()


class FootfallConfig(_Struct, frozen=True):
    """The privacy rules.

    Attributes:
        catalog: One `events.yaml`, or one per product; as seen from the configuration file.
        hash_salt: For attributes with `hash: static`; 32 bytes or more (A7).
    """

    catalog: str | tuple[str, ...] = "events.yaml"
    hash_salt: str | None = None


class PipelineConfig(_Struct, frozen=True):
    """One signal's way through the collector."""

    receivers: tuple[str, ...] = ("otlp",)
    processors: tuple[str, ...] = ("footfall",)
    exporters: tuple[str, ...] = ("postgres",)


class ReceiversConfig(_Struct, frozen=True):
    """Where data comes in."""

    otlp: OtlpConfig = OtlpConfig()


class ProcessorsConfig(_Struct, frozen=True):
    """What is done with it."""

    footfall: FootfallConfig = FootfallConfig()


class ExportersConfig(_Struct, frozen=True):
    """Where it goes."""

    postgres: PostgresConfig = PostgresConfig()


class ServiceConfig(_Struct, frozen=True):
    """Which signals are taken; a signal without a pipeline is refused."""

    pipelines: dict[str, PipelineConfig] = msgspec.field(
        default_factory=lambda: dict.fromkeys(SIGNALS, PipelineConfig())
    )


class File(_Struct, frozen=True):
    """A configuration file."""

    receivers: ReceiversConfig = ReceiversConfig()
    processors: ProcessorsConfig = ProcessorsConfig()
    exporters: ExportersConfig = ExportersConfig()
    service: ServiceConfig = ServiceConfig()


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration with its catalog.

    Attributes:
        grpc: host:port of OTLP/gRPC, or None.
        http: host:port of OTLP/HTTP, or None.
        catalog: In force.
        static_salts: The operator's own salt, if any.
        postgres: The store.
        signals: The OTLP signals that are taken.
        grpc_max_bytes: Of one request over gRPC, after decompression.
        http_max_bytes: The same over HTTP.
        cors: Which web pages may send over HTTP, or None.
    """

    catalog: Catalog
    grpc: str | None = "127.0.0.1:4317"
    http: str | None = "127.0.0.1:4318"
    static_salts: Mapping[Period, bytes] = field(default_factory=dict)
    postgres: PostgresConfig = field(default_factory=PostgresConfig)
    signals: tuple[str, ...] = SIGNALS
    grpc_max_bytes: int = MAX_BYTES
    http_max_bytes: int = MAX_BYTES
    cors: CorsConfig | None = None


def load_config(
    path: str | Path | None = None,
    environment: Mapping[str, str] = os.environ,
    catalog: str | None = None,
) -> Config:
    """Reads a configuration and the catalog it names; every mistake of both at once.

    Args:
        path: The file; None for the environment and the defaults alone.
        environment: Variables.
        catalog: Overrides the catalog's file.

    Raises:
        DocumentError: with all mistakes; nothing may be started then.
    """
    document, read, filled = _read(path, environment)
    beside = Path(path).parent if path is not None and _CATALOG not in filled else Path()
    files = [catalog] if catalog else [str(beside / f) for f in _catalog_files(document)]
    found, mistakes = _catalog(files)
    salts = _salts(document, read, found)
    mistakes = document.mistakes + mistakes
    if mistakes or read is None or found is None:
        raise DocumentError(mistakes)
    protocols = read.receivers.otlp.protocols
    grpc, http = protocols.grpc or GrpcConfig(), protocols.http or HttpConfig()
    return Config(
        catalog=found,
        grpc=grpc.endpoint if protocols.grpc else None,
        http=http.endpoint if protocols.http else None,
        grpc_max_bytes=grpc.max_recv_msg_size_mib * 2**20,
        http_max_bytes=http.max_request_body_size,
        cors=http.cors,
        static_salts=salts,
        postgres=read.exporters.postgres,
        signals=tuple(read.service.pipelines),
    )


def load_store(
    path: str | Path | None = None, environment: Mapping[str, str] = os.environ
) -> PostgresConfig:
    """The store's part of a configuration, for commands that need no catalog.

    Raises:
        DocumentError: the file has mistakes.
    """
    document, read, _ = _read(path, environment)
    if read is None or document.mistakes:
        raise DocumentError(document.mistakes)
    return read.exporters.postgres


def _read(
    path: str | Path | None, environment: Mapping[str, str]
) -> tuple[Document, File | None, dict[str, str]]:
    """The document with its mistakes, what it says when it has the right form, and `_fill`'s result."""
    document = load(path) if path is not None else Document("(environment)", {})
    document.lax = True
    document.data = _expand(document, document.data, (), environment)
    filled = _fill(document.data, environment)
    read = document.read(File)
    if read is not None:
        _check(document, read)
    document.mistakes = [
        replace(m, message=f"{m.message} (set by {filled[m.path]})") if m.path in filled else m
        for m in document.mistakes
    ]
    return document, read, filled


def _catalog_files(document: Document) -> Sequence[str]:
    """The catalog's files, even where other parts of the document are wrong."""
    named = document.data
    for key in ("processors", "footfall"):
        named = named.get(key, {}) if isinstance(named, dict) else None
    files = named.get("catalog", "events.yaml") if isinstance(named, dict) else None
    return peek(tuple[str, ...], [files] if isinstance(files, str) else files) or ()


def _catalog(files: Sequence[str]) -> tuple[Catalog | None, list[Mistake]]:
    try:
        return (load_catalog(files) if files else None), []
    except DocumentError as error:
        return None, list(error.mistakes)


def _salts(
    document: Document, read: File | None, catalog: Catalog | None
) -> Mapping[Period, bytes]:
    """The operator's salt; a mistake where it is short, or needed and missing."""
    path = ("processors", "footfall", "hash_salt")
    salt = read.processors.footfall.hash_salt if read else None
    if read and not salt and catalog and needs_static_salt(catalog):
        document.wrong(path, "the catalog has `hash: static`: set TELEMETRY_HASH_SALT")
    try:
        return static_salts(salt)
    except SaltError as error:
        document.wrong(path, str(error))
        return {}


def _check(document: Document, read: File) -> None:
    """What the types cannot say."""
    known = {"receivers": ("otlp",), "processors": ("footfall",), "exporters": ("postgres",)}
    for signal, pipeline in read.service.pipelines.items():
        path = ("service", "pipelines", signal)
        if signal not in SIGNALS:
            document.wrong(path, f"is not a signal that is taken (known: {', '.join(SIGNALS)})")
        for kind, names in known.items():
            if getattr(pipeline, kind) != names:
                document.wrong((*path, kind), f"must be [{', '.join(names)}]")
    if not read.processors.footfall.catalog:
        document.wrong(("processors", "footfall", "catalog"), "must name at least one file")
    try:
        conninfo_to_dict(read.exporters.postgres.dsn or "")
    except ProgrammingError:  # libpq's message would quote it, password and all
        right = "is not a libpq connection string, such as postgresql://user@host/database"
        document.wrong(("exporters", "postgres", "dsn"), right)
    protocols = read.receivers.otlp.protocols
    if not (protocols.grpc or protocols.http):
        document.wrong(("receivers", "otlp", "protocols"), "leave at least one protocol on")
    for name, protocol in (("grpc", protocols.grpc), ("http", protocols.http)):
        if protocol is not None and int(protocol.endpoint.rpartition(":")[2]) > 65535:
            where = ("receivers", "otlp", "protocols", name, "endpoint")
            document.wrong(where, "the port must be at most 65535")


def _expand(
    document: Document, value: Any, path: tuple[str | int, ...], env: Mapping[str, str]
) -> Any:
    """`value` with its references to environment variables replaced; empty text becomes null."""
    if isinstance(value, dict):
        return {k: _expand(document, v, (*path, k), env) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(document, v, (*path, i), env) for i, v in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value

    def replacement(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name is None:
            return "$"
        if name not in env and default is None:
            hint = f"; set it, or give a default: ${{env:{name}:-default}}"
            document.wrong(path, f"the environment variable {name} is not set{hint}")
        return env.get(name, default or "")

    return _REFERENCE.sub(replacement, value) or None


def _fill(data: Any, environment: Mapping[str, str]) -> dict[str, str]:
    """Puts environment variables where the file has no value; wrong shapes are left for the check.

    Returns:
        The paths that were filled, as mistakes show them, with their variables.
    """
    filled: dict[str, str] = {}
    for variable, path in ENVIRONMENT.items():
        if not environment.get(variable):
            continue
        section = data
        for key in path[:-1]:
            section = section.setdefault(key, {}) if isinstance(section, dict) else None
        if isinstance(section, dict) and section.get(path[-1]) is None:
            text = environment[variable]
            # As the SDK reads it: several files are joined as in PATH.
            section[path[-1]] = text.split(os.pathsep) if path[-1] == "catalog" else text
            filled[".".join(path)] = variable
    return filled
