"""A folder that is replaced as a whole: whenever we are killed, the former site is there or the new one."""

import ctypes
import errno
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from footfall_collector.site.data import GENERATOR
from footfall_processors import OperatorError

MANIFEST = "published.json"
"""Says which files the site has."""
_HERE, _EXCHANGE = -100, 2
"""AT_FDCWD; RENAME_EXCHANGE of Linux, and RENAME_SWAP of macOS."""
_SHOWN = 3


class NotOurs(OperatorError):
    """A folder is not written, for what is in it or because it cannot be."""


def put(place: Path, files: Mapping[str, bytes]) -> None:
    """Makes these files, and no others, the content of a folder.

    Args:
        place: A folder of its own: new, empty, or written so before. Where it is a link, what that leads to.
        files: By their paths in it.

    Raises:
        NotOurs: it holds something else, is no folder, or nothing is there to put it into.
        OSError: it cannot be written; the former content is whole.
    """
    place = place.resolve()
    if not place.name:
        raise NotOurs(f"{place} is no folder of a site", "name an empty or a new folder")
    if not place.parent.is_dir():
        raise NotOurs(f"there is no folder {place.parent}", "make it first")
    if not place.exists() and _aside(place).is_dir():
        _aside(place).rename(place)  # of one that was killed at the one moment at which that can be
    _look(place)
    made = place.with_name(f".{place.name}.footfall-publish")
    with _alone(place.parent):
        shutil.rmtree(made, ignore_errors=True)  # of one that was killed
        try:
            _fill(made, files)
            if place.is_dir():
                made.chmod(place.stat().st_mode & 0o7777)
                exchange(made, place)
            else:
                made.rename(place)
            _settle(place.parent)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _look(place: Path) -> None:
    """Refuses a folder with something in it that no site has."""
    if place.exists() and not place.is_dir():
        raise NotOurs(f"{place} is a file", "name a folder")
    written = _written(place)
    # No more of them than are told: a home directory has very many.
    strange = list(islice((path for path in _inside(place) if path not in written), _SHOWN + 1))
    if strange:
        told = ", ".join([*sorted(strange[:_SHOWN]), *["..."][: len(strange) - _SHOWN]])
        raise NotOurs(
            f"{place} holds what `footfall publish` did not write: {told}",
            "name an empty or a new folder",
        )


def _inside(place: Path) -> Iterator[str]:
    """The files of a folder, and its folders that have none."""
    for path in place.rglob("*"):
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
            yield path.relative_to(place).as_posix()


def _written(place: Path) -> list[str]:
    """What its manifest says; nothing where that is not ours."""
    try:
        said = json.loads((place / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return []
    ours = isinstance(said, dict) and said.get("generator") == GENERATOR
    files = said.get("files") if ours else None
    return files if isinstance(files, list) else []


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Whoever else publishes into it waits."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _fill(made: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for folder in {made, *(path.parent for path in map(made.joinpath, files))}:
        _settle(folder)


def _settle(folder: Path) -> None:
    """Has the disk know the names in a folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.footfall-former")


def exchange(one: Path, other: Path) -> None:
    """Has two folders change their names, in one step where system and file system can.

    Raises:
        OSError: they cannot be renamed, as where one is a mount.
    """
    names = [ctypes.c_char_p(os.fsencode(path)) for path in (one, other)]
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        failed = library.renamex_np(*names, _EXCHANGE)
    elif hasattr(library, "renameat2"):
        failed = library.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE)
    else:
        failed = ctypes.set_errno(errno.ENOSYS) or 1
    number = ctypes.get_errno()
    if not failed:
        return
    if number not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(number, os.strerror(number), str(other))
    aside = _aside(other)
    other.rename(aside)  # for an instant nothing is there
    one.rename(other)
    aside.rename(one)
