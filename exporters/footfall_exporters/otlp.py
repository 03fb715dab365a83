"""The exporters `otlp` (gRPC) and `otlphttp`: to any OTLP backend, or to another Footfall.

Their names and keys are the OpenTelemetry Collector's. To a Footfall that knows the sender's key as that of
a relay, pseudonyms arrive as they are.

Source: OTLP specification 1.x, "OTLP/gRPC Response", "OTLP/HTTP Response".
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import grpc
import msgspec
from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from footfall_exporters.contracts import PartlyRejected, Rejected, Settings, Unavailable
from footfall_exporters.http import (
    LONGEST_WAIT,
    OPERATOR_WAIT,
    ClientTls,
    HeaderValue,
    HttpConfig,
    Sender,
    sender,
)
from footfall_exporters.otlp_encode import trace_requests
from footfall_exporters.otlp_parts import occurrences_of, spans_of
from footfall_exporters.otlp_sums import metric_requests
from footfall_processors import Batch, Catalog

log = logging.getLogger("footfall.exporters")
TRACES, METRICS = b"t", b"m"
"""The first byte of a request, which says what the others are; it is not sent."""
Signals = tuple[Literal["traces", "metrics"], ...]
PATHS = {TRACES: "/v1/traces", METRICS: "/v1/metrics"}
_PACKAGE = "opentelemetry.proto.collector"
METHODS = {
    TRACES: f"/{_PACKAGE}.trace.v1.TraceService/Export",
    METRICS: f"/{_PACKAGE}.metrics.v1.MetricsService/Export",
}
_REFUSED: dict[bytes, tuple[Any, str]] = {
    TRACES: (ExportTraceServiceResponse, "rejected_spans"),
    METRICS: (ExportMetricsServiceResponse, "rejected_data_points"),
}
RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""RESOURCE_EXHAUSTED is one as well, but only with a RetryInfo."""
OPERATOR = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""Answers about the key or the address, not about what was sent: as over HTTP, it is kept and tried again."""
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    # A backend that comes back is found within seconds, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5000),
]
_PROTOBUF = "application/x-protobuf"


_MetadataKey = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?!grpc-)(?!.*-bin\Z)[0-9A-Za-z_.-]+\Z",
        description="letters, digits, `_`, `.` and `-`, neither beginning with grpc- nor ending in -bin",
    ),
]


class OtlpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """OTLP over gRPC.

    Attributes:
        endpoint: `https://host:4317`, or `host:4317`, which means the same; `http://` is plain text.
        headers: Sent with every request, such as `authorization: Bearer ...`.
        compression: `gzip` or `none`.
        timeout: Seconds that a request may take.
        tls: Certificates, where the system's own do not do.
        signals: Without `metrics`, only what was observed one by one is sent, and counts fall short.
        pseudonyms: Whether attributes with `hash` are sent, as the 16 bytes that are stored of them.
    """

    endpoint: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(https?://)?(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):[0-9]{1,5}\Z",
            description="host:port, with https:// or http:// (plain text) before it",
        ),
    ]
    headers: dict[_MetadataKey, HeaderValue] = {}
    compression: Literal["gzip", "none"] = "gzip"
    timeout: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    tls: ClientTls | None = None
    signals: Signals = ("traces", "metrics")
    pseudonyms: bool = False

    def __repr__(self) -> str:
        """The class alone: the headers hold keys, and a repr ends in logs."""
        return f"{type(self).__name__}(...)"

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["OtlpGrpc"]:
        """Yields the subscriber; the connection is made by the first request.

        Raises:
            ValueError: a file of `tls` cannot be used.
        """
        async with _channel(self) as channel:
            yield OtlpGrpc(self, settings.catalog, channel)


class OtlpHttpConfig(HttpConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """OTLP over HTTP, in protobuf; `/v1/traces` and `/v1/metrics` are added to the endpoint's path.

    Attributes:
        signals: As for `otlp`.
        pseudonyms: As for `otlp`.
    """

    signals: Signals = ("traces", "metrics")
    pseudonyms: bool = False

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["OtlpHttp"]:
        """Yields the subscriber; the connection is made by the first request.

        Raises:
            ValueError: the endpoint or a file of `tls` cannot be used.
        """
        async with sender(self) as opened:
            yield OtlpHttp(self, settings.catalog, opened)


class _Otlp:
    """What both protocols send for a batch."""

    def __init__(self, config: OtlpConfig | OtlpHttpConfig, catalog: Catalog) -> None:
        self._signals, self._catalog = config.signals, catalog
        self._pseudonyms = config.pseudonyms

    def requests(self, batch: Batch) -> Iterator[bytes]:
        """Its rows as spans, then its other occurrences as sums, 250 in a request."""
        if "traces" in self._signals:
            for body in trace_requests(batch, self._catalog, self._pseudonyms):
                yield TRACES + body
        if "metrics" in self._signals:
            for body in metric_requests(batch):
                yield METRICS + body

    def occurrences(self, request: bytes) -> int:
        """See `Countable`."""
        return (spans_of if request[:1] == TRACES else occurrences_of)(request[1:])


class OtlpGrpc(_Otlp):
    """A backend that speaks OTLP/gRPC."""

    def __init__(self, config: OtlpConfig, catalog: Catalog, channel: grpc.aio.Channel) -> None:
        super().__init__(config, catalog)
        self._timeout, self._complained = config.timeout, False
        self._metadata = tuple((key.lower(), value) for key, value in config.headers.items())
        self._calls: dict[bytes, Any] = {
            kind: channel.unary_unary(method) for kind, method in METHODS.items()
        }

    async def send(self, request: bytes) -> None:
        """See `Subscriber.send`."""
        kind = request[:1]
        try:
            answer = await self._calls[kind](
                request[1:], timeout=self._timeout, metadata=self._metadata
            )
        except grpc.aio.AioRpcError as error:
            self._complain(error.code())
            raise _failure(error) from None
        self._complained = False
        _check(kind, answer)

    def _complain(self, code: grpc.StatusCode) -> None:
        """One line until it answers otherwise: it is asked again and again."""
        if code in OPERATOR and not self._complained:
            right = (
                "check the exporter's endpoint, key and signals; nothing is lost, it is tried again"
            )
            log.error("an OTLP backend answers %s: %s", code.name, right)
            self._complained = True


class OtlpHttp(_Otlp):
    """A backend that speaks OTLP/HTTP."""

    def __init__(self, config: OtlpHttpConfig, catalog: Catalog, sender: Sender) -> None:
        super().__init__(config, catalog)
        base, mark, query = config.endpoint.partition("?")
        self._base, self._query, self._sender = base.rstrip("/"), mark + query, sender

    async def send(self, request: bytes) -> None:
        """See `Subscriber.send`."""
        kind = request[:1]
        url = self._base + PATHS[kind] + self._query
        _check(kind, await self._sender.post(request[1:], _PROTOBUF, url))


def _channel(config: OtlpConfig) -> grpc.aio.Channel:
    scheme, _, target = config.endpoint.rpartition("://")
    gzip = config.compression == "gzip"
    compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
    if scheme == "http":
        return grpc.aio.insecure_channel(target, _OPTIONS, compression)
    tls = config.tls or ClientTls()
    credentials = grpc.ssl_channel_credentials(
        _pem(tls.ca_file), _pem(tls.key_file), _pem(tls.cert_file)
    )
    return grpc.aio.secure_channel(target, credentials, _OPTIONS, compression)


def _pem(file: str | None) -> bytes | None:
    if file is None:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"tls: {file} cannot be read: {error.strerror}") from None


def _failure(error: grpc.aio.AioRpcError) -> Rejected | Unavailable:
    """What an answer means; its text is the backend's, and might quote what was sent."""
    hint = _retry_info(error)
    code = error.code()
    if code in RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and hint is not None):
        reason = f"the backend answered {code.name}"
        return Unavailable(reason, 1.0 if hint is None else hint)
    if code in OPERATOR:
        reason = f"the backend answered {code.name}: its key or its address is wrong"
        return Unavailable(reason, max(hint or 0.0, OPERATOR_WAIT))
    return Rejected(f"the backend answered {code.name}")


