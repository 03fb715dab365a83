"""Writes the Grafana dashboards as JSON: `python grafana/dashboards.py`.

Here is "Footfall: feature usage", in health.py "Footfall: the collector". Each panel's SQL is a file of
queries/, whose leading comment is the panel's description. It reads the `reporting` views alone: "how often"
from `usage`, whose counts are exact, "how fast" from `events`.
"""

import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

with warnings.catch_warnings():
    # The classic dashboard model is read by every Grafana since 10, the newer one only since 13.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import dashboard as build
import health
from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model

HERE: Final = Path(__file__).parent
NAME: Final = "footfall.json"
SOURCE: Final = common.DataSourceRef(type_val="grafana-postgresql-datasource", uid="footfall")
"""The data source of provisioning/datasources/footfall.yaml."""
_HOURS_KEPT: Final = "date_trunc('day', now(), 'UTC') - interval '7 days'"
FRAGMENTS: Final = {
    # First: it has others in it. Hours of durations are kept for 8 days, and days for as long as counts.
    "{durations}": (
        "(SELECT hour, surface, feature, observations, histogram FROM reporting.durations_by_hour"
        " WHERE {hours} AND hour >= {kept} UNION ALL"
        " SELECT day::timestamp AT TIME ZONE 'UTC', surface, feature, observations, histogram"
        " FROM reporting.durations WHERE {days} AND day < ({kept})::date) AS durations"
    ).replace("{kept}", _HOURS_KEPT),
    # An hour's count belongs to a range that touches the hour.
    "{hours}": "hour > $__timeFrom()::timestamptz - interval '1 hour' AND hour <= $__timeTo()::timestamptz",
    "{days}": "day BETWEEN ($__timeFrom()::timestamptz AT TIME ZONE 'UTC')::date"
    " AND ($__timeTo()::timestamptz AT TIME ZONE 'UTC')::date",
    "{selected}": "surface IN (${surface:sqlstring}) AND feature IN (${feature:sqlstring})",
    "{begun}": "action IN ('invoke', 'start')",
    "{ended}": "action NOT IN ('invoke', 'start')",
    # A column of the catalog, so not every product has it: as a key of the row it may be absent.
    "{provider}": "coalesce(to_jsonb(usage) ->> 'provider', 'none')",
}
"""What several queries have in common."""
_Panel = TypeVar("_Panel", stat.Panel, table.Panel, timeseries.Panel)


class Sql(Dataquery, Builder[Dataquery]):
    """A query of the Postgres data source, for which the SDK has no builder.

    Args:
        sql: With Grafana's macros and variables.
        kind: `table` or `time_series`.
    """

    def __init__(self, sql: str, kind: str) -> None:
        self._sql, self._kind = sql, kind

    def build(self) -> Dataquery:
        """The query itself."""
        return self

    def to_json(self) -> dict[str, object]:
        """As Grafana's frontend saves it."""
        query = {"rawSql": self._sql, "format": self._kind, "rawQuery": True, "editorMode": "code"}
        return {"refId": "A", "datasource": SOURCE, **query}


def read(name: str) -> tuple[str, str]:
    """A file of queries/ as its description and its SQL, with the fragments in their places."""
    text = (HERE / "queries" / f"{name}.sql").read_text(encoding="utf-8")
    description, _, sql = text.removeprefix("-- ").partition("\n")
    for fragment, meaning in FRAGMENTS.items():
        sql = sql.replace(fragment, meaning)
    return description, sql.strip()


def _filled(panel: _Panel, title: str, name: str, size: tuple[int, int], kind: str) -> _Panel:
    """A panel with what every panel has; `size` is its width and height in grid units."""
    description, sql = read(name)
    width, height = size
    panel.title(title).description(description).datasource(SOURCE).with_target(Sql(sql, kind))
    panel.span(width).height(height).no_value("-")
    return panel


def _steps(first: str, *further: tuple[float, str]) -> model.ThresholdsConfig:
    """Colours from the first one up, each from its value on."""
    steps = [model.Threshold(None, first), *(model.Threshold(*step) for step in further)]
    return model.ThresholdsConfig(model.ThresholdsMode.ABSOLUTE, steps)


COUNT, SHARE, TIME = "locale", "percentunit", "ms"  # Grafana's units; "locale" never rounds
NEUTRAL: Final = _steps("blue")
FAILURE_RATE: Final = _steps("green", (0.01, "orange"), (0.05, "red"))
COMPLETENESS: Final = _steps("red", (0.98, "orange"), (0.999, "green"), (1.001, "orange"))


def number(
    title: str,
    name: str,
    width: int,
    unit: str = COUNT,
    colours: model.ThresholdsConfig = NEUTRAL,
    rows: bool = False,
) -> stat.Panel:
    """One number, or with `rows` one for each row."""
    panel = _filled(stat.Panel(), title, name, (width, 4), "table")
    steps = build.ThresholdsConfig().mode(colours.mode).steps(colours.steps)
    reduce = options.ReduceDataOptions().values(rows).calcs(["lastNotNull"])
    panel.unit(unit).thresholds(steps).reduce_options(reduce)
    return panel.graph_mode(common.BigValueGraphMode.NONE)


