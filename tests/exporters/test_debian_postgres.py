"""The store on Debian's PostgreSQL 15, the oldest that is supported, where it is installed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from conftest import make_directory

BIN = Path("/usr/lib/postgresql/15/bin")
ROOM = Path(__file__).parent
TESTS = [
    "test_copy.py",
    "test_writer.py",
    "test_counters.py",
    "test_keeping.py",
    "test_salts.py",
    "test_schema.py",
    "test_reporting.py",
    "test_roles.py",
]
pytestmark = pytest.mark.skipif(
    not (BIN / "postgres").exists(), reason="needs Debian's package postgresql-15"
)


@pytest.fixture
def debian_server() -> Iterator[str]:
    """The connection string of a server of that version, with its own defaults."""
    directory = make_directory()
    data, user = directory / "data", "postgres" if os.geteuid() == 0 else None
    data.mkdir()
    if user:
        shutil.chown(data, user)
        shutil.chown(directory, user)
    made = [BIN / "initdb", "-D", data, "-U", "footfall", "--no-sync", "--auth", "trust"]
    subprocess.run(made, user=user, cwd=directory, check=True, capture_output=True)
    command = [BIN / "postgres", "-D", data, "-k", directory, "-c", "listen_addresses=", "-F"]
    with (directory / "log").open("w") as log:
        server = subprocess.Popen(command, user=user, cwd=directory, stdout=log, stderr=log)
    conninfo = f"host={directory} user=footfall dbname=postgres"
    try:
        until_it_answers(conninfo)
        yield conninfo
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(directory)


def until_it_answers(conninfo: str) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(conninfo).close()
        except psycopg.OperationalError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return


@pytest.mark.timeout(600)
def test_the_store_works_on_debians_postgres(debian_server: str) -> None:
    with psycopg.connect(debian_server) as connection:
        assert connection.info.server_version // 10000 == 15
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         *(str(ROOM / name) for name in TESTS)],
        cwd=ROOM.parents[1],
        env={**os.environ, "FOOTFALL_TEST_DSN": debian_server},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
