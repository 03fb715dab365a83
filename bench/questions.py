"""What is asked of `reporting`: each view, and reports as the page asks for them, beside the same of rows.

Reports are asked over the page's usual period, which ends with this hour: 29 days and what there is of the
thirtieth.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from psycopg import Connection

from footfall_exporters.postgres.reports import ask, periods
from footfall_exporters.postgres.reports.asked import Asked, Period
from footfall_exporters.postgres.reports.distinct import Span
from footfall_exporters.postgres.reports.overview import overview

DAYS = 30
Days = Mapping[str, dt.datetime]
"""`since`, and `until`: the midnight after."""
Rows = Sequence[tuple[Any, ...]]
Asking = Callable[[Connection, Days], Rows]
RAW = """
    FROM footfall.feature_events e JOIN footfall.feature_dims d ON d.id = e.dim_id
    WHERE e.time >= %(since)s AND e.time < %(until)s
"""
TODAY = "date_trunc('day', %(until)s - interval '1 s', 'UTC')"
WEEK = "date_trunc('week', e.time AT TIME ZONE 'UTC')"
UTC_DAY = "(e.time AT TIME ZONE 'UTC')::date"
HOUR = "date_bin('1 hour', e.time, 'epoch')"
PERCENTILES = ", ".join(
    f"percentile_disc({share}) WITHIN GROUP (ORDER BY e.duration_ms)" for share in (0.5, 0.95, 0.99)
)
NUMBER = "(sum(histogram) %% 999999999999)::bigint"
"""How many durations a sum of histograms has, as Grafana's panels ask it (ADR 34)."""
_STEP = dt.timedelta(hours=1)
ENDS = ["success", "failure"]
SOME = [f"bench.feature_{n:03}" for n in range(6)]


@dataclass(frozen=True, slots=True)
class Question:
    """One that is asked.

    Attributes:
        asked: SQL over `reporting`, rows in order; or whoever asks.
        of_rows: The same of single observations; None where these cannot tell.
        days: How far back.
        near: Whether the answers are percentiles.
    """

    asked: str | Asking
    of_rows: str | None = None
    days: int = DAYS
    near: bool = False


def _page(days: Days) -> Period:
    """What the page shows."""
    this = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    return Period(days["since"], this + _STEP)


def report(name: str, *by: str, columns: int | None = None, **asked: Any) -> Asking:
    """A report over the page's period, by some columns; of its rows the first columns."""

    def found(connection: Connection, days: Days) -> Rows:
        rows = ask(connection, name, Asked(_page(days), by=by, **asked)).rows
        return [row[:columns] for row in rows] if columns else rows

    return found


def kept(name: str, *by: str) -> Asking:
    """A report of all that is kept."""
    return lambda connection, _: ask(connection, name, Asked(by=by)).rows


def _overview(connection: Connection, days: Days) -> Rows:
    return [(overview(connection, _page(days)).record(),)]


def _counts(connection: Connection, days: Days) -> Rows:
    """What `GET /api/reports/events` says."""
    since, until = _page(days)
    found = periods.events(connection, Span(since, until or days["until"]))["events"]
    return sorted((each["event"], each["count"]) for each in found)


@cache
def _last(connection: Connection) -> dt.datetime:
    """When a store's newest observation was: the longer ago, the longer it was filled."""
    [[last]] = connection.execute("SELECT max(created_at) FROM reporting.events").fetchall()
    return last + dt.timedelta(seconds=1)


def _newest(connection: Connection, _: Days) -> Rows:
    """A hundred of the last hour, as if no time had gone by since."""
    last = _last(connection)
    return [
        tuple(each.values())
        for each in periods.recent(connection, Span(last - _STEP, last))["events"]
    ]


