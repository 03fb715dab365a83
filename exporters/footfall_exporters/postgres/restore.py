"""A database made of a backup: all of it or nothing, in any supported version of Postgres.

The file is read to its end before anything is made. pg_restore writes SQL and psql runs it, in one
transaction. Objects belong to whoever restores; what each role may do is granted anew, as at every start.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from footfall_exporters.postgres import locks, roles
from footfall_exporters.postgres.backup import BackupError, Progress, missing, said
from footfall_exporters.postgres.confinement import confine
from footfall_exporters.postgres.connecting import SCHEMA, connect_sync
from footfall_exporters.postgres.migrate import HEAD, NewerSchema, migrate, missing_right
from footfall_exporters.postgres.programs import Program, newest, reaching
from footfall_exporters.postgres.views import create_views

_MAGIC = b"PGDMP"
_SECRETS = (" TABLE DATA footfall salts ", " TABLE DATA footfall page_keys ")
_UNKNOWN = b"\nSET transaction_timeout = 0;\n"
"""What a newer pg_restore tells every session, and a server before Postgres 17 does not know."""
_OPTIONS = re.compile(rb"(?m)^ALTER TABLE ONLY \S+ ALTER COLUMN .* SET \(.*\);\n")
"""Options of single columns: Footfall sets none, and some builds of Postgres have ones of their own."""
_CHUNK = 2**20
_HOLDS = """
    SELECT coalesce(sum(count), 0)::bigint, (SELECT position FROM footfall.commit_clock)
    FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
    WHERE d.surface <> 'footfall'
"""


@dataclass(frozen=True, slots=True)
class Backup:
    """A file that was looked through.

    Attributes:
        path: Where it is.
        entries: Its table of contents, a line each, without salts.
        size: Of what is in it, as SQL, in bytes.
        program: What can read it.
    """

    path: Path
    entries: tuple[str, ...]
    size: int
    program: Program


@dataclass(frozen=True, slots=True)
class Restored:
    """What a database holds that was made of a backup.

    Attributes:
        occurrences: How many are counted.
        position: Of its last commit.
        schema: The revision that it was brought to.
    """

    occurrences: int
    position: int
    schema: str


def examine(path: Path) -> Backup:
    """Reads a backup from its beginning to its end.

    Raises:
        BackupError: it is none, or is damaged, or nothing here can read it.
        NewerSchema: it was made by a newer Footfall.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise BackupError(f"{path} is no backup", "name a file that `footfall backup` has made")
    program = newest("pg_restore") or missing("pg_restore")
    listed = b"".join(_read(program, path, "--list")).decode(errors="replace").splitlines()
    entries = [line for line in listed if line[:1] not in ("", ";")]
    if not any(" TABLE footfall alembic_version " in entry for entry in entries):
        raise BackupError(f"{path} is a dump, and not of Footfall")
    only = "--data-only", "--schema=footfall", "--table=alembic_version", "--file=-"
    version = re.search(rb"(?m)^COPY .*\n(\d+)$", b"".join(_read(program, path, *only)))
    schema = version[1].decode() if version else ""
    if schema > HEAD:
        raise NewerSchema(
            f"the backup has schema {schema}, and this Footfall knows up to {HEAD}",
            "update Footfall",
        )
    size = sum(map(len, _read(program, path, "--file=-")))
    kept = tuple(e for e in entries if not any(each in e for each in _SECRETS))
    return Backup(path, kept, size, program)


