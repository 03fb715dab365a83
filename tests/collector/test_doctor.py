import asyncio
import datetime as dt
import json
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import uuid
from functools import partial
from pathlib import Path

import grpc
import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import copied, make_directory
from footfall_collector.cli import doctor as cli
from footfall_collector.cli import main
from footfall_collector.config.config import Config
from footfall_collector.config.schema import OperatorConfig
from footfall_collector.doctor.checks import Check, Level, problem, warning
from footfall_collector.doctor.store import store_checks
from footfall_collector.receivers import health, operator
from footfall_collector.receivers.operator import NotReady
from footfall_collector.telemetry.remedies import DELIVERING, RECEIVED, SENDING, SUBSCRIBER, advice
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.erasing import ERASED
from footfall_exporters.postgres.housekeeping import NAMES, House, Housekeeper
from footfall_exporters.postgres.migrate import HEAD
from footfall_processors import Loss, load_catalog
from footfall_processors.catalog import Drop
from support.ports import free_port
from support.up import Up

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "tests" / "events.yaml"
SALT = "5a17c3e09b46d28f7a10e5b3c94d6f82"
TODAY = dt.datetime.now(dt.UTC).date()
openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the command openssl")


@pytest.fixture(scope="module")
def durable_server(pristine):
    """A server with the settings of a real one; the suite's own has no fsync."""
    directory = make_directory()
    with EmbeddedPostgres(copied(pristine, directory / "postgres")) as dsn:
        prepare(dsn, Settings(load_catalog(CATALOG)))
        yield dsn
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def serving(durable_server, tmp_path_factory):
    """The ports of a collector that runs, without an operator's listener."""
    ports = {"grpc": free_port(), "http": free_port()}
    file = tmp_path_factory.mktemp("serving") / "collector.yaml"
    file.write_text(json.dumps({
        "receivers": {"otlp": {"protocols": {
            name: {"endpoint": f"127.0.0.1:{port}"} for name, port in ports.items()}}},
        "processors": {"footfall": {"catalog": str(CATALOG), "hash_salt": SALT}},
        "exporters": {"postgres": {"dsn": durable_server}},
        "service": {"operator": None},
    }))  # fmt: skip
    collector = Up(file)
    asyncio.run(collector.said("Ctrl-C"))
    yield ports
    collector.stop()


@pytest.fixture
def examine(tmp_path, monkeypatch, serving):
    """Runs the command on a configuration; returns the checks.

    `listening` are ports on which something listens, nothing on the others; None is a collector that runs.
    """
    monkeypatch.delenv("FOOTFALL_DSN", raising=False)

    def run(dsn=None, listening=None, catalog=CATALOG, expected=0, store=None, **sections):
        ports = {"grpc": free_port(), "http": free_port(), "operator": free_port()} | (
            serving if listening is None else listening
        )
        protocols = {name: {"endpoint": f"127.0.0.1:{ports[name]}"} for name in ("grpc", "http")}
        for name, tls in sections.pop("tls", {}).items():
            protocols[name]["tls"] = tls
        configured = {
            "receivers": {"otlp": {"protocols": protocols, **sections.pop("otlp", {})}},
            "processors": {"footfall": {"catalog": str(catalog), "hash_salt": SALT}},
            "exporters": {"postgres": {"dsn": dsn} | (store or {})},
            "service": {
                "operator": {"endpoint": f"127.0.0.1:{ports['operator']}"}
                if listening is not None
                else None
            },
        } | sections
        file = tmp_path / "collector.yaml"
        file.write_text(json.dumps(configured))
        found = CliRunner().invoke(main, ["doctor", "--config", str(file), "--json"])
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        answer = json.loads(found.output)
        warned = any(check["level"] == "warning" for check in answer["checks"])
        assert found.exit_code == (expected or 3 * warned), found.output
        assert answer["healthy"] is (expected == 0)
        assert SALT not in found.output
        checks = answer["checks"]
        for check in checks:
            assert check["level"] in ("ok", "warning", "problem")
            assert "\n" not in check["found"] + check["advice"]
            assert bool(check["advice"]) or check["level"] == "ok", check
        return [(c["area"], c["level"], c["found"], c["advice"]) for c in checks]

    return run


def of(checks, area):
    return [check[1:3] for check in checks if check[0] == area]


def keep_house(dsn):
    ran = asyncio.run(Housekeeper(dsn, House(load_catalog(CATALOG), 30, 400)).run_due())
    assert all(each.ok for each in ran)


