import asyncio
import contextlib
import datetime as dt
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from click.testing import CliRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from psycopg.conninfo import make_conninfo

from conftest import CATALOG, make_directory
from footfall_collector.cli import main
from footfall_collector.decoding.spans import Pipeline
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import PostgresConfig
from footfall_exporters.postgres.migrate import HEAD
from footfall_processors import Policy
from support.certificates import Authority

SALT = "a salt of thirty-two bytes or more"
FOOTFALL = [sys.executable, "-c", "from footfall_collector.cli import main; main()"]
TODAY = dt.datetime.now(dt.UTC).date()


def environment(**variables):
    """This process's, without settings of Footfall, and with these."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("FOOTFALL_", "TELEMETRY_", "OTEL_"))
    }
    return kept | {"TELEMETRY_HASH_SALT": SALT} | variables


class Done(NamedTuple):
    """As much of click's result as is looked at."""

    exit_code: int
    stderr: str
    output: str


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    """Runs a command, `up` in a process of its own; FOOTFALL_HOME is empty at first."""
    for name in [n for n in os.environ if n.startswith(("FOOTFALL_", "TELEMETRY_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TELEMETRY_HASH_SALT", SALT)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        if arguments[0] == "up":
            command = [*FOOTFALL, *map(str, arguments)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            return Done(done.returncode, done.stderr, done.stdout + done.stderr)
        return CliRunner().invoke(main, list(map(str, arguments)))

    return invoke


def lines(result):
    """The exit status and the lines on standard error."""
    return result.exit_code, result.stderr.splitlines()


def request(*names, age_days=0):
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for name in names:
        end = time.time_ns() - age_days * 86_400 * 10**9
        span = spans.add(name=name, start_time_unix_nano=end - 83 * 10**6, end_time_unix_nano=end)
        span.attributes.add(key="guild_id").value.string_value = "1234"
    return message.SerializeToString()


@pytest.fixture
def filled(store_database, catalog):
    """A database with three orders of today and two of three days ago."""

    async def fill():
        settings = Settings(catalog)
        async with PostgresConfig(dsn=store_database).open(settings) as store:
            pipeline = Pipeline(Policy(catalog), store.salts)
            for body in (request(*["shop.order"] * 3), request(*["shop.order"] * 2, age_days=3)):
                await store.consume(await pipeline.traces(body))

    asyncio.run(fill())
    return store_database


# Checking


def test_a_valid_catalog_and_a_valid_configuration_are_called_so(invoke, tmp_path):
    config = tmp_path / "collector.yaml"
    config.write_text(f"processors: {{footfall: {{catalog: {CATALOG}}}}}")
    for file, what in ((CATALOG, "catalog"), (config, "configuration")):
        valid, warned, *warnings = invoke("validate", file).output.splitlines()
        assert valid == f"{file}: a valid {what} with 5 events"
        assert warned == f"{CATALOG}: 2 warnings"
        assert [each.split(":")[0] for each in warnings] == [
            "  line 14, attributes.note",
            "  line 15, attributes.seed",
        ]
        assert invoke("validate", "--strict", file).exit_code == 2


def test_mistakes_of_a_catalog_are_listed_and_the_status_is_2(invoke, tmp_path):
    wrong = tmp_path / "events.yaml"
    wrong.write_text(
        "product: a\nevents:\n  a.b: {surface: web}\n  C: {surface: web, feature: x}\n"
    )
    status, listed = lines(invoke("validate", wrong))
    assert status == 2
    assert {line.split(" ")[0] for line in listed[:-1]} == {f"{wrong}:3:", f"{wrong}:4:"}
    assert listed[-1] == "2 mistakes; nothing was started"


@pytest.mark.parametrize("command", ["up", "migrate"])
def test_with_a_wrong_catalog_or_configuration_nothing_is_started(invoke, tmp_path, command):
    catalog, config = tmp_path / "events.yaml", tmp_path / "collector.yaml"
    catalog.write_text("product: a\n")
    config.write_text("receivers: {otpl: {}}\n")
    status, listed = lines(invoke(command, "--config", config))
    assert status == 2
    assert [line.split(":")[0] for line in listed[:-1]] == [str(config), str(catalog)]
    assert listed[-1] == "2 mistakes; nothing was started"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", [["report", "usage"], ["purge"]])
def test_commands_without_a_catalog_list_mistakes_too(invoke, tmp_path, command):
    config = tmp_path / "collector.yaml"
    config.write_text("exporters: {postgres: {dns: x, retention_days: 0}}\n")
    status, listed = lines(invoke(*command, "--config", config))
    assert (status, len(listed)) == (2, 3)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["purge", "--days", "-1"],
        ["walk"],
    ],
)
def test_a_wrong_argument_is_refused_with_status_2(invoke, arguments, tmp_path):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert not (tmp_path / "home").exists()


# Reports, purge, migration


def test_reports_are_printed_as_json(invoke, filled):
    def rows(name, days):
        result = invoke("report", name, "--json", "--days", days, FOOTFALL_DSN=filled)
        assert (result.exit_code, result.stderr) == (0, "")
        printed = json.loads(result.stdout)
        assert (printed["report"], printed["days"]) == (name, days)
        return printed["rows"]

    fields = {"surface": "web", "feature": "order", "event": "shop.order"}
    assert rows("usage", 1) == [{**fields, "action": "success", "count": 3}]
    assert rows("usage", 7) == [{**fields, "action": "success", "count": 5}]
    assert rows("latency", 7) == [
        {
            **fields,
            "observations": 5,
            "p50_ms": 83,
            "p95_ms": 83,
            "p99_ms": 83,
            "p95_low_ms": 83,
            "p95_high_ms": None,
        }
    ]
    assert rows("errors", 7) == []
    assert rows("groups", 7) == []  # no day of theirs has been counted yet


def test_reports_are_printed_as_tables(invoke, filled):
    result = invoke("report", "usage", FOOTFALL_DSN=filled)
    assert result.exit_code == 0
    assert "What was used, the last 7 days (UTC)" in result.output
    assert re.search(r"web\s.*order\s.*shop\.order\s.*success\s.*5\s", result.output)
    assert (
        "What failed, today (UTC): nothing yet." in invoke("report", "errors", "--days", 1).output
    )


def test_declared_events_without_a_use_are_reported(invoke, filled, tmp_path):
    catalog = tmp_path / "events.yaml"
    catalog.write_text(
        "product: shop\nevents:\n"
        "  shop.order: {surface: web, feature: order}\n"
        "  shop.refund: {surface: web, feature: refund}\n"
        "  shop.over: {surface: web, feature: over, expires: 2020-01-01}\n"
    )
    unused = {
        "surface": "web",
        "feature": "refund",
        "event": "shop.refund",
        "action": None,
        "count": 0,
    }
    for named in ([], ["--catalog", catalog]):  # events.yaml is the default
        rows = json.loads(invoke("report", "usage", "--json", *named, FOOTFALL_DSN=filled).stdout)[
            "rows"
        ]
        assert [row["event"] for row in rows] == ["shop.order", "shop.refund"]
        assert rows[1] == unused
    assert re.search(r"shop\.refund\s.*-\s.*0\s", invoke("report", "usage").output)
    assert "shop.refund" not in invoke("report", "errors").output
    catalog.write_text("product: shop\nevents: 5\n")
    assert "shop.refund" not in invoke("report", "usage").output
    assert invoke("report", "usage", "--catalog", catalog).exit_code == 2


def test_a_report_of_groups_says_when_they_are_counted(invoke, filled):
    shown = " ".join(invoke("report", "groups", FOOTFALL_DSN=filled).output.split())
    assert shown.endswith(
        "nothing yet. Groups are values of hashed attributes, counted six hours after a period's end."
    )


def test_a_database_without_footfall_says_what_to_do(invoke, empty_database):
    status, said = lines(invoke("report", "usage", FOOTFALL_DSN=empty_database))
    assert status == 1
    assert said == [
        "Error: this database holds nothing of Footfall yet; run `footfall up` (or `footfall migrate`)"
    ]


def test_purge_tells_what_it_would_drop_and_then_drops_it(invoke, filled):
    first = str(TODAY - dt.timedelta(days=3))

    def purge(*options):
        result = invoke("purge", "--days", 2, *options, "--json", FOOTFALL_DSN=filled)
        assert result.exit_code == 0
        printed = json.loads(result.stdout)
        assert printed["first_kept"] == str(TODAY - dt.timedelta(days=2))
        return printed["dry_run"], {day: n for day, n in printed["rows"].items() if n}

    assert purge("--dry-run") == (True, {first: 2})
    assert purge() == (False, {first: 2})
    assert purge() == (False, {})
    with psycopg.connect(filled) as connection:
        found = connection.execute("SELECT count(*) FROM footfall.feature_events").fetchone()
    assert found == (3,)


def test_purge_in_words(invoke, filled):
    result = invoke("purge", "--days", 2, "--dry-run", FOOTFALL_DSN=filled)
    last = result.output.splitlines()[-1]
    assert re.fullmatch(
        rf"2 observations of \d days? would be dropped; kept from {TODAY - dt.timedelta(days=2)} on",
        last,
    )


def test_purge_keeps_the_retention_unless_told_otherwise(invoke, filled):
    result = invoke("purge", "--json", FOOTFALL_DSN=filled, TELEMETRY_RETENTION_DAYS="9")
    assert json.loads(result.stdout)["first_kept"] == str(TODAY - dt.timedelta(days=9))


def test_purge_of_an_environment_leaves_the_others(invoke, filled):
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute(
            "WITH dev AS (INSERT INTO footfall.feature_dims"
            " (fingerprint, event, surface, feature, action, status, environment)"
            " SELECT gen_random_uuid(), event, surface, feature, action, status, 'dev'"
            " FROM footfall.feature_dims WHERE event = 'shop.order' RETURNING id), counted AS ("
            " UPDATE footfall.feature_counts SET dim_id = dev.id FROM dev"
            " WHERE hour < now() - interval '2 days')"
            " UPDATE footfall.feature_events SET dim_id = dev.id FROM dev"
            " WHERE time < now() - interval '2 days'"
        )

    def purge(environment, *options):
        named = ["--environment", environment, "--days", 1, *options]
        return invoke("purge", *named, FOOTFALL_DSN=filled).output.splitlines()

    kept = f"kept from {TODAY - dt.timedelta(days=1)} on"
    goes = f"{TODAY - dt.timedelta(days=3)}             2 observations of more"
    assert purge("production") == [f"0 observations of 0 days deleted; {kept}"]
    assert purge("dev", "--dry-run") == [goes, f"2 observations of 1 day would be deleted; {kept}"]
    assert purge("dev") == [goes, f"2 observations of 1 day deleted; {kept}"]
    assert purge("dev") == [f"0 observations of 0 days deleted; {kept}"]
    with psycopg.connect(filled) as connection:
        found = connection.execute("SELECT count(*) FROM footfall.feature_events").fetchone()
    assert found == (3,)


def test_purge_of_what_a_rule_names_goes_by_it(invoke, filled, tmp_path):
    config = tmp_path / "collector.yaml"
    config.write_text(
        f"processors: {{footfall: {{catalog: '{CATALOG}'}}}}\n"
        "exporters: {postgres: {retention: [{environment: dev, days: 3}, {product: testbed, days: 5}]}}\n"
    )

    def first_kept(*options):
        result = invoke("purge", "--config", config, "--json", *options, FOOTFALL_DSN=filled)
        assert result.exit_code == 0, result.output
        printed = json.loads(result.stdout)
        return (TODAY - dt.date.fromisoformat(printed["first_kept"])).days

    assert first_kept("--environment", "dev") == 3
    assert first_kept("--product", "testbed") == 5
    assert first_kept("--product", "testbed", "--environment", "dev") == 30
    assert first_kept() == 30


def test_migrate_says_what_it_did(invoke, empty_database):
    result = invoke("migrate", "--catalog", CATALOG, FOOTFALL_DSN=empty_database)
    assert result.exit_code == 0
    first, second = result.output.splitlines()
    assert first == f"schema: empty -> {HEAD}"
    assert second.startswith("columns added: feature_events.")
    assert "feature_dims.provider" in second
    again = invoke("migrate", "--catalog", CATALOG, FOOTFALL_DSN=empty_database)
    assert again.output.splitlines() == [f"schema: {HEAD}", "columns added: none"]


# What goes wrong: one line, status 1


def assert_one_line(result, *said):
    assert result.exit_code == 1, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    for each in said:
        assert each in line


def test_a_server_that_does_not_answer_is_said_plainly(invoke):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    dsn = f"postgresql://walker:secret@127.0.0.1:{port}/footfall"
    for command in (["report", "usage"], ["migrate", "--catalog", CATALOG]):
        result = invoke(*command, FOOTFALL_DSN=dsn)
        assert_one_line(result, "Postgres cannot be reached", "Connection refused", "Check the DSN")
        assert "secret" not in result.output


def test_a_server_that_refuses_the_password_is_said_plainly(invoke, postgres_server, tmp_path):
    wrong = make_conninfo(postgres_server, password="secret")
    config = write_config(tmp_path)
    with config.open("a") as file:
        file.write("exporters: {postgres: {dsn: '${env:FOOTFALL_DSN}'}}\n")
    result = invoke("up", "--config", config, FOOTFALL_DSN=wrong)
    assert_one_line(result, "Postgres cannot be reached", "authentication failed")
    assert "secret" not in result.output


def test_a_user_who_does_not_own_the_database_is_said_plainly(
    invoke, postgres_server, empty_database
):
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE ROLE footfall_guest LOGIN PASSWORD 'guest'")
        try:
            guest = make_conninfo(empty_database, user="footfall_guest", password="guest")
            result = invoke("migrate", "--catalog", CATALOG, FOOTFALL_DSN=guest)
        finally:
            connection.execute("DROP ROLE footfall_guest")
    assert_one_line(result, "may not make schemas", "GRANT CREATE ON DATABASE")


def test_a_database_of_a_newer_footfall_is_left_alone(invoke, store_database):
    with psycopg.connect(store_database) as connection:
        connection.execute("UPDATE footfall.alembic_version SET version_num = '9999'")
    for command in ("migrate", "up"):
        result = invoke(command, "--catalog", CATALOG, FOOTFALL_DSN=store_database)
        assert_one_line(result, "schema 9999", "update Footfall")


def test_a_catalog_that_does_not_fit_the_tables_is_said_plainly(invoke, store_database, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(
        "product: other\nattributes: {note: {type: int}}\n"
        "events: {other.used: {surface: web, feature: x, attributes: [note]}}\n"
    )
    config = write_config(tmp_path)
    result = invoke("up", "--config", config, "--catalog", other, FOOTFALL_DSN=store_database)
    assert_one_line(result, "attribute note: the catalog needs bigint", "another name")


def test_a_data_directory_that_cannot_be_written_is_said_plainly(invoke, tmp_path):
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    up = invoke("up", "--catalog", CATALOG, FOOTFALL_HOME=str(home))
    assert_one_line(up, str(home), "set FOOTFALL_HOME")
    assert_one_line(invoke("report", "usage"), "there is no database yet; run `footfall up`")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_port_in_use_is_said_plainly(store_database, tmp_path, protocol):
    """In a process of its own: gRPC's core writes past Python's standard error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = write_config(tmp_path, **{protocol: port})
        process = subprocess.run(
            [*FOOTFALL, "up", "--config", config],
            env=environment(FOOTFALL_DSN=store_database),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (process.returncode, process.stdout) == (1, "")
    [line] = process.stderr.splitlines()
    assert f"port {port} on 127.0.0.1 is in use" in line


def write_config(folder, grpc=0, http=0):
    config = folder / "collector.yaml"
    config.write_text(
        f"processors: {{footfall: {{catalog: {CATALOG}}}}}\n"
        "receivers: {otlp: {protocols: {"
        f"grpc: {{endpoint: '127.0.0.1:{grpc}'}}, http: {{endpoint: '127.0.0.1:{http}'}}}}}}}}\n"
        "service: {operator: {endpoint: '127.0.0.1:0'}}\n"
    )
    return config


# The collector as a process


@pytest.fixture(scope="module")
def home():
    """A FOOTFALL_HOME whose embedded Postgres the tests below share, one after the other."""
    directory = make_directory()
    yield directory
    assert not postgres_of(directory)
    subprocess.run(["rm", "-rf", directory], check=True)


def postgres_of(home: Path) -> list[int]:
    """The processes of the embedded server: their working directory is the cluster."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(home):
                found.append(int(entry.name))
    return found


@contextlib.contextmanager
def up(home, tmp_path, *options):
    """`footfall up` on free ports; yields the process and its HTTP address."""
    process = subprocess.Popen(
        [*FOOTFALL, "up", *(options or ("--config", write_config(tmp_path)))],
        env=environment(FOOTFALL_HOME=str(home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            said = [process.stdout.readline() for _ in range(6)]
            yield process, said
        finally:
            process.kill()


def send(said, body):
    [address] = re.findall(r"OTLP/HTTP\s+(http://\S+)", "".join(said))
    headers = {"content-type": "application/x-protobuf"}
    sent = urllib.request.Request(f"{address}/v1/traces", body, headers)
    with urllib.request.urlopen(sent) as response:
        assert response.status == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_collects_until_it_is_told_to_stop_and_leaves_no_process_behind(home, tmp_path, number):
    with up(home, tmp_path) as (process, said):
        assert said[0] == "Footfall collects testbed into an embedded Postgres.\n"
        assert re.fullmatch(r"  OTLP/gRPC  http://127\.0\.0\.1:\d+\n", said[1])
        assert re.fullmatch(r"  OTLP/HTTP  http://127\.0\.0\.1:\d+\n", said[2])
        assert re.fullmatch(r"  operator   http://127\.0\.0\.1:\d+\n", said[3])
        assert re.fullmatch(r"  the page   http://127\.0\.0\.1:\d+/\n", said[4])
        assert "footfall report usage" in said[5]
        send(said, request("shop.order"))
        process.send_signal(number)
        output, errors = process.communicate()
        assert (process.returncode, output) == (0, "")
        assert errors == "Stopped: every request in flight was answered.\n"
    assert not postgres_of(home)


def test_up_says_which_listeners_have_tls_and_how_to_ask_this_store(home, tmp_path):
    Authority(tmp_path, "root").sign("server")
    tls = "tls: {cert_file: server.pem, key_file: server.key}"
    config = tmp_path / "with a space.yaml"
    config.write_text(
        f"receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:0, {tls}}},"
        f" http: {{endpoint: 127.0.0.1:0}}}}}}}}\n"
        f"processors: {{footfall: {{catalog: {CATALOG}}}}}\n"
        f"service: {{operator: {{endpoint: 127.0.0.1:0, {tls}}}}}\n"
    )
    with up(home, tmp_path, "--config", str(config)) as (_, said):
        assert [re.findall(r"https?://", line) for line in said[1:4]] == [
            ["https://"],
            ["http://"],
            ["https://"],
        ]
        assert f"`footfall report usage --config '{config}'`" in said[5]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_in_json_is_json_from_its_first_line_to_its_last(home, tmp_path, workers):
    config = write_config(tmp_path)
    asked = "service: {telemetry: {logs: {encoding: json}}, "
    config.write_text(config.read_text().replace("service: {", asked))
    command = [*FOOTFALL, "up", "--config", str(config), "--workers", str(workers)]
    process = subprocess.Popen(
        command,
        env=environment(FOOTFALL_HOME=str(home)),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        first = [json.loads(process.stderr.readline()) for _ in range(4)]
        process.send_signal(signal.SIGTERM)
        output, rest = process.communicate(timeout=60)
    lines = [*first, *map(json.loads, rest.splitlines())]
    messages = [line["message"] for line in lines]
    assert (process.returncode, output) == (0, b"")
    assert any("Footfall collects testbed" in text for text in messages)
    assert messages[-1].startswith("Stopped")


def test_why_it_does_not_start_is_json_where_the_log_is(invoke, tmp_path):
    config = tmp_path / "collector.yaml"
    log = "service: {telemetry: {logs: {encoding: json}}}\n"
    config.write_text(f"processors: {{footfall: {{catalog: none.yaml}}}}\n{log}")
    done = invoke("up", "--config", config)
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.exit_code == 2
    assert [line["level"] for line in told] == ["error", "error"]
    assert "none.yaml" in told[0]["message"]
    dsn = "exporters: {postgres: {dsn: 'host=127.0.0.1 port=1 user=x password=secret-of-x dbname=y'}}\n"
    config.write_text(f"processors: {{footfall: {{catalog: {CATALOG}, nothing: 1}}}}\n{log}{dsn}")
    done = invoke("up", "--config", config)
    assert all(json.loads(line)["level"] == "error" for line in done.stderr.splitlines())
    assert "secret-of-x" not in done.stderr


def test_reports_join_the_running_collector_and_the_data_stays(home, tmp_path):
    def count():
        command = [*FOOTFALL, "report", "usage", "--json"]
        output = subprocess.check_output(command, env=environment(FOOTFALL_HOME=str(home)))
        return sum(row["count"] for row in json.loads(output)["rows"])

    with up(home, tmp_path) as (process, said):
        before = count()
        send(said, request("shop.order", "shop.order"))
        assert count() == before + 2
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    assert count() == before + 2
    assert not postgres_of(home)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_after_kill_9_no_postgres_is_left_and_the_next_start_has_the_data(home, tmp_path):
    with up(home, tmp_path) as (process, said):
        send(said, request("shop.visit.open"))
        process.kill()
    deadline = time.monotonic() + 30
    while postgres_of(home):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with up(home, tmp_path) as (process, said):
        send(said, request("shop.visit.close"))
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    command = [*FOOTFALL, "report", "usage", "--json"]
    rows = json.loads(subprocess.check_output(command, env=environment(FOOTFALL_HOME=str(home))))[
        "rows"
    ]
    visits = {row["action"]: row["count"] for row in rows if row["event"] == "shop.visit"}
    assert visits == {"open": 1, "close": 1}


# What is documented

DOCUMENT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
COMMANDS = [
    f"{name} {inner}" if inner else name
    for name in main.list_commands(None)
    for inner in getattr(main.get_command(None, name), "commands", [""])
]


ENDING = """
from footfall_collector.cli import main
class Ring:
    def __init__(self):
        self.ring = self
    def __del__(self):
        print("looked through")
ring = Ring()
if {is_command}:
    main(["report", "--help"])
"""


@pytest.mark.parametrize("is_command", [True, False])
def test_a_command_that_ends_does_not_look_through_what_it_leaves(is_command):
    program = [sys.executable, "-c", ENDING.format(is_command=is_command)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage:") == is_command
    assert ("looked through" in done.stdout) != is_command


def test_all_commands_are_there():
    assert {"up", "report", "migrate", "purge", "validate"} <= set(COMMANDS)


def row_of(name):
    [row] = re.findall(rf"^\| `footfall {name}[` ].*$", DOCUMENT, re.MULTILINE)
    return row


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_its_options(name):
    command = main
    for word in name.split():
        command = command.get_command(None, word)
    options = {o for p in command.params for o in p.opts if o.startswith("--")}
    assert set(re.findall(r"`(--[a-z-]+)`", row_of(name))) == options
    for option in options:
        assert re.search(rf"^\| `{option}[ `]", DOCUMENT, re.MULTILINE), option
    assert command.help


def test_every_documented_command_exists():
    documented = re.findall(r"^\| `footfall ([a-z ]*[a-z])", DOCUMENT, re.MULTILINE)
    assert set(documented) == set(COMMANDS)


def test_the_reports_are_documented():
    names = main.get_command(None, "report").params[0].type.choices
    assert all(f"`{name}`" in row_of("report") for name in names)
