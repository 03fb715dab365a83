"""How the file of a decision is written: in one step, or else over what is there, by one at a time."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows: two programs that decide in the same moment are not kept apart
    fcntl = None  # type: ignore[assignment]

PATIENCE = 1.0
"""Seconds to wait for another process that is writing; afterwards the file is replaced all the same."""
_FOUND: Final = (
    os.O_WRONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
"""A file that is there, and no link or pipe in its place."""


def replace(path: Path, content: bytes, own: Callable[[int], None]) -> None:
    """Writes a file that only its owner may read, whole or not at all.

    Args:
        path: Of the file.
        content: All that it shall hold.
        own: Gives what was just made to its owner.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)  # whatever it is, and whoever left it there
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            own(file.fileno())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def overwrite(path: Path, content: bytes) -> None:
    """Writes over a file what is no longer than it, with spaces before the rest is cut off.

    That needs no room, and no right to its folder. Who reads it meanwhile may find something else than JSON,
    and counts that as no answer.

    Raises:
        OSError: there is no such file, or no room in it.
    """
    file = os.open(path, _FOUND)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if os.write(file, content.ljust(found.st_size)) < found.st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(file, len(content))  # another size is noticed, however soon
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps other processes from changing files of a folder inside the block, where that is possible.

    The folder itself is locked, so that no further file is left behind.
    """
    lock = -1
    try:
        with suppress(OSError):
            if fcntl is not None:
                lock = os.open(folder, os.O_RDONLY)
                _wait(lock)
        yield
    finally:
        if lock >= 0:
            os.close(lock)


def _wait(lock: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.01)
