"""The reports: of each, which view of `reporting` it asks, by what it counts, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, LiteralString

from footfall_exporters.postgres import bounds
from footfall_exporters.postgres.reports.histograms import HISTOGRAM, SENT


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a group of rows.

    Attributes:
        name: Its column.
        value: SQL over the columns of the view.
        whole: Columns of the view that must not be mixed, because such figures cannot be added.
        adds: Whether figures of several days come to one of all of them by addition.
    """

    name: str
    value: LiteralString
    whole: frozenset[str] = frozenset()
    adds: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """What a report asks.

    Attributes:
        title: What it says, as a headline.
        view: Of `reporting`.
        time: The view's column of time, `hour`, `day` or `created_at`; empty where it is of all that is kept.
        by: The columns that it counts by, unless told otherwise; those that no catalog declares are NULL.
        measures: Its figures.
        lead: The figure by which it is put in order; the first one unless it says else.
        rising: Whether the least comes first, not the greatest.
        only: Which rows count.
        outcome: Columns that say how something ended: figures are of what failed, and its share among all
            that did end.
        mixes: Columns without which its figures have both beginnings and ends in them.
        listed: Whether it is in the order of names, unless it is asked by other columns or for some rows.
        columns_of: The view whose columns it may be asked by, where that has more that are nobody's business.
        hidden: Columns that it cannot be asked by.
        trend: The measure that is shown day by day.
        tallied: Whether the completeness of events says how complete it is.
        empty: What is to be said where there is nothing.
        summed: What is asked in place of single observations, where they are many or no longer stored.
        daily: The view that has the same by day, and answers faster.
        dated: The view that has the same by day, where a report of all that is kept is asked for a period, or
            by time.
        note: What is always said of its figures.
    """

    title: str
    view: str
    time: str
    by: tuple[str, ...]
    measures: tuple[Measure, ...]
    lead: str = ""
    rising: bool = False
    only: LiteralString = "true"
    outcome: frozenset[str] = frozenset()
    mixes: frozenset[str] = frozenset()
    listed: bool = False
    columns_of: str = ""
    hidden: frozenset[str] = field(default=frozenset({"event_id", "description"}))
    trend: str = ""
    tallied: bool = True
    empty: str = ""
    summed: "Kind | None" = None
    daily: str = ""
    dated: str = ""
    note: str = ""


def _sum(name: LiteralString, *whole: str) -> Measure:
    return Measure(name, "sum(" + name + ")::bigint", frozenset(whole))


