import itertools
import math
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from footfall_processors import Loss
from grafana.known import DAY, END, HOUR, START, Known, Use
from grafana.panels import (
    DASHBOARD,
    HEALTH,
    REPOSITORY,
    View,
    dashboard,
    expand,
    panels,
    query,
    rows,
)

MODEL = dashboard()
ALL = View(START, END)
DISCORD = View(START, END, {"surface": ["discord"], "bucket": ["6h"]})
TWO_FEATURES = View(START, END, {"feature": ["generator", "seed"], "bucket": ["1d"]})
EMPTY = View(START - 20 * DAY, START - 10 * DAY)
BEGUN = ("invoke", "start")
BUCKETS = {"1h": 3600, "6h": 6 * 3600, "1d": 86_400}
views = pytest.mark.parametrize("view", [ALL, DISCORD, TWO_FEATURES], ids=["all", "discord", "two"])


def selected(uses: Iterable[Use], view: View) -> list[Use]:
    """The uses that the variables choose, at any time."""
    surfaces, features = view.chosen.get("surface"), view.chosen.get("feature")
    return [
        use
        for use in uses
        if (not surfaces or use.surface in surfaces) and (not features or use.feature in features)
    ]


def counted(uses: Iterable[Use], view: View) -> list[Use]:
    """The uses of the hours that the range touches."""
    return [u for u in selected(uses, view) if u.hour + HOUR > view.start and u.hour <= view.end]


def ended(uses: Iterable[Use], view: View) -> list[Use]:
    return [use for use in counted(uses, view) if use.action not in BEGUN]


def failed(uses: Iterable[Use], view: View) -> list[Use]:
    return [use for use in ended(uses, view) if use.status != "ok"]


def timed(uses: Iterable[Use], view: View) -> list[Use]:
    """The observations with a duration, of the hours that the range touches."""
    return [use for use in counted(uses, view) if use.ms is not None]


def bucket(moment: datetime, view: View) -> int:
    width = BUCKETS[view.chosen.get("bucket", ["1h"])[0]]
    return int(moment.timestamp()) // width * width


def percentile(values: Collection[int], share: float) -> Any:
    """Of the nearest rank, as near as is promised."""
    return pytest.approx(sorted(values)[math.ceil(share * len(values)) - 1], rel=0.022)


def feature(use: Use) -> str:
    return f"{use.surface} · {use.feature}"


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Postgres' exact numbers as Python's own."""
    return {key: float(v) if isinstance(v, Decimal) else v for key, v in row.items()}


def series(found: list[dict[str, Any]]) -> dict[tuple[int, str], float]:
    """A time series' rows, which must be sorted by time, as {(Unix time, name): value}."""
    moments = [row["time"] for row in found]
    assert moments == sorted(moments)
    assert all(list(row) == ["time", "metric", "value"] for row in found)
    result = {(int(row["time"]), row["metric"]): float(row["value"]) for row in found}
    assert len(result) == len(found)
    return result


def trend(uses: Iterable[Use], view: View, name: Callable[[Use], str]) -> Counter[tuple[int, str]]:
    return Counter((bucket(use.hour, view), name(use)) for use in uses)


def test_the_committed_dashboard_is_what_dashboards_py_writes(tmp_path: Path) -> None:
    script = REPOSITORY / "grafana" / "dashboards.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
    for committed in (DASHBOARD, HEALTH):
        assert (tmp_path / committed.name).read_bytes() == committed.read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {DASHBOARD.name, HEALTH.name}


@pytest.mark.parametrize("model", [MODEL, dashboard(HEALTH)], ids=["usage", "collector"])
def test_panels_are_numbered_described_and_none_covers_another(model: dict[str, Any]) -> None:
    everything = model["panels"]
    assert [panel["id"] for panel in everything] == list(range(1, len(everything) + 1))
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in everything)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) == 23
    assert all(panel["description"] for panel in panels(model).values())
    assert len(panels(model)) == sum(panel["type"] != "row" for panel in everything)


def test_every_query_of_the_dashboard_is_tested_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [title for title in panels(MODEL) if f'"{title}"' not in text] == []


