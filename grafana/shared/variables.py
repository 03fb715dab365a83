"""What is chosen at the top of the dashboards: each choice narrows those to its right."""

import warnings
from typing import Final

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # as in panels.py
    from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from shared.queries import EVERYTHING, SOURCE, read

PAGE: Final = "http://127.0.0.1:8888/"
"""Where the collector's own page is, unless the dashboard is told another address."""
CHOICES: Final = ("product", "environment", "service", "version", "surface", "feature")
"""The variables of several values, in their order."""


def choice(name: str) -> build.QueryVariable:
    """A variable of several values, which its query of queries/variables offers."""
    description, sql = read(f"variables/{name}")
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = build.QueryVariable(name).label(name.capitalize()).description(description)
    variable.datasource(SOURCE).query(sql).definition(sql).current(everything)
    variable.multi(True).include_all(True).all_value(EVERYTHING)
    when = "ON_TIME_RANGE_CHANGED" if "$__time" in sql else "ON_DASHBOARD_LOAD"
    return variable.refresh(model.VariableRefresh[when])


def bucket() -> build.IntervalVariable:
    """The width of the bars and of the points of a line."""
    day = model.VariableOption(selected=True, text="1d", value="1d")
    return build.IntervalVariable("bucket").label("Per").values("1h,6h,1d").current(day)


def page() -> build.TextBoxVariable:
    """The address of the collector's own page, to which a link leads."""
    here = model.VariableOption(selected=True, text=PAGE, value=PAGE)
    return build.TextBoxVariable("page").label("Page").default_value(PAGE).current(here)
