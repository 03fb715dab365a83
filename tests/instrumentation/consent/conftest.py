"""A user's home, and what may be found in it."""

import datetime as dt
import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from footfall._consent.consent import Consent
from footfall._decision import State
from footfall_processors import Catalog, load_catalog

TODAY = dt.datetime.now(dt.UTC).date()
UNDECIDED = State("off", decided=False, outdated=False, since=None)
SWITCHES = ("DO_NOT_TRACK", "XDG_CONFIG_HOME", "XDG_DATA_HOME")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of this test's own."""
    for name in SWITCHES:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def allowed(catalog: Path) -> Catalog:
    """The catalog of tests/instrumentation/conftest.py."""
    return load_catalog(catalog)


@pytest.fixture
def consent(allowed: Catalog) -> Consent:
    return Consent("shop", allowed)


@pytest.fixture
def decision(home: Path) -> Path:
    """Where the XDG Base Directory Specification puts the file."""
    return home / ".config" / "footfall" / "shop.json"


@pytest.fixture
def kept(home: Path) -> Path:
    return home / ".local" / "share" / "footfall" / "shop.sqlite"


@pytest.fixture
def spawn() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts Python programs, which have this test's home; what still runs at its end is killed."""
    started = []

    def spawn(code: str, *arguments: object, **variables: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield spawn
    for process in started:
        process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> str:
    """What a program printed, once it has ended well."""
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert err == ""
    return out


def tree(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file and folder below, with its mode and its content's hash."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
    }


def on(after: int, text: str = "2020-01-01") -> dt.date:
    """So many days after a date."""
    return dt.date.fromisoformat(text) + dt.timedelta(days=after)
