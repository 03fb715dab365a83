"""A thread that does what may block, so that nobody waits longer than they want to."""

from collections import deque
from collections.abc import Callable
from typing import Final

from footfall import _threads
from footfall._guard import at_debug, guarded

AFTER_AN_ERROR: Final = 1.0
"""Seconds until the next round where one failed."""

MOMENT: Final = 0.3
"""Seconds that greenlets wait for the thread to end."""


class Job:
    """Something to do, and how it went.

    Args:
        work: Does it, and says whether it succeeded; what fails is counted where it fails.

    Attributes:
        done: Set when it is over.
        succeeded: Whether it was done, and succeeded.
    """

    def __init__(self, work: Callable[[], bool]) -> None:
        self.done = _threads.Signal()
        self.succeeded = False
        self._work = work

    def run(self) -> None:
        """Does it."""
        with guarded(at_debug("a job of the thread")):
            self.succeeded = self._work()
        self.done.set()


class Courier:
    """Runs jobs one after the other, and makes its rounds between them, on a daemon thread.

    The thread is there long before it is needed, because Python 3.12 and later make no new one while the
    interpreter exits, which is when the last flush happens.

    Args:
        rounds: Does what is due; returns in how many seconds it is to be called again.
    """

    def __init__(self, rounds: Callable[[], float]) -> None:
        self._rounds = rounds
        self._jobs: deque[Job | None] = deque()
        self._bell, self._over = _threads.Signal(), _threads.Signal()
        self._stopped = False

    def start(self) -> None:
        """Starts the thread."""
        self._ended = _threads.start(self._run, "footfall")

    def call(self) -> None:
        """Lets it make its next round now; does not wait."""
        self._bell.set()

    def do(self, work: Callable[[], bool], timeout: float) -> bool:
        """Runs `work` and waits for it at most `timeout` seconds.

        Returns:
            Its result; False when it failed, is not done yet (it then goes on without us), or the thread
                was stopped.
        """
        return self.begin(work)(timeout)

    def begin(self, work: Callable[[], bool]) -> _threads.Wait:
        """Runs `work`, for which what is returned waits; see `do`."""
        if self._stopped:
            return lambda _: False
        job = Job(work)
        self._jobs.append(job)
        self._bell.set()
        return lambda timeout: job.done.wait_aside(timeout) and job.succeeded

    def stop(self) -> None:
        """Ends the thread after the jobs that were given to it; only a sub-interpreter waits for that.

        Greenlets wait a moment: a loop of theirs that runs in the thread may not outlive the interpreter.
        """
        self._stopped = True
        self._jobs.append(None)
        self._bell.set()
        self._ended()
        if _threads.is_green():
            self._over.wait_aside(MOMENT)

    def _run(self) -> None:
        pause = 0.0
        while True:
            self._bell.wait(pause)
            while self._jobs:
                job = self._jobs.popleft()
                if job is None:
                    self._over.set()
                    return
                job.run()
            pause = AFTER_AN_ERROR
            with guarded(at_debug("a round of the thread")):
                pause = self._rounds()
