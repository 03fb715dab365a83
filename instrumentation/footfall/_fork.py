"""What happens to clients when the process forks: gunicorn, uWSGI, multiprocessing.

A child has none of its parent's threads, and must send neither what waits in the parent nor the parent's
counts: they would be stored twice. It starts anew, as another instance, when it first uses telemetry.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakSet


class Forked(Protocol):
    """What has to know that its process was forked."""

    def forked(self) -> None: ...


_watched: WeakSet[Forked] = WeakSet()


class StaysOff(Exception):  # no error
    """Telemetry stays off in the child: its user has said no meanwhile, or it cannot start."""


class Asleep:
    """Stands for a recorder in the child of a fork; whatever is asked of it first makes a real one."""

    def __init__(self, wake: Callable[[], Any]) -> None:
        self._wake = wake

    def __getattr__(self, name: str) -> Any:
        recorder = self._wake()
        if recorder is None:
            raise StaysOff
        return getattr(recorder, name)


def watch(one: Forked) -> None:
    """Tells a client, or a part of it, when its process was forked."""
    _watched.add(one)


def at_end_of_worker(shutdown: Callable[[], Any]) -> None:
    """Flushes at the end of a `multiprocessing` worker, which runs no `atexit` functions."""
    process, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, shutdown, exitpriority=0)


def _in_child() -> None:
    for one in list(_watched):
        one.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
