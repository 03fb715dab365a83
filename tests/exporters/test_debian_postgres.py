"""The store on Debian's PostgreSQL 15, the oldest that is supported, where it is installed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from exporters.servers import cluster, needs_debian

ROOM = Path(__file__).parent
# Those that use what versions of Postgres have differently; with the others it would take twice the time.
# What starts a server of its own is left out: it would not be Debian's.
TESTS = [
    "test_connecting.py",
    "test_copy.py",
    "test_counters.py",
    "test_keeping.py",
    "test_rates.py",
    "test_salts.py",
    "test_schema.py",
    "test_roles.py",
]
pytestmark = needs_debian


@pytest.fixture
def debian_server() -> Iterator[str]:
    """The connection string of a server of that version, with its own defaults."""
    with cluster("fsync=off") as server:
        yield server.dsn


@pytest.mark.timeout(600)
def test_the_store_works_on_debians_postgres(debian_server: str) -> None:
    with psycopg.connect(debian_server) as connection:
        assert connection.info.server_version // 10000 == 15
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not own_server",
         *(str(ROOM / name) for name in TESTS)],
        cwd=ROOM.parents[1],
        env={**os.environ, "FOOTFALL_TEST_DSN": debian_server},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
