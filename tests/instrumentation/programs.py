"""Python programs that a test runs as processes of their own, in its own environment."""

import os
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

FORKS = "ignore:This process:DeprecationWarning"
"""Python 3.12 and later warn in every program that forks and has threads, of whatever library."""


def run(
    *command: object,
    folder: Path | None = None,
    typed: str | None = None,
    timeout: float = 100,
    **variables: str,
) -> "subprocess.CompletedProcess[str]":
    """Runs Python with these arguments to its end.

    Args:
        command: What stands behind `python`.
        folder: Where it runs; None is where the tests run.
        typed: What it reads from its standard input.
        timeout: Seconds after which it is killed, which raises.
        variables: Added to the environment.
    """
    return subprocess.run(
        [sys.executable, "-W", FORKS, *map(str, command)],
        cwd=folder,
        env=os.environ | variables,
        input=typed,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def started(code: str, **variables: str) -> "subprocess.Popen[str]":
    """A program that goes on until its standard input is closed, or it is told to end."""
    return subprocess.Popen(
        [sys.executable, "-W", FORKS, "-c", textwrap.dedent(code)],
        env=os.environ | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def python(code: str, **variables: str) -> str:
    """What a program prints, which must end well and complain about nothing."""
    done = run("-c", textwrap.dedent(code), **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def pytest(folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs the tests in a folder by pytest, which knows no other plugin that is installed here than ours."""
    others = (each.name for each in entry_points(group="pytest11") if each.name != "footfall")
    blocked = [word for name in ("cacheprovider", *others) for word in ("-p", f"no:{name}")]
    return run("-m", "pytest", "-q", *blocked, folder=folder, **variables)