@views
def test_uses_and_failure_rate(reader: psycopg.Connection, data: Known, view: View) -> None:
    uses, failures = len(ended(data.uses, view)), len(failed(data.uses, view))
    assert 0 < failures < uses < len([use for use in data.uses if use.action not in BEGUN])
    assert query(reader, MODEL, "Uses", view) == [{"Uses": uses}]
    [row] = query(reader, MODEL, "Failure rate", view)
    assert row["Failure rate"] == pytest.approx(failures / uses)


def test_a_period_without_data_shows_zeros_and_empty_tables(reader: psycopg.Connection) -> None:
    assert query(reader, MODEL, "Uses", EMPTY) == [{"Uses": 0}]
    assert query(reader, MODEL, "Failure rate", EMPTY) == [{"Failure rate": None}]
    assert query(reader, MODEL, "Losses", EMPTY) == [{"Losses": 0}]
    whole = {"Uses", "Failure rate", "Losses", "Completeness", "Completeness by event"}
    for title in panels(MODEL).keys() - whole:
        assert query(reader, MODEL, title, EMPTY) == [], title


@views
def test_uses_over_time(reader: psycopg.Connection, data: Known, view: View) -> None:
    uses = ended(data.uses, view)
    by_surface = query(reader, MODEL, "Uses per ${bucket}, by surface", view)
    assert series(by_surface) == trend(uses, view, lambda use: use.surface)
    by_feature = query(reader, MODEL, "Uses per ${bucket}, by feature", view)
    assert series(by_feature) == trend(uses, view, feature)


@views
def test_features(reader: psycopg.Connection, data: Known, view: View) -> None:
    expected = {}
    for event in {use.event for use in counted(data.uses, view)}:
        every = [use for use in counted(data.uses, view) if use.event == event]
        begun = sum(use.action in BEGUN for use in every)
        done = [use for use in every if use.action not in BEGUN]
        bad = sum(use.status != "ok" for use in done)
        place = (every[0].surface, every[0].feature, event)
        expected[place] = (begun, len(done), bad, bad / len(done) if done else None)
    found = {tuple(plain(row).values()) for row in query(reader, MODEL, "Features", view)}
    assert {row[:3]: row[3:6] for row in found} == {k: v[:3] for k, v in expected.items()}
    assert {row[:3]: row[6] for row in found} == pytest.approx(
        {k: v[3] for k, v in expected.items()}
    )


@views
def test_occurrences_by_action(reader: psycopg.Connection, data: Known, view: View) -> None:
    every = counted(data.uses, view)
    expected = Counter((use.surface, use.feature, use.event, use.action) for use in every)
    found = query(reader, MODEL, "Occurrences by action", view)
    assert {tuple(row.values())[:4]: int(row["Count"]) for row in found} == expected
    assert len(found) == len(expected)


@views
def test_failures_over_time(reader: psycopg.Connection, data: Known, view: View) -> None:
    failures = failed(data.uses, view)
    by_type = query(reader, MODEL, "Failures per ${bucket}, by error type", view)
    assert series(by_type) == trend(failures, view, lambda use: use.error or "")
    by_provider = query(reader, MODEL, "Failures per ${bucket}, by provider", view)
    assert series(by_provider) == trend(failures, view, lambda use: use.provider or "none")


@views
def test_failures_by_feature_provider_and_error_type(
    reader: psycopg.Connection, data: Known, view: View
) -> None:
    def place(use: Use) -> tuple[str, str, str]:
        return use.surface, use.feature, use.provider or "none"

    totals = Counter(map(place, ended(data.uses, view)))
    kinds = Counter((*place(use), use.error, use.status) for use in failed(data.uses, view))
    found = query(reader, MODEL, "Failures by feature, provider and error type", view)
    assert {tuple(row.values())[:5]: int(row["Failures"]) for row in found} == kinds
    shares = {tuple(row.values())[:5]: row["Share of uses"] for row in found}
    assert shares == pytest.approx({kind: n / totals[kind[:3]] for kind, n in kinds.items()})


