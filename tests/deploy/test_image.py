"""The Dockerfiles: what they install, run in a clean environment, and the rules that an image keeps."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.installed import ROOT

FILES = [ROOT / "Dockerfile", ROOT / "docker" / "Dockerfile"]
BASE_MB = 125
"""What python:3.13-slim takes, unpacked (119 MB on amd64, 124 on arm64 in November 2026)."""
LIMIT_MB = 250
SECRET = re.compile(r"(?i)password|secret|token|salt|_key|credential")
files = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))


def instructions(file: Path) -> Iterator[tuple[str, str]]:
    """Each instruction with its arguments, lines that go on joined (Dockerfile reference, "Format")."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, arguments = line.split(maxsplit=1)
            yield name, " ".join(arguments.split())


def of(file: Path, name: str) -> list[str]:
    return [arguments for each, arguments in instructions(file) if each == name]


@files
def test_an_image_has_no_root_no_secret_and_a_base_of_a_version(file: Path) -> None:
    assert {name for name, _ in instructions(file)} <= {
        "ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    last = max(n for n, (name, _) in enumerate(instructions(file)) if name == "FROM")
    (user,) = [a for name, a in list(instructions(file))[last:] if name == "USER"]
    assert all(int(part) > 999 for part in user.split(":"))
    (base,) = [a.partition("=")[2] for a in of(file, "ARG") if a.startswith("PYTHON_IMAGE=")]
    assert re.fullmatch(r"python:3\.\d+-slim", base)
    assert {arguments.split()[0] for arguments in of(file, "FROM")} == {"${PYTHON_IMAGE}"}
    assert not [a for name in ("ARG", "ENV") for a in of(file, name) if SECRET.search(a)]
    assert not re.search(r"curl|wget|apt-get|--privileged|--mount=type=secret", file.read_text())
    for command in ("ENTRYPOINT", "CMD"):
        (arguments,) = of(file, command)
        assert isinstance(ast.literal_eval(arguments), list)


def test_the_image_of_a_checkout_keeps_what_built_it_to_itself() -> None:
    build, last = of(FILES[0], "FROM")
    assert build.endswith(" AS build")
    assert " AS " not in last
    assert of(FILES[0], "COPY")[-1] == "--from=build /opt/footfall /opt/footfall"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image is built from: what the Dockerfile copies, and nothing else."""
    folder = tmp_path_factory.mktemp("context")
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for arguments in of(FILES[0], "COPY")[:-1]:
        *sources, target = arguments.split()
        for source in sources:
            here = ROOT / source
            there = folder / target / ("" if here.is_dir() else source)
            if here.is_dir():
                shutil.copytree(here, there, ignore=ignored)
            else:
                shutil.copy(here, there)
    return folder


@pytest.fixture(scope="module")
def installed(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has in /opt/footfall, made by the Dockerfile's own command."""
    place = tmp_path_factory.mktemp("opt") / "footfall"
    programs = tmp_path_factory.mktemp("bin")
    for name, command in (("python", ""), ("pip", "-m pip")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (programs / name).chmod(0o755)
    (run,) = of(FILES[0], "RUN")
    # What is downloaded already need not be once more.
    shell = run.replace("/opt/footfall", str(place)).replace("--no-cache-dir ", "")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-c", shell],
        cwd=context,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.mark.timeout(600)
def test_what_is_installed_runs_and_the_image_stays_small(installed: Path) -> None:
    footfall = installed / "bin" / "footfall"
    said = subprocess.run(
        [footfall, "up", "--help"], capture_output=True, text=True, check=True, env={}
    )
    assert "--config" in said.stdout
    assert not (installed / "bin" / "pip").exists()
    found = [each for each in installed.rglob("*") if each.is_file() and not each.is_symlink()]
    size = sum(file.stat().st_size for file in found)  # the interpreter is the base's
    assert BASE_MB + size / 1e6 < LIMIT_MB
    (packages,) = installed.glob("lib/python*/site-packages")
    compiled = {file.parent.parent.name for file in packages.rglob("__pycache__/*.pyc")}
    assert {"footfall_collector", "starlette", "grpc"} <= compiled
    configuration = installed.parent / "collector.yaml"
    configuration.write_text("alerts: {targets: {hook: 'json://127.0.0.1/x'}}\n")
    tried = [footfall, "alerts", "test", "--dry-run", "--config", configuration]
    said = subprocess.run(tried, capture_output=True, text=True, check=True, env={})
    assert said.stdout.startswith("to hook: JSON (json://********)")
