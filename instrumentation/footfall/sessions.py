"""Sessions of a program: start, heartbeat, end, and continuity between them without identity.

The ids are made here, at random, and only while telemetry is on. The catalog decides whether they travel: an
event carries `session_id` and `installation_id` if it declares them, best with `hash`.
"""

import atexit
import os
import time
import uuid
from functools import partial
from types import TracebackType
from typing import Final, Self

from footfall import _threads
from footfall._client import Client, default
from footfall._guard import guarded

START: Final = "start"
ALIVE: Final = "alive"
END: Final = "end"
SESSION: Final = "session_id"
INSTALLATION: Final = "installation_id"
HEARTBEAT: Final = 300.0
"""Seconds between two heartbeats; a session counts as ended an hour after its last."""


class Session:
    """One run of a program, which begins with `start()` or `with`.

    Args:
        event: A declared event with the actions `start`, `alive` and `end`, whichever are wanted.
        heartbeat: Seconds between two heartbeats; 0 for none but by `alive()`.
        session_id: An id that the program has already; None makes a random one.
        client: None is the client behind `footfall.configure()`.

    Attributes:
        id: The session's id while it runs; None before, afterwards, and while telemetry is off.

    Example:
        >>> import footfall
        >>> with footfall.session("plugin.session"):
        ...     footfall.event("plugin.story", "open")
    """

    def __init__(
        self,
        event: str,
        heartbeat: float = HEARTBEAT,
        session_id: str | None = None,
        client: Client | None = None,
    ) -> None:
        self.id: str | None = None
        self._event, self._given = event, session_id
        self._heartbeat = heartbeat
        self._client = default if client is None else client
        self._began, self._process = 0.0, 0
        self._over, self._ended = _threads.Signal(), _threads.nothing

    def start(self) -> None:
        """Begins the session; does nothing while telemetry is off, or when it has begun.

        A program whose user agrees later calls it again then.
        """
        with guarded(self._client.trouble):
            self._client.hear()
            if self._running() or not self._client.on:
                return
            self._over.set()  # of a session that ended when its user took back their consent
            self._over = _threads.Signal()
            self.id, self._process = self._given or str(uuid.uuid4()), os.getpid()
            self._began = time.monotonic()
            installation = self._client.consent.installation_id()
            self._client.ambient(**{SESSION: self.id, INSTALLATION: installation})
            self._say(START)
            atexit.register(self.end)
            if self._heartbeat > 0:
                beat = partial(self._beat, self._over)
                self._ended = _threads.start(beat, "footfall-session")

    def _running(self) -> bool:
        """Whether it goes on, in the process that began it and under the consent that it began with."""
        ours = self._process == os.getpid() and self._client.surroundings.get(SESSION) == self.id
        return self.id is not None and ours

    def alive(self) -> None:
        """Says that the session goes on."""
        with guarded(self._client.trouble):
            self._say(ALIVE)

    def end(self) -> None:
        """Ends the session; its end carries how long it took."""
        if self.id is None:
            return
        try:
            with guarded(self._client.trouble):
                self._over.set()
                self._ended()
                atexit.unregister(self.end)
                self._say(END, (time.monotonic() - self._began) * 1000)
                self._client.ambient(**{SESSION: None, INSTALLATION: None})
        finally:
            self.id = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def _say(self, action: str, duration_ms: float = 0.0) -> None:
        """Sends one of the session's actions, if the catalog declares it."""
        recorder = self._client.recorder
        if recorder is None or not self._running():
            return
        plan = recorder.plan(self._event)
        if plan is not None and action in plan.actions:
            self._client.observe(self._event, action, {}, duration_ms=duration_ms)

    def _beat(self, over: _threads.Signal) -> None:
        while not over.wait(self._heartbeat) and self._running():
            self.alive()


session = Session
"""A session of this program: `footfall.session()`."""