@views
def test_latency_by_feature(reader: psycopg.Connection, data: Known, view: View) -> None:
    durations = defaultdict(list)
    for use in timed(data.uses, view):
        durations[use.surface, use.feature].append(use.ms or 0)
    found = query(reader, MODEL, "Latency by feature", view)
    assert {(row["Surface"], row["Feature"]) for row in found} == set(durations)
    assert [row["p95"] for row in found] == sorted((row["p95"] for row in found), reverse=True)
    for row in found:
        values = durations[row["Surface"], row["Feature"]]
        assert row["Observations"] == len(values)
        for column, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            assert row[column] == percentile(values, share)


@views
def test_p95_over_time(reader: psycopg.Connection, data: Known, view: View) -> None:
    durations = defaultdict(list)
    for use in timed(data.uses, view):
        durations[bucket(use.hour, view), feature(use)].append(use.ms or 0)
    expected = {key: percentile(values, 0.95) for key, values in durations.items()}
    found = query(reader, MODEL, "p95 per ${bucket}, by feature", view)
    assert series(found) == expected


def test_latency_of_days_whose_hours_are_not_kept_is_that_of_the_days(
    database: str, reader: psycopg.Connection, data: Known
) -> None:
    long_ago = _long_ago(database)
    view = View(long_ago - 2 * DAY, END, {"bucket": ["1d"]})
    found = query(reader, MODEL, "p95 per ${bucket}, by feature", view)
    days = {moment for moment, _ in series(found)}
    assert int(long_ago.timestamp()) in days
    assert {bucket(use.hour, view) for use in timed(data.uses, view)} <= days
    (before,) = [
        row["Observations"]
        for row in query(reader, MODEL, "Latency by feature", View(long_ago, long_ago + HOUR))
        if row["Feature"] == "daily"
    ]
    assert before == 2


def _long_ago(database: str) -> datetime:
    """A day of last month on which an announcement took 100 ms twice."""
    day = (END - 30 * DAY).date()
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO footfall.latency_days SELECT %s, max(id), footfall.latency_histogram("
            " footfall.latency_bucket(100), 2) FROM footfall.feature_dims WHERE feature = 'daily'",
            [day],
        )
    return midnight(day)


@pytest.mark.parametrize("title", ["Latency by feature", "p95 per ${bucket}, by feature"])
def test_the_panels_of_latency_read_no_observation(
    database: str, reader: psycopg.Connection, title: str
) -> None:
    (target,) = panels(MODEL)[title]["targets"]
    asked = "EXPLAIN (ANALYZE, COSTS off, TIMING off) " + expand(target["rawSql"], MODEL, ALL)
    lines = [line["QUERY PLAN"] for line in rows(reader, asked)]
    observations = [line for line in lines if "feature_events" in line]
    assert all("never executed" in line for line in observations)


def groups(data: Known) -> dict[date, int | None]:
    """Distinct guilds per day of the range; fewer than five are not for readers."""
    active = defaultdict(set)
    for use in data.uses:
        if use.guild is not None and START.date() <= use.at.date() <= END.date():
            active[use.at.date()].add(use.guild)
    return {day: len(guilds) if len(guilds) >= 5 else None for day, guilds in active.items()}


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def test_active_groups(reader: psycopg.Connection, data: Known) -> None:
    expected = groups(data)
    assert len(set(expected.values())) == 3
    found = query(reader, MODEL, "Active groups per day", ALL)
    assert [tuple(row.values()) for row in found] == [
        (midnight(day), "guild_id", count) for day, count in sorted(expected.items())
    ]
    latest = query(reader, MODEL, "Active groups, latest day", ALL)
    assert latest == [{"attribute": "guild_id", "groups": expected[END.date()]}]


def test_a_day_whose_salt_was_lost_has_no_number_of_groups(
    reader: psycopg.Connection, database: str
) -> None:
    with psycopg.connect(database) as owner:
        of_day = "WHERE span = 'day' AND scope = 'all' AND start = %s"
        asked = f"SELECT groups FROM footfall.groups_counts {of_day}"
        [(before,)] = owner.execute(asked, [END.date()]).fetchall()
        owner.execute(f"UPDATE footfall.groups_counts SET groups = NULL {of_day}", [END.date()])
        owner.commit()
        *others, lost = query(reader, MODEL, "Active groups per day", ALL)
        owner.execute(
            f"UPDATE footfall.groups_counts SET groups = %s {of_day}", [before, END.date()]
        )
    assert lost["value"] is None
    assert any(row["value"] for row in others)


