"""What fails: which kinds, where, since when."""

from grafana_foundation_sdk.models import dashboard as model

from shared.frame import Rows, framed
from shared.panels import COUNT, SHARE, listing, number, trend


def rows() -> Rows:
    """The panels by row, from the question asked first to the one asked last."""
    return {
        "In the range": [
            number("Uses", "shared/uses", 8),
            number("Failures", "shared/failures", 8),
            number("Failure rate", "shared/failure_rate", 8, SHARE),
        ],
        "Which kinds": [
            trend("Failures per ${bucket}, by error type", "shared/failures_by_error_type", 12),
            trend("Failures per ${bucket}, by status", "reliability/failures_by_status", 12),
            listing("Kinds of failures", "reliability/kinds", 24, {"Failures": COUNT}),
        ],
        "Where": [
            trend(
                "Failure rate per ${bucket}, by feature",
                "reliability/failure_rate_by_feature",
                12,
                SHARE,
                stacked=False,
            ),
            trend("Failures per ${bucket}, by provider", "reliability/failures_by_provider", 12),
            listing(
                "Failures by feature, provider and error type",
                "reliability/failures",
                14,
                {"Failures": COUNT, "Share of ends": SHARE},
            ),
            listing(
                "Begun and not ended",
                "reliability/unfinished",
                10,
                {"Begun": COUNT, "Ended": COUNT, "Not ended": COUNT},
            ),
        ],
    }


def reliability() -> model.Dashboard:
    """The dashboard."""
    about = "Which kinds of failures there are, where, and since when"
    return framed("reliability", "Reliability", about, rows())
