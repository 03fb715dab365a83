"""Every panel's, variable's and annotation's query, on a real Postgres as Grafana's role."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from grafana.expected import EVENTS, VARIABLES, Row, chosen, midnight, on_day, version
from grafana.expected_rest import DECLARATIONS, REST, takes
from grafana.known import DAY, END, HOUR, LAST, START, Known
from grafana.panels import DASHBOARDS, NAMES, View, dashboard, expand, panels, rows
from grafana.stored import NOTES

MODELS = {name: dashboard(DASHBOARDS / f"footfall-{name}.json") for name in NAMES}
PANELS = {
    title: (model, panel) for model in MODELS.values() for title, panel in panels(model).items()
}
FIGURES = EVENTS | REST
CLOCK = {"Last commit", "Housekeeping", "Housekeeping in need"}
"""What they show depends on when it is asked."""
RANGE = (START, END)
BEFORE = (START - 20 * DAY, START - 10 * DAY)
VIEWS = {
    "all": View(*RANGE),
    "all by the hour": View(*RANGE, {"bucket": ["1h"]}),
    "all by 6 h": View(*RANGE, {"bucket": ["6h"]}),
    "one product": View(*RANGE, {"product": ["shop"]}),
    "several products": View(*RANGE, {"product": ["shop", "sahasrahbot"], "bucket": ["1h"]}),
    "one environment": View(*RANGE, {"environment": ["staging"], "bucket": ["6h"]}),
    "several environments": View(*RANGE, {"environment": ["production", "(none)"]}),
    "one service": View(*RANGE, {"service": ["bot"]}),
    "several services": View(*RANGE, {"service": ["site", "(none)"], "bucket": ["1h"]}),
    "one version": View(*RANGE, {"version": ["1.1"], "bucket": ["1h"]}),
    "several versions": View(*RANGE, {"version": ["1.0", "7"]}),
    "one surface": View(*RANGE, {"surface": ["discord"]}),
    "several surfaces": View(*RANGE, {"surface": ["discord", "web"], "bucket": ["6h"]}),
    "one feature": View(*RANGE, {"feature": ["generator"], "bucket": ["1h"]}),
    "several features": View(*RANGE, {"feature": ["generator", "order"]}),
    "one of each": View(*RANGE, {"product": ["sahasrahbot"], "environment": ["production"],
        "service": ["bot"], "version": ["1.0"], "surface": ["discord"], "feature": ["daily"]}),
    "less than two days": View(START, START + 1.9 * DAY, {"bucket": ["1h"]}),
    "within a day": View(START + HOUR, START + 5.5 * HOUR, {"bucket": ["1d"]}),
    "midnight to midnight": View(midnight(START.date()), midnight(END.date()), {"bucket": ["1d"]}),
    "to this hour": View(START, max(datetime.now(UTC), LAST) + HOUR, {"bucket": ["6h"]}),
    "nothing": View(*BEFORE),
}  # fmt: skip


APPROXIMATE = type(pytest.approx(1))


def plain(column: str, value: Any) -> Any:
    """A value of Postgres as Python's own; a time that is a number as Grafana shows it."""
    if column == "time" and isinstance(value, Decimal):
        return datetime.fromtimestamp(int(value), UTC)
    return float(value) if isinstance(value, Decimal) else value


def found(reader: psycopg.Connection, sql: str, model: dict[str, Any], view: View) -> list[Row]:
    """What a query answers."""
    answered = rows(reader, expand(sql, model, view))
    return [tuple(plain(column, v) for column, v in row.items()) for row in answered]


def keyed(every: Iterable[Row]) -> dict[Row, Row]:
    """Rows by what in them is no figure: texts, days and times, which tell them apart."""
    return {
        tuple(v for v in row if not isinstance(v, int | float | APPROXIMATE)): row for row in every
    }


def near(row: Row) -> Row:
    """A row, in which a sum of fractions may depend on their order."""
    return tuple(pytest.approx(v) if isinstance(v, float) else v for v in row)


