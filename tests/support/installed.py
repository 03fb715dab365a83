"""What an installation would hold, and nothing else: folders in place of site-packages."""

import importlib.metadata as metadata
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ROOMS = [ROOT / r for r in ("processors", "instrumentation", "exporters", "collector", "examples")]
PROGRAM = "import sys; from footfall_collector.cli import main; sys.argv[0] = 'footfall'; main()"


def required(name: str) -> set[str]:
    """The names of the distributions that `pip install NAME` brings, without extras and without itself."""
    found: set[str] = set()

    def add(wanted: str) -> None:
        for requirement in map(Requirement, metadata.distribution(wanted).requires or []):
            marker = requirement.marker
            if requirement.name not in found and (not marker or marker.evaluate({"extra": ""})):
                found.add(requirement.name)
                add(requirement.name)

    add(name)
    return found


def link(name: str, folder: Path) -> None:
    """Has the folder hold the files of a distribution that is installed here."""
    for file in metadata.distribution(name).files or []:
        place = folder / file
        if ".." not in file.parts and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(file.locate())


def footfall(
    folders: Iterable[Path], *arguments: object, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """The command, where nothing but these folders is installed."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("FOOTFALL_", "TELEMETRY_"))}
    places = {"PYTHONPATH": os.pathsep.join(map(str, folders)), "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, *map(str, arguments)],
        env=kept | places | variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
