"""The environment variables that the SDK reads, and what each means."""

from typing import Final, NamedTuple


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
    "TELEMETRY_FLUSH_INTERVAL": Variable(
        "5000",
        "Milliseconds between two exports of spans: OTEL_BSP_SCHEDULE_DELAY of Footfall alone",
    ),
    "TELEMETRY_BATCH_SIZE": Variable(
        "100",
        "Spans in one request, at most the queue's size: OTEL_BSP_MAX_EXPORT_BATCH_SIZE of Footfall alone",
    ),
    "OTEL_METRIC_EXPORT_INTERVAL": Variable(
        "60000", "Milliseconds between two exports of the counters"
    ),
    "OTEL_BSP_SCHEDULE_DELAY": Variable(
        "5000", "As TELEMETRY_FLUSH_INTERVAL, where that is not set"
    ),
    "OTEL_BSP_MAX_QUEUE_SIZE": Variable(
        "2048", "Spans that may wait; what does not fit is counted instead"
    ),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": Variable(
        "100", "As TELEMETRY_BATCH_SIZE, where that is not set"
    ),
}
"""Also honoured: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES (only service.name, service.version and
deployment.environment.name are used), and OTEL_EXPORTER_OTLP_TRACES_* and OTEL_EXPORTER_OTLP_METRICS_*."""
LEFT_OUT: Final = frozenset(
    {
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "TELEMETRY_BATCH_SIZE",
        "TELEMETRY_FLUSH_INTERVAL",
    }
)
"""Of which a wrong value turns nothing off: the pace, and what the host has set for its own telemetry."""
