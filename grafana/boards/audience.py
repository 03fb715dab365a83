"""For how many: groups, sessions, and what those say who were asked."""

from grafana_foundation_sdk.models import dashboard as model

from shared.frame import Rows, framed
from shared.panels import COUNT, SECONDS, SHARE, STARS, listing, number, trend


def rows() -> Rows:
    """The panels by row, from the question asked first to the one asked last."""
    return {
        "Groups": [
            number("Active groups, latest day", "shared/groups_latest", 24, rows=True),
            trend("Active groups per day", "audience/groups", 12, stacked=False),
            trend("Groups per day, by feature", "feature/groups", 12, stacked=False),
            trend("Features per group and day", "audience/depth", 24, stacked=False),
            listing("Adoption", "audience/adoption", 12, {"Groups": COUNT, "Adoption": SHARE}),
            listing("Weeks and months", "audience/periods", 12, {"Groups": COUNT}),
        ],
        "Sessions": [
            number("Sessions", "audience/sessions", 12).override_by_name(
                "Average length", [model.DynamicConfigValue("unit", SECONDS)]
            ),
            number("Now", "audience/alive", 12),
            trend("Sessions per day", "audience/sessions_by_day", 12, stacked=False),
            trend("Most sessions at once, per hour", "audience/concurrent", 12, stacked=False),
            listing(
                "Lengths of sessions",
                "audience/session_lengths",
                12,
                {"Sessions": COUNT, "Together": SECONDS},
            ),
            listing(
                "Time open",
                "audience/time_open",
                12,
                {"Sessions": COUNT, "Opened": COUNT, "Time open": SECONDS},
            ),
        ],
        "Ratings": [
            trend("Average rating per day", "audience/ratings_by_day", 12, STARS, stacked=False),
            listing("Ratings by prompt", "audience/ratings", 12, {"Ratings": COUNT}),
        ],
    }


def audience() -> model.Dashboard:
    """The dashboard."""
    about = "How many groups and sessions there are, what they adopt, and how they rate it"
    return framed("audience", "Audience & satisfaction", about, rows())