def _retry_info(error: grpc.aio.AioRpcError) -> float | None:
    """Seconds, from the trailer of its own or from the status' details; at most `LONGEST_WAIT`."""
    trailers = dict(error.trailing_metadata() or ())
    info = error_details_pb2.RetryInfo()
    try:
        if alone := trailers.get("google.rpc.retryinfo-bin"):
            info.ParseFromString(alone)
        else:
            status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
            if not [each for each in status.details if each.Unpack(info)]:
                return None
    except (DecodeError, ValueError):
        return None
    # Not as a timedelta, which not every number of seconds is.
    delay = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
    return float(min(max(delay, 0.0), LONGEST_WAIT))


def _check(kind: bytes, answer: bytes) -> None:
    """Raises PartlyRejected when the answer says so; one that is no OTLP answer says nothing."""
    message, field = _REFUSED[kind]
    try:
        said = _read(message, answer)
    except (DecodeError, ParseError):
        return
    if number := getattr(said.partial_success, field):
        reason = f"the backend refused {number} of its events (partial success)"
        raise PartlyRejected(reason, max(number, 0))


def _read(message: Any, answer: bytes) -> Any:
    """An answer in protobuf, which was asked for, or in JSON all the same.

    Raises:
        DecodeError, ParseError: it is neither.
    """
    if answer.lstrip().startswith(b"{"):  # of no message: the end of a group of field 15
        return Parse(answer.decode("utf-8", "replace"), message(), ignore_unknown_fields=True)
    return message.FromString(answer)