# A whole run


def test_a_healthy_store_has_no_problem(examine, durable_server):
    keep_house(durable_server)
    checks = examine(durable_server)
    areas = {area for area, *_ in checks}
    assert areas >= {"configuration", "catalog", "listeners", "store", "clocks", "schema", "roles",
                     "sizes", "partitions", "freshness", "losses", "housekeeping"}  # fmt: skip
    assert ("ok", "none since yesterday") in of(checks, "losses")
    assert of(checks, "schema") == [("ok", f"current ({HEAD})")]
    assert len(of(checks, "housekeeping")) == len(NAMES)
    assert of(checks, "partitions") == [("ok", "made ahead")]
    assert of(checks, "collector") == [
        ("ok", "it is not asked by what it works: service.operator is null")
    ]
    assert ("ok", "footfall_reader and footfall_writer are there") in of(checks, "roles")
    assert of(checks, "store")[2] == (
        "ok",
        "its log quotes no statement and no parameter of the collector's",
    )


def test_it_is_printed_as_a_table_for_people(durable_server, tmp_path):
    file = tmp_path / "collector.yaml"
    file.write_text(json.dumps({
        "processors": {"footfall": {"catalog": str(CATALOG), "hash_salt": SALT}},
        "exporters": {"postgres": {"dsn": durable_server}},
    }))  # fmt: skip
    keep_house(durable_server)
    program = "from footfall_collector.cli.doctor import doctor; doctor()"
    run = partial(
        subprocess.run, capture_output=True, text=True, timeout=60,
        env={"COLUMNS": "200", "PATH": "/usr/bin"},
    )  # fmt: skip
    done = run([sys.executable, "-c", program, "--config", file, "--all"])
    assert done.stderr == ""
    assert "Set TELEMETRY_ENABLED=true where the application runs" in done.stdout
    assert "freshness" in done.stdout
    password = re.search(r"password=(\w+)", durable_server)[1]
    assert password not in done.stdout
    number = int(re.search(r"^(\d+) problem", done.stdout, re.MULTILINE)[1])
    assert done.returncode == (min(number, 1) or 3)
    marks = re.findall(r"^(problem|warning|ok) ", done.stdout, re.MULTILINE)
    assert marks == sorted(marks, key=["problem", "warning", "ok"].index)
    assert "ok" in marks
    done = run([sys.executable, "-c", program, "--config", file])
    assert not re.search(r"^ok ", done.stdout, re.MULTILINE)
    assert re.search(r"^\d+ problems?, \d+ warnings?; \d+ checks well", done.stdout, re.MULTILINE)


def test_lines_fit_into_80_columns_and_what_is_to_be_run_stays_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    command = "ALTER ROLE x SET " + "log_min_duration_statement" * 4 + " = '-1';"
    found = "a long sentence about what is wrong here, which does not fit into one line at all"
    checks = [
        Check("store", Level.OK, "it is well"),
        warning("store", found, "as a superuser, run:", command, command),
        problem("spool", found, "make room"),
    ]
    cli._print(checks, everything=False)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines if "ALTER" not in line)
    assert [line.strip() for line in lines if "ALTER" in line] == [command] * 2
    assert lines[0].startswith("problem  spool: a long sentence")
    assert lines[1].startswith(" " * 9)
    assert "         Make room." in lines
    assert lines[-1] == "1 problem, 1 warning; 1 check well (`footfall doctor --all` shows them)"
    cli._print(checks[:1], everything=True)
    assert capsys.readouterr().out.splitlines() == [
        "ok       store: it is well",
        "All is well: 1 check",
    ]


# Configuration, catalog, files


def test_mistakes_of_the_configuration_are_problems_and_the_store_is_looked_at_all_the_same(
    examine, durable_server, tmp_path
):
    wrong = tmp_path / "events.yaml"
    wrong.write_text("product: shop\nevents:\n  shop.sold: {surface: web}\n")
    checks = examine(durable_server, catalog=wrong, expected=1)
    [(level, found)] = of(checks, "configuration")
    assert level == "problem"
    assert "events.yaml:3" in found
    assert "feature" in found
    assert of(checks, "schema")
    checks = examine(durable_server, expected=1, service={"wokers": 2})
    assert [area for area, *_ in checks] == ["configuration"]


