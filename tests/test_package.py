"""Wheel and sdist as they would be published, and what an installation of the wheel can do."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from conftest import CATALOG
from support.installed import ROOMS, ROOT, link, required

PACKAGES = [Path(p).name for p in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
            ["hatch"]["build"]["targets"]["wheel"]["packages"]]  # fmt: skip


def tool(*arguments):
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel that was built from it, without a network."""
    folder = tmp_path_factory.mktemp("dist")
    done = tool("build", "--no-isolation", "--outdir", folder, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def names(built):
    """The files of the wheel."""
    with zipfile.ZipFile(built[1]) as wheel:
        return wheel.namelist()


def test_what_would_be_published_passes_the_checks_of_those_who_publish(built):
    for check in (["twine", "check", "--strict", *built], ["check_wheel_contents", built[1]]):
        done = tool(*check)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_every_file_of_the_packages(names):
    ours = {
        str(file.relative_to(room))
        for room in ROOMS
        for package in PACKAGES
        for file in (room / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert ours - set(names) == set()


def test_every_package_is_typed_and_no_test_is_inside(names):
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == set(PACKAGES)
    assert [name for name in names if "test_" in name or "conftest" in name] == []


def test_the_sdist_holds_what_the_wheel_is_built_from_and_no_more_than_the_repository(built):
    with tarfile.open(built[0]) as sdist:
        found = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", "Makefile"} <= found
    assert "docker-compose.yml" in found
    assert not {name.split("/")[0] for name in found} & {".venv", ".env", ".git", "dist"}


@pytest.fixture(scope="module")
def install(built, tmp_path_factory):
    """Makes an environment with nothing but the wheel and what lies in a folder."""

    def install(dependencies):
        place = tmp_path_factory.mktemp("environment")
        assert tool("venv", "--without-pip", place).returncode == 0
        python = place / "bin" / "python"
        done = tool("pip", "--python", python, "install", "--no-deps", "--no-index", built[1])
        assert done.returncode == 0, done.stderr
        (packages,) = place.glob("lib/python*/site-packages")
        (packages / "dependencies.pth").write_text(f"{dependencies}\n")
        return place / "bin" / "footfall"

    return install


def run(command, *arguments, **variables):
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("FOOTFALL_", "PYTHONPATH"))}
    return subprocess.run(
        [command, *map(str, arguments)],
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_wheel_and_its_dependencies_are_enough_for_the_command(install, tmp_path):
    for name in required("footfall"):
        link(name, tmp_path / "dependencies")
    command = install(tmp_path / "dependencies")
    for arguments in (["--version"], ["--help"], ["validate", CATALOG]):
        done = run(command, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments
    done = run(command, "up")
    assert done.returncode == 1
    assert done.stderr.endswith("pip install 'footfall[collector]'\n")
    done = run(command, "compose", tmp_path / "stack")
    assert (done.returncode, done.stderr) == (0, "")
    written = tmp_path / "stack" / "grafana/provisioning/dashboards/footfall-overview.json"
    assert written.read_bytes() == (ROOT / written.relative_to(tmp_path / "stack")).read_bytes()


def test_the_wheel_with_the_extra_makes_a_store(install, empty_database):
    command = install(sysconfig.get_path("purelib"))
    settings = {
        "FOOTFALL_DSN": empty_database,
        "TELEMETRY_HASH_SALT": "a salt of thirty-two bytes or more",
    }
    done = run(command, "migrate", "--catalog", CATALOG, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    done = run(command, "report", "usage", "--json", **settings)
    assert (done.returncode, done.stderr) == (0, "")
