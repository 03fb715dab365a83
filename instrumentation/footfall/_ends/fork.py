"""What happens to clients when the process forks: gunicorn, uWSGI, multiprocessing, Celery, RQ.

A child has none of its parent's threads, and must send neither what waits in the parent nor the parent's
counts: they would be stored twice. It starts anew, as another instance, when it first uses telemetry.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast
from weakref import WeakSet

from footfall._guard import StaysOff

if TYPE_CHECKING:
    from footfall._client import Client
    from footfall._recording.recorder import Recorder


class Forked(Protocol):
    """What has to know that its process was forked."""

    def forked(self) -> None: ...


_watched: WeakSet[Forked] = WeakSet()


class Asleep:
    """Stands for a recorder in the child of a fork; whatever is asked of it first makes a real one."""

    def __init__(self, wake: Callable[[], Any]) -> None:
        self._wake = wake

    def __getattr__(self, name: str) -> Any:
        recorder = self._wake()
        if recorder is None:
            raise StaysOff
        return getattr(recorder, name)


class Untold:
    """Stands for a recorder in uWSGI's master, which forks without telling Python; each use asks where it is.

    Args:
        client: Whose recorder it is.
        recorder: That recorder.
    """

    def __init__(self, client: "Client", recorder: "Recorder") -> None:
        self._client = client
        self._recorder = recorder
        self._process = os.getpid()

    def __getattr__(self, name: str) -> Any:
        if os.getpid() != self._process:
            if self._present() is self:
                _in_child()
            if (recorder := self._present()) is None:
                raise StaysOff
            return getattr(recorder, name)
        if not _is_master():  # it serves by itself
            self._client.recorder = self._recorder
        return getattr(self._recorder, name)

    def _present(self) -> object:
        return self._client.recorder


def told(client: "Client", recorder: "Recorder") -> "Recorder":
    """What a client is to use as its recorder, so that it will know when its process was forked."""
    return cast("Recorder", Untold(client, recorder)) if _is_master() else recorder


def _is_master() -> bool:
    uwsgi = sys.modules.get("uwsgi")
    return uwsgi is not None and uwsgi.worker_id() == 0


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
