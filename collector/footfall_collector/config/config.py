"""The collector's configuration: YAML in the OpenTelemetry Collector's shape, every key optional.

    receivers:  {otlp: {protocols: {grpc: {endpoint: 127.0.0.1:4317}, http: {endpoint: 127.0.0.1:4318}}}}
    processors: {footfall: {catalog: events.yaml, hash_salt: "${env:TELEMETRY_HASH_SALT}"}}
    exporters:  {postgres: {dsn: "${env:FOOTFALL_DSN}", retention_days: 30}}
    service:    {pipelines: {traces: {receivers: [otlp], processors: [footfall], exporters: [postgres]}}}

`${env:VAR}` and `${env:VAR:-default}` stand for environment variables, `$$` for a dollar sign. What the
file leaves out is taken from the environment (environment.py), then from the defaults.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from footfall_collector.config import http_api
from footfall_collector.config.alerts import AlertsConfig
from footfall_collector.config.digest import DigestConfig
from footfall_collector.config.environment import DEVELOPMENT
from footfall_collector.config.http_api import HttpApiConfig
from footfall_collector.config.reader import STORE, Reading, located, read, section
from footfall_collector.config.schema import (
    AdmissionConfig,
    File,
    GrpcConfig,
    HttpConfig,
    PublicConfig,
    ServiceConfig,
)
from footfall_collector.signals import SIGNALS
from footfall_exporters.contracts import Settings, SubscriberConfig
from footfall_exporters.postgres import PostgresConfig
from footfall_processors import Catalog, SaltError, load_catalog, needs_static_salt, static_salts
from footfall_processors.document import Document, DocumentError, Keys, Mistake, peek
from footfall_processors.hashing import Period

_CATALOG = "processors.footfall.catalog"


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration with its catalog.

    Attributes:
        catalog: In force.
        grpc: The OTLP/gRPC listener, or None.
        http: The OTLP/HTTP listener, or None.
        http_api: The HTTP API on that listener, or None.
        development: Whether the HTTP API believes developers who they are.
        keys_file: Who may send, or None for whoever can reach it.
        admission: How much may be in flight at once.
        static_salts: The operator's own salt, if any.
        postgres: The store; None for a gateway, which has none.
        subscribers: The other exporters by their ids, in the file's order.
        signals: The OTLP signals that are taken.
        deduplicate_spans: Whether spans are told apart one by one.
        service: How the process runs.
        digest: When the digest is sent, and to whom; None: nobody is sent any.
        alerts: Which rules are looked at, and who is told; None: none are.
    """

    catalog: Catalog
    grpc: GrpcConfig | None = field(default_factory=GrpcConfig)
    http: HttpConfig | None = field(default_factory=HttpConfig)
    http_api: HttpApiConfig | None = None
    development: bool = False
    keys_file: str | None = None
    admission: AdmissionConfig = field(default_factory=AdmissionConfig)
    static_salts: Mapping[Period, bytes] = field(default_factory=dict)
    postgres: PostgresConfig | None = field(default_factory=PostgresConfig)
    subscribers: Mapping[str, SubscriberConfig] = field(default_factory=dict)
    signals: tuple[str, ...] = tuple(SIGNALS)
    deduplicate_spans: bool = False
    service: ServiceConfig = field(default_factory=ServiceConfig)
    catalog_files: Sequence[str] = ()
    digest: DigestConfig | None = None
    alerts: AlertsConfig | None = field(default_factory=AlertsConfig)

    @property
    def settings(self) -> Settings:
        """What the store is opened with."""
        names = self.http_api.attributes if self.http_api else None
        return Settings(self.catalog, (names.viewer, names.receipt) if names else ())


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
    reading = read(path, environment)
    document, file, folder = reading.document, reading.file, reading.folder
    files = _files(reading, catalog)
    found, mistakes = _catalog(files)
    salts = _salts(document, file, found)
    otlp_http = file.receivers.otlp.protocols.http if file else None
    if file is not None and file.receivers.http_api is not None:
        http_api.check(document, file.receivers.http_api, found, has_salt=bool(salts))
        if environment.get(DEVELOPMENT):
            http_api.check_development(document, otlp_http.endpoint if otlp_http else "")
    _check_published(document, reading.exporters.get(STORE), found)
    if file is not None and file.service.public is not None:
        _check_public(document, file, file.service.public, reading.exporters.get(STORE))
    mistakes = document.mistakes + mistakes
    if mistakes or file is None or found is None:
        raise DocumentError(mistakes)
    otlp, exporters = file.receivers.otlp, reading.exporters
    used = {name for pipeline in file.service.pipelines.values() for name in pipeline.exporters}
    return Config(
        catalog=found,
        grpc=located(otlp.protocols.grpc, folder),
        http=located(otlp.protocols.http, folder),
        http_api=located(file.receivers.http_api, folder),
        development=bool(environment.get(DEVELOPMENT)),
        keys_file=str(folder / otlp.auth.keys_file) if otlp.auth else None,
        admission=otlp.admission,
        static_salts=salts,
        postgres=exporters.pop(STORE) if STORE in used else None,
        subscribers={name: config for name, config in exporters.items() if name in used},
        signals=tuple(file.service.pipelines),
        deduplicate_spans=otlp.deduplicate == "spans",
        catalog_files=files,
        digest=file.digest,
        alerts=file.alerts,
        service=msgspec.structs.replace(
            file.service, operator=located(file.service.operator, folder)
        ),
    )


