"""Where several workers count together: a folder of memory-mapped files, one set for each worker.

prometheus_client has this as its multiprocess mode; it adds up the files of all workers at each scrape. Three
things are arranged around it:

- The files are in memory where the system has a place for that. On a disk, writing to a page that is being
  flushed would make the event loop wait.
- Their room is reserved. A sparse file on a full disk would kill the process that touches it (SIGBUS).
- They are named after the worker's number, not its process id: a worker that is started again goes on
  counting where the former one ended, and there are never more files than workers.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import values

MEMORY = Path("/dev/shm")  # noqa: S108  # what is made there is private, with a random name
PREFIX = "footfall-metrics-"
ROOM = 256 * 1024
"""Bytes reserved for each file; several times what all label sets together take."""
RESTARTS = "embedded_postgres_restarts"
"""Name of the file in which the parent of the workers says what it alone knows."""
GAUGES = ("livesum", "livemax", "livemin", "liveall", "livemostrecent")
KINDS = ("counter", "histogram", *(f"gauge_{over}" for over in GAUGES))
"""What prometheus_client calls its files."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A worker's place among those that count together.

    Attributes:
        directory: From `directory`, the same for all workers.
        worker: Its number, from 0; a worker that replaces another takes its number, once that has ended.
    """

    directory: Path
    worker: int


@contextmanager
def directory() -> Iterator[Path]:
    """For the parent of the workers: a folder of their own, removed at the end.

    What a parent that was killed has left behind is removed as well.
    """
    place = MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _sweep(place)
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    lock = os.open(path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def note_restarts(directory: Path, number: int) -> None:
    """For the parent of the workers: how often it started the embedded Postgres again."""
    new = directory / f"{RESTARTS}.new"
    new.write_text(str(number))
    new.replace(directory / RESTARTS)


def restarts(directory: Path) -> int:
    """What the parent has noted."""
    try:
        return int((directory / RESTARTS).read_text())
    except FileNotFoundError:
        return 0


def join(shared: Shared) -> None:
    """Lets this process count in `shared`; to be called before any metric is made.

    Raises:
        OSError: there is no room for the files.
    """
    for kind in KINDS:
        file = os.open(
            shared.directory / f"{kind}_{shared.worker}.db", os.O_CREAT | os.O_RDWR, 0o600
        )
        try:
            os.posix_fallocate(file, 0, ROOM)
        finally:
            os.close(file)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared.directory)
    values.ValueClass = values.MultiProcessValue(lambda: shared.worker)  # type: ignore[no-untyped-call]


def _sweep(place: Path) -> None:
    """Removes our folders that no living process has locked."""
    for path in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, locked, or just gone
            lock = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
            finally:
                os.close(lock)