QUESTIONS: Mapping[str, Question] = {
    "latency by day": Question(
        "SELECT day, event, action, observations, p50_ms, p95_ms, p99_ms FROM reporting.latency"
        " WHERE day >= %(since)s AND day < %(until)s ORDER BY 1, 2, 3",
        f"SELECT {UTC_DAY}, d.event, d.action, count(*), {PERCENTILES}"
        f" {RAW} AND e.duration_ms IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        near=True,
    ),
    "latency today": Question(
        "SELECT event, action, observations, p50_ms, p95_ms, p99_ms FROM reporting.latency"
        " WHERE day >= %(since)s AND day < %(until)s ORDER BY 1, 2",
        f"SELECT d.event, d.action, count(*), {PERCENTILES}"
        f" {RAW} AND e.duration_ms IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
        days=1,
        near=True,
    ),
    "durations by event": Question(
        f"SELECT event, {NUMBER} FROM reporting.durations"
        " WHERE day >= %(since)s AND day < %(until)s GROUP BY 1 ORDER BY 1",
        f"SELECT d.event, count(e.duration_ms) {RAW} GROUP BY 1 ORDER BY 1",
    ),
    "durations_by_hour, a day": Question(
        f"SELECT hour, {NUMBER} FROM reporting.durations_by_hour"
        " WHERE hour >= %(since)s GROUP BY 1 ORDER BY 1",
        f"SELECT {HOUR}, count(e.duration_ms) {RAW} GROUP BY 1 ORDER BY 1",
        days=1,
    ),
    "usage by event": Question(
        "SELECT event, action, sum(count)::bigint FROM reporting.usage_by_day"
        " WHERE day >= %(since)s AND day < %(until)s GROUP BY 1, 2 ORDER BY 1, 2",
        f"SELECT d.event, d.action, count(*) {RAW} GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    "usage by hour": Question(
        "SELECT h.hour, h.count FROM (SELECT day, sum(hours) AS hours FROM reporting.usage_by_day"
        " WHERE day >= %(since)s AND day < %(until)s GROUP BY 1) AS d,"
        " reporting.hours_of(d.day, d.hours) AS h ORDER BY 1",
        f"SELECT {HOUR}, count(*) {RAW} GROUP BY 1 ORDER BY 1",
    ),
    "usage today": Question(
        "SELECT event, action, sum(count)::bigint FROM reporting.usage"
        " WHERE hour >= %(since)s AND hour < %(until)s GROUP BY 1, 2 ORDER BY 1, 2",
        f"SELECT d.event, d.action, count(*) {RAW} GROUP BY 1, 2 ORDER BY 1, 2",
        days=1,
    ),
    "errors": Question(
        "SELECT event, error_type, sum(count)::bigint FROM reporting.usage_by_day"
        " WHERE day >= %(since)s AND day < %(until)s AND status <> 'ok' GROUP BY 1, 2 ORDER BY 1, 2",
        f"SELECT d.event, d.error_type, count(*) {RAW} AND d.status <> 'ok' GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    "active_groups": Question(
        "SELECT day, groups FROM reporting.active_groups"
        " WHERE day >= %(since)s AND day < %(until)s ORDER BY 1",
        f"SELECT {UTC_DAY}, count(DISTINCT e.group_hash) {RAW} AND e.time < {TODAY} GROUP BY 1 ORDER BY 1",
    ),
    "groups by event": Question(
        "SELECT day, event, groups FROM reporting.groups WHERE period = 'day' AND scope = 'event'"
        " AND day >= %(since)s AND day < %(until)s ORDER BY 1, 2",
        f"SELECT {UTC_DAY}, d.event, count(DISTINCT e.group_hash)"
        f" {RAW} AND e.time < {TODAY} GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    "groups by event and week": Question(
        "SELECT day, event, groups FROM reporting.groups WHERE period = 'week' AND scope = 'event'"
        " AND day >= %(since)s AND day < %(until)s ORDER BY 1, 2",
        f"SELECT {WEEK}::date, d.event, count(DISTINCT e.group_hash) {RAW}"
        f" AND {WEEK} >= %(since)s AT TIME ZONE 'UTC'"
        f" AND {WEEK} + interval '7 days' <= {TODAY} AT TIME ZONE 'UTC' GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    "events, the newest": Question(_newest, days=1),
    "completeness": Question(
        "SELECT event, untallied FROM reporting.completeness ORDER BY event",
        f"SELECT d.event, count(*) {RAW} GROUP BY 1 ORDER BY 1",
    ),
    "completeness_by_day": Question(
        "SELECT day, event, untallied FROM reporting.completeness_by_day"
        " WHERE day >= %(since)s AND day < %(until)s ORDER BY 1, 2",
        f"SELECT {UTC_DAY}, d.event, count(*) {RAW} GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    "catalog": Question(
        "SELECT event, count, last_used FROM reporting.catalog ORDER BY 1",
        f"SELECT d.event, count(*), max({HOUR}) {RAW} GROUP BY 1 ORDER BY 1",
    ),
    "annotations": Question(
        "SELECT service, version, at FROM reporting.annotations WHERE kind = 'version' ORDER BY 1, 2",
        f"SELECT d.service, d.service_version, min({HOUR}) {RAW} GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    "report usage, by day and event": Question(
        report("usage", "day", "event", "action"),
        f"SELECT {UTC_DAY}, d.event, d.action, count(*) {RAW} GROUP BY 1, 2, 3",
    ),
    "report usage, by event and status": Question(
        report("usage", "event", "action", "status"),
        f"SELECT d.event, d.action, d.status, count(*) {RAW} GROUP BY 1, 2, 3",
    ),
    "report usage, by hour": Question(
        report("usage", "hour"), f"SELECT {HOUR}, count(*) {RAW} GROUP BY 1"
    ),
    "report usage, by hour, of one event": Question(
        report("usage", "hour", "action", where={"event": SOME[:1]}),
        f"SELECT {HOUR}, d.action, count(*) {RAW} AND d.event = '{SOME[0]}' GROUP BY 1, 2",
    ),
    "report usage, by day in Berlin": Question(
        report("usage", "day", "action", zone="Europe/Berlin"),
        f"SELECT (e.time AT TIME ZONE 'Europe/Berlin')::date, d.action, count(*) {RAW} GROUP BY 1, 2",
    ),
    "report usage, by day in Berlin and event": Question(
        report("usage", "day", "event", zone="Europe/Berlin"),
        f"SELECT (e.time AT TIME ZONE 'Europe/Berlin')::date, d.event, count(*) {RAW} GROUP BY 1, 2",
    ),
    "report errors, by day": Question(
        report("errors", "day", "error_type", columns=3),
        f"SELECT {UTC_DAY}, d.error_type, count(*) {RAW} AND d.status <> 'ok' GROUP BY 1, 2",
    ),
    "report errors, by event": Question(
        report("errors", "event", "error_type", columns=3),
        f"SELECT d.event, d.error_type, count(*) {RAW} AND d.status <> 'ok' GROUP BY 1, 2",
    ),
    "report changes": Question(report("changes", "event", limit=6)),
    "report releases": Question(kept("releases")),
    "report releases, with a condition": Question(
        lambda connection, _: ask(connection, "releases", Asked(where={"action": ENDS})).rows
    ),
    "report latency, by event": Question(
        report("latency", "event", columns=2),
        f"SELECT d.event, count(e.duration_ms) {RAW} GROUP BY 1",
    ),
    "report latency, by day, of six events": Question(
        report("latency", "day", "event", where={"event": SOME}, columns=3),
        f"SELECT {UTC_DAY}, d.event, count(e.duration_ms) {RAW} AND d.event <= '{SOME[-1]}' GROUP BY 1, 2",
    ),
    "report catalog": Question(kept("catalog", "product", "event", "title", "owner", "feature")),
    "report completeness": Question(report("completeness", "day")),
    "report features": Question(kept("features", "product", "event", "owner", "verdict")),
    "report overview": Question(_overview),
    "events, counted for dashboards": Question(
        _counts, f"SELECT d.event, count(*) {RAW} GROUP BY 1"
    ),
    **{
        f"reporting.{view}": Question(f"SELECT * FROM reporting.{view}")
        for view in (
            "alert_rules", "alerts", "attributes", "backends", "concurrent", "depth", "features", "freshness",
            "housekeeping", "losses",
            "published", "published_days", "ratings", "refused", "releases", "retention", "session_lengths",
            "sessions", "sessions_alive", "time_open",
        )
    },
}  # fmt: skip
