"""A machine on which nothing is installed: folders, environments of Python, programs that run there."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEARD_S = 10.0
"""Within so many seconds the product has to say what is wrong."""
PATIENCE_S = 300.0


class Failed(Exception):
    """Something that a newcomer does did not work."""


def built(folder: Path) -> Path:
    """The wheel of this checkout, which stands for a release."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("footfall-*.whl"))


class Environment:
    """A new environment of Python, in which pip finds this checkout's wheel under the name footfall.

    Args:
        folder: Where it is made.
        wheel: The wheel.
        wheelhouse: A folder with the wheels of all else; None for the usual index.
    """

    def __init__(self, folder: Path, wheel: Path, wheelhouse: Path | None = None) -> None:
        self.bin = folder / "venv" / "bin"
        self._folder, self._wheelhouse = folder, wheelhouse
        folder.mkdir(parents=True, exist_ok=True)
        self._links = f"{wheel.parent} {wheelhouse or os.environ.get('PIP_FIND_LINKS', '')}".strip()
        version = wheel.name.split("-")[1]
        (folder / "constraints.txt").write_text(f"footfall=={version}\n")

    def make(self) -> None:
        """Makes it, empty."""
        run([sys.executable, "-m", "venv", self.bin.parent], self._folder, os.environ)

    def type(self, line: str) -> None:
        """Runs a line of a document that calls pip.

        Raises:
            Failed: pip has said why.
        """
        constraints = str(self._folder / "constraints.txt")
        found = {"PIP_CONSTRAINT": constraints, "PIP_QUIET": "1", "PIP_FIND_LINKS": self._links}
        if self._wheelhouse is not None:
            found["PIP_NO_INDEX"] = "1"
        path = f"{self.bin}:{os.environ['PATH']}"
        run(["bash", "-c", line], self._folder, os.environ | found | {"PATH": path})


def run(
    command: Sequence[object], folder: Path, environment: Mapping[str, str], *, right: bool = True
) -> str:
    """What a command prints.

    Raises:
        Failed: its status is not 0, unless that is expected.
    """
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if right and done.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}")
    return done.stdout


class Program:
    """A program that runs; what it prints goes to a file."""

    def __init__(
        self, command: Sequence[object], folder: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*map(str, command)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def said(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    def wait_for(self, words: str, seconds: float = 60.0) -> None:
        """Returns when it has printed these words.

        Raises:
            Failed: it has ended, or has not.
        """
        end = time.monotonic() + seconds
        while words not in self.said():
            if not self.is_running or time.monotonic() > end:
                raise Failed(f"{self._log.name} did not say {words!r}:\n{self.said()[-2000:]}")
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def end(self) -> None:
        """Ends it."""
        if self.is_running:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextmanager
def running(
    command: Sequence[object], folder: Path, environment: Mapping[str, str], name: str
) -> Iterator[Program]:
    """A program that is ended when the context ends."""
    program = Program(command, folder, environment, folder / f"{name}.log")
    try:
        yield program
    finally:
        program.end()


def heard(sources: Mapping[str, Callable[[], str]], words: str) -> tuple[str, float, str] | None:
    """Where something was said, after how many seconds, and the line; None where it was not in time.

    Args:
        sources: What is listened to, by what it is called.
        words: A regular expression for what has to be said, the mistake and the cure; it may cross lines.
    """
    begun, wanted = time.monotonic(), re.compile(words, re.DOTALL)
    while time.monotonic() - begun < HEARD_S:
        for where, read in sources.items():
            if found := wanted.search(read()):
                return where, time.monotonic() - begun, found[0]
        time.sleep(0.05)
    return None