def test_events_that_have_expired_or_will_soon_are_named_with_their_owner(examine, tmp_path):
    def event(**more):
        return {"surface": "web", "feature": "x", **more}

    file = tmp_path / "events.yaml"
    file.write_text(json.dumps({"product": "shop", "events": {
        "shop.gone": event(expires=str(TODAY - dt.timedelta(days=1)), owner="till-team"),
        "shop.soon": event(expires=str(TODAY + dt.timedelta(days=30))),
        "shop.later": event(expires=str(TODAY + dt.timedelta(days=31))),
    }}))  # fmt: skip
    checks = examine(catalog=file, store={"data_directory": str(tmp_path / "none")})
    assert of(checks, "catalog") == [
        ("warning", f"shop.gone expired on {TODAY - dt.timedelta(days=1)} and is refused"),
        ("warning", f"shop.soon expires on {TODAY + dt.timedelta(days=30)}"),
        ("ok", "3 events of shop"),
    ]
    assert "till-team" in next(c[3] for c in checks if "gone" in c[2])
    assert of(checks, "store") == [("warning", "there is no database yet")]
    assert not (tmp_path / "none").exists()


def test_keys_that_have_expired_or_will_soon_are_named(examine, tmp_path):
    def key(number, **more):
        return {"hash": f"sha256:{number:064x}", "created": "2026-01-01", **more}

    def keys(**entries):
        (tmp_path / "keys.yaml").write_text(json.dumps({"keys": entries}))
        return examine(
            otlp={"auth": {"keys_file": "keys.yaml"}}, expected=int(not entries),
            store={"data_directory": str(tmp_path / "none")},
        )  # fmt: skip

    old, soon = str(TODAY - dt.timedelta(days=1)), str(TODAY)
    checks = keys(bot=key(1), old=key(2, expires=old), web=key(3, expires=soon))
    assert of(checks, "keys") == [
        ("warning", f"the key old expired on {old}"),
        ("warning", f"the key web expires on {soon}"),
        ("ok", "3 keys in keys.yaml"),
    ]
    assert of(keys(), "keys") == [("problem", "keys.yaml has no key: nobody may send")]


@openssl
@pytest.mark.parametrize(("days", "level"), [(3, "warning"), (60, "ok"), (-1, "problem")])
def test_certificates_are_looked_at(examine, tmp_path, days, level):
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"]
    for arguments in (
        ["req", "-new", *new, "-keyout", "key.pem", "-out", "cert.csr"],
        [
            "x509",
            "-req",
            "-in",
            "cert.csr",
            "-signkey",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            days,
        ],
    ):
        command = ["openssl", *map(str, arguments)]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    tls = {"cert_file": "cert.pem", "key_file": "key.pem"}
    checks = examine(
        tls={"http": tls}, expected=int(level == "problem"),
        store={"data_directory": str(tmp_path / "none")},
    )  # fmt: skip
    [(said, found)] = of(checks, "certificates")
    assert said == level
    assert "OTLP/HTTP" in found


def test_what_waits_in_the_spool_is_said(examine, tmp_path):
    store = {
        "data_directory": str(tmp_path / "none"),
        "spool": {"directory": "spool", "max_mib": 1},
    }
    assert of(examine(store=store), "spool") == [("ok", "it was never needed")]
    (tmp_path / "spool").mkdir()
    file = tmp_path / "spool" / "spool.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE batches (id INTEGER PRIMARY KEY, digest BLOB, body BLOB)")
        database.execute("INSERT INTO batches (body) VALUES (zeroblob(262144))")
    database.close()
    checks = examine(store=store)
    assert of(checks, "spool")[0] == ("warning", "1 request waiting, 0.2 of 1 MiB")
    with sqlite3.connect(file) as database:
        database.execute("INSERT INTO batches (body) VALUES (zeroblob(786432))")
    database.close()
    checks = examine(store=store, expected=1)
    assert of(checks, "spool")[0] == ("problem", "2 requests waiting, 1.0 of 1 MiB")
    file.write_text("no database")
    assert of(examine(store=store, expected=1), "spool") == [("problem", "its file cannot be read")]


def test_whether_the_spool_can_be_written_is_tried_by_writing(examine, tmp_path):
    (tmp_path / "file").write_text("")
    for directory, why in (("file", "Not a directory"), ("/proc/footfall", "")):
        store = {"data_directory": str(tmp_path / "none"), "spool": {"directory": directory}}
        [(level, found)] = of(examine(store=store, expected=1), "spool")
        assert level == "problem"
        assert found.startswith("this user cannot write ")
        assert f"{directory}: {why}" in found


