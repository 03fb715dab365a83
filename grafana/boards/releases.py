"""Which versions carry the use, and what differs between them."""

from grafana_foundation_sdk.models import dashboard as model

from shared.frame import Rows, framed
from shared.panels import COUNT, SHARE, TIME, listing, trend


def rows() -> Rows:
    """The panels by row, from the question asked first to the one asked last."""
    return {
        "How far it has come": [
            trend("Uses per ${bucket}, by version", "shared/uses_by_version", 12),
            listing(
                "Versions",
                "releases/versions",
                12,
                {"Uses": COUNT, "Failed": COUNT, "Failure rate": SHARE},
            ),
        ],
        "What it made worse or better": [
            trend(
                "Failure rate per ${bucket}, by version",
                "releases/failure_rate_by_version",
                12,
                SHARE,
                stacked=False,
            ),
            trend(
                "p95 per ${bucket}, by version", "releases/p95_by_version", 12, TIME, stacked=False
            ),
            listing(
                "Features by version",
                "releases/features",
                12,
                {"Uses": COUNT, "Failed": COUNT, "Failure rate": SHARE},
            ),
            listing(
                "Latency by version",
                "releases/latency",
                12,
                {"Observations": COUNT, "p50": TIME, "p95": TIME},
            ),
            listing("Failures by version", "releases/errors", 24, {"Failures": COUNT}),
        ],
    }


def releases() -> model.Dashboard:
    """The dashboard."""
    about = "Which versions carry the use, and how often each fails and how fast it is"
    return framed("releases", "Releases", about, rows())