def trend(
    title: str, name: str, width: int, unit: str = COUNT, stacked: bool = True
) -> timeseries.Panel:
    """Series over time: stacked bars for what may be added up, lines for what may not."""
    panel = _filled(timeseries.Panel(), title, name, (width, 9), "time_series")
    legend = options.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE)
    legend.placement(common.LegendPlacement.BOTTOM).calcs(["sum"] if stacked else ["mean", "max"])
    tooltip = options.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel.unit(unit).min(0).legend(legend).tooltip(tooltip.sort(common.SortOrder.DESCENDING))
    colours = build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME)
    panel.color_scheme(colours)
    if not stacked:
        return panel.show_points(common.VisibilityMode.ALWAYS)
    panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(80).line_width(0)
    return panel.stacking(options.StackingConfig().mode(common.StackingMode.NORMAL))


def listing(
    title: str,
    name: str,
    width: int,
    units: Mapping[str, str],
    coloured: Mapping[str, model.ThresholdsConfig] = {},
) -> table.Panel:
    """A table; `units` and `coloured` are by column."""
    panel = _filled(table.Panel(), title, name, (width, 9), "table").filterable(True)
    for column, unit in units.items():
        panel.override_by_name(column, [model.DynamicConfigValue("unit", unit)])
    for column, steps in coloured.items():
        cell = model.DynamicConfigValue("custom.cellOptions", {"type": "color-text"})
        panel.override_by_name(column, [cell, model.DynamicConfigValue("thresholds", steps)])
    return panel


def choice(name: str, label: str, query: str) -> build.QueryVariable:
    """A variable of several values; All makes the condition `name IN (name)`, which is always true."""
    _, sql = read(query)
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = build.QueryVariable(name).label(label).datasource(SOURCE).query(sql).definition(sql)
    variable.multi(True).include_all(True).all_value(name).current(everything)
    return variable.refresh(model.VariableRefresh.ON_DASHBOARD_LOAD)


def bucket() -> build.IntervalVariable:
    """The width of the bars and of the points of a line."""
    hour = model.VariableOption(selected=True, text="1h", value="1h")
    return build.IntervalVariable("bucket").label("Per").values("1h,6h,1d").current(hour)


def rows() -> dict[str, list[stat.Panel | table.Panel | timeseries.Panel]]:
    """The panels by row, from the question asked first to the one asked last."""
    return {
        "Overview": [
            number("Uses", "uses", 5),
            number("Failure rate", "failure_rate", 5, SHARE, FAILURE_RATE),
            number("Active groups, latest day", "active_groups_latest", 5, rows=True),
            number("Completeness", "completeness", 5, SHARE, COMPLETENESS),
            number("Losses", "losses", 4),
        ],
        "How often": [
            trend("Uses per ${bucket}, by surface", "uses_by_surface", 10),
            trend("Uses per ${bucket}, by feature", "uses_by_feature", 14),
            listing(
                "Features",
                "features",
                14,
                {"Begun": COUNT, "Uses": COUNT, "Failed": COUNT, "Failure rate": SHARE},
                {"Failure rate": FAILURE_RATE},
            ),
            listing("Occurrences by action", "actions", 10, {"Count": COUNT}),
        ],
        "Where it fails": [
            trend("Failures per ${bucket}, by error type", "failures_by_error_type", 12),
            trend("Failures per ${bucket}, by provider", "failures_by_provider", 12),
            listing(
                "Failures by feature, provider and error type",
                "failures",
                24,
                {"Failures": COUNT, "Share of uses": SHARE},
                {"Share of uses": FAILURE_RATE},
            ),
        ],
        "How fast": [
            trend("p95 per ${bucket}, by feature", "p95_by_feature", 12, TIME, stacked=False),
            listing(
                "Latency by feature",
                "latency",
                12,
                {"Observations": COUNT, "p50": TIME, "p95": TIME, "p99": TIME},
            ),
        ],
        "By how many": [trend("Active groups per day", "active_groups", 24, stacked=False)],
        "Can it be trusted": [
            listing(
                "Completeness by event",
                "completeness_by_event",
                12,
                {
                    "Sent": COUNT,
                    "Stored": COUNT,
                    "Completeness": SHARE,
                    "Surplus": COUNT,
                    "Not tallied": COUNT,
                },
                {"Completeness": COMPLETENESS},
            ),
            trend("Losses per day, by reason", "losses_by_reason", 12),
        ],
    }


def feature_usage() -> model.Dashboard:
    """The dashboard, its panels numbered in their order."""
    dashboard = build.Dashboard("Footfall: feature usage").uid("footfall-usage")
    dashboard.description("Which features are used, how often they fail and how fast they are")
    dashboard.tags(["footfall"]).timezone("utc").time("now-7d", "now").refresh("5m")
    dashboard.tooltip(model.DashboardCursorSync.CROSSHAIR).readonly()
    dashboard.with_variable(choice("surface", "Surface", "surfaces"))
    dashboard.with_variable(choice("feature", "Feature", "feature_names")).with_variable(bucket())
    for title, panels in rows().items():
        dashboard.with_row(build.Row(title))
        for panel in panels:
            dashboard.with_panel(panel)
    built = dashboard.build()
    for position, element in enumerate(built.panels or [], start=1):
        element.id_val = position
    return built


def main(folder: Path) -> None:
    """Writes the dashboards into `folder`."""
    for name, dashboard in ((NAME, feature_usage()), (health.NAME, health.collector())):
        text = json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else HERE / "provisioning" / "dashboards")
