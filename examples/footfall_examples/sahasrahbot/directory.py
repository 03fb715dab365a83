"""The demo's own directory: made, marked and held; emptied at each start; never anyone else's."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

MARK: Final = ".footfall-demo"
_OTHER: Final = "choose another directory with --data"


class DirectoryError(Exception):
    """The directory cannot be used; the message is one line that says why and what to do."""


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Empties a directory and keeps other demos away while the context lasts; its files stay afterwards.

    Raises:
        DirectoryError: it is in use, holds something else, or cannot be written.
    """
    with ExitStack() as stack:
        try:
            _make(directory)
            _lock(directory / MARK, stack)
            if (server := directory / "postgres" / "lock").exists():
                _lock(server, stack)
            _empty(directory)
        except BlockingIOError:
            raise DirectoryError(
                f"{directory} is in use: end the other demo, or {_OTHER}"
            ) from None
        except OSError as error:
            where = error.filename or directory
            raise DirectoryError(f"cannot use {where}: {error.strerror}; {_OTHER}") from None
        yield


def _make(directory: Path) -> None:
    """Makes what is missing, so that another user, who runs Postgres for root, can pass through."""
    for path in reversed((directory, *directory.parents)):
        if not path.exists():
            path.mkdir(exist_ok=True)
            path.chmod(0o711)
    if any(directory.iterdir()) and not (directory / MARK).exists():
        raise DirectoryError(
            f"{directory} is not empty, and no demo made it; nothing was touched. Instead, {_OTHER}"
        )


def _lock(file: Path, stack: ExitStack) -> None:
    """Holds a file until the stack ends; BlockingIOError when another process does."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    stack.callback(os.close, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()
