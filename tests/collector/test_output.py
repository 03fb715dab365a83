"""What a command prints where nothing can be written: one line, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from click import ClickException
from psycopg import sql

from conftest import CATALOG
from footfall_collector.errors import failing_plainly

FOOTFALL = str(Path(sys.executable).with_name("footfall"))
FULL = "Error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    "command",
    [["--help"], ["report", "--help"], ["--version"], ["statement", "--catalog", str(CATALOG)]],
    ids=["help", "help of a command", "version", "long output"],
)
def test_a_full_disk_is_one_line(command):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [FOOTFALL, *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (done.stderr, done.returncode) == (FULL, 1)


@pytest.mark.parametrize("as_json", [True, False], ids=["JSON", "a table"])
def test_so_it_is_of_a_report(store_database, as_json):
    command = [FOOTFALL, "report", "usage", *(["--json"] if as_json else [])]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
            env=os.environ | {"FOOTFALL_DSN": store_database},
        )  # fmt: skip
    assert (done.stderr, done.returncode) == (FULL, 1)


@pytest.mark.parametrize("command", ["--version", "report usage", "report usage --json", "doctor"])
def test_a_closed_stream_is_no_failure(store_database, tmp_path, command):
    """As shells (`>&-`) and some supervisors start programs."""
    environment = os.environ | {"FOOTFALL_DSN": store_database, "FOOTFALL_CATALOG": str(CATALOG)}

    def run(end):
        line = f"{FOOTFALL} {command} {end}"
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60,
                              cwd=tmp_path, env=environment)  # fmt: skip

    opened = run("")
    for closed in (">&-", "2>&-", "<&-", "<&- >&- 2>&-"):
        done = run(closed)
        assert done.returncode == opened.returncode, closed
        assert "Traceback" not in done.stderr, closed
        if closed in ("2>&-", "<&-"):
            assert bool(done.stdout) == bool(opened.stdout), closed


def test_the_number_of_a_closed_stream_is_given_to_no_connection(tmp_path):
    code = (
        "import os, sys\nsys.argv = ['footfall', '--version']\nfrom footfall_collector.cli import main\n"
        "try:\n    main()\nfinally:\n    link = [os.readlink(f'/proc/self/fd/{n}') for n in range(3)]\n"
        "    open('found', 'w').write(repr(link))\n"
    )
    line = f'exec {sys.executable} -c "$0" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", line, code], cwd=tmp_path, timeout=60).returncode == 0
    assert (tmp_path / "found").read_text() == repr([os.devnull] * 3)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_what_an_encoding_does_not_have_is_a_question_mark(store_database, tmp_path, encoding):
    """A terminal or a pipe that is not UTF-8 has no arrow, no line and no Japanese."""

    def run(*words):
        environment = os.environ | {"FOOTFALL_DSN": store_database, "PYTHONIOENCODING": encoding,
                                    "COLUMNS": "20"}  # fmt: skip
        done = subprocess.run([FOOTFALL, *words], capture_output=True, timeout=60, env=environment)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
        return done.stdout.decode(encoding)

    run("annotate", "新しい")
    assert "???" in run("annotate", "--list")
    assert "???" in run("report", "annotations")
    keys = tmp_path / "keys.yaml"
    run("keys", "new", "shop", "--file", str(keys))
    assert "-" * 20 in run("keys", "list", "--file", str(keys)), "the lines between rows"


def test_nobody_who_reads_any_more_is_no_word_worth():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run(
            [FOOTFALL, "--help"], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (done.stderr, done.returncode) == ("", 1)


def test_too_many_columns_are_no_absence(store_database):
    columns = sql.SQL(", ").join(
        sql.SQL("ADD {} int").format(sql.Identifier(f"c{n}")) for n in range(1600)
    )
    adding = sql.SQL("ALTER TABLE footfall.feature_dims {}").format(columns)
    with (
        psycopg.connect(store_database) as connection,
        pytest.raises(ClickException) as caught,
        failing_plainly(),
    ):
        connection.execute(adding)
    assert caught.value.message == (
        "Postgres refused: tables can have at most 1600 columns."
        " Declare fewer attributes: each is a column."
    )
