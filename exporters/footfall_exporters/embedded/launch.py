"""Becomes the program named by its arguments, as the right user and bound to the life of its parent.

Run as a script, never imported: a function called between fork and exec (`preexec_fn`) is not safe in a
process with threads. It imports little, because it delays every start, and nothing after the change of user,
who may not be able to read Python's own library.

Arguments: parent's process id, uid, gid, death signal, program, the program's arguments.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def become(uid: int, gid: int) -> None:
    """Take on the user and group, and no other groups."""
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def die_with(parent: int, signal_number: int) -> None:
    """Ask the kernel for `signal_number` when `parent` ends; a later change of user would undo it."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        sys.exit("launch: error: the parent ended before its child began")


def main(parent: str, uid: str, gid: str, signal_number: str, *command: str) -> None:
    """Replace this process by `command`."""
    try:
        become(int(uid), int(gid))
        if sys.platform == "linux":
            die_with(int(parent), int(signal_number))
        os.execv(command[0], command)  # noqa: S606 - replacing this process is the point
    except OSError as error:
        sys.exit(f"launch: error: cannot run {command[0]} as user {uid}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
