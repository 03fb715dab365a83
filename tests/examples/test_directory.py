"""The demo's directory: emptied when a demo made it, otherwise never touched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from footfall_examples.sahasrahbot.directory import DirectoryError, held


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "demo"
    with held(directory):
        (directory / "file").touch()
    assert (directory / "file").exists()


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    with held(tmp_path):
        pass


def test_what_a_demo_left_is_removed_at_the_next(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / "postgres" / "data").mkdir(parents=True)
        (tmp_path / "postgres" / "lock").touch()
        (tmp_path / "file").write_text("old")
        (tmp_path / "link").symlink_to(tmp_path / "postgres")
    with held(tmp_path):
        assert sorted(os.listdir(tmp_path)) == [".footfall-demo"]


def test_a_directory_with_anything_else_in_it_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DirectoryError, match="is not empty, and no demo made it"), held(tmp_path):
        pass
    assert os.listdir(tmp_path) == ["thesis.txt"]
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_links_out_of_it_are_not_followed(tmp_path: Path) -> None:
    outside, directory = tmp_path / "outside", tmp_path / "demo"
    outside.mkdir()
    (outside / "thesis.txt").touch()
    with held(directory):
        (directory / "link").symlink_to(outside)
    with held(directory):
        pass
    assert (outside / "thesis.txt").exists()


@pytest.mark.parametrize("lock", [".footfall-demo", "postgres/lock"])
def test_a_directory_in_use_is_refused_untouched(lock: str, tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / "postgres").mkdir()
        (tmp_path / "postgres" / "lock").touch()
    holder = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.flock(f, fcntl.LOCK_EX);"
        " print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(DirectoryError, match="is in use"), held(tmp_path):
            pass
        process.communicate()
    assert (tmp_path / "postgres" / "lock").exists()


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DirectoryError, match=f"cannot use {file}: Not a directory"), held(file):
        pass
