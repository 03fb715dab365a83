"""The kinds of panels: a number, a trend, a table. Each shows one query of queries/, and says what it is."""

import warnings
from collections.abc import Mapping
from typing import Final, TypeVar

with warnings.catch_warnings():
    # The classic dashboard model is read by every Grafana since 10, the newer one only since 13.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model

from shared.queries import SOURCE, Sql, read

_Panel = TypeVar("_Panel", stat.Panel, table.Panel, timeseries.Panel)
Panel = stat.Panel | table.Panel | timeseries.Panel
"""Whatever these functions make."""


def _steps(first: str, *further: tuple[float, str]) -> model.ThresholdsConfig:
    """Colours from the first one up, each from its value on."""
    steps = [model.Threshold(None, first), *(model.Threshold(*step) for step in further)]
    return model.ThresholdsConfig(model.ThresholdsMode.ABSOLUTE, steps)


COUNT, SHARE, TIME = "locale", "percentunit", "ms"  # Grafana's units; "locale" never rounds
SECONDS, WHEN, STARS = "s", "dateTimeAsIso", "none"
NEUTRAL: Final = _steps("blue")
ALARM: Final = _steps("green", (1, "red"))
"""Whatever is not 0 is to be looked at."""
LINKS: Final = {
    "Feature": (
        "This feature",
        "/d/footfall-feature?${__url_time_range}&${product:queryparam}"
        "&var-feature=${__value.raw:percentencode}",
    ),
    "Event": ("On the collector's page", "${page}feature?event=${__value.raw:percentencode}"),
}
"""Where the values of a column lead."""


def _filled(panel: _Panel, title: str, name: str, size: tuple[int, int], kind: str) -> _Panel:
    """A panel with what every panel has; `size` is its width and height in grid units."""
    description, sql = read(name)
    width, height = size
    panel.title(title).description(description).datasource(SOURCE).with_target(Sql(sql, kind))
    panel.span(width).height(height).no_value("-")
    return panel


def number(
    title: str,
    name: str,
    width: int,
    unit: str = COUNT,
    colours: model.ThresholdsConfig = NEUTRAL,
    rows: bool = False,
) -> stat.Panel:
    """One number, or one for each column; with `rows` one for each row.

    Args:
        title: What it is.
        name: Its query below queries/.
        width: In grid units, of which there are 24.
        unit: Grafana's.
        colours: From which value on it has which.
        rows: Whether the query answers with several rows.
    """
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
    title: str, name: str, width: int, units: Mapping[str, str], height: int = 9
) -> table.Panel:
    """A table; `units` are by column. Features lead to their dashboard, events to the collector's page."""
    panel = _filled(table.Panel(), title, name, (width, height), "table").filterable(True)
    for column, unit in units.items():
        panel.override_by_name(column, [model.DynamicConfigValue("unit", unit)])
    for column, (label, url) in LINKS.items():
        links = model.DynamicConfigValue("links", [{"title": label, "url": url}])
        panel.override_by_name(column, [links])
    return panel


def inventory(height: int) -> table.Panel:
    """Every declared event, with its verdict."""
    shares = dict.fromkeys(("Change", "At least", "At most", "Failed", "Adoption"), SHARE)
    units = {"Uses": COUNT, **shares, "p95": TIME, "Last used": WHEN}
    return listing("Inventory", "shared/inventory", 24, units, height)
