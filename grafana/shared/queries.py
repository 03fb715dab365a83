"""Reads queries/: a file is one query, in SQL; the comment at its beginning is the description of its panel.

What several queries share stands in FRAGMENTS, and in a query as `{name}`. They read the `reporting` views
alone, and of these the rolled up ones: days where a range has whole days, hours at its ends.
"""

from itertools import takewhile
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common

FOLDER: Final = Path(__file__).parents[1] / "queries"
SOURCE: Final = common.DataSourceRef(type_val="grafana-postgresql-datasource", uid="footfall")
"""The data source of provisioning/datasources/footfall.yaml."""
EVERYTHING: Final = "'*'"
"""What a variable becomes when all of its values are chosen; Grafana inserts it as it is."""
_FROM, _TO = "$__timeFrom()::timestamptz", "$__timeTo()::timestamptz"
_FROM_UTC, _TO_UTC = (f"({moment} AT TIME ZONE 'UTC')" for moment in (_FROM, _TO))
"""Without a zone: what Postgres reckons of these it reckons once, and not for each row, because no setting
of the session has a say."""


def _text(name: str) -> tuple[str, str]:
    """A file of queries/, as the comment at its beginning and its SQL."""
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    said = list(takewhile(lambda line: line.startswith("--"), lines))
    about = " ".join(line.removeprefix("-- ") for line in said)
    return about, "\n".join(lines[len(said) :]).strip()


def _chosen(variable: str, column: str) -> str:
    """The condition that a variable makes; with all of its values it is constantly true."""
    values = f"(${{{variable}:sqlstring}})"
    return f"('*' IN {values} OR {column} IN {values})"


def _by_the_day(moment: str) -> str:
    """A moment; never, where points are nearer to each other than days."""
    return f"CASE '${{bucket}}' WHEN '1d' THEN {moment} ELSE 'infinity' END"


_USED: Final = _text("fragments/used")[1]
_DURATIONS: Final = _text("fragments/durations")[1]
_KEPT: Final = "(SELECT date_trunc('day', now(), 'UTC') - interval '7 days')"
"""From when on there are durations by the hour."""
FRAGMENTS: Final = {
    # First those that have others in them.
    "{used}": _USED,
    "{series}": _USED.replace("{first}", _by_the_day("{first}")).replace(
        "{last}", _by_the_day("{last}")
    ),
    # Hours are a day's histograms many times over: they are read where they make a difference.
    "{durations}": _DURATIONS.replace("{by_hour}", f"{_TO} - {_FROM} <= interval '2 days'"),
    "{duration_series}": _DURATIONS.replace("{by_hour}", "'${bucket}' <> '1d'"),
    "{kept}": _KEPT,
    "{selected}": "{of_product} AND {place} AND {of_environment} AND {of_service} AND {of_version}",
    "{place}": "{on_surface} AND {of_feature}",
    "{of_product}": "('*' IN (${product:sqlstring}) OR event IN"
    " (SELECT event FROM reporting.catalog WHERE product IN (${product:sqlstring})))",
    # Groups are counted of the store and of each product; no sum of products is a number of groups.
    "{of_scope}": "('*' IN (${product:sqlstring}) AND scope = 'all'"
    " OR scope = 'product' AND product IN (${product:sqlstring}))",
    "{in_product}": _chosen("product", "product"),
    "{on_surface}": _chosen("surface", "surface"),
    "{of_feature}": _chosen("feature", "feature"),
    "{of_environment}": _chosen("environment", "coalesce(environment, '(none)')"),
    "{of_service}": _chosen("service", "coalesce(service, '(none)')"),
    "{of_version}": _chosen("version", "coalesce(service_version, '(none)')"),
    "{annotated_version}": _chosen("version", "version"),
    # An hour's count belongs to a range that touches the hour, a day's figure to one that touches the day.
    "{hours}": f"hour > ({_FROM_UTC} - interval '1 hour') AT TIME ZONE 'UTC' AND hour <= {_TO}",
    "{days}": f"day BETWEEN {_FROM_UTC}::date AND {_TO_UTC}::date",
    # The first day that is whole in the range, and the first after it that is not: none where nothing can be
    # later than the range (events are accepted up to five minutes ahead); today is read as a day then.
    "{first}": f"date_trunc('day', {_FROM_UTC} + interval '1 day' - interval '1 microsecond')"
    " AT TIME ZONE 'UTC'",
    "{last}": f"(SELECT CASE WHEN date_trunc('hour', {_TO}, 'UTC')"
    " >= date_trunc('hour', now() + interval '5 minutes', 'UTC')"
    f" THEN 'infinity' ELSE date_trunc('day', {_TO_UTC}) AT TIME ZONE 'UTC' END)",
    "{day}": "day::timestamp AT TIME ZONE 'UTC' AS \"time\"",
    # Grafana's own macro does this in decimal arithmetic, row by row.
    "{time}": "date_bin('${bucket}', at, 'epoch') AS \"time\"",
    "{version}": "coalesce(service, '(none)') || ' ' || coalesce(service_version, '(none)')",
    "{has_ends}": "event IN (SELECT event FROM reporting.catalog WHERE actions && '{success,failure}')",
    "{begun}": "action IN ('invoke', 'start')",
    # As `reporting.features` and the reports have it: other actions neither end nor fail.
    "{is_use}": "action NOT IN ('invoke', 'start')",
    "{failed}": "{ended} AND status <> 'ok'",
    "{ended}": "action IN ('success', 'failure')",
}
"""What several queries have in common."""


class Sql(Dataquery, Builder[Dataquery]):
    """A query of the Postgres data source, for which the SDK has no builder.

    Args:
        sql: With Grafana's macros and variables.
        kind: `table` or `time_series`.
        name: Which of its panel's queries it is.
    """

    def __init__(self, sql: str, kind: str, name: str = "A") -> None:
        self._sql, self._kind, self._name = sql, kind, name

    def build(self) -> Dataquery:
        """The query itself."""
        return self

    def to_json(self) -> dict[str, object]:
        """As Grafana's frontend saves it."""
        query = {"rawSql": self._sql, "format": self._kind, "rawQuery": True, "editorMode": "code"}
        return {"refId": self._name, "datasource": SOURCE, **query}


def read(name: str) -> tuple[str, str]:
    """A query by its path below queries/, as its description and its SQL, fragments in their places."""
    description, sql = _text(name)
    for fragment, meaning in FRAGMENTS.items():
        sql = sql.replace(fragment, meaning)
    return description, sql
