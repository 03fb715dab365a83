"""Who runs the server: this user, or for root (whom Postgres refuses) another existing one."""

import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from footfall_exporters.embedded.errors import EmbeddedPostgresError

_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Identity:
    """The operating-system user that initdb and the server run as."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """The user's name, for messages."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:  # containers often run as a number without a name
            return str(self.uid)

    @property
    def is_other(self) -> bool:
        """Whether this process has to become another user to be it."""
        return self.uid != os.geteuid()

    def can_enter(self, path: Path) -> bool:
        """Tell whether the user may enter the directory, or run the program, `path`.

        The kernel is asked, as that user: mode bits alone would miss access control lists.
        """
        if not self.is_other:
            return os.access(path, os.X_OK)
        command = ["/bin/sh", "-c", 'test -x "$1"', "sh", os.fspath(path)]
        return subprocess.run(self.launching(command, 0), check=False).returncode == 0

    def launching(self, command: Sequence[str], death_signal: int) -> list[str]:
        """Return a command that becomes `command`, as this user, and gets a signal when its parent ends.

        The user is changed by a program and not by `subprocess`, which would have to fork for that: in a
        process in which gRPC works, the fork's child crashes before it becomes anything.
        """
        return [
            *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())),
            *(str(self.uid), str(self.gid), str(death_signal), *command),
        ]

    def make_directory(self, path: Path) -> None:
        """Make `path`, a directory that only the user can enter; one that exists must be just that.

        Raises:
            EmbeddedPostgresError: Something else is there, or it belongs to someone else.
        """
        path.mkdir(mode=0o700, exist_ok=True)
        if self.is_other and path.lstat().st_uid == os.geteuid():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.uid or found.st_mode & 0o077:
            raise EmbeddedPostgresError(
                f"{path} is not a private directory of user {self.name}",
                "remove it and start again",
            )

    def open_file(self, path: Path, flags: int) -> int:
        """Open `path`, made when missing as a file of the user that nobody else can read."""
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if self.is_other and os.fstat(descriptor).st_uid == os.geteuid():
            os.fchown(descriptor, self.uid, self.gid)
        return descriptor


def server_identity(data: Path) -> Identity:
    """Choose the user that runs the server of the cluster `data`.

    Returns:
        This process's user. For root: the owner of the cluster where there is one (a `postgres` user that was
        installed since must not take it over), else the user `postgres`, else `nobody`.

    Raises:
        EmbeddedPostgresError: This is root, and neither user exists.
    """
    if os.geteuid() != 0:
        return Identity(os.geteuid(), os.getegid())
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Identity(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "Postgres does not run as root, and there is no user postgres or nobody",
        "start Footfall as an ordinary user, or name a server with a DSN",
    )
