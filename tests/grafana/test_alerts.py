"""Grafana's alert rules: as they are written, what they read, and that they fire with the collector's."""

import re
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.conninfo import make_conninfo

from footfall_collector.config.alerts import AlertsConfig
from footfall_collector.process.alerts import evaluator
from footfall_exporters.postgres.alerts.rules import RULES

ROOT = Path(__file__).parents[2]
FILE = ROOT / "grafana" / "provisioning" / "alerting" / "footfall.yaml"
BEHIND = "INSERT INTO footfall.subscribers (name, position) VALUES ('otlp/there', -1)"
COMMITTED = """
    INSERT INTO footfall.commits (position, committed_at, requests)
    VALUES (0, now() - interval '2 hours', '{}')
"""


def rules():
    [group] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
    return {rule["labels"]["rule"]: rule for rule in group["rules"]}


def fires(session, rule):
    """What Grafana makes of a table: a series for each combination of texts, which fires above 0."""
    query, threshold = rule["data"]
    assert threshold["model"]["conditions"] == [{"evaluator": {"type": "gt", "params": [0]}}]
    assert (rule["condition"], threshold["model"]["expression"]) == ("B", "A")
    cursor = session.execute(query["model"]["rawSql"])
    numbers = [n for n, column in enumerate(cursor.description) if column.type_display == "int4"]
    assert len(numbers) == 1, "Grafana takes one number"
    return {
        tuple(value for n, value in enumerate(row) if n not in numbers): row[numbers[0]] > 0
        for row in cursor.fetchall()
    }


@pytest.fixture
def query(store_database):
    """Runs a statement as the owner."""
    with psycopg.connect(store_database, autocommit=True) as session:
        yield session.execute


@pytest.fixture
def grafana(store_database):
    """A session of a role that is a member of footfall_reader and has no right of its own."""
    name = sql.Identifier(login := f"footfall_test_{uuid.uuid4().hex}")
    with psycopg.connect(store_database, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'known' IN ROLE footfall_reader").format(name)
        )
        with psycopg.connect(
            make_conninfo(store_database, user=login, password="known"), autocommit=True
        ) as session:
            yield session
        admin.execute(sql.SQL("DROP ROLE {}").format(name))


def test_the_committed_file_is_what_is_written(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "grafana" / "alerts.py", tmp_path / "made.yaml"], check=True
    )
    assert (tmp_path / "made.yaml").read_bytes() == FILE.read_bytes()


def test_there_is_one_for_each_rule_and_one_more():
    found = rules()
    assert list(found) == [*RULES, "alerts_overdue"]
    uids = [rule["uid"] for rule in found.values()]
    assert len({*uids}) == len(uids)
    assert all(re.fullmatch("[a-z0-9-]{1,40}", uid) for uid in uids), "as Grafana wants them"
    written = {file.stem for file in (ROOT / "grafana/provisioning/dashboards").glob("*.json")}
    for rule in found.values():
        link = rule["annotations"].get("dashboard", "/d/footfall-overview?")
        assert re.match("/d/([a-z-]+)", link)[1] in written


def led(rule, **labels):
    """Where an alert's link leads, as Go's templates fill it in."""
    text = rule["annotations"]["dashboard"]
    while choice := re.search(r"{{ if \$labels\.(\w+) }}((?:(?!{{ if).)*?){{ end }}", text):
        text = text.replace(choice[0], choice[2] if labels[choice[1]] else "")
    return re.sub(r"{{ \$labels\.(\w+) }}", lambda label: labels[label[1]], text)


def test_a_link_chooses_what_the_alert_is_about():
    found = rules()
    store = {"product": "", "subject": "", "feature": ""}
    of_event = {"product": "shop", "subject": "shop.order", "feature": "order"}
    for name in ("failure_share", "latency_p95"):
        assert (
            led(found[name], **of_event) == "/d/footfall-feature?var-product=shop&var-feature=order"
        )
    assert led(found["low_event_rate"], **of_event) == "/d/footfall-overview?var-product=shop"
    assert led(found["losses"], **of_event) == "/d/footfall-pipeline?var-product=shop"
    for name in RULES:
        assert re.fullmatch("/d/[a-z-]+", led(found[name], **store)), (
            "all products, not an empty one"
        )


def test_an_alert_on_an_event_says_its_feature(reader):
    found = rules()
    about = ("sahasrahbot", "discord.generator", "generator")
    assert fires(reader, found["failure_share"]) == {about: False}, "it is silenced"
    assert fires(reader, found["no_events"]) == {("shop", "", ""): True}


@pytest.mark.requirement("C7")
@pytest.mark.requirement("A10")
def test_they_fire_and_clear_with_the_collectors(store_database, query, grafana):
    found = rules()
    assert {name: fires(grafana, rule) for name, rule in found.items()} == {
        **{name: {} for name in RULES}, "alerts_overdue": {(): False},
    }  # fmt: skip
    query(BEHIND)
    query(COMMITTED)
    looking = evaluator(store_database, AlertsConfig(fire_after=2, clear_after=1))
    again = "UPDATE footfall.alert_clock SET looked_at = looked_at - interval '1 hour'"
    said = []
    for change in (None, None, "silence", "speak", "end"):
        if change == "silence":
            query(
                "INSERT INTO footfall.alert_silences VALUES ('all', '', now() + interval '1 hour')"
            )
        if change == "speak":
            query("DELETE FROM footfall.alert_silences")
        if change == "end":
            query("DELETE FROM footfall.subscribers")
        assert looking.evaluate({}) is not None
        said.append(fires(grafana, found["subscriber_behind"]))
        query(again)
    about = ("", "otlp/there", "")
    assert said == [{about: False}, {about: True}, {about: False}, {about: True}, {}]
    assert fires(grafana, found["alerts_overdue"]) == {(): False}
    query("UPDATE footfall.alert_rules SET looked_at = looked_at - interval '6 minutes'")
    assert fires(grafana, found["alerts_overdue"]) == {(): True}
