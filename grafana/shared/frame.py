"""What is around the panels of a dashboard: variables, links, annotations, rows."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Final

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # as in panels.py
    from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import table as tables

from shared.panels import Panel
from shared.queries import SOURCE, Sql, read
from shared.variables import CHOICES, bucket, choice, page

TAG: Final = "footfall"
Rows = Mapping[str, Sequence[Panel]]
"""The panels by the titles of their rows."""


def framed(name: str, title: str, about: str, rows: Rows) -> model.Dashboard:
    """A dashboard, its panels numbered in their order.

    Args:
        name: Of its file and its address, after `footfall-`.
        title: What people call it.
        about: The question that it answers.
        rows: From the question asked first to the one asked last.
    """
    dashboard = build.Dashboard(f"Footfall: {title}").uid(f"footfall-{name}").description(about)
    dashboard.tags([TAG]).timezone("utc").time("now-7d", "now").refresh("5m")
    dashboard.tooltip(model.DashboardCursorSync.CROSSHAIR).readonly()
    for variable in (*map(choice, CHOICES), bucket(), page()):
        dashboard.with_variable(variable)
    dashboard.link(others()).link(own_page()).annotation(
        marked("Versions", "annotations/versions", "purple")
    )
    dashboard.annotation(marked("Notes", "annotations/notes", "blue"))
    for row, panels in rows.items():
        dashboard.with_row(build.Row(row))
        for panel in panels:
            dashboard.with_panel(panel)
    return numbered(dashboard.build())


def numbered(built: model.Dashboard) -> model.Dashboard:
    """The dashboard, its panels numbered, its links in sight, without what Grafana 13 has not any more."""
    for link in built.links or []:
        link.placement = None  # type: ignore[assignment]  # at the top; the SDK knows the menu alone
    for position, element in enumerate(built.panels or [], start=1):
        element.id_val = position
        if isinstance(element, model.Panel) and isinstance(element.options, tables.Options):
            element.options.footer = None
    return built


def others() -> build.DashboardLink:
    """To the other dashboards, with all that is chosen."""
    link = build.DashboardLink("Dashboards").type(model.DashboardLinkType.DASHBOARDS)
    return link.tags([TAG]).as_dropdown(True).include_vars(True).keep_time(True)


def own_page() -> build.DashboardLink:
    """To the collector's own page."""
    link = build.DashboardLink("The collector's page").type(model.DashboardLinkType.LINK)
    link.url("${page}").icon("external link").target_blank(True)
    return link.tooltip(
        "What is used, what fails, what changed: on the collector's operator listener"
    )


def marked(title: str, name: str, colour: str) -> build.AnnotationQuery:
    """Lines where something happened."""
    _, sql = read(name)
    query = build.AnnotationQuery().name(title).datasource(SOURCE).icon_color(colour)
    return query.enable(True).target(Sql(sql, "table", "Anno"))
