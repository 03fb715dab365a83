"""What the committed dashboards are, but for their figures (test_figures.py)."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from footfall_processors import Loss
from grafana.known import DAY, END, HOUR, START
from grafana.panels import (
    DASHBOARDS,
    NAMES,
    REPOSITORY,
    View,
    dashboard,
    expand,
    panels,
    rows,
)
from support.alone import alone_in

FILES = sorted(DASHBOARDS.glob("*.json"))
MODELS = {file.stem: dashboard(file) for file in FILES}
USAGE = {name: MODELS[f"footfall-{name}"] for name in NAMES}
"""Those over what is stored."""
TYPESCRIPT = Path(__file__).with_name("typescript")
README = (REPOSITORY / "grafana" / "README.md").read_text("utf-8")
VARIABLES = ["product", "environment", "service", "version", "surface", "feature", "bucket", "page"]
every = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
usage = pytest.mark.parametrize("model", USAGE.values(), ids=USAGE)


def test_the_committed_dashboards_are_what_dashboards_py_writes(tmp_path: Path) -> None:
    script = REPOSITORY / "grafana" / "dashboards.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in FILES}
    for committed in FILES:
        assert (tmp_path / committed.name).read_bytes() == committed.read_bytes()
    assert len(USAGE) == 7


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the types of Grafana's dashboards, and what compares with them."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm (Node.js 18 or newer)")
    done, asked = TYPESCRIPT / "node_modules/.package-lock.json", TYPESCRIPT / "package.json"
    with alone_in(TYPESCRIPT):
        if not done.exists() or done.stat().st_mtime < asked.stat().st_mtime:
            command = ["npm", "install", "--loglevel=error", "--prefer-offline"]
            ran = subprocess.run(command, cwd=TYPESCRIPT, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stdout + ran.stderr
    folder = tmp_path_factory.mktemp("types")
    shutil.copy(TYPESCRIPT / "shape.ts", folder)
    (folder / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    return folder


def typed(folder: Path, models: dict[str, Any]) -> str:
    """What the compiler says of dashboards; nothing, when all is well."""
    for name, model in models.items():
        text = f"import type {{ Written }} from './shape';\nexport const it: Written = {json.dumps(model)};\n"
        (folder / f"{name}.ts").write_text(text)
    compiler = folder / "node_modules/typescript/bin/tsc"
    options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"]
    options += ["--module", "esnext", "--moduleResolution", "bundler"]
    command = ["node", compiler, *options, *(f"{name}.ts" for name in models)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_the_types_of_grafanas_frontend_fit_and_notice_what_does_not(types: Path) -> None:
    def small() -> dict[str, Any]:
        model = dashboard(DASHBOARDS / "footfall-overview.json")
        return {**model, "panels": model["panels"][1:2]}

    wrong = {name: small() for name in ("schema", "unit", "hide", "grid", "misspelt", "mode")}
    first = {name: model["panels"][0] for name, model in wrong.items()}
    wrong["schema"]["schemaVersion"] = 41
    first["unit"]["fieldConfig"]["defaults"]["unit"] = 7
    wrong["hide"]["templating"]["list"][0]["hide"] = "never"
    del first["grid"]["gridPos"]["w"]
    wrong["misspelt"]["refreshh"] = "5m"
    first["mode"]["options"]["graphMode"] = "lines"
    said = typed(types, MODELS | wrong)
    assert set(re.findall(r"(?m)^([\w-]+)\.ts\(", said)) == set(wrong), said[:2000]


@every
def test_panels_are_numbered_described_and_none_covers_another(model: dict[str, Any]) -> None:
    everything = model["panels"]
    assert [panel["id"] for panel in everything] == list(range(1, len(everything) + 1))
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in everything)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) == 23
    assert all(
        len(panel["description"]) > 20
        for panel in panels(model).values()
        if model in USAGE.values()
    )
    assert all(panel["description"] for panel in panels(model).values())
    assert len(panels(model)) == sum(panel["type"] != "row" for panel in everything)
    assert model["schemaVersion"] == 42
    assert model["description"]


@usage
def test_every_row_of_panels_is_as_wide_as_the_page(model: dict[str, Any]) -> None:
    widths: Counter[int] = Counter()
    for panel in panels(model).values():
        widths[panel["gridPos"]["y"]] += panel["gridPos"]["w"]
    assert set(widths.values()) == {24}


@usage
def test_all_have_the_same_choices_and_all_of_them_to_begin_with(model: dict[str, Any]) -> None:
    variables = model["templating"]["list"]
    assert [variable["name"] for variable in variables] == VARIABLES
    for variable in variables[:6]:
        assert variable["multi"] is variable["includeAll"] is True
        assert variable["current"]["value"] == ["$__all"]
        assert variable["description"]


@every
def test_links_lead_to_dashboards_that_there_are_and_to_the_page(model: dict[str, Any]) -> None:
    others, *page = model["links"]
    assert (others["type"], others["tags"]) == ("dashboards", ["footfall"])
    assert (others["includeVars"], others["keepTime"]) == (True, True)
    assert model["tags"] == ["footfall"]
    assert [link["url"] for link in page] == (["${page}"] if model in USAGE.values() else [])
    text = json.dumps(model)
    uids = {each["uid"] for each in MODELS.values()}
    assert set(re.findall(r'"/d/([\w-]+)', text)) <= uids
    linked = {
        title
        for title, panel in panels(model).items()
        if panel["type"] == "table"
        and re.search(r'AS \\?"Feature\\?"', json.dumps(panel["targets"]))
    }
    served = (REPOSITORY / "collector/footfall_collector/page/state.js").read_text("utf-8")
    assert set(re.findall(r"\$\{page\}(\w+)\?event=", text)) <= {"feature"}
    assert 'feature: "/feature"' in served
    assert 'link("feature", { event })' in served
    assert all("/d/footfall-feature" in json.dumps(panels(model)[t]["fieldConfig"]) for t in linked)


def test_the_types_are_those_of_the_grafana_of_the_stack() -> None:
    wanted = json.loads((TYPESCRIPT / "package.json").read_text("utf-8"))["dependencies"]
    compose = (REPOSITORY / "docker-compose.yml").read_text("utf-8")
    assert f"grafana/grafana:{wanted['@grafana/schema']}}}" in compose


def test_the_page_is_where_the_collector_has_it_by_default() -> None:
    (page,) = [v for v in USAGE["overview"]["templating"]["list"] if v["name"] == "page"]
    configuration = (REPOSITORY / "docs" / "configuration.md").read_text("utf-8")
    assert page["query"] == "http://127.0.0.1:8888/"
    assert "127.0.0.1:8888" in configuration


def test_the_readme_lists_every_dashboard_and_panel() -> None:
    table = re.findall(r"(?m)^\| \*\*(.+?)\*\* \| (.+?) \| (.+?) \|$", README)
    listed = {title: (about, re.findall(r"`([^`]+)`", shown)) for title, about, shown in table}
    assert listed == {
        model["title"].removeprefix("Footfall: "): (model["description"], list(panels(model)))
        for model in (*USAGE.values(), MODELS["footfall-collector"])
    }


def test_the_panel_of_losses_says_which_are_of_whole_events() -> None:
    text = panels(USAGE["pipeline"])["Losses per day, by reason"]["description"]
    events = itertools.takewhile(lambda loss: loss != Loss.UNDECLARED_ATTRIBUTE, Loss)
    named = {loss for loss in Loss if loss in re.split(r"[ ,;]+", text)}
    assert named == {loss for loss in events if not loss.startswith("refused_")}


def test_every_query_is_used_and_none_computes_a_verdict() -> None:
    folder = REPOSITORY / "grafana" / "queries"
    code = "".join(file.read_text() for file in (REPOSITORY / "grafana").rglob("*.py"))
    names = [str(file.relative_to(folder).with_suffix("")) for file in folder.rglob("*.sql")]
    variables = [name for name in names if name.startswith("variables/")]
    assert sorted(variables) == sorted(f"variables/{name}" for name in VARIABLES[:6])
    assert [name for name in names if name not in variables and f'"{name}"' not in code] == []
    tables = re.findall(
        r"(?:FROM|JOIN) (\w+\.\w+)", "".join(f.read_text() for f in folder.rglob("*.sql"))
    )
    assert {table.partition(".")[0] for table in tables} == {"reporting"}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM footfall.feature_events",
        "SELECT FROM footfall.feature_counts",
        "SELECT FROM footfall.salts",
        "SELECT footfall.salt_period('daily', current_date)",
        "DROP VIEW reporting.usage",
        "CREATE TABLE reporting.own ()",
    ],
)
def test_grafanas_role_can_do_nothing_but_read_reporting(
    reader: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(statement)


def test_no_view_shows_an_identity_column(reader: psycopg.Connection) -> None:
    names = {
        row["column_name"]
        for row in rows(
            reader,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'reporting'",
        )
    }
    assert {"surface", "provider", "duration_ms"} <= names
    assert [name for name in names if "guild" in name or "hash" in name] == []


def asked(reader: psycopg.Connection, name: str, title: str, view: View) -> list[dict[str, Any]]:
    """What a panel's query answers."""
    (target,) = panels(USAGE[name])[title]["targets"]
    return rows(reader, expand(target["rawSql"], USAGE[name], view))


