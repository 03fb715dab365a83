"""Reports of how much was used at a time: by groups, in sessions, and how good they found it."""

from collections.abc import Mapping
from typing import Final

from footfall_exporters.postgres.reports.kinds.kind import Kind, Measure, kept, total

_SECONDS = Measure("seconds", "round(sum(seconds))::bigint")
ENGAGEMENT: Final[Mapping[str, Kind]] = {
    "groups": Kind(
        "Active groups",
        "groups",
        "day",
        ("day", "attribute"),
        (
            Measure("active", "max(groups)", adds=False),
            Measure("reason", "max(reason)", adds=False),
        ),
        listed=True,
        hidden=frozenset({"period", "scope"}),
        empty="Groups are values of hashed attributes, counted six hours after a period's end.",
    ),
    "depth": Kind(
        "How many features active groups use",
        "depth",
        "day",
        ("day", "attribute"),
        (
            kept("groups", "groups"),
            kept("median", "median"),
            kept("mean", "round(mean::numeric, 2)::float8"),
            kept("p90", "p90"),
            kept("groups_1", "groups_1"),
            kept("groups_2_3", "groups_2_3"),
            kept("groups_4_7", "groups_4_7"),
            kept("groups_8_up", "groups_8_up"),
            kept("reason", "reason"),
        ),
        listed=True,
        hidden=frozenset({"scope"}),
        empty="Groups are values of hashed attributes, counted six hours after a day's end.",
    ),
    "ratings": Kind(
        "How good the prompts are",
        "ratings",
        "day",
        ("prompt", "version"),
        (
            total("ratings"),
            Measure(
                "average",
                "round((sum(average * ratings) / sum(ratings))::numeric, 2)::float8",
                adds=False,
            ),
            Measure(
                "stars_1_to_5",
                "concat_ws(' ', sum(stars_1), sum(stars_2), sum(stars_3), sum(stars_4), sum(stars_5))",
                adds=False,
            ),
        ),
        only="ratings IS NOT NULL",
        trend="ratings",
        tallied=False,
    ),
    "sessions": Kind(
        "Sessions by the day on which they began",
        "sessions",
        "day",
        ("day", "service"),
        (
            total("sessions"),
            total("ended"),
            total("installations", "day", "service"),
            total("daily_active", "day", "service"),
            _SECONDS,
        ),
        listed=True,
        trend="sessions",
    ),
    "session_length": Kind(
        "How long sessions took",
        "session_lengths",
        "day",
        ("length",),
        (total("sessions"), _SECONDS),
        listed=True,
        trend="sessions",
        tallied=False,
        empty="What has ended is in it, for as long as single observations are kept.",
    ),
    "concurrent": Kind(
        "The most sessions at once",
        "concurrent",
        "hour",
        ("day",),
        (kept("most", "most"),),
        tallied=False,
        empty="The last 8 days are kept.",
    ),
    "time_open": Kind(
        "For how long something was open in sessions",
        "time_open",
        "day",
        ("event",),
        (total("sessions", "event"), total("opened"), _SECONDS),
        lead="seconds",
        trend="seconds",
    ),
}
