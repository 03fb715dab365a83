"""Runs a dashboard's queries as Grafana would: variables and macros expanded, then plain SQL.

The expansions follow Grafana's frontend (variable formats) and its Postgres data source (macros.go).
"""

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

REPOSITORY = Path(__file__).parents[2]
DASHBOARDS = REPOSITORY / "grafana" / "provisioning" / "dashboards"
OVERVIEW = DASHBOARDS / "footfall-overview.json"
HEALTH = DASHBOARDS / "footfall-collector.json"
NAMES = ("overview", "feature", "releases", "reliability", "latency", "audience", "pipeline")
"""Of the dashboards over what is stored."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(?!__)(\w+)")
_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def dashboard(file: Path = OVERVIEW) -> dict[str, Any]:
    """A committed dashboard."""
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded


def panels(model: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The panels that query something, by title."""
    return {panel["title"]: panel for panel in model["panels"] if panel["type"] != "row"}


@dataclass(frozen=True)
class View:
    """What is chosen at the top of the dashboard.

    Attributes:
        start: Of the time range.
        end: Of the time range.
        chosen: Values of variables; one that is missing here has its default, which may be All.
    """

    start: dt.datetime
    end: dt.datetime
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)


def expand(sql: str, model: Mapping[str, Any], view: View) -> str:
    """The SQL that reaches Postgres.

    Raises:
        KeyError: The dashboard has no such variable.
        ValueError: Grafana knows no such macro or format, or the interval is none.
    """
    variables = {variable["name"]: variable for variable in model["templating"]["list"]}

    def value(match: re.Match[str]) -> str:
        variable = variables[match[1] or match[3]]
        return _value(variable, view.chosen.get(variable["name"]), match[2])

    def macro(match: re.Match[str]) -> str:
        return _macro(match[1], [part.strip() for part in match[2].split(",")], view)

    return _MACRO.sub(macro, _VARIABLE.sub(value, sql))


def query(
    connection: Connection[Any], model: Mapping[str, Any], title: str, view: View
) -> list[dict[str, Any]]:
    """The rows of a panel's only query."""
    (target,) = panels(model)[title]["targets"]
    return rows(connection, expand(target["rawSql"], model, view))


def rows(connection: Connection[Any], sql: str) -> list[dict[str, Any]]:
    """The rows of a query without parameters, as dictionaries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        # Without parameters psycopg leaves the text, and every % in it, alone.
        return cursor.execute(sql).fetchall()


def _value(variable: Mapping[str, Any], chosen: Sequence[str] | None, form: str | None) -> str:
    values = chosen or variable["current"]["value"]
    if values == ["$__all"]:
        return str(variable["allValue"])  # a custom "all" is inserted as it is, in any format
    if variable["type"] == "interval" and form is None:
        return values if isinstance(values, str) else values[0]
    if form == "sqlstring":
        return ",".join("'" + value.replace("'", "''") + "'" for value in values)
    raise ValueError(f"no rule for the variable {variable['name']} in the format {form}")


def _macro(name: str, arguments: list[str], view: View) -> str:
    start, end = (
        moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        for moment in (view.start, view.end)
    )
    match name, arguments:
        case "__timeFilter", [column]:
            return f"{column} BETWEEN '{start}' AND '{end}'"
        case "__timeFrom", [""]:
            return f"'{start}'"
        case "__timeTo", [""]:
            return f"'{end}'"
        case (("__timeGroup" | "__timeGroupAlias"), [column, interval]):
            number, unit = int(interval.strip("'")[:-1]), interval.strip("'")[-1]
            seconds = number * _SECONDS[unit]
            group = f"floor(extract(epoch from {column})/{seconds})*{seconds}"
            return group + (' AS "time"' if name.endswith("Alias") else "")
    raise ValueError(f"Grafana has no macro ${name}({', '.join(arguments)})")
