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
