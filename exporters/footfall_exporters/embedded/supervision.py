"""A server that ends unasked is started again; when that fails again and again, it is said for good."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import Protocol

from footfall_exporters.embedded.errors import EmbeddedPostgresError
from footfall_exporters.faults import log_fault
from footfall_processors import OperatorError

log = logging.getLogger("footfall.embedded")
WAITS_S = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before each start in a row; after the last one the server is given up."""
PROVEN_S = 3.0
"""Seconds of service after which the next end is the first in a row again."""


class Supervision:
    """What becomes of a server that is supervised; made by those who want to know.

    Args:
        lost: Gets the EmbeddedPostgresError for which the server was given up; without one, nothing.
        restarted: Is told, in another thread, how often it was started again.

    Attributes:
        lost: As given.
        restarts: How often it was started again.
    """

    def __init__(
        self,
        lost: Future[None] | None = None,
        restarted: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.lost: Future[None] = Future() if lost is None else lost
        self.restarts = 0
        self._restarted = restarted

    def restarted(self) -> None:
        """It serves again."""
        self.restarts += 1
        self._restarted(self.restarts)


class Server(Protocol):
    """What is supervised."""

    def wait_for_end(self, stopping: Event) -> str | None:
        """How it ended, as soon as nobody serves any more; None when `stopping` is set before."""

    def start_again(self) -> None:
        """Returns when it serves again.

        Raises:
            EmbeddedPostgresError: it does not.
        """


def supervise(server: Server, supervision: Supervision, stopping: Event) -> None:
    """Runs in a thread of its own until `stopping` is set or the server is given up."""
    failures, since = 0, time.monotonic()
    while (ending := server.wait_for_end(stopping)) is not None:
        ended = time.monotonic()
        if ended - since > PROVEN_S:
            failures = 0
        log.error("the embedded Postgres ended (%s); it is started again", ending)
        tries, reason = _bring_back(server.start_again, WAITS_S[failures:], stopping)
        if reason is not None:
            supervision.lost.set_exception(_given_up(reason))
        if tries is None or reason is not None:
            return
        failures += tries
        since = time.monotonic()
        supervision.restarted()
        log.error("the embedded Postgres serves again, %.1f s after its end", since - ended)


def _bring_back(
    start: Callable[[], None], waits: tuple[float, ...], stopping: Event
) -> tuple[int | None, str | None]:
    """Starts until it works: the number of tries, or None when told to stop; and why it was given up."""
    reason = "it ends as soon as it serves"
    for number, wait in enumerate(waits, 1):
        if stopping.wait(wait):
            return None, None
        try:
            start()
        except Exception as error:  # also one of ours: nobody else would start it
            if stopping.is_set():
                return None, None
            reason = _said(error)
        else:
            return number, None
    return None, reason


def _said(error: Exception) -> str:
    """Why it does not start, which is logged."""
    what = "the embedded Postgres does not start"
    if isinstance(error, OperatorError):
        log.error("%s: %s", what, error)
        return str(error)
    log_fault(log, what, error)
    return type(error).__name__


def _given_up(reason: str) -> EmbeddedPostgresError:
    return EmbeddedPostgresError(
        f"the embedded Postgres was started {len(WAITS_S)} times in a row and does not stay: {reason}"
    )