# Listeners


@pytest.fixture
def elsewhere(tmp_path):
    return {"store": {"data_directory": str(tmp_path / "none")}}


def test_a_collector_that_is_not_running_is_a_problem(examine, elsewhere):
    [(level, found)] = of(examine(listening={}, expected=1, **elsewhere), "listeners")
    assert level == "problem"
    assert found.startswith("no collector runs here: nothing listens on 127.0.0.1:")
    assert found.count("127.0.0.1:") == 3


def test_a_listener_that_is_down_while_others_are_up_is_a_problem(examine, elsewhere):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        checks = of(examine(listening={"http": port}, expected=1, **elsewhere), "listeners")
    assert ("ok", f"OTLP/HTTP: 127.0.0.1:{port} is open") in checks
    assert [level for level, _ in checks].count("problem") == 2


@pytest.mark.parametrize("ready", [True, False])
async def test_health_is_asked_for(examine, elsewhere, ready):
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    found = health.add(server, [service])
    found.ready(ready)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    reasons = set() if ready else {NotReady.STORE}
    async with operator.serve(
        OperatorConfig(endpoint="127.0.0.1:0"), Telemetry("1", ["postgres"]), lambda: reasons
    ) as address:
        listening = {"grpc": port, "operator": int(address.rpartition(":")[2])}
        checks = await asyncio.to_thread(examine, listening=listening, expected=1, **elsewhere)
    await server.stop(None)
    said = of(checks, "listeners")
    if ready:
        assert ("ok", f"OTLP/gRPC: 127.0.0.1:{port} serves") in said
        assert ("ok", f"the operator's listener: {address} is ready") in said
    else:
        assert ("problem", f"OTLP/gRPC: 127.0.0.1:{port} refuses requests now") in said
        [advised] = [c[3] for c in checks if "not ready (store_unreachable)" in c[2]]
        assert "Postgres is away" in advised


# The store


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"password": "wrong-secret"}, "refuses this user or password"),
        ({"dbname": "nowhere"}, "has no such database"),
        ({"host": "127.0.0.1", "port": "1"}, "cannot be reached"),
    ],
)
def test_a_store_that_is_away_is_a_problem_and_nothing_of_the_dsn_is_shown(
    examine, durable_server, change, found
):
    checks = examine(make_conninfo(durable_server, **change), expected=1)
    [(level, said)] = of(checks, "store")
    assert level == "problem"
    assert found in said
    assert not any(value in str(checks) for value in ("wrong-secret", "nowhere"))


def test_an_empty_database_is_a_warning(examine, empty_database):
    checks = examine(empty_database, expected=1)  # the suite's server has no fsync
    assert of(checks, "schema") == [("warning", "the database holds nothing of Footfall yet")]


@pytest.mark.parametrize(
    ("revision", "advised"), [("0001", "footfall migrate"), ("9999", "update")]
)
def test_an_older_and_a_newer_schema_are_problems(
    examine, store_database, query, revision, advised
):
    query("UPDATE footfall.alembic_version SET version_num = %s", revision)
    checks = examine(store_database, expected=1)
    [check] = [c for c in checks if c[0] == "schema"]
    assert check[1] == "problem"
    assert advised in check[3]
    assert not of(checks, "housekeeping")


def test_a_server_that_forgets_or_tells_is_complained_about(examine, store_database, query):
    """The suite's server has neither of these; a database can have its own settings."""
    role = f"footfall_test_{uuid.uuid4().hex}"
    query(f"CREATE ROLE {role} LOGIN PASSWORD 'hidden-secret'")
    try:
        for grant in ("ALL ON SCHEMA footfall", "SELECT ON ALL TABLES IN SCHEMA footfall",
                      "USAGE ON SCHEMA reporting", "SELECT ON ALL TABLES IN SCHEMA reporting"):  # fmt: skip
            query(f"GRANT {grant} TO {role}")
        query(f"ALTER ROLE {role} SET log_statement = 'all'")
        dsn = make_conninfo(store_database, user=role, password="hidden-secret")
        checks = examine(dsn, expected=1)
    finally:
        query(f"DROP OWNED BY {role}")
        query(f"DROP ROLE {role}")
    assert ("problem", "fsync and full_page_writes off") in of(checks, "store")
    [loud] = [found for level, found in of(checks, "store") if level == "warning"]
    assert loud.startswith("its log may quote parameters: ")
    assert loud.endswith("log_statement")
    assert f"""ALTER ROLE "{role}" SET log_statement = 'none'""" in str(checks).replace("\\", "")
    assert ("problem", "the DSN's user does not own the schema") in of(checks, "roles")
    assert "hidden-secret" not in str(checks)


