"""Reports of what was used, how it ended and how long it took."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, LiteralString

from footfall_exporters.postgres import bounds
from footfall_exporters.postgres.reports.histograms import HISTOGRAM, SENT
from footfall_exporters.postgres.reports.kinds.kind import Kind, Measure, total


def _percentile(name: LiteralString, share: LiteralString) -> Measure:
    value = "round(percentile_cont(" + share + ") WITHIN GROUP (ORDER BY duration_ms))::integer"
    return Measure(name, value, adds=False)


def _between(
    name: LiteralString, found: tuple[LiteralString, LiteralString], form: LiteralString
) -> tuple[Measure, Measure]:
    """The bounds of a figure (bounds.py), each written in a form of SQL."""
    unit: LiteralString = "_ms" if name.endswith("_ms") else ""
    stem = name.removesuffix("_ms")
    low, high = (form.replace("{}", each) for each in found)
    return Measure(f"{stem}_low{unit}", low, adds=False), Measure(
        f"{stem}_high{unit}", high, adds=False
    )


_FAILED: LiteralString = "sum(count) FILTER (WHERE status <> 'ok')"
ADDED_UP: Final = Kind(
    "How long it took",
    "durations",
    "day",
    ("surface", "feature", "event"),
    (Measure(HISTOGRAM, SENT),),
    hidden=frozenset({"observations"}),
)
ADDED_UP_BY_HOUR: Final = replace(ADDED_UP, view="durations_by_hour", time="hour")
"""Of the last days, of which a zone's days are made."""
USES: Final[Mapping[str, Kind]] = {
    "usage": Kind(
        "What was used",
        "usage",
        "hour",
        ("surface", "feature", "event", "action"),
        (total("count"),),
        mixes=frozenset({"action"}),
        listed=True,
        trend="count",
        daily="usage_by_day",
    ),
    "errors": Kind(
        "What failed",
        "usage",
        "hour",
        ("surface", "feature", "event", "provider", "error_type", "status"),
        (total("count"), Measure("share", "NULL", adds=False)),
        only="action IN ('success', 'failure')",
        outcome=frozenset({"action", "error_type", "status"}),
        trend="count",
        daily="usage_by_day",
    ),
    "outcomes": Kind(
        "What ended, and which share of it failed",
        "usage",
        "hour",
        ("surface", "feature", "event"),
        (
            Measure("ends", "sum(count)::bigint"),
            Measure("failures", "coalesce(" + _FAILED + ", 0)::bigint"),
            Measure(
                "share",
                "(coalesce(" + _FAILED + ", 0) / nullif(sum(count), 0))::float8",
                adds=False,
            ),
            *_between(
                "share",
                bounds.share("coalesce(" + _FAILED + ", 0)", "sum(count)"),
                "round(({})::numeric, 4)::float8",
            ),
        ),
        only="action IN ('success', 'failure')",
        listed=True,
        trend="failures",
        daily="usage_by_day",
        empty="Only what ends as a success or a failure is in it.",
    ),
    "changes": Kind(
        "What moved, against as long a period before",
        "usage",
        "hour",
        (),
        (total("count"),),
        only="action NOT IN ('invoke', 'start')",
        tallied=False,
    ),
    "releases": Kind(
        "The newest version of each service beside the one before",
        "usage",
        "",
        (),
        (total("count"),),
        only="action IN ('success', 'failure')",
        daily="usage_by_day",
        tallied=False,
        empty="It takes two versions of a service, of which each has ended something (success, failure).",
    ),
    "latency": Kind(
        "How long it took",
        "events",
        "created_at",
        ("surface", "feature", "event"),
        (
            Measure("observations", "count(*)"),
            _percentile("p50_ms", "0.5"),
            _percentile("p95_ms", "0.95"),
            _percentile("p99_ms", "0.99"),
            *_between("p95_ms", bounds.slow("duration_ms"), "{}"),
        ),
        lead="p95_ms",
        only="duration_ms IS NOT NULL",
        columns_of="usage",
        trend="p95_ms",
        empty="Only what has a duration is in it.",
        summed=ADDED_UP,
    ),
    "distribution": Kind(
        "How durations are spread",
        "durations_by_hour",
        "hour",
        ("surface", "feature", "event"),
        (Measure(HISTOGRAM, SENT),),
        hidden=frozenset({"observations"}),
        daily="durations",
        empty="Only what has a duration is in it.",
    ),
}
