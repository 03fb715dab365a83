"""Grafana's alert rules: as they are written, what they read, and that they fire with the collector's."""

import json
import os
import re
import shutil
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
    query, threshold, _ = rule["data"]
    assert threshold["model"]["conditions"] == [{"evaluator": {"type": "gt", "params": [0]}}]
    assert (rule["condition"], threshold["model"]["expression"]) == ("B", "A")
    return {tuple(labels.values()): number > 0 for labels, number in series(session, query)}


def series(session, query):
    """What Grafana makes of a table: of each row its texts are labels, and one column is the number."""
    cursor = session.execute(query["model"]["rawSql"])
    types = {column.name: column.type_display for column in cursor.description}
    [number] = [name for name, type_ in types.items() if type_ == "int4"]
    assert {*types.values()} <= {"int4", "text"}, "a time would make it a time series"
    rows = [dict(zip(types, row, strict=True)) for row in cursor.fetchall()]
    return [({name: row[name] for name in types if name != number}, row[number]) for row in rows]


def said(session, rule, expand):
    """What Grafana says of each series that fires: its annotations, filled in.

    A value of `$values` is of the series whose labels are the same, more or fewer.
    """
    fires, _, says = rule["data"]
    others = series(session, says)
    found = []
    for labels, number in series(session, fires):
        values = {
            query["refId"]: {"labels": more, "value": value}
            for query, every in ((fires, [(labels, number)]), (says, others))
            for more, value in every
            if labels.items() <= more.items()
        }
        if number > 0:
            texts = expand([*rule["annotations"].values()], labels, values)
            found.append(dict(zip(rule["annotations"], texts, strict=True)))
    return found


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


@pytest.fixture(scope="module")
def expand(tmp_path_factory):
    """Go's text/template, with the variables that Grafana gives it (expand.go)."""
    if shutil.which("go") is None:
        pytest.skip("needs Go")
    program = tmp_path_factory.mktemp("go") / "expand"
    source = Path(__file__).with_name("golang") / "expand.go"
    environment = {**os.environ, "GO111MODULE": "off", "GOTOOLCHAIN": "local"}
    subprocess.run(
        ["go", "build", "-gcflags=all=-N -l", "-o", program, source], check=True, env=environment
    )

    def expanded(texts, labels, values):
        given = json.dumps({"texts": texts, "labels": labels, "values": values})
        done = subprocess.run([program], input=given, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return expanded


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


def test_grafana_knows_every_field():
    """Its reader passes over others without a word (its AlertRuleGroupV1, AlertRuleV1 and QueryV1)."""
    file = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    [group] = file["groups"]
    assert (file["apiVersion"], file.keys()) == (1, {"apiVersion", "groups"})
    assert group.keys() <= {"orgId", "name", "folder", "interval", "rules"}
    assert len({rule["title"] for rule in group["rules"]}) == len(group["rules"])
    for rule in group["rules"]:
        assert rule.keys() <= {
            "uid", "title", "condition", "data", "dashboardUid", "panelId", "noDataState", "execErrState",
            "for", "keepFiringFor", "missing_series_evals_to_resolve", "annotations", "labels", "isPaused",
            "notification_settings", "record",
        }  # fmt: skip
        assert rule["noDataState"] in {"Alerting", "NoData", "OK", "KeepLast"}
        assert rule["execErrState"] in {"Alerting", "Error", "OK", "KeepLast"}
        assert {rule["for"], group["interval"]} == {"0s", "1m"}
        assert [query["refId"] for query in rule["data"]] == ["A", "B", "C"]
        for query in rule["data"]:
            assert query.keys() <= {
                "refId",
                "queryType",
                "relativeTimeRange",
                "datasourceUid",
                "model",
            }
            assert query["model"]["refId"] == query["refId"]
            assert query["datasourceUid"] in {"footfall", "__expr__"}
        texts = [*rule["annotations"].values(), *rule["labels"].values()]
        assert all(isinstance(text, str) for text in texts)
        assert not re.search(r"\$\{", "".join(texts)), (
            "Grafana would take it for a variable of its own"
        )


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


@pytest.mark.requirement("A10")
def test_a_message_says_what_since_when_how_sure_and_what_first(query, grafana, expand):
    found = rules()
    query(
        "INSERT INTO footfall.alert_rules VALUES ('losses', now() - interval '1 hour', 1, 'looked')"
    )
    for subject, what, sure in (
        (
            "bakery.order",
            "9.5% of 1,054 uses <failed> {{ .Labels.sure }}",
            "by chance, in one of 10",
        ),
        ("bakery.cart", "7.0% of 100 uses failed", "certain: it was counted"),
    ):
        query(
            "INSERT INTO footfall.alerts VALUES ('failure_share', 'bakery', %s, true, 0,"
            " '2026-06-16 14:37+00', now(), true, NULL, %s, %s)",
            [subject, what, sure],
        )
    assert said(grafana, found["failure_share"], expand) == [
        {
            "summary": f"bakery: {event}: more failures than before",
            "description": f"{what}. Since: 2026-06-16 14:37 UTC. How sure: {sure}. Look first: which"
            " type of error it is, and whether it came with a version.",
            "dashboard": "/d/footfall-feature?var-product=bakery",
        }
        for event, what, sure in (
            (
                "bakery.order",
                "9.5% of 1,054 uses <failed> {{ .Labels.sure }}",
                "by chance, in one of 10",
            ),
            ("bakery.cart", "7.0% of 100 uses failed", "certain: it was counted"),
        )
    ]
    [overdue] = said(grafana, found["alerts_overdue"], expand)
    assert re.match(
        r"Not known: losses\. Last look: \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", overdue["description"]
    )


def test_a_message_lacks_nothing_but_figures_where_grafana_has_none(expand):
    for rule in rules().values():
        labels = {"product": "", "subject": "", "feature": ""}
        texts = expand([*rule["annotations"].values()], labels, {})
        assert not [text for text in texts if "no value" in text]
        assert texts[1].startswith("Look first: ")


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
    told = []
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
        told.append(fires(grafana, found["subscriber_behind"]))
        query(again)
    about = ("", "otlp/there", "")
    assert told == [{about: False}, {about: True}, {about: False}, {about: True}, {}]
    assert fires(grafana, found["alerts_overdue"]) == {(): False}
    query("UPDATE footfall.alert_rules SET looked_at = looked_at - interval '6 minutes'")
    assert fires(grafana, found["alerts_overdue"]) == {(): True}
