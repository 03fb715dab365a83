"""The metrics that the collector has about itself, and their names; docs/metrics.md explains each.

Names are the OpenTelemetry Collector's where it has the same thing, the semantic conventions' for servers,
and begin with `footfall_` else. A label's values are out of a list that code or configuration gives: never
a service, an event, a key or an address that somebody sent.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from footfall_collector.signals import SIGNALS
from footfall_processors import Loss

TRANSPORTS = ("grpc", "http")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Buckets of durations (semantic conventions for HTTP and RPC metrics)."""
SIZES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)


class Outcome(StrEnum):
    """How a request ended (the OpenTelemetry Collector's otelcol_receiver_requests)."""

    SUCCESS = "success"
    REFUSED = "refused"
    FAILURE = "failure"

    __hash__ = str.__hash__  # Enum's own is a Python function, too slow for the hot path


class Refused(StrEnum):
    """Why a request was not taken; docs/losses.md explains each."""

    ADMISSION = "admission"
    KEY = "key"
    SERVICE = "service"
    RATE = "rate"
    TOO_LARGE = "too_large"
    INVALID = "invalid"
    MEDIA_TYPE = "media_type"
    PROTOCOL = "protocol"
    ENCODING = "encoding"
    PATH = "path"
    ORIGIN = "origin"
    STORE = "store"
    UNAVAILABLE = "unavailable"
    GONE = "gone"
    INTERNAL = "internal"

    __hash__ = str.__hash__


class Reloaded(StrEnum):
    """What is read again while the collector runs."""

    CATALOG = "catalog"
    KEYS = "keys"
    CERTIFICATES = "certificates"


