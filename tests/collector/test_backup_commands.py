"""`footfall backup` and `footfall restore`, as they are typed."""

import json
import stat

import psycopg
import pytest
from click.testing import CliRunner

from footfall_collector.cli import main

pytestmark = pytest.mark.thorough


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, list(map(str, arguments)))

    return invoke


@pytest.fixture
def filled(store_database):
    """A database in which something was used seven times."""
    with psycopg.connect(store_database) as connection:
        connection.execute(
            "WITH d AS (INSERT INTO footfall.feature_dims"
            " (fingerprint, event, surface, feature, action, status)"
            " VALUES (gen_random_uuid(), 'shop.order', 'web', 'order', 'success', 'ok') RETURNING id),"
            " counted AS (INSERT INTO footfall.feature_counts"
            " SELECT date_trunc('hour', now()), id, 7 FROM d)"
            " INSERT INTO footfall.feature_counts_stale VALUES ((now() AT TIME ZONE 'UTC')::date)"
        )
    return store_database


def test_a_store_moves_into_an_embedded_one(
    invoke, filled, tmp_path, postgres_directory, monkeypatch
):
    done = invoke("backup", "store.backup", FOOTFALL_DSN=filled)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("store.backup: 0.")
    assert done.output.endswith(", without salts\n")
    assert stat.S_IMODE((tmp_path / "store.backup").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["store.backup"]
    monkeypatch.delenv("FOOTFALL_DSN")
    done = invoke("restore", "store.backup", FOOTFALL_HOME=str(postgres_directory))
    assert done.exit_code == 0, done.output
    assert done.output.startswith("restored: 7 occurrences, up to commit 0, schema ")
    rows = json.loads(invoke("report", "usage", "--json").output)["rows"]
    assert [(row["event"], row["count"]) for row in rows] == [("shop.order", 7)]


def test_what_cannot_be_done_is_said_in_a_line_and_changes_nothing(
    invoke, filled, empty_database, tmp_path
):
    said = {
        "there is no database yet": invoke("backup", "new", FOOTFALL_HOME=str(tmp_path / "home")),
        "nothing of Footfall yet": invoke("backup", "new", FOOTFALL_DSN=empty_database),
        "No such file": invoke("backup", "no/new", FOOTFALL_DSN=filled),
        "missing: No such file": invoke("restore", "missing", FOOTFALL_DSN=empty_database),
    }
    invoke("backup", "new", FOOTFALL_DSN=filled)
    said["a restore overwrites nothing"] = invoke("restore", "new")
    for words, done in said.items():
        assert done.exit_code == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    again = invoke("backup", "new")
    assert again.exit_code == 2
    assert "new is there already; name a new file" in again.stderr
    (tmp_path / "text").write_text("-- SQL")
    done = invoke("restore", "text", FOOTFALL_DSN="", FOOTFALL_HOME=str(tmp_path / "home"))
    assert (done.exit_code, "text is no backup" in done.stderr) == (1, True)
    assert not (tmp_path / "home").exists()
