"""How long uses take: in all, by feature, by how they end."""

from grafana_foundation_sdk.models import dashboard as model

from shared.frame import Rows, framed
from shared.panels import COUNT, TIME, listing, number, trend

_PERCENTILES = {"Observations": COUNT, "p50": TIME, "p95": TIME, "p99": TIME}


def rows() -> Rows:
    """The panels by row, from the question asked first to the one asked last."""
    return {
        "In the range": [
            number("Percentiles", "latency/overall", 18, TIME),
            number("Observations", "latency/observations", 6),
        ],
        "Over time": [
            trend("Durations per ${bucket}", "shared/percentiles", 12, TIME, stacked=False),
            trend(
                "p95 per ${bucket}, by surface", "latency/p95_by_surface", 12, TIME, stacked=False
            ),
            trend(
                "p95 per ${bucket}, by feature", "shared/p95_by_feature", 24, TIME, stacked=False
            ),
        ],
        "Where": [
            listing("Latency by feature", "latency/by_feature", 12, _PERCENTILES),
            listing("Latency by action", "latency/by_action", 12, _PERCENTILES),
        ],
    }


def latency() -> model.Dashboard:
    """The dashboard."""
    about = "How long uses take: half of them, 95 and 99 of 100"
    return framed("latency", "Latency", about, rows())