class Instruments:
    """All metrics, in a registry of their own; `of(metric, *labels)` is one of its series, found quickly.

    Args:
        version: Footfall's.
        exporters: The configured exporters' ids.
        tasks: Names of housekeeping's tasks.
    """

    def __init__(self, version: str, exporters: Sequence[str], tasks: Sequence[str]) -> None:
        self.registry = CollectorRegistry()
        self.of = cache(_labelled)
        self._declare_requests()
        self._declare_exporters()
        self._declare_store()
        self._declare_process()
        self._begin(version, exporters, tasks)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str, over: str = "livesum") -> Gauge:
        """A gauge, and how several workers' values become one."""
        return Gauge(name, help_text, labels, registry=self.registry, multiprocess_mode=over)  # type: ignore[arg-type]

    def _histogram(
        self, name: str, help_text: str, *labels: str, buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        return Histogram(name, help_text, labels, registry=self.registry, buckets=buckets)

    def _declare_requests(self) -> None:
        kinds = {
            "accepted": "Items taken and stored.",
            "refused": "Items not taken, by an answer that says why.",
            "failed": "Items not taken because of an error of the collector's.",
        }
        self.items = {
            (kind, name): self._counter(
                f"otelcol_receiver_{kind}_{signal.items}", text, "receiver", "transport"
            )
            for kind, text in kinds.items()
            for name, signal in SIGNALS.items()
        }
        self.requests = self._counter(
            "otelcol_receiver_requests", "Requests.", "receiver", "transport", "outcome"
        )
        self.http = self._histogram(
            "http_server_request_duration_seconds",
            "Time to answer an OTLP/HTTP request.",
            *("http_route", "http_response_status_code"),
        )
        self.rpc = self._histogram(
            "rpc_server_call_duration_seconds",
            "Time to answer an OTLP/gRPC request.",
            *("rpc_method", "rpc_response_status_code"),
        )
        self.losses = self._counter(
            "footfall_losses", "What was dropped of acknowledged requests.", "signal", "reason"
        )
        self.refused = self._counter(
            "footfall_refused_requests", "Requests not taken.", "transport", "reason"
        )
        self.repeated = self._counter(
            "footfall_repeated_requests", "Requests equal to a stored one.", "signal", "identified"
        )
        self.in_flight_bytes = self._gauge(
            "footfall_in_flight_bytes", "Bytes of requests being received, decoded or stored."
        )
        self.in_flight_limit_bytes = self._gauge(
            "footfall_in_flight_limit_bytes", "Where admission begins to refuse."
        )

    def _declare_exporters(self) -> None:
        self.sent = {
            name: self._counter(f"otelcol_exporter_sent_{signal.items}", "Items sent.", "exporter")
            for name, signal in SIGNALS.items()
        }
        self.send_failed = {
            name: self._counter(
                f"otelcol_exporter_send_failed_{signal.items}",
                "Items in failed attempts.",
                "exporter",
            )
            for name, signal in SIGNALS.items()
        }
        self.queue_size = self._gauge(
            "otelcol_exporter_queue_size", "Requests that wait for an exporter.", "exporter"
        )
        one = {"over": "livemostrecent"}  # one worker at a time does the work
        self.lag_commits = self._gauge(
            "footfall_subscriber_lag_commits", "Commits not sent yet.", "exporter", **one
        )
        self.lag_seconds = self._gauge(
            "footfall_subscriber_lag_seconds", "Age of the oldest of them.", "exporter", **one
        )
        self.parked_batches = self._gauge(
            "footfall_subscriber_parked_batches", "Batches the backend refuses.", "exporter", **one
        )

    def _declare_store(self) -> None:
        self.commit = self._histogram(
            "footfall_commit_duration_seconds",
            "Time to store a group of requests, its turn awaited.",
        )
        self.group_requests = self._histogram(
            "footfall_commit_requests", "Requests stored by one commit.", buckets=SIZES
        )
        self.group_rows = self._histogram(
            "footfall_commit_rows", "Observations stored by one commit.", buckets=SIZES
        )
        self.spool_batches = self._gauge("footfall_spool_batches", "Requests in the spool.")
        self.spool_bytes = self._gauge("footfall_spool_bytes", "Bytes in the spool.")
        self.spool_limit_bytes = self._gauge("footfall_spool_limit_bytes", "Bytes it may hold.")
        self.embedded_restarts = self._gauge(
            "footfall_embedded_postgres_restarts",
            "How often the embedded Postgres was started again.",
            over="livemax",
        )
        one = {"over": "livemostrecent"}
        self.runs = self._counter("footfall_housekeeping_runs", "Runs.", "task", "outcome")
        self.last_run = self._gauge(
            "footfall_housekeeping_last_success_timestamp_seconds",
            "When it last ran.",
            "task",
            **one,
        )
        self.next_run = self._gauge(
            "footfall_housekeeping_next_run_timestamp_seconds", "When it is due.", "task", **one
        )
        self.salts = self._gauge("footfall_salts", "Salts in force.", "hash", over="livemin")
        self.lock_held = self._gauge(
            "footfall_lock_held_seconds", "How long somebody has kept a lock from others.", **one
        )

    def _declare_process(self) -> None:
        self.build = self._gauge("footfall_build_info", "Always 1.", "version", over="livemax")
        self.ready = self._gauge("footfall_ready", "Whether requests are welcome.", over="livemin")
        self.limits_shared = self._gauge(
            "footfall_rate_limits_shared", "Whether all collectors count together.", over="livemin"
        )
        self.catalog_digest = self._gauge(
            "footfall_catalog_digest", "Stands for the catalog in force.", over="liveall"
        )
        self.reload_ok = self._gauge(
            "footfall_last_reload_successful", "Whether it is in force.", "what", over="livemin"
        )
        self.reloaded = self._gauge(
            "footfall_last_reload_success_timestamp_seconds", "Since when.", "what", over="livemin"
        )
        self.uptime = self._gauge(
            "otelcol_process_uptime", "Seconds since the start.", over="livemax"
        )
        self.memory = self._gauge("otelcol_process_memory_rss", "Resident memory, bytes.")
        self.cpu = self._counter("otelcol_process_cpu_seconds", "CPU time, user and system.")

    def _begin(self, version: str, exporters: Sequence[str], tasks: Sequence[str]) -> None:
        """Every series that can be is there from the start, at 0: a first failure is then an increase."""
        self.build.labels(version).set(1)
        for transport in TRANSPORTS:
            for metric in self.items.values():
                metric.labels("otlp", transport)
            for outcome in Outcome:
                self.requests.labels("otlp", transport, outcome)
            for refused in Refused:
                self.refused.labels(transport, refused)
        for signal in SIGNALS:
            for loss in Loss:
                self.losses.labels(signal, loss)
            for identified in ("true", "false"):
                self.repeated.labels(signal, identified)
        for exporter in exporters:
            for counter in (*self.sent.values(), *self.send_failed.values()):
                counter.labels(exporter)
        for task in tasks:
            for outcome in (Outcome.SUCCESS, Outcome.FAILURE):
                self.runs.labels(task, outcome)


def _labelled(metric: _Metric, *values: object) -> _Metric:
    return metric.labels(*values)