def restore(
    dsn: str, backup: Backup, event_time: str = "second", progress: Progress = lambda _, __: None
) -> Restored:
    """Makes the database that a backup is of.

    Args:
        dsn: Of the owner of a database without anything of Footfall.
        backup: Examined.
        event_time: See `create_views`.
        progress: Is told how much of it is done, and of how much.

    Raises:
        BackupError: the database holds something already, or it failed; nothing is changed then.
        Unsuitable: the role lacks a right.
        psycopg.Error: Postgres refused.
    """
    with connect_sync(dsn, SCHEMA) as connection:
        _refuse_what_is_there(connection)
        if refused := missing_right(connection):
            raise refused
        roles.make(connection)
    with tempfile.NamedTemporaryFile("w", prefix="footfall-restore-") as listed:
        listed.write("".join(f"{entry}\n" for entry in backup.entries))
        listed.flush()
        _run(dsn, _told(_sections(backup, f"--use-list={listed.name}"), backup.size, progress))
    _, schema = migrate(dsn)
    return _finished(dsn, schema, event_time)


def _read(program: Program, path: Path, *options: str) -> Iterator[bytes]:
    """What pg_restore makes of a file, in pieces.

    Raises:
        BackupError: it cannot read it.
    """
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            [program.path, *options, path], stdout=subprocess.PIPE, stderr=complaints
        ) as process,
    ):
        try:
            while process.stdout and (piece := process.stdout.read(_CHUNK)):
                yield piece
        except BaseException:
            process.terminate()
            raise
        if process.wait():
            why = f"cannot be read by the pg_restore of Postgres {program.major}"
            raise BackupError(f"{path} {why}: {said(complaints)}")


def _sections(backup: Backup, entries: str) -> Iterator[bytes]:
    """The SQL of a backup, without what servers of another version or build do not know."""
    for section in ("pre-data", "data", "post-data"):
        options = f"--section={section}", entries, "--no-owner", "--no-privileges", "--file=-"
        pieces = _read(backup.program, backup.path, *options)
        if section != "data":  # which is long, and may say anything
            pieces = iter([_OPTIONS.sub(b"", b"".join(pieces))])
        yield next(pieces).replace(_UNKNOWN, b"\n", 1)
        yield from pieces


def _told(pieces: Iterable[bytes], size: int, progress: Progress) -> Iterator[bytes]:
    """One transaction of them; that it gets on is told."""
    done = 0
    yield b"BEGIN;\n"
    for piece in pieces:
        yield piece
        done += len(piece)
        progress(done, max(size, done))
    yield b"COMMIT;\n"  # without it, whoever ends before leaves nothing


def _run(dsn: str, statements: Iterable[bytes]) -> None:
    """Has psql run them.

    Raises:
        BackupError: Postgres refuses one.
    """
    psql = newest("psql") or missing("psql")
    target, environment = reaching(dsn, application_name="footfall restore")
    command = [
        *(str(psql.path), f"--dbname={target}", "--no-psqlrc", "--no-password", "--quiet"),
        *("--set=ON_ERROR_STOP=1", "--file=-"),
    ]
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command,
            env=environment | {"LC_ALL": "C"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
        ) as process,
    ):
        try:
            for piece in statements:
                if process.stdin:
                    process.stdin.write(piece)
            process.communicate()
        except BrokenPipeError:  # it has ended, and says why
            process.wait()
        except BaseException:
            process.kill()
            raise
        if process.returncode:
            raise BackupError(f"nothing was restored: {said(complaints)}")


def _finished(dsn: str, schema: str, event_time: str) -> Restored:
    """Grants what a start would; what the database holds then."""
    with connect_sync(dsn, SCHEMA) as connection:
        with connection.transaction():
            connection.execute(locks.taking(locks.SCHEMA))
            create_views(connection, event_time)
        roles.grant_writer(connection)
        confine(connection)
        occurrences, position = connection.execute(_HOLDS).fetchone() or (0, 0)
    return Restored(occurrences, position, schema)


def _refuse_what_is_there(connection: psycopg.Connection) -> None:
    found = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace IN"
        " (to_regnamespace('footfall'), to_regnamespace('reporting')))"
    ).fetchone()
    if found == (True,):
        raise BackupError(
            "this database holds something of Footfall already, and a restore overwrites nothing",
            "restore into a new database, or move the old one away",
        )
