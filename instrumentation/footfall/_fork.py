"""What happens to clients when the process forks: gunicorn, uWSGI, multiprocessing.

A child has none of its parent's threads, and must send neither what waits in the parent nor the parent's
counts: they would be stored twice. It starts anew, as another instance, when it first uses telemetry.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from footfall._lifecycle import Lifecycle

_clients: "WeakSet[Lifecycle]" = WeakSet()


class Asleep:
    """Stands for a recorder in the child of a fork; whatever is asked of it first makes a real one."""

    def __init__(self, wake: Callable[[], Any]) -> None:
        self._wake = wake

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wake(), name)


def watch(client: "Lifecycle") -> None:
    """Tells a client when its process was forked."""
    _clients.add(client)


def at_end_of_worker(shutdown: Callable[[], Any]) -> None:
    """Flushes at the end of a `multiprocessing` worker, which runs no `atexit` functions."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, shutdown, exitpriority=0)


def _in_child() -> None:
    for client in list(_clients):
        client.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