def test_a_missing_partition_and_overdue_and_failing_tasks_are_problems(
    examine, store_database, query
):
    checks = examine(store_database, expected=1)
    assert ("warning", f"never ran: {', '.join(sorted(NAMES))}") in of(checks, "housekeeping")
    for uptime, level in ((5.0, "ok"), (600.0, "problem")):
        found = [
            c.level for c in store_checks(store_database, None, uptime) if c.area == "housekeeping"
        ]
        assert found == [level]
    keep_house(store_database)
    for statement in (
        "SET next_run = now() - interval '1 h' WHERE task = 'salts'",
        "SET outcome = 'failed: LockNotAvailable (SQLSTATE 55P03)' WHERE task = 'retention'",
    ):
        query(f"UPDATE footfall.housekeeping {statement}")
    query(f"DROP TABLE footfall.feature_events_{TODAY + dt.timedelta(days=1):%Y%m%d}")
    checks = examine(store_database, expected=1)
    assert ("problem", f"none for {TODAY + dt.timedelta(days=1)}") in of(checks, "partitions")
    bad = {found.partition(":")[0]: found for level, found in of(checks, "housekeeping")
           if level == "problem"}  # fmt: skip
    assert set(bad) == {"salts", "retention"}
    assert bad["salts"].endswith("and overdue")
    assert "failed: LockNotAvailable (SQLSTATE 55P03)" in bad["retention"]


def test_freshness_says_when_something_last_came_and_which_signals_fell_silent(
    examine, store_database, query
):
    [(*_, found, advised)] = [c for c in examine(store_database, expected=1) if c[0] == "freshness"]
    assert found == "no request in the last week"
    assert advised.startswith("set TELEMETRY_ENABLED=true")
    assert "127.0.0.1:" in advised
    for n, (signal, age) in enumerate([("traces", "3 min"), ("metrics", "3 days")]):
        query("INSERT INTO footfall.ingest_batches VALUES (%s, gen_random_uuid(), now() - %s::interval,"
              " %s, 1, '{}')", n, age, signal)  # fmt: skip
    assert of(examine(store_database, expected=1), "freshness") == [
        ("ok", "the last request 3 min ago, no event yet"),
        ("warning", "no metrics for 3 days"),
    ]
    query("UPDATE footfall.ingest_batches SET received_at = received_at - interval '5 h'")
    assert of(examine(store_database, expected=1), "freshness")[0] == (
        "warning",
        "the last request 5 h ago, no event yet",
    )
    query("UPDATE footfall.ingest_batches SET received_at = now() - interval '3 s'")
    [(_, found)] = of(examine(store_database, expected=1), "freshness")
    assert re.fullmatch(r"the last request \d+ s ago, no event yet, 2 within a minute", found)


def test_losses_of_the_last_day_are_listed_with_what_to_do(examine, store_database, query):
    for signal, reason, number, back in (
        ("traces", "enum_value", 7, 0),
        ("traces", "enum_value", 1, 1),
        ("traces", "malformed", 9, 2),
        ("logs", "undeclared_event", 1000, 0),
        ("logs", "erased", 12, 0),
        ("traces", "refused_by_store", 1, 0),
        ("subscriber", "missed_by_retention", 50, 0),
    ):
        query("INSERT INTO footfall.losses_daily VALUES ((now() AT TIME ZONE 'UTC')::date - %s, %s, %s, %s)",
              back, signal, reason, number)  # fmt: skip
    query(
        "INSERT INTO footfall.parked VALUES ('posthog', 1, 1, 0, 3, 'the backend answered HTTP 400')"
    )
    checks = [c for c in examine(store_database, expected=1) if c[0] == "losses"]
    assert [c[1:3] for c in checks] == [
        ("ok", "logs: undeclared_event, 1,000 times"),
        ("problem", "subscriber: missed_by_retention, 50 times"),
        ("ok", "logs: erased, 12 times"),
        ("warning", "traces: enum_value, 8 times"),
        ("warning", "subscriber: the backend answered HTTP 400, 3 times"),
        ("problem", "traces: refused_by_store, 1 time"),
    ]
    assert "add the value to the catalog" in checks[3][3]
    assert "footfall export" in checks[4][3]


