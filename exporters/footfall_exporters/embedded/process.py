"""A child process that does not outlive this one."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from threading import Thread

from footfall_exporters.embedded.identity import Identity

_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

# Fast shutdown; then an immediate one, which costs a recovery at the next start. The numbers are seconds.
# Postgres 18 does not end on SIGINT while it starts over after a crashed session.
_ENDINGS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, None))


class Child:
    """A Postgres program, a direct child of this process, run as `identity`.

    On Linux the kernel sends it SIGINT when the *thread* that forked it ends (PR_SET_PDEATHSIG). That is why
    each child has a thread of its own, which forks it and waits for it: the child then ends with the process,
    however the process ends, and not with whichever thread happened to call. Elsewhere only `stop` ends it.

    It has its own session, so that Ctrl-C in a terminal does not reach it, and none of our environment.

    Args:
        command: The program and its arguments.
        identity: The user it runs as.
        output: Where its standard output and error go.
        keep: File descriptors that stay open in it.
        environment: Additional variables.

    Raises:
        OSError: The child could not be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        identity: Identity,
        *,
        output: int,
        keep: Sequence[int],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._parent = os.getpid()
        arguments = identity.launching(command, int(signal.SIGINT))
        started: Future[subprocess.Popen[bytes]] = Future()

        def run() -> None:
            try:
                process = subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env=_environment() | dict(environment or {}),
                    pass_fds=keep,
                    start_new_session=True,
                )
            except BaseException as error:
                started.set_exception(error)
            else:
                started.set_result(process)
                process.wait()

        self._thread = Thread(target=run, name="footfall-postgres", daemon=True)
        self._thread.start()
        self._process = started.result()

    @property
    def has_ended(self) -> bool:
        """Whether it is no more."""
        return not self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> int | None:
        """Return its exit status, or None when it still runs after `seconds`."""
        self._thread.join(seconds)
        return self._process.returncode

    def stop(self) -> None:
        """End it and wait. In a fork of the process that started it, do nothing."""
        if os.getpid() != self._parent:
            return
        for signal_number, seconds in _ENDINGS:
            self._process.send_signal(signal_number)
            if self.wait(seconds) is not None:
                return


def _environment() -> dict[str, str]:
    """Return a clean environment: PG* variables would steer Postgres, secrets would be seen in /proc."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
