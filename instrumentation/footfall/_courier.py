"""A thread that does what may block, so that nobody waits longer than he wants to."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

Job = tuple[Callable[[], bool], threading.Event, list[bool]]


class Courier:
    """Runs jobs one after the other on a daemon thread that exists from the start.

    From the start, because Python 3.12 and later make no new thread while the interpreter exits,
    which is when the last flush happens.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        threading.Thread(target=self._run, name="footfall", daemon=True).start()

    def do(self, work: Callable[[], bool], timeout: float) -> bool:
        """Runs `work` and waits for it at most `timeout` seconds.

        Returns:
            Its result; False when it failed or is not done yet (it then goes on without us).
        """
        done, result = threading.Event(), [False]
        self._jobs.put((work, done, result))
        return done.wait(timeout) and result[0]

    def stop(self) -> None:
        """Ends the thread after the jobs that were given to it; does not wait."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done, result = job
            try:
                result[0] = work()
            except Exception:
                result[0] = False  # the caller is told; what failed was counted where it failed
            finally:
                done.set()
