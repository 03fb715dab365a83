"""Servers as they are out there: Debian's Postgres and its pgbouncer, started for a test."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from conftest import make_directory
from support.identity import run_as
from support.ports import free_port

BIN = Path("/usr/lib/postgresql/15/bin")
PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
needs_debian = pytest.mark.skipif(
    not (BIN / "postgres").exists(), reason="needs Debian's package postgresql-15"
)
needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="needs Debian's package pgbouncer")
USER = "postgres" if os.geteuid() == 0 else None
"""Neither of the two runs as root."""


class Cluster:
    """A server in a directory of its own, on a socket there.

    Attributes:
        dsn: Of its database `postgres`, as its superuser.
    """

    def __init__(self, *settings: str, programs: Path = BIN) -> None:
        self._programs = programs
        self.directory = make_directory()
        if USER:
            shutil.chown(self.directory, USER)
        self.dsn = f"host={self.directory} user=footfall dbname=postgres"
        self._settings = settings
        self._server: subprocess.Popen[bytes] | None = None

    def make(self, *options: str) -> None:
        """Makes an empty one."""
        self.run("initdb", "-D", "data", "-U", "footfall", "--no-sync", "--auth=trust", *options)

    def copy(self, primary: "Cluster") -> None:
        """Makes a standby of another, which is to follow it."""
        source = f"host={primary.directory} user=footfall application_name=standby"
        self.run("pg_basebackup", "-d", source, "-D", "data", "-R", "-X", "stream", "-c", "fast")

    def run(self, program: str, *arguments: str | Path) -> str:
        """What one of Postgres' programs prints."""
        done = subprocess.run(
            run_as(USER, [self._programs / program, *arguments]), cwd=self.directory,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        command = [
            self._programs / "postgres",
            "-D",
            "data",
            "-k",
            self.directory,
            "-c",
            "listen_addresses=",
        ]
        command += [part for setting in self._settings for part in ("-c", setting)]
        with (self.directory / "log").open("a") as log:
            self._server = subprocess.Popen(
                run_as(USER, command), cwd=self.directory, stdout=log, stderr=log
            )
        until_it_answers(self.dsn)

    def stop(self, mode: str = "fast") -> None:
        if self._server is not None and self._server.poll() is None:
            self.run("pg_ctl", "-D", "data", "-m", mode, "stop")
            self._server.wait(30)

    def end(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.directory)

    def sql(self, statement: str, dbname: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn, dbname=dbname, autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []


@contextmanager
def cluster(*settings: str, options: tuple[str, ...] = ()) -> Iterator[Cluster]:
    """A running server."""
    found = Cluster(*settings)
    try:
        found.make(*options)
        found.start()
        yield found
    finally:
        found.end()


@contextmanager
def pooler(server: Cluster, mode: str) -> Iterator[str]:
    """A pgbouncer before a server that drops startup options; its connection string, without a database."""
    directory, port = make_directory(), free_port()
    (directory / "users").write_text('"footfall" ""\n')
    (directory / "ini").write_text(
        f"[databases]\n* = host={server.directory} user=footfall\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = any\nauth_file = {directory}/users\npool_mode = {mode}\n"
        "ignore_startup_parameters = extra_float_digits, options\nunix_socket_dir =\n"
    )
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            run_as(USER, [str(PGBOUNCER), directory / "ini"]), stdout=log, stderr=log
        )
    try:
        until_it_answers(f"host=127.0.0.1 port={port} user=footfall dbname=postgres")
        yield f"host=127.0.0.1 port={port} user=footfall"
    finally:
        process.kill()
        process.wait()
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