def differences(answered: list[Row], expected: list[Row]) -> list[tuple[Any, Any]]:
    """Rows that are not what they should be, beside what they should be."""
    here, there = keyed(answered), {key: near(row) for key, row in keyed(expected).items()}
    assert len(here) == len(answered)
    assert len(there) == len(expected)
    keys = [key for key in here.keys() | there.keys() if here.get(key) != there.get(key)]
    return [(here.get(key), there.get(key)) for key in keys]


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_every_panel_shows_the_figures_of_what_is_chosen(
    reader: psycopg.Connection, data: Known, view: View
) -> None:
    wrong = {}
    for title, figures in FIGURES.items():
        model, panel = PANELS[title]
        (target,) = panel["targets"]
        answered = found(reader, target["rawSql"], model, view)
        if different := differences(answered, list(figures(data, view))):
            wrong[title] = different[:3]
    assert not wrong, "\n".join(f"{title}: {rows}" for title, rows in wrong.items())


def test_a_period_without_data_is_zeros_and_no_gaps(reader: psycopg.Connection) -> None:
    asked = {"Uses", "Begun", "Failures", "Observations", "Sessions", "Losses", "Refused requests"}
    for title in asked:
        model, panel = PANELS[title]
        (row,) = found(reader, panel["targets"][0]["rawSql"], model, VIEWS["nothing"])
        assert set(row) == {0}, title
    counts = {"Uses per", "Occurrences", "Failures per", "Losses per", "Sessions per"}
    for title, (model, panel) in PANELS.items():
        if any(title.startswith(each) for each in counts):
            points = found(reader, panel["targets"][0]["rawSql"], model, VIEWS["all"])
            assert all(None not in row for row in points), title


def test_every_panel_is_tested_and_one_title_is_one_query() -> None:
    assert set(FIGURES) | CLOCK == set(PANELS)
    assert not EVENTS.keys() & REST.keys()
    for model in MODELS.values():
        for title, panel in panels(model).items():
            assert panel["targets"] == PANELS[title][1]["targets"], title


def test_what_depends_on_the_clock(reader: psycopg.Connection, data: Known) -> None:
    def answer(title: str) -> list[Row]:
        model, panel = PANELS[title]
        return found(reader, panel["targets"][0]["rawSql"], model, VIEWS["all"])

    ((age,),) = answer("Last commit")
    assert 0 <= age < 600
    tasks = {
        task: (outcome, failing, late)
        for task, _, outcome, _, _, failing, late in answer("Housekeeping")
    }
    assert {"groups", "latency"} <= set(tasks)
    assert tasks["groups"][:2] == ("failed: Lost", True)
    in_need = sum(failing or late for _, failing, late in tasks.values())
    assert answer("Housekeeping in need") == [(in_need,)]
    assert next(iter(tasks)) == "groups"


def offered(reader: psycopg.Connection, name: str, view: View) -> list[Any]:
    """The values of a variable, in their order."""
    model = MODELS["overview"]
    (variable,) = [v for v in model["templating"]["list"] if v["name"] == name]
    return [value for (value,) in found(reader, variable["query"], model, view)]


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_the_variables_offer_what_is_left_of_those_before_them(
    reader: psycopg.Connection, data: Known, view: View
) -> None:
    def declared(name: str, *narrowed: str) -> list[str]:
        events = DECLARATIONS.values()
        return sorted({e[name] for e in events if all(takes(view, n, e[n]) for n in narrowed)})

    def sent(name: str, *narrowed: str) -> list[Any]:
        uses = [use for use in data.uses if on_day(use.day, view)]
        return sorted({getattr(use, name) for use in uses if chosen(use, view, narrowed)})

    assert offered(reader, "product", view) == ["sahasrahbot", "shop"]
    assert offered(reader, "surface", view) == declared("surface", "product")
    assert offered(reader, "feature", view) == declared("feature", "product", "surface")
    assert offered(reader, "environment", view) == sent("environment", "product")
    assert offered(reader, "service", view) == sent("service", "product")
    versions = offered(reader, "version", view)
    assert sorted(versions) == sent("version", "product", "service")
    first = {
        u.version: u.day
        for u in sorted(data.uses, key=lambda u: u.at, reverse=True)
        if on_day(u.day, view)
    }
    assert [first[v] for v in versions] == sorted((first[v] for v in versions), reverse=True)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_what_happened_is_marked_where_it_did(
    reader: psycopg.Connection, data: Known, view: View
) -> None:
    named = ("environment", "service", "version")
    uses = [use for use in data.uses if use.sender[0] and chosen(use, view, named)]
    first = {version(use): use.hour for use in sorted(uses, key=lambda use: use.at, reverse=True)}
    versions = [(at, name, "version") for name, at in first.items()]
    notes = [
        (at, text, ",".join(filter(None, ("note", product, with_version))))
        for at, text, product, with_version in NOTES
        if (not product or takes(view, "product", product))
        and (not with_version or takes(view, "version", with_version))
    ]
    for model in MODELS.values():
        annotations = {a["name"]: a["target"]["rawSql"] for a in model["annotations"]["list"]}
        assert set(annotations) == {"Versions", "Notes"}
        for name, every in (("Versions", versions), ("Notes", notes)):
            expected = [mark for mark in every if view.start <= mark[0] <= view.end]
            assert found(reader, annotations[name], model, view) == sorted(expected)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_value_with_a_quote_is_data_and_not_sql(reader: psycopg.Connection, name: str) -> None:
    model, panel = PANELS["Uses"]
    view = View(*RANGE, {name: ["x') OR true OR surface IN ('"]})
    assert found(reader, panel["targets"][0]["rawSql"], model, view) == [(0,)]


