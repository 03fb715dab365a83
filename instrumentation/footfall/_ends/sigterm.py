"""SIGTERM, by which programs and servers are usually stopped: what waits is sent before it acts.

So it is before SIGHUP, where that would end the process because its terminal was closed: elsewhere it means
something else to the host, or it is ignored (`nohup`), and nothing is hooked.

Python itself ends at once then, and runs no `atexit` function; uvicorn ends in order, and then raises the
signal again. The hook flushes, then does what would have happened without it: the host's own handler is
called, or the process dies by the signal, with the same status. Where the signal is ignored, or is handled by
code that is not Python's (uWSGI, mod_wsgi), nothing is hooked.

The handler runs between any two instructions of the main thread, which may hold any lock. It therefore takes
none but reentrant ones and its own, and only waits, for so long, for the client's own thread.
"""

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol
from weakref import WeakSet

from footfall import _threads

TIMEOUT: Final = 2.0
"""Seconds that a process which is about to die may wait for the collector."""
BESIDE: Final = 0.5
"""The same where the host handles the signal itself: the main thread may have requests to finish."""

_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_LOOPS: Final = frozenset(
    f"{toolkit}.QtCore" for toolkit in ("PyQt5", "PyQt6", "PySide2", "PySide6")
) | {"tkinter", "uwsgi", "wx"}
"""Those whose loop runs no Python while nothing happens: a handler would keep the program from ending."""


Handler = Callable[[int, FrameType | None], Any] | int | None


class Ending(Protocol):
    """What has something to send before its process ends."""

    def finishing(self) -> _threads.Wait: ...

    def hurry(self) -> None: ...


_endings: WeakSet[Ending] = WeakSet()


class Hook:
    """Stands before the handler that it found.

    Args:
        before: That handler; anything that cannot be called means that the signal ends the process.
    """

    def __init__(self, before: Handler) -> None:
        self.before = before
        self._asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Sends what waits, then lets happen what would have happened."""
        if callable(self.before):
            flush(BESIDE)
            for each in list(_endings):
                each.hurry()  # what the host still does before it ends
            self.before(number, frame)
        else:
            if not self._asked:  # whoever asks twice does not want to wait
                self._asked = True
                flush(TIMEOUT)
            self._die(number)

    def _die(self, number: int) -> None:
        with suppress(ValueError):  # the host called this in another thread
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            signal.signal(number, self)  # the first process of a container lives on
            self._asked = False


def flush(timeout: float) -> None:
    """Sends what waits in all clients, at the same time: none waits for the collector of another.

    Args:
        timeout: Seconds that it may take.
    """
    _threads.wait_for([each.finishing() for each in list(_endings)], timeout)


def hook(ending: Ending) -> None:
    """Has it flushed at these signals, where a hook can be and does no harm."""
    _endings.add(ending)
    if threading.current_thread() is not threading.main_thread() or not _LOOPS.isdisjoint(
        sys.modules
    ):
        return
    for number in _SIGNALS:
        before = signal.getsignal(number)
        if _ends(number, before):
            with suppress(ValueError):  # another interpreter than the main one
                signal.signal(number, Hook(before))


def unhook(ending: Ending) -> bool:
    """Flushes it no more; with the last one goes the hook, unless the host has put something before it.

    Returns:
        Whether there are others.
    """
    _endings.discard(ending)
    for number in () if _endings else _SIGNALS:
        now = signal.getsignal(number)
        if isinstance(now, Hook):
            with suppress(ValueError):  # not the main thread
                signal.signal(number, now.before)
    return bool(_endings)


def _ends(number: int, handler: Handler) -> bool:
    """Whether the signal ends the process, and nobody of ours stands before its handler."""
    if handler is signal.SIG_DFL:
        return not _caught(number)
    return number == signal.SIGTERM and callable(handler) and not isinstance(handler, Hook)


def _caught(number: int) -> bool:
    """Whether the process has a handler that Python does not know of; only Linux says so."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    mask = int(status.partition("SigCgt:")[2].split(maxsplit=1)[0], 16)
    return bool(mask & 1 << number - 1)