def test_completeness(reader: psycopg.Connection, data: Known) -> None:
    stored = Counter(use.event for use in data.uses)
    expected = {
        event: (sent, stored[event], stored[event] / sent, 0, 0)
        for event, sent in data.emitted.items()
    }
    untallied = stored.keys() - data.emitted.keys()
    expected |= {event: (None, None, None, None, stored[event]) for event in untallied}
    found = query(reader, MODEL, "Completeness by event", ALL)
    assert {row.pop("Event"): tuple(row.values()) for row in found} == expected
    [row] = query(reader, MODEL, "Completeness", ALL)
    arrived = sum(stored[event] for event in data.emitted)
    assert row["Completeness"] == pytest.approx(arrived / data.emitted.total())
    assert 0.9 < row["Completeness"] < 1


def test_losses(reader: psycopg.Connection, data: Known) -> None:
    around_now = View(
        datetime.now(UTC) - DAY, datetime.now(UTC) + HOUR
    )  # they have the day of receipt
    assert query(reader, MODEL, "Losses", around_now) == [{"Losses": data.losses.total()}]
    by_reason: Counter[str] = Counter()
    for (_, reason), count in data.losses.items():
        by_reason[reason] += count
    found = query(reader, MODEL, "Losses per day, by reason", around_now)
    assert {row["metric"]: int(row["value"]) for row in found} == by_reason
    assert {row["time"].hour for row in found} == {0}
    assert all(around_now.start.date() <= row["time"].date() for row in found)


def choices(reader: psycopg.Connection, name: str, view: View) -> list[str]:
    (variable,) = [v for v in MODEL["templating"]["list"] if v["name"] == name]
    return [
        next(iter(row.values())) for row in rows(reader, expand(variable["query"], MODEL, view))
    ]


def test_the_panel_of_losses_says_which_are_of_whole_events() -> None:
    text = panels(MODEL)["Losses per day, by reason"]["description"]
    events = itertools.takewhile(lambda loss: loss != Loss.UNDECLARED_ATTRIBUTE, Loss)
    named = {loss for loss in Loss if loss in re.split(r"[ ,;]+", text)}
    assert named == {loss for loss in events if not loss.startswith("refused_")}


def test_the_variables_offer_what_is_stored(reader: psycopg.Connection, data: Known) -> None:
    assert choices(reader, "surface", ALL) == sorted({use.surface for use in data.uses})
    assert choices(reader, "feature", ALL) == sorted({use.feature for use in data.uses})
    assert choices(reader, "feature", DISCORD) == ["asynctournament", "daily", "generator"]


def test_a_value_with_a_quote_is_data_and_not_sql(reader: psycopg.Connection) -> None:
    view = View(START, END, {"surface": ["x') OR true OR surface IN ('"]})
    assert query(reader, MODEL, "Uses", view) == [{"Uses": 0}]


def test_a_product_without_providers_has_the_same_dashboard(
    reader: psycopg.Connection, database: str, data: Known
) -> None:
    with psycopg.connect(database) as owner:  # nobody else sees the view before it is rolled back
        owner.execute("ALTER VIEW reporting.usage RENAME COLUMN provider TO other")
        found = query(owner, MODEL, "Failures per ${bucket}, by provider", ALL)
        assert {row["metric"] for row in found} == {"none"}
        assert sum(row["value"] for row in found) == len(failed(data.uses, ALL))
        assert query(owner, MODEL, "Failures by feature, provider and error type", ALL)
        owner.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM footfall.feature_events",
        "SELECT FROM footfall.feature_counts",
        "SELECT FROM footfall.salts",
        "SELECT footfall.salt_period('daily', current_date)",
        "DROP VIEW reporting.usage",
        "CREATE TABLE reporting.own ()",
    ],
)
def test_grafanas_role_can_do_nothing_but_read_reporting(
    reader: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(statement)


def test_no_view_shows_an_identity_column(reader: psycopg.Connection) -> None:
    names = {
        row["column_name"]
        for row in rows(
            reader,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'reporting'",
        )
    }
    assert {"surface", "provider", "duration_ms"} <= names
    assert [name for name in names if "guild" in name or "hash" in name] == []
