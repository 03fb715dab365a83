"""What lives, what dies, what fails, and whether the figures can be trusted."""

from grafana_foundation_sdk.models import dashboard as model

from shared.frame import Rows, framed
from shared.panels import COUNT, SHARE, WHEN, inventory, listing, number, trend


def rows() -> Rows:
    """The panels by row, from the question asked first to the one asked last."""
    return {
        "In the range": [
            number("Uses", "shared/uses", 5),
            number("Failure rate", "shared/failure_rate", 5, SHARE),
            number("Active groups, latest day", "shared/groups_latest", 5, rows=True),
            number("Completeness", "shared/completeness", 5, SHARE),
            number("Losses", "shared/losses", 4),
        ],
        "What needs somebody": [
            listing(
                "Alerts", "overview/alerts", 24, {"Since": WHEN, "Silenced until": WHEN}, height=5
            ),
        ],
        "What lives and what dies": [
            number("Events by verdict", "overview/verdicts", 24, rows=True),
            inventory(12),
            listing(
                "Needs a look",
                "overview/needs_a_look",
                24,
                {"Uses": COUNT, "Change": SHARE, "Last used": WHEN},
            ),
        ],
        "How often": [
            trend("Uses per ${bucket}, by surface", "overview/uses_by_surface", 10),
            trend("Uses per ${bucket}, by feature", "overview/uses_by_feature", 14),
            listing(
                "Features",
                "overview/features",
                24,
                {"Begun": COUNT, "Uses": COUNT, "Failed": COUNT, "Failure rate": SHARE},
            ),
        ],
    }


def overview() -> model.Dashboard:
    """The dashboard."""
    about = "What is used, what is not any more, what fails, and whether the figures can be trusted"
    return framed("overview", "Overview", about, rows())