def test_a_day_whose_salt_was_lost_has_no_number_of_groups(
    reader: psycopg.Connection, database: str
) -> None:
    with psycopg.connect(database) as owner:
        of_day = "WHERE span = 'day' AND scope = 'all' AND start = %s AND attribute = 'guild_id'"
        [(before,)] = owner.execute(
            f"SELECT groups FROM footfall.groups_counts {of_day}", [END.date()]
        ).fetchall()
        owner.execute(f"UPDATE footfall.groups_counts SET groups = NULL {of_day}", [END.date()])
        owner.commit()
        found = asked(reader, "audience", "Active groups per day", View(START, END))
        owner.execute(
            f"UPDATE footfall.groups_counts SET groups = %s {of_day}", [before, END.date()]
        )
    *others, lost = [row for row in found if row["metric"] == "guild_id"]
    assert lost["value"] is None
    assert any(row["value"] for row in others)


def test_latency_of_days_whose_hours_are_not_kept_is_that_of_the_days(
    database: str, reader: psycopg.Connection
) -> None:
    day = (END - 30 * DAY).date()
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO footfall.latency_days SELECT %s, max(id), footfall.latency_histogram("
            " footfall.latency_bucket(100), 2) FROM footfall.feature_dims WHERE feature = 'daily'",
            [day],
        )
    moment = END.replace(hour=0, minute=0) - 30 * DAY
    view = View(moment, moment + HOUR, {"bucket": ["1d"]})
    (row,) = asked(reader, "latency", "Latency by feature", view)
    assert (row["Feature"], row["Observations"]) == ("daily", 2)
    (point,) = asked(reader, "latency", "p95 per ${bucket}, by feature", view)
    assert (point["time"], point["metric"]) == (moment, "discord · daily")
    assert point["value"] == pytest.approx(100, rel=0.022)


def test_a_table_of_percentiles_has_the_hundred_rows_with_the_most_observations(
    database: str, reader: psycopg.Connection
) -> None:
    moment = END.replace(hour=0, minute=0) - 40 * DAY
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(
            "WITH dims AS (INSERT INTO footfall.feature_dims"
            " (fingerprint, event, surface, feature, action, status)"
            " SELECT gen_random_uuid(), 'x.' || n, 'x', n::text, 'success', 'ok'"
            " FROM generate_series(1, 120) AS n"
            " RETURNING id, feature) INSERT INTO footfall.latency_days SELECT %s, id,"
            " footfall.latency_histogram(footfall.latency_bucket(100), feature::integer) FROM dims",
            [moment.date()],
        )
    view = View(moment, moment + HOUR, {"surface": ["x"]})
    for name, title in (
        ("latency", "Latency by feature"),
        ("latency", "Latency by action"),
        ("releases", "Latency by version"),
    ):
        found = {row["Feature"]: row["Observations"] for row in asked(reader, name, title, view)}
        assert found == {str(n): n for n in range(21, 121)}, title
