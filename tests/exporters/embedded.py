"""An embedded Postgres under test: programs that own one, its processes, and what it says."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from footfall_exporters.embedded import EmbeddedPostgres, EmbeddedPostgresError
from support.waiting import wait_until

AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another user")
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")

START = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
import psycopg
from footfall_exporters.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
conninfo = server.start()
"""
OWN_UNTIL_TOLD = START + 'print("up", flush=True)\nsys.stdin.read()\nserver.stop()\n'
WRITE_FOR_EVER = (
    START
    + """
with psycopg.connect(conninfo, autocommit=True) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS numbers (n bigint)")
    n = connection.execute("SELECT coalesce(max(n), 0) FROM numbers").fetchone()[0]
    while True:
        n += 1
        connection.execute("INSERT INTO numbers VALUES (%s)", [n])
        print(n, flush=True)
"""
)


@contextmanager
def python(program: str, *arguments: object, **options: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs `program`; killed at the end if it still runs."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def execute(conninfo: str, statement: str, *, autocommit: bool = True) -> tuple | None:
    with psycopg.connect(conninfo, autocommit=autocommit) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def number_of_postmaster(directory: Path) -> int:
    return int((directory / "data" / "postmaster.pid").read_text().split("\n")[0])


def processes_of(directory: Path) -> list[int]:
    """The processes whose working directory is the cluster: every process of its server, and no other."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == directory / "data":
                found.append(int(entry.name))
        except OSError:
            continue  # it ended meanwhile, or is not ours to look into
    return found


def crash(directory: Path) -> None:
    """Kill the server as the kernel would for want of memory: it clears nothing away."""
    os.kill(number_of_postmaster(directory), signal.SIGKILL)
    wait_until(lambda: not processes_of(directory))


def answers(conninfo: str) -> bool:
    try:
        return execute(conninfo, "SELECT 1") == (1,)
    except psycopg.OperationalError:
        return False


def refusal(directory: Path) -> str:
    with pytest.raises(EmbeddedPostgresError) as caught:
        EmbeddedPostgres(directory).start()
    message = str(caught.value)
    assert "\n" not in message
    return message
