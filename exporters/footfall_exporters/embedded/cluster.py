"""The data: made once, kept between runs, refused when another version made it."""

import os
import secrets
import shutil

from footfall_exporters.embedded.binaries import Binaries
from footfall_exporters.embedded.errors import EmbeddedPostgresError, advice
from footfall_exporters.embedded.identity import Identity
from footfall_exporters.embedded.layout import Layout
from footfall_exporters.embedded.process import Child

ROLE = "footfall"
_CLUSTER_MIB = 64
"""What a new one takes on the disk, and a little more."""
_INITDB_OPTIONS = (
    f"--username={ROLE}",
    "--auth=scram-sha-256",
    "--data-checksums",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
    # Stretching defends a password that can be guessed; ours is 256 random bits. It costs 8 ms a login.
    "--set=scram_iterations=1",
)


def ensure_cluster(layout: Layout, identity: Identity, binaries: Binaries, lock: int) -> None:
    """Make the cluster when there is none; the caller holds the lock.

    Raises:
        EmbeddedPostgresError: initdb failed, another major version made the data, or its password is gone.
        OSError: Something in the directory could not be read or written.
    """
    if not layout.data.exists():
        _make_cluster(layout, identity, binaries, lock)
    version = version_of(layout)
    if version != binaries.major_version:
        raise EmbeddedPostgresError(
            f"the data in {layout.data} was made by Postgres {version}, installed is Postgres"
            f" {binaries.major_version}",
            f"run `footfall backup old.backup`, move {layout.directory} away, then run"
            " `footfall restore old.backup`",
        )
    if not layout.password.exists():
        raise EmbeddedPostgresError(
            f"the password of the data in {layout.data} is gone",
            f"restore {layout.password}, or move {layout.directory} away",
        )


def version_of(layout: Layout) -> str:
    """The major version of Postgres that made the data.

    Raises:
        OSError: There is none.
    """
    return (layout.data / "PG_VERSION").read_text(encoding="ascii").strip()


def former_server(layout: Layout) -> dict[str, str]:
    """Return the environment that makes Postgres overlook a lock file which a killed server left behind.

    The caller holds the lock, so that server is gone, and its process id may by now be an unrelated
    process's, at which Postgres would refuse to start. PG_GRANDPARENT_PID (made for pg_ctl) names one id to
    overlook. Postgres still refuses when a server that was started without us uses the shared memory named
    in the file.
    """
    lock_file = layout.data / "postmaster.pid"
    try:
        former = lock_file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return {}
    if not former.isdecimal():  # the disk was full, or the power failed: Postgres would refuse it
        lock_file.unlink()
        return {}
    return {"PG_GRANDPARENT_PID": former}


def complaint(output: str) -> str:
    """Return the line of a program's output that says why it ended."""
    # A connection that is refused for the time being is logged as FATAL too.
    lines = [line for line in output.splitlines() if line and "the database system is" not in line]
    for line in reversed(lines):
        for mark in ("PANIC:", "FATAL:", "error:"):
            if mark in line:
                return line.partition(mark)[2].strip()
    return lines[-1].strip() if lines else "it gave no reason"


def _make_cluster(layout: Layout, identity: Identity, binaries: Binaries, lock: int) -> None:
    """Run initdb beside the final place, then rename: no half-made cluster is ever taken for a whole one."""
    shutil.rmtree(layout.unfinished_data, ignore_errors=True)
    identity.make_directory(layout.unfinished_data)
    _write_password(layout, identity)
    _run_initdb(layout, identity, binaries, lock)
    layout.unfinished_data.rename(layout.data)
    _sync_directory(layout)


def _write_password(layout: Layout, identity: Identity) -> None:
    layout.password.unlink(missing_ok=True)
    with open(identity.open_file(layout.password, os.O_WRONLY | os.O_EXCL), "w") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())


def _run_initdb(layout: Layout, identity: Identity, binaries: Binaries, lock: int) -> None:
    places = (f"--pgdata={layout.unfinished_data}", f"--pwfile={layout.password}")
    command = [binaries.program("initdb"), *_INITDB_OPTIONS, *places]
    # A pipe, not the log file: on a full disk the reason could not be written there.
    reading, writing = os.pipe()
    with open(reading, errors="replace") as pipe:
        try:
            initdb = Child(command, identity, output=writing, keep=[lock])
        finally:
            os.close(writing)
        output = pipe.read()
    if initdb.wait() != 0:
        reason = complaint(output)
        raise EmbeddedPostgresError(
            f"cannot make a Postgres cluster, {_CLUSTER_MIB} MiB, in {layout.directory}: {reason}",
            advice(reason),
        )


def _sync_directory(layout: Layout) -> None:
    """Make the rename durable: the first commit must not outlive the name of what it was written to."""
    descriptor = os.open(layout.directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
