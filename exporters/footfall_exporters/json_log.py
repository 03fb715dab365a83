"""The JSON log: an event a line, to a file or to standard output."""

import asyncio
import errno
import os
import select
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec

from footfall_exporters.contracts import Settings, Unavailable
from footfall_exporters.events import Events, encode, split
from footfall_processors import Batch

MOST, SIZE = 1_000, 1_000_000
"""Lines and bytes that are written, and synced, at a time."""
ATOMIC = select.PIPE_BUF
"""Bytes that a pipe takes without blocking once it is ready (POSIX, "write")."""
PATIENCE = 10.0
"""Seconds that whoever reads standard output may let a line wait."""
MODE = 0o640
STDOUT = 1


class JsonLogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`logs`: an event a line, as JSON.

    Attributes:
        path: A file, which is appended to and made when it is missing; standard output without.
        pseudonyms: Whether hashed attributes are written.
    """

    path: str | None = None
    pseudonyms: bool = False

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["JsonLog"]:
        """See `SubscriberConfig`."""
        log = JsonLog(self.path, Events(settings.catalog, self.pseudonyms))
        try:
            yield log
        finally:
            log.close()


class JsonLog:
    """A `Subscriber`; of requests that come at once, one is written after the other."""

    def __init__(self, path: str | None, events: Events) -> None:
        self._path = path
        self._events = events
        self._file: int | None = None
        self._torn = False
        self._lock = threading.Lock()

    def requests(self, batch: Batch) -> Iterator[bytes]:
        """Whole lines."""
        encoded = (encode(event.as_dict()) for event in self._events.of(batch))
        for part in split(encoded, MOST, SIZE):
            yield b"".join(bytes(line) + b"\n" for line in part)

    async def send(self, request: bytes) -> None:
        """Returns when the lines are on the disk, or in the pipe.

        Raises:
            Unavailable: they could not be written; a line that was begun is ended before the next one.
        """
        try:
            await asyncio.to_thread(self._write, request)
        except OSError as error:
            raise Unavailable(f"the log cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Closes the file, if one is open."""
        with self._lock:
            self._close()

    def _write(self, lines: bytes) -> None:
        with self._lock:
            file = STDOUT if self._path is None else self._opened(self._path)
            torn, self._torn = self._torn, True
            _write_all(file, b"\n" + lines if torn else lines)
            self._torn = False

    def _opened(self, path: str) -> int:
        """The file of that name: after a rotation, a new one."""
        if self._file is not None and not _is_at(self._file, path):
            self._close()
        if self._file is None:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
            self._torn = _is_torn(self._file)
            _sync_directory(path)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _write_all(file: int, data: bytes) -> None:
    """Writes everything, and returns when a regular file's disk has it."""
    regular = stat.S_ISREG(os.fstat(file).st_mode)
    left = memoryview(data)
    while left:
        if not regular:
            _await_reader(file)
        left = left[os.write(file, left if regular else left[:ATOMIC]) :]
    if regular:
        os.fsync(file)


def _await_reader(file: int) -> None:
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    if not poll.poll(PATIENCE * 1000):
        raise OSError(errno.EAGAIN, "nobody reads it")


def _is_at(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _is_torn(file: int) -> bool:
    """Whether the last line has no end: a crash or a full disk has cut its write short."""
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
        return False
    return os.pread(file, 1, found.st_size - 1) != b"\n"


def _sync_directory(path: str) -> None:
    """A new file's name is on the disk only when its directory is."""
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
