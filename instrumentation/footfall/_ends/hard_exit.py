"""`os._exit()`, by which most forked processes end: what waits is sent before it acts.

It runs nothing: neither `atexit` functions nor, in workers of Celery and RQ, anything of their own. There is
no hook for it, and a process does not know whether it was forked before it imported Footfall, as in RQ.
So while a client is on, another function stands in its place, which flushes first.
"""

import functools
import os
from typing import NoReturn

from footfall._ends import sigterm

_MARK = "_footfall"


def hook() -> None:
    """Puts ours in its place."""
    leave = os._exit
    if hasattr(leave, _MARK):
        return

    @functools.wraps(leave)
    def _exit(status: int) -> NoReturn:
        try:
            sigterm.flush(sigterm.TIMEOUT)
        finally:
            leave(status)

    setattr(_exit, _MARK, True)
    os._exit = _exit


def unhook() -> None:
    """Puts back what was there, unless the host has put something before it."""
    if hasattr(os._exit, _MARK):
        os._exit = os._exit.__wrapped__  # type: ignore[attr-defined]
