"""Whether the figures can be trusted, and whether what was promised is kept."""

from grafana_foundation_sdk.models import dashboard as model

from shared.frame import Rows, framed
from shared.panels import ALARM, COUNT, SECONDS, SHARE, TIME, WHEN, listing, number, trend


def rows() -> Rows:
    """The panels by row, from the question asked first to the one asked last."""
    return {
        "Is everything there": [
            number("Completeness", "shared/completeness", 5, SHARE),
            number("Losses", "shared/losses", 5),
            number("Refused requests", "pipeline/refused_requests", 5),
            number("Last commit", "pipeline/age", 5, SECONDS),
            number("Housekeeping in need", "pipeline/overdue", 4, COUNT, ALARM),
            trend("Completeness per day", "pipeline/completeness_by_day", 12, SHARE, stacked=False),
            listing(
                "Completeness by event",
                "pipeline/completeness_by_event",
                12,
                {
                    **dict.fromkeys(("Sent", "Stored", "Surplus", "Not tallied"), COUNT),
                    "Completeness": SHARE,
                },
            ),
        ],
        "What was lost": [
            trend("Losses per day, by reason", "pipeline/losses_by_reason", 12),
            listing("Losses by reason", "pipeline/lost", 12, {"Lost": COUNT}),
            listing("Refused requests, by sender", "pipeline/refused", 24, {"Requests": COUNT}),
        ],
        "Is the house in order": [
            listing(
                "Housekeeping",
                "pipeline/housekeeping",
                14,
                {"Took": TIME, "Last run": WHEN, "Next run": WHEN},
            ),
            listing("Kept for how long", "pipeline/retention", 10, {"Days": COUNT}),
        ],
        "Who would tell": [
            listing(
                "Rules of alerts", "pipeline/alert_rules", 24, {"Took": TIME, "Looked at": WHEN}
            )
        ],
        "Whom can it name": [
            number("Erased on request", "pipeline/erased", 6),
            listing("Numbers of groups that are not there", "pipeline/unknown_groups", 9, {}),
            listing("Published", "pipeline/published", 9, {"Uses": COUNT}),
        ],
    }


def pipeline() -> model.Dashboard:
    """The dashboard."""
    about = "Whether everything is there, what was lost, and whether what was promised is kept"
    return framed("pipeline", "Pipeline & privacy", about, rows())
