"""What a configuration file may say: one class a section, every key optional, an unknown one a mistake.

The names are the OpenTelemetry Collector's where it has the same thing.
"""

from typing import Annotated, Any, Literal

import msgspec

from footfall_collector.config.alerts import AlertsConfig
from footfall_collector.config.digest import DigestConfig
from footfall_collector.config.http_api import HttpApiConfig
from footfall_collector.signals import SIGNALS

MAX_BYTES, MAX_GRPC_MIB = 64 * 2**20, 16
"""Of one request after decompression, unless configured otherwise; less over gRPC, which has each three
times in memory when it hands it over."""
Endpoint = Annotated[str, msgspec.Meta(pattern=r"^(\[[0-9a-fA-F:]+\]|[^\s:/]+):[0-9]{1,5}$")]

HostName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$(?!\n)",
        description="a name of DNS, without scheme or port",
    ),
]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class TlsConfig(_Struct, frozen=True):
    """A listener's TLS; the files are read again on SIGHUP.

    Attributes:
        cert_file: The certificate with its chain, PEM.
        key_file: Its private key, PEM.
        client_ca_file: Clients must show a certificate that one of these has signed (mTLS).
    """

    cert_file: str
    key_file: str
    client_ca_file: str | None = None


class GrpcConfig(_Struct, frozen=True):
    """The OTLP/gRPC listener; port 0 takes a free one.

    Attributes:
        endpoint: host:port.
        max_recv_msg_size_mib: The largest request in MiB, after decompression.
        tls: Plain text without.
    """

    endpoint: Endpoint = "127.0.0.1:4317"
    max_recv_msg_size_mib: Annotated[int, msgspec.Meta(ge=1, le=1024)] = MAX_GRPC_MIB
    tls: TlsConfig | None = None


class CorsConfig(_Struct, frozen=True):
    """Which web pages may send to OTLP/HTTP from a browser.

    Attributes:
        allowed_origins: `https://example.org`; `*` stands for any characters.
        allowed_headers: Request headers beside those that OTLP needs, carry a trace, or need no leave.
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
        tls: Plain text without.
    """

    endpoint: Endpoint = "127.0.0.1:4318"
    max_request_body_size: Annotated[int, msgspec.Meta(ge=1024, le=2**30)] = MAX_BYTES
    cors: CorsConfig | None = None
    tls: TlsConfig | None = None


class ProtocolsConfig(_Struct, frozen=True):
    """Which protocols are spoken; null switches one off."""

    grpc: GrpcConfig | None = GrpcConfig()
    http: HttpConfig | None = HttpConfig()


class AuthConfig(_Struct, frozen=True):
    """Who may send.

    Attributes:
        keys_file: Hashes of the keys, made by `footfall keys new`; read again on SIGHUP.
    """

    keys_file: str


class AdmissionConfig(_Struct, frozen=True):
    """How much may be in flight at once; beyond it, senders are told to retry.

    Attributes:
        request_limit_mib: MiB of requests (decompressed) that are received, decoded or stored at a time.
    """

    request_limit_mib: Annotated[float, msgspec.Meta(gt=0, le=65536)] = 128


class OtlpConfig(_Struct, frozen=True):
    """The OTLP receiver.

    Attributes:
        protocols: Where it listens.
        auth: Who may send; without it, whoever can reach it.
        admission: How much may be in flight.
        deduplicate: `requests` are known by their bytes; `spans` are also known by their ids, one by one,
            where a hop in front batches again. Needs the store.
    """

    protocols: ProtocolsConfig = ProtocolsConfig()
    auth: AuthConfig | None = None
    admission: AdmissionConfig = AdmissionConfig()
    deduplicate: Literal["requests", "spans"] = "requests"


class FootfallConfig(_Struct, frozen=True):
    """The privacy rules.

    Attributes:
        catalog: One `events.yaml`, or one per product; as seen from the configuration file.
        hash_salt: For attributes with `hash: static`; 32 bytes or more.
    """

    catalog: str | tuple[str, ...] = "events.yaml"
    hash_salt: str | None = None


class PipelineConfig(_Struct, frozen=True):
    """One signal's way through the collector.

    Attributes:
        exporters: `postgres` is the store; every other one follows what it has stored. Without `postgres` the
            collector is a gateway: a request is acknowledged when all of them have taken it.
    """

    receivers: tuple[str, ...] = ("otlp",)
    processors: tuple[str, ...] = ("footfall",)
    exporters: tuple[str, ...] = ("postgres",)


class ReceiversConfig(_Struct, frozen=True):
    """Where data comes in.

    Attributes:
        otlp: OTLP over gRPC and HTTP.
        http_api: The API for clients that do not speak it; off without.
    """

    otlp: OtlpConfig = OtlpConfig()
    http_api: HttpApiConfig | None = None


class ProcessorsConfig(_Struct, frozen=True):
    """What is done with it."""

    footfall: FootfallConfig = FootfallConfig()


class OperatorConfig(_Struct, frozen=True):
    """The listener for the operator: /metrics, /healthz, /readyz, /api/reports, /api/live.

    Attributes:
        endpoint: host:port; port 0 takes a free one.
        url: Where people reach it, for links; None: there are none.
        keys_file: As for the receiver; needed when the host is not loopback.
        hosts: The names by which browsers reach it, beside addresses and `localhost`.
        behind_tls: Whether whatever browsers talk to speaks TLS, though this listener does not.
        tls: Plain text without.
    """

    endpoint: Endpoint = "127.0.0.1:8888"
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] | None = None
    keys_file: str | None = None
    hosts: tuple[HostName, ...] = ()
    behind_tls: bool = False
    tls: TlsConfig | None = None


class PublicConfig(_Struct, frozen=True):
    """The page of what is published, for anybody, on the listener of OTLP/HTTP; off without this section.

    Attributes:
        path: Where it is; what it is made of is below.
        requests_per_minute: Of an address; what comes beyond is 429.
    """

    path: Annotated[str, msgspec.Meta(pattern=r"^(/[A-Za-z0-9_-]+)+$(?!\n)")] = "/public"
    requests_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 120


class LogsConfig(_Struct, frozen=True):
    """The collector's own log, on standard error.

    Attributes:
        level: The least severe that is written.
        encoding: `json` writes an object a line, `console` a line of text.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    encoding: Literal["console", "json"] = "console"


class TelemetryConfig(_Struct, frozen=True):
    """What the collector says about itself."""

    logs: LogsConfig = LogsConfig()


class ServiceConfig(_Struct, frozen=True):
    """How the process runs.

    Attributes:
        pipelines: The signals that are taken; one without a pipeline is refused.
        operator: The operator's listener; null switches it off.
        public: The page of what is published; off without.
        workers: Processes that share the ports.
        telemetry: The collector's own log.
    """

    pipelines: dict[str, PipelineConfig] = msgspec.field(
        default_factory=lambda: dict.fromkeys(SIGNALS, PipelineConfig())
    )
    operator: OperatorConfig | None = OperatorConfig()
    public: PublicConfig | None = None
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    telemetry: TelemetryConfig = TelemetryConfig()


class File(_Struct, frozen=True):
    """A configuration file; the exporters' classes are those of their kinds (`type/name`)."""

    receivers: ReceiversConfig = ReceiversConfig()
    processors: ProcessorsConfig = ProcessorsConfig()
    exporters: dict[str, Any] = msgspec.field(default_factory=dict)
    digest: DigestConfig | None = None
    alerts: AlertsConfig | None = AlertsConfig()
    service: ServiceConfig = ServiceConfig()
