"""SIGINT and SIGTERM while a process starts."""

import os
import signal

STOPS = signal.SIGINT, signal.SIGTERM


def end_at_once() -> None:
    """Lets either end the process, which has accepted nothing yet.

    What a signal does by default does not reach process 1 of a container (pid_namespaces(7)): that needs a
    handler.
    """
    for number in STOPS:
        signal.signal(number, _end if os.getpid() == 1 else signal.SIG_DFL)


def _end(number: int, _: object) -> None:
    os._exit(128 + number)  # as a shell says it