def tallied(query, *events):
    """Stores (event, stored, emitted, distro) rows, all in this hour."""
    for number, (event, stored, emitted, distro) in enumerate(events):
        for at, (name, surface, counted) in enumerate(
            ((event, "web", stored), ("footfall.emitted", "footfall", emitted))
        ):
            query(
                "WITH d AS (INSERT INTO footfall.feature_dims (fingerprint, event, surface, feature,"
                " action, status, service, telemetry_distro, emitted_event) VALUES"
                " (gen_random_uuid(), %s, %s, 'f', 'a', 'ok', %s, %s, %s) RETURNING id)"
                " INSERT INTO footfall.feature_counts SELECT date_trunc('hour', now()), id, %s FROM d",
                name, surface, f"s{number}", distro, event if at else None, counted,
            )  # fmt: skip
    query(
        "INSERT INTO footfall.feature_counts_stale SELECT (now() AT TIME ZONE 'UTC')::date"
        " ON CONFLICT DO NOTHING"
    )


def test_completeness_is_said_and_a_surplus_is_a_warning(store_database, query):
    def found():
        checks = [(c.area, c.level, c.found) for c in store_checks(store_database, None)]
        return of(checks, "completeness")

    assert found() == []
    tallied(query, ("shop.ping", 40, 0, None))
    assert found() == [
        ("ok", "not known: no sender keeps a tally; not tallied by their senders: 40")
    ]
    # One sends twice what another loses: together they would be complete.
    tallied(query, ("shop.order", 150, 100, "footfall"), ("shop.order", 50, 100, "footfall"))
    tallied(query, ("shop.visit", 1009, 1000, "footfall"))
    assert found() == [
        (
            "warning",
            "more stored than emitted: shop.order, 50 times more than 200 (100.00% in all)",
        ),
        (
            "ok",
            "stored: 1,209 of 1,200 that the SDKs counted (100.75%); not tallied by their senders: 40",
        ),
    ]


def test_refused_requests_of_the_last_day_are_listed_with_what_to_do(
    examine, store_database, query
):
    for signal, reason, key, service, number, back in (
        ("traces", "key", "", "", 4, 0),
        ("logs", "key", "bot", "", 1, 1),
        ("logs", "key", "old", "", 9, 2),
        ("logs", "service", "bot", "till", 2, 0),
        ("traces", "admission", "", "till", 7, 0),
        ("traces", "store", "", "", 1, 0),
    ):
        query("INSERT INTO footfall.refused_daily VALUES"
              " ((now() AT TIME ZONE 'UTC')::date - %s, %s, %s, %s, %s, %s)",
              back, signal, reason, key, service, number)  # fmt: skip
    checks = examine(store_database, expected=1)
    assert of(checks, "refused") == [
        ("ok", "7 requests refused (admission), by till"),
        ("warning", "5 requests refused (key), by the key bot"),
        ("warning", "2 requests refused (service), by the key bot"),
        ("problem", "1 request refused (store)"),
    ]
    assert of(checks, "losses") == [("ok", "none since yesterday")]
    [key] = [c[3] for c in checks if "(key)" in c[2]]
    assert "footfall keys new" in key


def test_subscribers_that_are_behind_or_forgotten_are_named(store_database, query):
    query("UPDATE footfall.commit_clock SET position = 5")
    for position, age in ((1, "6 days"), (4, "2 h"), (5, "1 min")):
        query("INSERT INTO footfall.commits (position, committed_at, requests)"
              " VALUES (%s, now() - %s::interval, '{}')", position, age)  # fmt: skip
    query("INSERT INTO footfall.subscribers VALUES ('json_log', 5), ('json_log/slow', 3),"
          " ('json_log/stuck', 0), ('gone', 5)")  # fmt: skip
    query("INSERT INTO footfall.parked VALUES ('json_log', 2, 1, 0, 9, 'TypeError')")
    names = ["json_log", "json_log/slow", "json_log/stuck", "json_log/new"]
    config = Config(load_catalog(CATALOG), subscribers=dict.fromkeys(names))
    checks = [(c.area, c.level, c.found) for c in store_checks(store_database, config)]
    assert of(checks, "subscribers") == [
        ("ok", "gone: 0 commits behind"),
        ("ok", "json_log: 0 commits behind"),
        ("warning", "json_log: 1 request parked, which its backend refuses"),
        ("warning", "json_log/slow: 2 commits behind, the oldest stored 2 h ago"),
        ("problem", "json_log/stuck: 5 commits behind, the oldest stored 6 days ago"),
        ("warning", "json_log/new never followed this store"),
        ("warning", "gone is not configured, and falls behind"),
    ]


