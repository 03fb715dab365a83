"""What is left of a server whose first process was killed."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def end_orphans(data: Path) -> None:
    """Kill the sessions that outlive their server; Linux only, elsewhere nothing is done.

    When its first process is killed, a server's others end as soon as they look: at once, unless they are
    in the middle of a long computation. What they have not committed is lost already, and until they end no
    server can be started on the data.

    Args:
        data: The cluster, which is the working directory of all its processes, and of no other server's.
    """
    parents = {pid: parent for pid in _numbers() if (parent := _parent(pid, data)) is not None}
    for pid, parent in parents.items():
        # The first process of a server has a command line; the others say `postgres: ...`.
        if parent not in parents and _title(pid).startswith(b"postgres: "):
            with suppress(OSError):  # it has just ended
                os.kill(pid, signal.SIGKILL)


def _numbers() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except FileNotFoundError:
        return []


def _parent(pid: int, data: Path) -> int | None:
    """The parent of a process that works in `data`; None for all others."""
    try:
        if Path(f"/proc/{pid}/cwd").readlink() != data:
            return None
        # proc(5), stat: pid (name) state ppid ...; the name may hold anything
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
