"""Threads of the operating system, also where gevent or eventlet put greenlets in their place.

What may block, on the network or on a file, runs on a thread that no greenlet of the host shares, so none has
to wait for it. Everything is looked up when it is used: a server that loads the application before it forks
patches Python after the import, and what was bound before that stops all greenlets when one waits for it.
"""

import _thread
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Final

LONGEST: Final = threading.TIMEOUT_MAX
"""Seconds that a thread can wait."""
PAUSE: Final = 0.05
"""Seconds, at most, between two looks of a greenlet that waits for a thread."""

Wait = Callable[[float], bool]
"""Waits so many seconds for what has begun; whether it has succeeded by then."""

_ENDING_IN_ORDER: Final = frozenset({"mod_wsgi", "uwsgi"})
"""Modules that these servers make in every interpreter."""
_ours: ContextVar[bool] = ContextVar("footfall_thread", default=False)


def start(target: Callable[[], object], name: str) -> Callable[[], None]:
    """Runs `target` on a new thread, which keeps no process from ending.

    Returns:
        What to call when the thread was told to end. In a sub-interpreter it waits until it has: Python
        aborts a process of which an interpreter ends before its threads. Elsewhere nothing waits.
    """

    def run() -> None:
        _ours.set(True)
        with suppress(
            BaseException
        ):  # greenlets of this thread may be ended by an exception that is none
            target()

    def run_before_a_patch() -> None:
        run()
        # Patched meanwhile, `threading` no longer knows this thread, and would say so at its end.
        with suppress(BaseException):
            if is_green():
                Signal().wait(LONGEST)

    if _greenlets() is not None:
        _make_hub()
        _original("start_new_thread")(run, ())
        return nothing
    thread = threading.Thread(target=run_before_a_patch, name=name, daemon=True)
    thread.start()
    return thread.join if _in_sub_interpreter() else nothing


def _make_hub() -> None:
    """Has the greenlets' hub of this thread made now.

    It imports modules when it is made, under locks that greenlets replaced: while a thread of ours imports
    something, too, each would wait for the other for ever.
    """
    for name in ("gevent", "eventlet.hubs"):
        with suppress(Exception):
            if (module := sys.modules.get(name)) is not None:
                module.get_hub()


def may_start() -> bool:
    """Whether threads end in time: those of a sub-interpreter only do where a server tells them to.

    mod_wsgi and uWSGI run what is registered with `atexit` before they end an interpreter. Others abort the
    process then, if it has a thread.
    """
    return not (_in_sub_interpreter() and _ENDING_IN_ORDER.isdisjoint(sys.modules))


def is_apart() -> bool:
    """Whether this is a thread of ours beside greenlets: it may use nothing that they may wait for."""
    return _ours.get() and _greenlets() is not None


def is_green() -> bool:
    """Whether threads are greenlets here: they may share no lock or event of `threading` with ours."""
    return _greenlets() is not None


def lock() -> AbstractContextManager[object]:
    """A reentrant lock, for steps between which no greenlet gives way to another.

    Reentrant, because a signal handler or a finaliser may call while the same thread holds it. A lock of
    greenlets could not be shared with our thread: eventlet would never wake who waits for it.
    """
    made: AbstractContextManager[object] = _original("RLock")()
    return made


def wait_for(waits: Iterable[Wait], timeout: float) -> bool:
    """Waits for all of them, so many seconds together; whether each has succeeded."""
    until = time.monotonic() + timeout
    ended = [wait(max(0.0, until - time.monotonic())) for wait in waits]
    return all(ended)


class Signal:
    """An event that one thread waits for; telling it never blocks, not even in a signal handler."""

    def __init__(self) -> None:
        self._lock = _original("allocate_lock")()
        self._lock.acquire()

    def set(self) -> None:
        """Lets the waiting thread, or the next that waits, go on."""
        with suppress(RuntimeError):  # it is set already
            self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Stops this thread until it is set, which ends it; False when `timeout` seconds were over first."""
        return bool(self._lock.acquire(timeout=min(timeout, LONGEST)))

    def wait_aside(self, timeout: float) -> bool:
        """The same for a thread of the host: other greenlets go on meanwhile."""
        library, deadline = None if _ours.get() else _greenlets(), time.monotonic() + timeout
        pause = 0.001
        while library is not None and not self._lock.acquire(blocking=False):
            if time.monotonic() >= deadline:
                return False
            try:
                library.sleep(pause)
            except (AssertionError, RuntimeError):  # in a signal handler, between two greenlets
                library = None
            pause = min(2 * pause, PAUSE)
        return library is not None or self.wait(max(deadline - time.monotonic(), 0.0))


class Event:
    """What OpenTelemetry's exporters use of `threading.Event`, between one thread and a host of greenlets."""

    def __init__(self) -> None:
        self._signal, self._is_set = Signal(), False

    def set(self) -> None:
        """Sets it, for good."""
        self._is_set = True
        self._signal.set()

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def wait(self, timeout: float) -> bool:
        """Stops this thread until it is set, or `timeout` seconds are over."""
        return self._is_set or self._signal.wait(timeout)


def _greenlets() -> Any:
    """The library that has patched this process, gevent or eventlet; None where threads are threads."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and any(map(gevent.is_module_patched, ("threading", "socket"))):
        return sys.modules["gevent"]
    if eventlet is not None and any(map(eventlet.is_monkey_patched, ("thread", "socket"))):
        return sys.modules["eventlet"]
    return None


def _original(name: str) -> Any:
    """What `_thread.name` was before it was patched."""
    library = _greenlets()
    if library is None:
        return getattr(_thread, name)
    if library.__name__ == "gevent":
        return library.monkey.get_original("_thread", name)
    return getattr(library.patcher.original("_thread"), name)


def _in_sub_interpreter() -> bool:
    """Whether this is not the process' first interpreter; mod_wsgi has another for each application."""
    if hasattr(_thread, "_is_main_interpreter"):  # since 3.12
        return not _thread._is_main_interpreter()
    try:
        interpreters: Any = import_module("_xxsubinterpreters")
    except ImportError:  # a frozen program may be without it
        return False
    return bool(interpreters.get_current() != interpreters.get_main())


def nothing() -> None:
    """Waits for no thread."""
