"""Changing a keys file, so that a reader finds the old one or the new one, whole."""

import datetime as dt
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from footfall_collector.security import keys

_HEADER = (
    "# Written by `footfall keys`, which keeps no comments. A collector reads it again on SIGHUP.\n"
)


@contextmanager
def changing(path: str | Path) -> Iterator[dict[str, keys.KeyEntry]]:
    """The entries of a keys file, empty when there is none; what was changed is written at the end.

    Two that change one file wait for each other.

    Raises:
        DocumentError: the file has mistakes; it stays as it is.
        OSError: it cannot be written; it stays as it is.
    """
    file = Path(os.path.realpath(path))  # a link stays one
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        entries = keys.read(file) if file.exists() else {}
        before = dict(entries)
        yield entries
        if entries != before:
            _replace(file, _text(entries))
            os.fsync(folder)
    finally:
        os.close(folder)


def _text(entries: dict[str, keys.KeyEntry]) -> str:
    plain = {name: _plain(entry) for name, entry in entries.items()}
    return _HEADER + yaml.safe_dump({"keys": plain}, sort_keys=False, width=1000)


def _plain(entry: keys.KeyEntry) -> dict[str, Any]:
    """What differs from the defaults; dates as YAML writes them."""
    default = keys.KeyEntry(hash="", created=dt.date.min)
    values = {name: getattr(entry, name) for name in entry.__struct_fields__}
    kept = {name: v for name, v in values.items() if v != getattr(default, name)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in kept.items()}


def _replace(file: Path, text: str) -> None:
    """Writes beside the file, durably, and renames; only its owner may read it (mode 0600)."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as writing:
            if file.exists():
                owner = file.stat()
                if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
            writing.write(text)
            writing.flush()
            os.fsync(descriptor)
        os.replace(name, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
