"""Writes Grafana's alert rules: `python grafana/alerts.py`.

They are those of Footfall's own alerts (docs/alerts.md): each reads what a collector found, in
`reporting.alerts`, and figures out nothing. One more says that no collector looks: that none can say itself.
"""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from footfall_exporters.postgres.alerts.rules import RULES, Rule

HERE: Final = Path(__file__).parent
SOURCE: Final = "footfall"
"""The data source of provisioning/datasources/footfall.yaml."""
DASHBOARDS: Final = {"/": "overview", "/feature": "feature", "/trust": "pipeline"}
"""Where Grafana shows what a page of the collector does."""
_SINCE: Final = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"')"
HEADING: Final = """\
# Grafana's alert rules, written by alerts.py: they fire as docs/alerts.md says. Whom Grafana tells is left
# to its contact points and policies; each has the label source=footfall.
"""
_ABOUT: Final = """\
SELECT coalesce(product, '') AS product, coalesce(subject, '') AS subject,
       coalesce((SELECT min(feature) FROM reporting.catalog WHERE event = subject), '') AS feature,
       {columns}
FROM reporting.alerts WHERE rule = '{name}'"""
_FIRING: Final = "(firing AND silenced_until IS NULL)::integer AS firing"
_SAYS: Final = f"what, sure, {_SINCE.format('since')} AS since, 1 AS said"
_LOOKED: Final = """\
SELECT count(*) FILTER (WHERE overdue OR failing)::integer AS not_looked_at FROM reporting.alert_rules"""
_NOT_LOOKED: Final = f"""\
SELECT coalesce(string_agg(rule, ', ' ORDER BY rule), '') AS rules,
       coalesce({_SINCE.format("min(looked_at)")}, '') AS looked_at, 1 AS said
FROM reporting.alert_rules WHERE overdue OR failing"""  # noqa: S608  # a constant


def rules() -> list[dict[str, Any]]:
    """All of them."""
    return [*map(_found, RULES.values()), _looked()]


def _found(rule: Rule) -> dict[str, Any]:
    product = "{{ if $labels.product }}{{ $labels.product }}: {{ end }}"
    subject = "{{ if $labels.subject }}{{ $labels.subject }}: {{ end }}"
    annotations = {
        "summary": product + subject + rule.title,
        "description": (
            "{{ with $values.C }}{{ .Labels.what }}. Since: {{ .Labels.since }}."
            " How sure: {{ .Labels.sure }}. {{ end }}" + f"Look first: {rule.first}."
        ),
        "dashboard": f"/d/footfall-{DASHBOARDS[rule.page]}{_chosen(rule)}",
    }
    fires, says = (_ABOUT.format(columns=c, name=rule.name) for c in (_FIRING, _SAYS))
    return _rule(rule.name, rule.title.capitalize(), fires, says, annotations)


def _chosen(rule: Rule) -> str:
    """What a link chooses: the product, and the feature where it leads to one; of the whole store nothing."""
    feature = "{{ if $labels.feature }}&var-feature={{ $labels.feature }}{{ end }}"
    about = feature if DASHBOARDS[rule.page] == "feature" else ""
    return "{{ if $labels.product }}?var-product={{ $labels.product }}" + about + "{{ end }}"


def _looked() -> dict[str, Any]:
    annotations = {
        "summary": "rules of alerts are not looked at",
        "description": (
            "{{ with $values.C }}Not known: {{ .Labels.rules }}. Last look: {{ .Labels.looked_at }}."
            " How sure: certain: no collector has noted a look. {{ end }}"
            "Look first: whether a collector runs, and its log; then footfall doctor."
        ),
    }
    return _rule("alerts_overdue", "Alerts are not looked at", _LOOKED, _NOT_LOOKED, annotations)


def _rule(
    name: str, title: str, fires: str, says: str, annotations: dict[str, str]
) -> dict[str, Any]:
    """One that fires while a row has more than 0: how long it must, the collector has decided.

    What it says are labels of `$values.C`: texts that change while it fires, and so none of the alert's own.
    """
    return {
        "uid": f"footfall-{name.replace('_', '-')}",
        "title": title,
        "condition": "B",
        "data": [_query("A", fires), _threshold(), _query("C", says)],
        "for": "0s",
        "noDataState": "OK",  # nothing was found
        "execErrState": "Error",
        "annotations": annotations,
        "labels": {"source": SOURCE, "rule": name},
    }


def _query(name: str, sql: str) -> dict[str, Any]:
    model = {
        "refId": name,
        "rawSql": sql,
        "format": "table",
        "rawQuery": True,
        "editorMode": "code",
    }
    period = {"from": 600, "to": 0}
    return {"refId": name, "relativeTimeRange": period, "datasourceUid": SOURCE, "model": model}


def _threshold() -> dict[str, Any]:
    source = {"type": "__expr__", "uid": "__expr__"}
    conditions = [{"evaluator": {"type": "gt", "params": [0]}}]
    model: dict[str, Any] = {
        "refId": "B",
        "type": "threshold",
        "expression": "A",
        "conditions": conditions,
    }
    model["datasource"] = source
    return {"refId": "B", "datasourceUid": "__expr__", "model": model}


class _Dumper(yaml.SafeDumper):
    """With statements as they are written."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def main(file: Path) -> None:
    """Writes them into `file`."""
    group = {"orgId": 1, "name": SOURCE, "folder": "Footfall", "interval": "1m", "rules": rules()}
    said = {"apiVersion": 1, "groups": [group]}
    text = yaml.dump(said, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
    file.parent.mkdir(exist_ok=True)
    file.write_text(HEADING + text, encoding="utf-8")


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if sys.argv[1:] else HERE / "provisioning" / "alerting" / "footfall.yaml"
    )