def catalog_files(
    path: str | Path | None, environment: Mapping[str, str], catalog: str | None
) -> Sequence[str]:
    """Where the catalogs of a configuration are, whatever is in them; the arguments are `load_config`'s.

    Raises:
        DocumentError: the file cannot be read, or is not YAML.
    """
    return _files(read(path, environment), catalog)


def load_store(
    path: str | Path | None = None, environment: Mapping[str, str] = os.environ
) -> PostgresConfig:
    """The store's part of a configuration, for commands that need no catalog.

    Raises:
        DocumentError: the file has mistakes.
    """
    reading = read(path, environment)
    if reading.document.mistakes:
        raise DocumentError(reading.document.mistakes)
    store: PostgresConfig = reading.exporters[STORE]
    return store


def load_digest(
    path: str | Path | None = None, environment: Mapping[str, str] = os.environ
) -> DigestConfig | None:
    """When the digest is sent, and to whom, for commands that need no catalog.

    Raises:
        DocumentError: the file has mistakes.
    """
    reading = read(path, environment)
    reading.document.refuse()
    return reading.file.digest if reading.file else None


def load_alerts(
    path: str | Path | None = None, environment: Mapping[str, str] = os.environ
) -> tuple[AlertsConfig, str | None]:
    """Which rules are looked at, and who is told, and where people reach the operator's listener.

    For commands that need no catalog.

    Raises:
        DocumentError: the file has mistakes.
    """
    reading = read(path, environment)
    reading.document.refuse()
    operator = reading.file.service.operator if reading.file else None
    alerts = reading.file.alerts if reading.file else None
    return alerts or AlertsConfig(), operator.url if operator else None


def _files(reading: Reading, catalog: str | None) -> list[str]:
    beside = Path() if _CATALOG in reading.filled else reading.folder
    return [catalog] if catalog else [str(beside / f) for f in _catalog_files(reading.document)]


def _catalog_files(document: Document) -> Sequence[str]:
    """The catalog's files, even where other parts of the document are wrong."""
    named = section(document, "processors", "footfall")
    files = {} if named is None else named
    files = files.get("catalog", "events.yaml") if isinstance(files, dict) else None
    return peek(tuple[str, ...], [files] if isinstance(files, str) else files) or ()


def _catalog(files: Sequence[str]) -> tuple[Catalog | None, list[Mistake]]:
    try:
        return (load_catalog(files) if files else None), []
    except DocumentError as error:
        return None, list(error.mistakes)


def _check_published(
    document: Document, store: PostgresConfig | None, catalog: Catalog | None
) -> None:
    """Notes the products to be published that no catalog has."""
    if store is not None and catalog is not None:
        said = f"no catalog has this product; there are: {', '.join(catalog.products)}"
        for place, name in enumerate(store.published.products):
            if name not in catalog.products:
                document.wrong(("exporters", STORE, "published", "products", place), said)


def _check_public(
    document: Document, file: File, public: PublicConfig, store: PostgresConfig | None
) -> None:
    """Notes what the page of what is published lacks, and a path that is another's."""
    path: Keys = ("service", "public")
    stores = any(STORE in pipeline.exporters for pipeline in file.service.pipelines.values())
    if not stores or store is None or not store.published.products:
        right = "name its products under `exporters.postgres.published`"
        document.wrong(path, f"shows what is published, and nothing is: {right}")
    if file.receivers.otlp.protocols.http is None:
        right = "`receivers.otlp.protocols.http` must not be null"
        document.wrong(path, f"is on the listener of OTLP/HTTP: {right}")
    taken = ("/v1", *(file.receivers.http_api.prefixes if file.receivers.http_api else ()))
    of_another = [each for each in taken if f"{public.path}/".startswith(f"{each}/")]
    if of_another:
        document.wrong((*path, "path"), f"is below {of_another[0]}, which takes what is sent")


def _salts(
    document: Document, file: File | None, catalog: Catalog | None
) -> Mapping[Period, bytes]:
    """The operator's salt; a mistake where it is short, or needed and missing."""
    path = ("processors", "footfall", "hash_salt")
    salt = file.processors.footfall.hash_salt if file else None
    if file and not salt and catalog and needs_static_salt(catalog):
        document.wrong(path, "the catalog has `hash: static`: set TELEMETRY_HASH_SALT")
    try:
        return static_salts(salt)
    except SaltError as error:
        document.wrong(path, str(error))
        return {}
