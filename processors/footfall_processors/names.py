"""Every attribute key and fixed column that Footfall speaks, in one place.

The `feature.*` keys are Footfall's own; the rest are OpenTelemetry semantic conventions. Names whose
convention is still in development stand here and nowhere else, so that a rename is one line.
"""

from typing import Final

SURFACE: Final = "feature.surface"
FEATURE: Final = "feature.name"
ACTION: Final = "feature.action"
STATUS: Final = "feature.status"
SAMPLE_RATE: Final = "feature.sample_rate"
QUANTITY: Final = "feature.quantity"
"""How many occurrences one observation stands for; only the HTTP API may say so."""
ERROR_TYPE: Final = "error.type"

HTTP_METHOD: Final = "http.request.method"
HTTP_METHOD_OLD: Final = "http.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_STATUS_OLD: Final = "http.status_code"

EVENT_NAME: Final = "event.name"
"""Of a log record: deprecated, its field `event_name` has taken this attribute's place."""

SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE: Final = "service.instance.id"
SDK: Final = "telemetry.sdk.name"
ENVIRONMENT: Final = "deployment.environment.name"
ENVIRONMENT_OLD: Final = "deployment.environment"
DISTRO: Final = "telemetry.distro.name"
OWN_SDK: Final = "footfall"
"""The distribution that Footfall's SDK is: what it sends is tallied by its sender."""
ORIGIN: Final = "footfall.origin"
"""Through whose hands something came: markers of stores and gateways, in order, joined by commas."""

OWN_KEYS: Final = frozenset(
    {
        SURFACE, FEATURE, ACTION, STATUS, SAMPLE_RATE, QUANTITY, ERROR_TYPE, EVENT_NAME,
        HTTP_METHOD, HTTP_METHOD_OLD, HTTP_ROUTE, HTTP_STATUS, HTTP_STATUS_OLD,
        "event", "ts", "timestamp", "session_token", "emitted_event", "drop_reason",
    }
)  # fmt: skip
"""What says something to Footfall itself, of an observation or in a body of the HTTP API."""

STATUSES: Final = ("ok", "error", "timeout", "denied")
"""The values of `status`."""

INVOKE: Final = "invoke"
SUCCESS: Final = "success"
FAILURE: Final = "failure"

DURATION: Final = "duration_ms"
"""The one fixed column that a catalog may declare, to set its limits."""

FIXED_COLUMNS: Final = frozenset(
    {
        "time", "batch_id", "ordinal", "dim_id", "id", "quantity", "sample_rate", "fingerprint",
        "event", "event_id", "event_name", "created_at", "day_bucket", "day", "hour",
        "surface", "feature", "action", "status", "error_type",
        "service", "service_version", "environment", "relayed_from", "telemetry_distro",
        "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid",  # system columns of every Postgres table
    }
)  # fmt: skip
"""Column names that no catalog attribute may take: the store's own, and those of PostgreSQL (5.6)."""

COUNTED_COLUMNS: Final = frozenset({"count", "hours", "observations", "histogram"})
"""Those of the views that enums become columns of, which count by them."""
