"""`os._exit()`, by which most forked processes end, and `os.execv()`: what waits is sent before they act.

They run nothing: neither `atexit` functions nor, in workers of Celery and RQ, anything of their own. There is
no hook for them, and a process does not know whether it was forked before it imported Footfall, as in RQ.
So while a client is on, other functions stand in their places, which flush first. All of `os.exec*()`, by
which bots and reloaders start themselves anew, call `os.execv()` or `os.execve()`.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, Final

from footfall._ends import sigterm
from footfall._guard import at_debug, guarded

Leave = Callable[..., Any]

_MARK: Final = "_footfall"


def hook() -> None:
    """Puts ours in their places."""
    for name, make in _MADE.items():
        leave = getattr(os, name)
        if not hasattr(leave, _MARK):
            ours = functools.wraps(leave)(make(leave))
            setattr(ours, _MARK, True)
            setattr(os, name, ours)


def unhook() -> None:
    """Puts back what was there, unless the host has put something before it."""
    for name in _MADE:
        ours = getattr(os, name)
        if hasattr(ours, _MARK):
            setattr(os, name, ours.__wrapped__)


def _exit(leave: Leave) -> Leave:
    def ours(status: int) -> None:
        try:
            sigterm.flush(sigterm.TIMEOUT)
        finally:
            leave(status)

    return ours


def _exec(leave: Leave) -> Leave:
    """What fails goes on as it was: `os.execvp()` tries each folder of PATH."""

    def ours(path: Any, *args: Any, **named: Any) -> None:
        with guarded(at_debug(f"os.{leave.__name__}()")):
            if os.path.exists(path):
                sigterm.flush(sigterm.TIMEOUT)
        leave(path, *args, **named)

    return ours


_MADE: Final = {"_exit": _exit, "execv": _exec, "execve": _exec}
