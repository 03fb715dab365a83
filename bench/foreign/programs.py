"""The senders of bench/foreign and bench/away.py: where their sources are, and how they are made.

Each is made once, below the user's cache directory, in a folder named by what its sources are.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from peers import install

SOURCES = Path(__file__).with_name("senders")
TELEMETRYGEN = "v0.161.0"
"""The module proxy serves few of its versions: not the one of the Collector."""


class Missing(Exception):
    """A sender cannot be made on this machine: the reason."""


@dataclass(frozen=True)
class Program:
    """One sender.

    Attributes:
        name: The first part of its service's name.
        sdk: What it is, for tables.
        source: The folder of its sources.
        make: Makes it in a copy of its sources.
        command: How it is started, in that folder.
    """

    name: str
    sdk: str
    source: str
    make: Callable[[Path], None]
    command: Callable[[Path], list[str]]

    def folder(self) -> Path:
        """Where it is made: a copy of its sources."""
        digest = hashlib.sha256()
        for path in sorted((SOURCES / self.source).rglob("*")):
            if path.is_file():
                digest.update(path.read_bytes())
        return install.CACHE / "senders" / f"{self.source}-{digest.hexdigest()[:8]}"

    def made(self) -> list[str]:
        """Makes it, unless it is there; returns its command.

        Raises:
            Missing: A tool is not on this machine, or fails.
        """
        folder = self.folder()
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            ignore = shutil.ignore_patterns("__pycache__", "node_modules", "target")
            shutil.copytree(SOURCES / self.source, folder, ignore=ignore)
            self.make(folder)
            (folder / "made").touch()
        return self.command(folder)


def run(folder: Path, *command: str, **environment: str) -> None:
    """Runs a build politely: some take minutes and every core.

    Raises:
        Missing: It is not there, or fails.
    """
    program = shutil.which(command[0]) or (install.go() if command[0] == "go" else None)
    if program is None:
        raise Missing(f"needs {command[0]}")
    polite = ["nice", "-n", "15", program, *command[1:]]
    done = subprocess.run(
        polite, cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )
    if done.returncode:
        raise Missing(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-600:]}")


def _go(folder: Path) -> None:
    run(folder, "go", "build", "-o", "stranger", ".", CGO_ENABLED="0")


def _java(folder: Path) -> None:
    run(folder, "mvn", "-q", "-B", "compile", "dependency:copy-dependencies")


def _javascript(folder: Path) -> None:
    run(folder, "npm", "install", "--loglevel=error", "--no-package-lock", "--prefer-offline")


def _rust(folder: Path) -> None:
    run(folder, "cargo", "build", "--release", "--quiet")


def _nothing(_: Path) -> None:
    """Python programs run as they are, with what the benches have."""


def _java_command(folder: Path) -> list[str]:
    paths = f"{folder / 'target/classes'}{os.pathsep}{folder / 'target/dependency/*'}"
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", paths, "Main"]


def _python(folder: Path, sdk: str) -> list[str]:
    return [sys.executable, str(folder / "main.py"), sdk]


PROGRAMS = {
    program.name: program
    for program in (
        Program("go", "Go 1.47", "go", _go, lambda at: [str(at / "stranger")]),
        Program("java", "Java 1.54", "java", _java, _java_command),
        Program(
            "javascript", "JavaScript 0.223", "javascript", _javascript,
            lambda at: ["node", str(at / "main.mjs")],
        ),
        Program("rust", "Rust 0.31", "rust", _rust, lambda at: [str(at / "target/release/stranger")]),
        Program("python", "Python 1.45", "python", _nothing, lambda at: _python(at, "opentelemetry")),
        Program("own", "Footfall", "python", _nothing, lambda at: _python(at, "footfall")),
    )
}  # fmt: skip


def telemetrygen() -> Path:
    """The program, got if need be.

    Raises:
        Missing: There is no go, or it fails.
    """
    folder = install.CACHE / f"telemetrygen-{TELEMETRYGEN}"
    if not (folder / "telemetrygen").exists():
        folder.mkdir(parents=True, exist_ok=True)
        module = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen"
        run(folder, "go", "install", f"{module}@{TELEMETRYGEN}", GOBIN=str(folder), CGO_ENABLED="0")
    return folder / "telemetrygen"
