"""The collector's own dashboard and the rules of the guide ask for metrics that there are, and fire."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.panels import HEALTH, REPOSITORY, dashboard
from support.walkthrough import File, steps

GUIDE = REPOSITORY / "docs/guides/prometheus.md"
FILES = {step.name: step.text for step in steps(GUIDE) if isinstance(step, File)}
(GROUP,) = yaml.safe_load(FILES["footfall.rules.yml"])["groups"]
ALERTS = {rule["alert"]: rule for rule in GROUP["rules"] if "alert" in rule}
QUERIES = [
    target["expr"] for panel in dashboard(HEALTH)["panels"] for target in panel.get("targets", ())
]
FIRES = {
    "FootfallDown": ['up{job="footfall"} 0x60'],
    "FootfallNotReady": ["footfall_ready 0x60"],
    "FootfallFails": ['otelcol_receiver_requests_total{outcome="failure"} 0+1x60'],
    "FootfallOverloaded": ['footfall_refused_requests_total{reason="admission"} 0+1x60'],
    "FootfallSpoolFills": ["footfall_spool_bytes 60x60", "footfall_spool_limit_bytes 100x60"],
    "FootfallHousekeepingOverdue": [
        'footfall_housekeeping_next_run_timestamp_seconds{task="salts"} 0x60'
    ],
    "FootfallLockHeld": ["footfall_lock_held_seconds 61+60x60"],
    "FootfallSubscriberBehind": ['footfall_subscriber_lag_seconds{exporter="otlp"} 3601x60'],
    "FootfallParked": ['footfall_subscriber_parked_batches{exporter="otlp"} 1x60'],
    "FootfallPostgresRestarted": ["footfall_embedded_postgres_restarts 0x30_1x30"],
    "FootfallReloadFailed": ['footfall_last_reload_successful{what="keys"} 0x60'],
    "FootfallUndeclaredEvents": ['footfall_losses_total{reason="undeclared_event"} 0x30_9x30'],
}
"""What has each alert fire within 40 minutes: series and their values (`_` is a space)."""
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs Debian's package prometheus"
)
METRICS = (REPOSITORY / "docs/metrics.md").read_text("utf-8")
DOCUMENTED = {
    name: {"instance", "job", *filter(None, labels.strip().split(", "))}
    for name, labels in re.findall(r"(?m)^\| `(\w+)` \| \w+ \| ([\w, ]*)\|", METRICS)
}
"""Each metric with its labels: what another test compares with /metrics."""


@pytest.mark.parametrize("query", [*QUERIES, *(rule["expr"] for rule in GROUP["rules"])])
def test_what_is_asked_for_is_there(query: str) -> None:
    names = set(re.findall(r"\b(?:footfall|otelcol|http|rpc)_\w+\b", query)) or {"up"}
    known = set[str]()
    for name in names - {"up"}:
        known |= DOCUMENTED[name.removesuffix("_bucket")]
    by = re.findall(r"by \(([\w, ]*)\)", query)
    asked = {label for listed in by for label in re.split(r", *", listed) if label}
    asked |= set(re.findall(r"(\w+)=~?\"", query))
    assert asked - known <= ({"job"} if names == {"up"} else {"le"})


def test_all_that_is_worth_an_alert_has_one() -> None:
    section = METRICS.split("## What to be alerted about")[1]
    documented = set(re.findall(r"(?m)^\| `(.+?)`", section))
    assert {rule["expr"] for rule in ALERTS.values()} == documented | {'up{job="footfall"} == 0'}
    assert set(ALERTS) == set(FIRES)


def promtool(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_promtool
def test_prometheus_reads_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{n}", "expr": query.replace("$__rate_interval", "5m")}
        for n, query in enumerate(QUERIES)
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": rules}]}))
    said = promtool(tmp_path, "check", "rules", "rules.yml")
    assert f"{len(QUERIES)} rules found" in said


@needs_promtool
def test_each_alert_fires_when_it_should_and_not_when_all_is_well(tmp_path: Path) -> None:
    (tmp_path / "footfall.rules.yml").write_text(FILES["footfall.rules.yml"])
    tests = [_test(series, {name: 1}) for name, series in FIRES.items()]
    well = ["footfall_ready 1x60", "footfall_spool_bytes 0x60", "footfall_spool_limit_bytes 0x60"]
    tests.append(_test(well, dict.fromkeys(ALERTS, 0)))
    suite = {"rule_files": ["footfall.rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(suite))
    assert "SUCCESS" in promtool(tmp_path, "test", "rules", "tests.yml")


def _test(series: list[str], firing: dict[str, int]) -> dict[str, Any]:
    """After 40 minutes of these series so many of each alert fire."""
    inputs = [
        {"series": name, "values": values.replace("_", " ")}
        for name, values in (each.rsplit(" ", 1) for each in series)
    ]
    return {
        "interval": "1m",
        "input_series": inputs,
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                "eval_time": "40m",
                "exp_samples": [{"labels": "{}", "value": 1}] * number,
            }
            for name, number in firing.items()
        ],
    }
