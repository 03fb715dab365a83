"""That a collector runs, seen by others on this machine: a lock that it holds, and how its reloads went.

The kernel says who holds the lock (fcntl(2), F_GETLK). No process id is written anywhere, so none can have
become that of another process.
"""

import fcntl
import hashlib
import json
import logging
import os
import signal
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from footfall_exporters.embedded import default_directory

log = logging.getLogger("footfall.collector")
_FLOCK = "hhqqi4x" if sys.platform == "linux" else "qqihh"  # fcntl.h, struct flock
_TYPE, _PID = (0, 4) if sys.platform == "linux" else (3, 2)


def place_of(config: str | None, catalogs: Sequence[str]) -> Path:
    """The lock of the collector that runs with a configuration, or without one with these catalogs."""
    files = [config] if config else catalogs
    known = "\0".join(str(Path(file).resolve()) for file in files)
    name = hashlib.sha256(known.encode()).hexdigest()[:16]
    return default_directory().parent / "collectors" / f"{name}.lock"


class Presence:
    """The lock of a collector, held until its process ends.

    Args:
        place: From `place_of`.
        workers: How many processes the collector has.
    """

    def __init__(self, place: Path, workers: int) -> None:
        self._place, self._workers = place, workers
        self._held: int | None = None

    def begin(self) -> None:
        """Takes it, once what else the collector needs is there; without it the collector runs as well."""
        try:
            _make(self._place.parent)
            self._held = os.open(self._place, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.lockf(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(self._held, 0)
            os.pwrite(self._held, str(self._workers).encode(), 0)
        except BlockingIOError:
            log.warning(
                "another collector runs with this configuration: `footfall reload` and `stop` reach that one"
            )
        except OSError as error:
            found = f"{self._place.parent}: {error.strerror}"
            log.warning("`footfall reload` and `stop` will not find this collector: %s", found)


def note_reload(place: Path, worker: int, begun: int, *, taken: bool) -> None:
    """A process of the collector has reloaded.

    Args:
        place: From `place_of`.
        worker: Its number, from 0.
        begun: When it began, as `time.monotonic_ns` says, which is one clock for all processes.
        taken: Whether all is in force.
    """
    with suppress(OSError):  # whoever asks is told that there was no answer
        new = place.with_suffix(f".new-{worker}")
        new.write_text(json.dumps({"begun": begun, "taken": taken}))
        new.replace(_outcome(place, worker))


def holder(place: Path) -> int | None:
    """The process id of the collector; None when none runs, 0 when it runs in another container.

    Raises:
        OSError: it is another user's.
    """
    try:
        file = os.open(place, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        asked = [0] * 5
        asked[_TYPE] = fcntl.F_WRLCK
        answer = struct.unpack(
            _FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(_FLOCK, *asked))
        )
    finally:
        os.close(file)
    return None if answer[_TYPE] == fcntl.F_UNLCK else max(answer[_PID], 0)


def tell(place: Path, pid: int, number: signal.Signals) -> bool:
    """Sends a signal to the collector; False when it has ended meanwhile.

    Args:
        place: Whose holder `pid` was: it is asked again once the process cannot become another one.
        pid: From `holder`.
        number: The signal.

    Raises:
        OSError: it is another user's.
    """
    try:
        process = os.pidfd_open(pid) if sys.platform == "linux" else None
    except ProcessLookupError:
        return False
    try:
        if holder(place) != pid:
            return False
        if process is None:
            os.kill(pid, number)
        elif sys.platform == "linux":
            signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return False
    finally:
        if process is not None:
            os.close(process)
    return True


def reloaded(place: Path, since: int) -> bool | None:
    """Whether every process took everything in a reload that began since; None while that is not known."""
    try:
        workers = int(place.read_text())
        said = [json.loads(_outcome(place, n).read_text()) for n in range(workers)]
    except (OSError, ValueError):
        return None
    if any(each["begun"] < since for each in said):
        return None
    return all(each["taken"] for each in said)


def wait_for_end(place: Path, pid: int, seconds: float) -> bool:
    """Whether a collector ends within so many seconds."""
    end = time.monotonic() + seconds
    while holder(place) == pid:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _outcome(place: Path, worker: int) -> Path:
    return place.with_suffix(f".reload-{worker}")


def _make(folder: Path) -> None:
    """Its parent is entered by the embedded server's user as well, where root runs it."""
    folder.parent.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
