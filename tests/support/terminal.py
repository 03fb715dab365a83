"""A terminal on an empty machine: types what a document says, as one script of bash.

It has a home that is empty, a network of its own where the system allows it (so that the documents' ports are
free), and no variable but those that every shell has.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from support.alone import alone_in
from support.walkthrough import Command, File, Sql, Step

READY: Final = {
    "footfall up": "Next:",
    "uvicorn": "Uvicorn running on",
    "opentelemetry-instrument": "[Rr]unning on",
    "prometheus": "Server is ready to receive web requests",
}
"""What a reader starts in a terminal of its own, and what it says there when it is ready."""
WARNINGS: Final = 3
"""How `footfall doctor` ends on a machine where nothing has been sent yet, and there is no problem."""
PRELUDE: Final = r"""
set -euo pipefail
declare -A running=()
look() {  # what is to be shown, the line that shows it: what was sent takes some seconds to arrive
  for ((i = 0; i < 60; i++)); do
    eval "$2" > "$logs/shown"
    if grep -qF -- "$1" "$logs/shown"; then break; fi
    sleep 0.5
  done
  cat "$logs/shown"
  grep -qF -- "$1" "$logs/shown"
}
begin() {  # a program, what it says when it is ready, the line that starts it
  end "$1"
  setsid bash -c "$3" > "$logs/$1" 2>&1 &
  running[$1]=$!
  for ((i = 0; i < 600; i++)); do
    if grep -qE -- "$2" "$logs/$1"; then return; fi
    kill -0 "${running[$1]}" 2> "$logs/ended" || break
    sleep 0.1
  done
  return 1
}
end() {
  [ -n "${running[$1]:-}" ] || return 0
  kill -TERM "${running[$1]}" 2> "$logs/ended" || true
  wait "${running[$1]}" || true
  unset "running[$1]"
}
leave() {
  status=$?
  for program in "${!running[@]}"; do end "$program"; done
  [ $status = 0 ] || tail -n 40 "$logs"/*
}
trap leave EXIT
trap 'exit 1' TERM
"""
_LOOPBACK: Final = """
import fcntl, os, socket, struct, sys
with socket.socket() as asked:
    fcntl.ioctl(asked, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
os.execvp(sys.argv[1], sys.argv[1:])
"""
_TYPED: Final = """
import sys, psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as session:
    for statement in filter(str.strip, sys.stdin.read().split(";\\n")):
        session.execute(statement)
"""


class Terminal:
    """A home, and what a reader has there.

    Args:
        home: An empty folder that others may enter, for the user that Postgres runs as.
        programs: Folders of programs beside those of Python's environment and of the system.
        superuser: Connection string of the operator's Postgres; None when there is none.
        meant: What stands in the documents for something of the reader's own, and what it is here.
    """

    def __init__(
        self,
        home: Path,
        programs: Sequence[Path] = (),
        superuser: str | None = None,
        meant: Mapping[str, str] | None = None,
    ) -> None:
        self.home, self.logs, self.superuser = home / "home", home / "logs", superuser
        self.home.mkdir()
        self.logs.mkdir()
        self.meant = meant or {}
        path = [Path(sys.executable).parent, *programs, "/usr/local/bin", "/usr/bin", "/bin"]
        self.environment = {
            "HOME": str(self.home),
            "PATH": ":".join(map(str, path)),
            "LANG": "C.UTF-8",
            "FOOTFALL_HOME": str(home / "data"),  # root's is /var/lib/footfall, and not a test's
        }

    def follow(self, steps: Sequence[Step], shown: str | None = None, seconds: float = 180) -> str:
        """What is printed while the steps are followed.

        Args:
            steps: What the reader does.
            shown: A program, and what its last command shows, within half a minute.
            seconds: What all of it may take.

        Raises:
            AssertionError: A command failed, or did not end in time.
        """
        script = self.home.with_name("script")
        lines = [self._typed(step) for step in steps]
        if shown:
            last, line = _last(steps, shown[0])
            lines[last] = f"look {shlex.join([shown[1], self._here(line)])}"
        script.write_text("\n".join([PRELUDE, f"logs={self.logs}", *lines]))
        with _network() as apart:
            process = subprocess.Popen(
                [*apart, "bash", str(script)],
                cwd=self.home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            try:
                said, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGTERM)
                said, _ = process.communicate()
        assert process.returncode == 0, said
        return said

    def _typed(self, step: Step) -> str:
        """A step as lines of the script."""
        match step:
            case File(name, text):
                folder = shlex.quote(str(Path(name).parent))
                return (
                    f"mkdir -p {folder}\n{_heredoc(f'cat > {shlex.quote(name)}', self._here(text))}"
                )
            case Sql(text):
                assert self.superuser is not None, text
                python = shlex.join([sys.executable, "-c", _TYPED, self.superuser])
                return _heredoc(python, self._here(text))
            case Command():
                line = self._here(step.line)
                typed = f"printf '%s\\n' {shlex.quote('$ ' + line)}"
                if step.program == "footfall doctor":
                    return f"{typed}\n{{ {line}\n}} || [ $? = {WARNINGS} ]"
                if step.program not in READY:
                    return f"{typed}\n{line}"
                words = (step.program, READY[step.program], line)
                return f"{typed}\nbegin {shlex.join(words)}"

    def _here(self, text: str) -> str:
        for name, value in self.meant.items():
            text = re.sub(re.escape(name), lambda _, value=value: value, text)
        return text


def _last(steps: Sequence[Step], program: str) -> tuple[int, str]:
    """Which step is a program's last command, and its line."""
    return [
        (number, step.line)
        for number, step in enumerate(steps)
        if isinstance(step, Command) and step.program == program
    ][-1]


def _heredoc(command: str, text: str) -> str:
    return f"{command} <<'END OF TEXT'\n{text.rstrip()}\nEND OF TEXT"


@contextmanager
def _network() -> Iterator[list[str]]:
    """What a command begins with to have a network of its own; else it has this one, alone."""
    if prefix := _unshared():
        yield [*prefix, sys.executable, "-c", _LOOPBACK]
    else:
        with alone_in(Path(__file__).parent):
            yield []


@cache
def _unshared() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    prefix = ["unshare", *user, "--net"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return prefix if tried.returncode == 0 else []