def _kept(name: LiteralString, view: LiteralString, *whole: str) -> Measure:
    """A figure that is no sum of others: of a group of one row it is that row's."""
    return Measure(name, "max(" + view + ")", frozenset(whole), adds=False)


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
_SECONDS = Measure("seconds", "round(sum(seconds))::bigint")
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
KINDS: Final[Mapping[str, Kind]] = {
    "usage": Kind(
        "What was used",
        "usage",
        "hour",
        ("surface", "feature", "event", "action"),
        (_sum("count"),),
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
        (_sum("count"), Measure("share", "NULL", adds=False)),
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
        (_sum("count"),),
        only="action NOT IN ('invoke', 'start')",
        tallied=False,
    ),
    "releases": Kind(
        "The newest version of each service beside the one before",
        "usage",
        "",
        (),
        (_sum("count"),),
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
            _kept("groups", "groups"),
            _kept("median", "median"),
            _kept("mean", "round(mean::numeric, 2)::float8"),
            _kept("p90", "p90"),
            _kept("groups_1", "groups_1"),
            _kept("groups_2_3", "groups_2_3"),
            _kept("groups_4_7", "groups_4_7"),
            _kept("groups_8_up", "groups_8_up"),
            _kept("reason", "reason"),
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
            _sum("ratings"),
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
            _sum("sessions"),
            _sum("ended"),
            _sum("installations", "day", "service"),
            _sum("daily_active", "day", "service"),
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
        (_sum("sessions"), _SECONDS),
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
        (_kept("most", "most"),),
        tallied=False,
        empty="The last 8 days are kept.",
    ),
    "time_open": Kind(
        "For how long something was open in sessions",
        "time_open",
        "day",
        ("event",),
        (_sum("sessions", "event"), _sum("opened"), _SECONDS),
        lead="seconds",
        trend="seconds",
    ),
    "losses": Kind(
        "What was lost",
        "losses",
        "day",
        ("signal", "reason"),
        (_sum("count"),),
        trend="count",
        tallied=False,
    ),
    "refused": Kind(
        "What was not taken",
        "refused",
        "day",
        ("signal", "reason"),
        (_sum("requests"),),
        trend="requests",
        tallied=False,
    ),
    "completeness": Kind(
        "How complete it is",
        "completeness",
        "",
        ("event",),
        (
            _sum("stored"),
            _sum("emitted"),
            Measure("ratio", "(sum(stored) / nullif(sum(emitted), 0))::float8", adds=False),
            _sum("untallied"),
            _sum("surplus"),
        ),
        lead="ratio",
        rising=True,
        tallied=False,
        dated="completeness_by_day",
    ),
    "features": Kind(
        "The inventory of features",
        "features",
        "",
        ("product", "event", "owner", "verdict"),
        (
            _sum("uses"),
            _sum("uses_before"),
            _kept("change", "round(change::numeric, 2)::float8", "product", "event"),
            _kept("change_low", "round(change_low::numeric, 2)::float8", "product", "event"),
            _kept("change_high", "round(change_high::numeric, 2)::float8", "product", "event"),
            _kept("failures", "round(failures::numeric, 3)::float8", "product", "event"),
            _kept("failures_low", "round(failures_low::numeric, 4)::float8", "product", "event"),
            _kept("failures_high", "round(failures_high::numeric, 4)::float8", "product", "event"),
            _kept("p95_ms", "round(p95_ms)::integer", "product", "event"),
            _kept("adoption", "round(adoption::numeric, 3)::float8", "product", "event"),
            _kept("last_used", "last_used"),
            _kept("days", "days"),
        ),
        hidden=frozenset({"active_per"}),
        tallied=False,
        empty="A catalog's events are in it as soon as a collector has started with them.",
    ),
    "catalog": Kind(
        "What the catalogs declare",
        "catalog",
        "",
        ("product", "event", "title", "owner", "expires", "declared"),
        (
            _sum("count"),
            _kept("last_used", "last_used"),
            _kept("actions", "array_to_string(actions, ' ')"),
        ),
        hidden=frozenset(),
    ),
    "attributes": Kind(
        "What events may carry",
        "attributes",
        "",
        ("product", "event", "attribute", "holds", "lasts", "names"),
        (Measure("events", "count(DISTINCT event)", adds=False),),
        listed=True,
        hidden=frozenset(),
        tallied=False,
        empty="No event that is declared carries anything.",
    ),
    "annotations": Kind(
        "What happened",
        "annotations",
        "at",
        ("kind", "text", "product", "service", "environment", "version", "id"),
        (_kept("at", "at"),),
        tallied=False,
        empty="Say what happened with `footfall annotate`; versions of services come by themselves.",
    ),
    "published": Kind(
        "What may leave the team",
        "published",
        "day",
        ("product", "event"),
        (_sum("count"),),
        trend="count",
        tallied=False,
        note="a row without an event is of those that were too small to be told apart",
        empty="The days of a product are published once it is listed in the configuration.",
    ),
    "backends": Kind(
        "What is passed on, and how far that is",
        "backends",
        "",
        ("backend",),
        (
            _kept("behind", "behind"),
            _kept("waiting_since", "waiting_since"),
            _kept("refused", "refused"),
            _kept("moved_at", "moved_at"),
        ),
        listed=True,
        tallied=False,
        empty="A backend is in it as soon as a collector follows the store for it.",
    ),
    "housekeeping": Kind(
        "What keeps the store in shape",
        "housekeeping",
        "",
        ("task", "outcome", "failing", "overdue"),
        (
            _kept("every_s", "every_s"),
            _kept("last_run", "last_run"),
            _kept("next_run", "next_run"),
        ),
        listed=True,
        tallied=False,
        empty="It is known as soon as a collector has started.",
    ),
    "retention": Kind(
        "What is kept for how long",
        "retention",
        "",
        ("what", "product", "environment"),
        (Measure("kept", "max(kept)::text", adds=False),),
        listed=True,
        tallied=False,
        empty="It is known as soon as a collector has started.",
    ),
}
"""Name → what it asks."""
ASIDE: Final = frozenset(
    measure.name
    for kind in KINDS.values()
    for measure in kind.measures
    if "_low" in measure.name or "_high" in measure.name
) | {"actions"}
"""Between what another figure lies, and lists: a terminal's tables leave them out."""
