"""Random secrets that processes of one machine share, each in a file of its own."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

BYTES = 32


def read(path: Path) -> bytes:
    """The secret in a file, which is made when it is missing, for its owner alone.

    Raises:
        OSError: it can be neither read nor made.
    """
    if not path.exists():
        _make(path)
    return path.read_bytes()


def _make(path: Path) -> None:
    """Whole or not at all: the file has its name only once it is on the disk."""
    made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(BYTES))
        os.fsync(descriptor)
        with suppress(FileExistsError):  # another process was faster
            os.link(made, path)
    finally:
        os.close(descriptor)
        made.unlink()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