# What is documented


def documented(file, heading):
    section = re.split(r"^#+ ", file.read_text("utf-8"), flags=re.MULTILINE)
    (body,) = [part for part in section if part.startswith(heading + "\n")]
    rows = [line.strip("|").split("|") for line in body.splitlines() if line.startswith("| `")]
    assert all(cell.strip() for row in rows for cell in row)
    return {re.search("`([^`]*)`", row[0])[1]: [cell.strip() for cell in row[1:]] for row in rows}


def test_every_reason_of_a_loss_has_advice_and_is_documented():
    losses = ROOT / "docs" / "losses.md"
    events = documented(losses, "Whole events")
    attributes = documented(losses, "Attributes of an event that is stored")
    assert set(RECEIVED) == {str(loss) for loss in Loss} == set(events) | set(attributes)
    assert set(documented(losses, "Erased on request")) == {ERASED}
    assert (
        set(SENDING)
        == {str(drop) for drop in Drop}
        == set(documented(losses, "In the application"))
    )
    assert set(DELIVERING) < set(documented(losses, "At other backends"))
    for signal, reasons in (("traces", RECEIVED), ("sdk", SENDING), (SUBSCRIBER, DELIVERING)):
        assert all(advice(signal, reason) == text for reason, text in reasons.items())


def test_what_exporters_say_of_a_refusal_is_documented():
    said = set()
    for file in (ROOT / "exporters" / "footfall_exporters").glob("*.py"):
        said |= set(re.findall(r'Rejected\(\s*f?"([^"{]*)', file.read_text("utf-8")))
    reasons = documented(ROOT / "docs" / "losses.md", "At other backends")
    assert len(said) >= 3
    for words in said:
        assert any(words.startswith(r.removesuffix(" ...")) for r in reasons), words


def test_every_task_is_documented_with_what_to_do():
    assert list(documented(ROOT / "docs" / "housekeeping.md", "The tasks")) == list(NAMES)


# What is in force


def alter(dsn, setting):
    name = conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET {setting}")


def test_it_says_what_is_in_force_in_a_transaction_that_stores(examine, store_database):
    alter(store_database, "synchronous_commit = off")
    alter(store_database, "client_encoding = LATIN1")
    said = [found for _, found in of(examine(store_database, expected=1), "store")]
    right = "synchronous_commit on, transaction_isolation read committed, client_encoding UTF8"
    assert any(f"a transaction that stores has {right}" in each for each in said)


def test_a_server_that_is_read_only_is_a_problem(examine, store_database):
    alter(store_database, "default_transaction_read_only = on")
    checks = of(examine(store_database, expected=1), "store")
    assert any(level == "problem" and "read-only" in found for level, found in checks)


def test_a_database_in_another_encoding_is_a_problem(examine, postgres_server):
    options = "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE ascii_of_the_doctor {options}")
        try:
            dsn = make_conninfo(postgres_server, dbname="ascii_of_the_doctor")
            [(level, found)] = of(examine(dsn, expected=1), "store")
        finally:
            admin.execute("DROP DATABASE ascii_of_the_doctor WITH (FORCE)")
    assert level == "problem"
    assert "SQL_ASCII" in found


def test_a_day_that_a_reader_keeps_from_being_dropped_is_named(examine, store_database):
    day = f"feature_events_{TODAY - dt.timedelta(days=5):%Y%m%d}"
    with psycopg.connect(store_database) as reader:
        reader.execute(f"SELECT count(*) FROM footfall.{day}")
        with psycopg.connect(store_database, autocommit=True) as other:
            other.execute("SET lock_timeout = '100ms'")
            detach = f"DETACH PARTITION footfall.{day} CONCURRENTLY"
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(f"ALTER TABLE footfall.feature_events {detach}")
        checks = of(examine(store_database, expected=1), "partitions")
    assert ("warning", f"{day} is being dropped, and a reader holds it") in checks
