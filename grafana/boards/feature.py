"""One feature, or several: how it is used, how it ends, by which versions, how fast, by how many."""

from grafana_foundation_sdk.models import dashboard as model

from shared.frame import Rows, framed
from shared.panels import COUNT, SHARE, TIME, WHEN, inventory, listing, number, trend


def rows() -> Rows:
    """The panels by row, from the question asked first to the one asked last."""
    return {
        "In the range": [
            number("Uses", "shared/uses", 6),
            number("Begun", "feature/begun", 6),
            number("Failures", "shared/failures", 6),
            number("Failure rate", "shared/failure_rate", 6, SHARE),
        ],
        "How it is used": [
            trend("Occurrences per ${bucket}, by action", "feature/uses_by_action", 12),
            trend("Uses per ${bucket}, by version", "shared/uses_by_version", 12),
            listing("Occurrences by action", "feature/actions", 12, {"Count": COUNT}),
            trend("Groups per day", "feature/groups", 12, stacked=False),
        ],
        "How it ends": [
            trend("Failures per ${bucket}, by error type", "shared/failures_by_error_type", 12),
            trend("Durations per ${bucket}", "shared/percentiles", 12, TIME, stacked=False),
        ],
        "What is known of it": [
            inventory(9),
            listing("In the catalog", "feature/declared", 24, {"Since": WHEN}),
        ],
    }


def feature() -> model.Dashboard:
    """The dashboard."""
    about = "How a feature is used, how it ends, by which versions, how fast and by how many"
    return framed("feature", "Feature", about, rows())
