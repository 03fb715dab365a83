"""The exporter of counters over HTTP; see `footfall._otlp`."""

import os
from typing import Any

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from footfall._otlp import judged


class HttpCountersExporter(OTLPMetricExporter):
    """OpenTelemetry's, with an eye on the answers."""

    def __init__(self, endpoint: str | None) -> None:
        self._rejected = 0
        session = None
        # A provider of credentials brings a session of its own.
        if not any(name.endswith("_CREDENTIAL_PROVIDER") for name in os.environ):
            session = requests.Session()
            session.hooks["response"].append(self._answered)
        super().__init__(endpoint, session=session)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Exports once; it is never called concurrently."""
        self._rejected = 0
        result = super().export(metrics_data, timeout_millis, **kwargs)
        return judged(result, metrics_data, self._rejected)

    def _answered(self, response: requests.Response, **_: Any) -> None:
        if not response.ok:
            return
        try:
            answer = ExportMetricsServiceResponse.FromString(response.content)
        except DecodeError:  # whatever it is, OpenTelemetry takes it for a success
            return
        self._rejected = answer.partial_success.rejected_data_points