def test_a_product_without_providers_has_the_same_dashboards(
    reader: psycopg.Connection, database: str, data: Known
) -> None:
    with psycopg.connect(database) as owner:  # nobody else sees the views before it is rolled back
        for view in ("usage", "usage_by_day"):
            owner.execute(f"ALTER VIEW reporting.{view} RENAME COLUMN provider TO other")
        model, panel = PANELS["Failures per ${bucket}, by provider"]
        points = found(owner, panel["targets"][0]["rawSql"], model, VIEWS["all"])
        assert {name for _, name, _ in points} == {"(none)"}
        expected = EVENTS["Failures"](data, VIEWS["all"])
        assert [(sum(count for *_, count in points),)] == list(expected)
        owner.rollback()


OBSERVATIONS = ("feature_events", "sessions")
"""What grows with each event, or with each session."""
SLOW = {"Average rating per day", "Ratings by prompt", "Lengths of sessions", "Time open", "Now",
        "Sessions", "Sessions per day", "Most sessions at once, per hour"}  # fmt: skip
"""Panels of what is no rollup: ratings, and the sessions of `retention_days`."""


@pytest.mark.parametrize("view", ["all", "all by the hour", "one product"])
def test_no_panel_of_uses_reads_an_observation(reader: psycopg.Connection, view: str) -> None:
    for title, (model, panel) in PANELS.items():
        if title not in SLOW:
            sql = expand(panel["targets"][0]["rawSql"], model, VIEWS[view])
            asked = "EXPLAIN (ANALYZE, COSTS off, TIMING off) " + sql
            plan = [line["QUERY PLAN"] for line in rows(reader, asked)]
            read = [line for line in plan if any(f" on {t}" in line for t in OBSERVATIONS)]
            assert all("never executed" in line for line in read), title


def test_a_product_is_looked_up_without_counting_what_came_of_it(
    reader: psycopg.Connection,
) -> None:
    _, declared = PANELS["In the catalog"]
    (product,) = [
        v["query"] for v in MODELS["overview"]["templating"]["list"] if v["name"] == "product"
    ]
    of_product = re.search(
        r"SELECT event FROM reporting\.catalog WHERE [^)]+\)",
        PANELS["Uses"][1]["targets"][0]["rawSql"],
    )
    assert of_product is not None
    for sql in (declared["targets"][0]["rawSql"], product, of_product[0]):
        asked = expand(sql, MODELS["overview"], VIEWS["one product"])
        plan = "\n".join(line["QUERY PLAN"] for line in rows(reader, "EXPLAIN " + asked))
        assert "catalog_events" in plan
        assert "feature_counts" not in plan


def test_days_are_read_as_days_where_points_are_days(reader: psycopg.Connection) -> None:
    model, panel = PANELS["Uses per ${bucket}, by feature"]
    long = View(START - 30 * DAY, END, {"bucket": ["1d"]})
    for bucket, hours in (("1d", False), ("1h", True)):
        view = View(long.start, long.end, {"bucket": [bucket]})
        sql = expand(panel["targets"][0]["rawSql"], model, view)
        plan = [
            r["QUERY PLAN"] for r in rows(reader, "EXPLAIN (ANALYZE, COSTS off, TIMING off) " + sql)
        ]
        read = sum(
            _rows(line)
            for line in plan
            if re.search(r" on feature_counts(_\d+)?( c)?(_\d+)? ", line)
        )
        assert (read > 150) == hours


def _rows(line: str) -> float:
    """How many rows a node of a plan gave, in all its loops."""
    counted = re.search(r"actual rows=([\d.]+) loops=(\d+)", line)
    return float(counted[1]) * int(counted[2]) if counted else 0
