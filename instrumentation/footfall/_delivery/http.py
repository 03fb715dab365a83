"""OTLP over HTTP; see `footfall._delivery.otlp`."""

import logging
import netrc  # noqa: F401  # requests does so when it is used: on a thread beside greenlets, which must not
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http.version import __version__
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from requests.adapters import HTTPAdapter

from footfall import _threads
from footfall._delivery.otlp import judged
from footfall._delivery.reasons import Failure
from footfall._destination import Destination

_USER_AGENT: Final = f"OTel-OTLP-Exporter-Python/{__version__}"


class _Adapter(HTTPAdapter):
    """Makes connections; beside greenlets by the `ssl` that is there when they are made.

    urllib3 keeps the one that it has found at its import. If gevent or eventlet have patched that since, each
    setting of it calls itself without end.
    """

    _context: ssl.SSLContext | None = None

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Where a request goes, and how a connection for it is made."""
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https" and _threads.is_green():
            if self._context is None:
                self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            options["ssl_context"] = self._context
        return host, options


class _Session(requests.Session):
    """Sends to one destination, with its headers and certificates alone.

    OpenTelemetry's exporters add the headers and certificates of the host's variables to those that they are
    given.

    Attributes:
        failure: Why the last request failed; None when it did not.
        rejected: Points that were refused of the last one.
    """

    def __init__(self, to: Destination) -> None:
        super().__init__()
        self.mount("https://", _Adapter())
        self._to = to
        self.failure: Failure | None = None
        self.rejected = 0

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Sends a request that OpenTelemetry has made."""
        to = self._to
        length = request.headers["content-length"]
        request.headers.clear()
        request.headers.update({"user-agent": _USER_AGENT, **to.headers})
        request.headers.update({"content-length": length, "content-type": "application/x-protobuf"})
        if to.compression == "gzip":
            request.headers["content-encoding"] = "gzip"
        environ = os.environ  # what requests itself looks at
        bundle = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
        options["allow_redirects"] = False  # the key is not for whoever is named in an answer
        options["verify"] = to.certificate or bundle or True
        options["cert"] = (to.client_certificate, to.client_key) if to.client_key else None
        try:
            response = super().send(request, **options)
        except Exception as error:  # of requests, urllib3, ssl
            self.failure = Failure("", isinstance(error, requests.Timeout))
            raise
        self._note(response)
        if response.ok and self.failure is not None:
            raise requests.RequestException  # OpenTelemetry would take it for a success
        return response

    def _note(self, response: requests.Response) -> None:
        self.failure = _failure(response)
        try:
            answer = ExportMetricsServiceResponse.FromString(
                b"" if self.failure else response.content
            )
            self.rejected = answer.partial_success.rejected_data_points
        except DecodeError:  # whatever it is, OpenTelemetry takes it for a success
            self.rejected = 0


def _failure(response: requests.Response) -> Failure | None:
    """Why what was sent has not arrived; a page for people comes from whoever answers everybody with one."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    status = response.status_code
    if 200 <= status < 300:
        return Failure(kind) if kind == "text/html" else None
    return Failure(str(status))


def _session(to: Destination) -> _Session | None:
    """A provider of credentials brings a session of its own, for the host's endpoint."""
    if not to.own and any(name.endswith("_CREDENTIAL_PROVIDER") for name in os.environ):
        return None
    return _Session(to)


def _options(to: Destination, session: _Session | None) -> Mapping[str, Any]:
    compressed = to.compression == "gzip"
    return {
        "endpoint": to.endpoint,
        "headers": to.headers,
        "timeout": to.timeout,
        "compression": Compression.Gzip if compressed else Compression.NoCompression,
        "session": session,
    }


@contextmanager
def _unheard() -> Iterator[None]:
    """OpenTelemetry reads the host's headers all the same, and logs those that it cannot read."""
    thread, logger = threading.get_ident(), logging.getLogger("opentelemetry.util.re")

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(is_of_others)
    try:
        yield
    finally:
        logger.removeFilter(is_of_others)


class _Watched:
    """Keeps how the last request ended.

    Attributes:
        destination: Where requests go.
    """

    destination: Destination
    _seen: _Session | None

    @property
    def failure(self) -> Failure | None:
        """Why the last request failed; None when it did not."""
        return Failure("") if self._seen is None else self._seen.failure

    @property
    def rejected(self) -> int:
        """How many points the last answer refused."""
        return 0 if self._seen is None else self._seen.rejected


class HttpSpansExporter(_Watched, OTLPSpanExporter):
    """OpenTelemetry's, with an eye on the answers."""

    def __init__(self, to: Destination) -> None:
        self.destination, self._seen = to, _session(to)
        with _unheard():
            super().__init__(**_options(to, self._seen))


class HttpCountersExporter(_Watched, OTLPMetricExporter):
    """The same for counters."""

    def __init__(self, to: Destination) -> None:
        self.destination, self._seen = to, _session(to)
        with _unheard():
            super().__init__(**_options(to, self._seen))

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Exports once; it is never called concurrently."""
        result = super().export(metrics_data, timeout_millis, **kwargs)
        return judged(result, metrics_data, self.rejected)
