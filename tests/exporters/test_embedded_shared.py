import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from exporters.embedded import (
    OWN_UNTIL_TOLD,
    START,
    answers,
    crash,
    execute,
    line_of,
    number_of_postmaster,
    only_linux,
    processes_of,
    python,
)
from footfall_exporters.embedded import EmbeddedPostgres, EmbeddedPostgresError
from support.identity import run_as
from support.waiting import wait_until

# Two on one directory


def test_a_second_process_joins_and_its_stop_leaves_the_server_running(made: Path):
    with EmbeddedPostgres(made) as conninfo:
        before = number_of_postmaster(made)
        with python(OWN_UNTIL_TOLD, made) as joiner:
            assert line_of(joiner) == "up"
            joiner.communicate()
            assert joiner.returncode == 0
        assert number_of_postmaster(made) == before
        assert execute(conninfo, "SELECT 1") == (1,)


def test_who_only_joins_starts_nothing_and_ends_nothing(made: Path):
    looking = EmbeddedPostgres(made)
    assert looking.joined() is None
    with EmbeddedPostgres(made) as conninfo:
        before = number_of_postmaster(made)
        assert looking.joined() == conninfo
        looking.stop()
        assert number_of_postmaster(made) == before
    assert looking.joined() is None


def test_a_second_instance_in_the_same_process_joins_too(made: Path):
    with EmbeddedPostgres(made) as first, EmbeddedPostgres(made) as second:
        assert first == second
        assert execute(second, "SELECT 1") == (1,)


def test_of_many_that_start_at_once_in_an_empty_directory_one_owns_the_server(directory: Path):
    with (
        python(OWN_UNTIL_TOLD, directory) as one,
        python(OWN_UNTIL_TOLD, directory) as two,
        python(OWN_UNTIL_TOLD, directory) as three,
    ):
        contenders = {process.pid: process for process in (one, two, three)}
        assert [line_of(process) for process in contenders.values()] == ["up"] * 3
        status = Path(f"/proc/{number_of_postmaster(directory)}/status").read_text()
        owner = int(status.partition("PPid:")[2].split()[0])
        last = contenders.pop(owner)
        for joiner in contenders.values():
            joiner.communicate()
            assert processes_of(directory)
        last.communicate()
        assert not processes_of(directory)


@only_linux
def test_an_old_server_that_still_shuts_down_is_waited_for(made: Path):
    checkpointer = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    with python(START + "print(conninfo, flush=True)\nsys.stdin.read()", made) as owner:
        (slow,) = execute(line_of(owner), checkpointer)
        os.kill(slow, signal.SIGSTOP)
        owner.kill()
    try:
        with ThreadPoolExecutor() as pool:
            server = EmbeddedPostgres(made)
            starting = pool.submit(server.start)
            time.sleep(0.5)
            assert not starting.done()
            os.kill(slow, signal.SIGCONT)
            assert execute(starting.result(), "SELECT 1") == (1,)
            server.stop()
    finally:
        if Path(f"/proc/{slow}").exists():
            os.kill(slow, signal.SIGCONT)


# What a crash leaves behind


def test_a_lock_file_of_a_dead_server_is_survived(made: Path):
    server = EmbeddedPostgres(made)
    server.start()
    crash(made)
    server.stop()
    assert (made / "data" / "postmaster.pid").exists()
    with EmbeddedPostgres(made) as conninfo:
        assert execute(conninfo, "SELECT answer FROM kept") == (42,)


def test_lock_files_that_name_unrelated_living_processes_are_survived(made: Path):
    server = EmbeddedPostgres(made)
    server.start()
    crash(made)
    server.stop()
    user = (made / "data").stat().st_uid
    lock_files = (made / "data" / "postmaster.pid", made / "run" / ".s.PGSQL.5432.lock")
    with (
        subprocess.Popen(run_as(user, ["sleep", "60"])) as one,
        subprocess.Popen(run_as(user, ["sleep", "60"])) as two,
    ):
        for lock_file, unrelated in zip(lock_files, (one, two), strict=True):
            _, newline, rest = lock_file.read_text().partition("\n")
            lock_file.write_text(f"{unrelated.pid}{newline}{rest}")
        try:
            with EmbeddedPostgres(made) as conninfo:
                assert execute(conninfo, "SELECT answer FROM kept") == (42,)
            assert (one.poll(), two.poll()) == (None, None)
        finally:
            one.kill()
            two.kill()


def test_a_lock_file_that_a_full_disk_left_empty_is_survived(spoilt: Path):
    server = EmbeddedPostgres(spoilt)
    server.start()
    crash(spoilt)
    server.stop()
    (spoilt / "data" / "postmaster.pid").write_text("")
    with EmbeddedPostgres(spoilt) as conninfo:
        assert execute(conninfo, "SELECT 1") == (1,)


def test_a_server_that_someone_started_by_hand_on_the_data_is_not_disturbed(made: Path):
    with EmbeddedPostgres(made) as conninfo:
        program = Path(f"/proc/{number_of_postmaster(made)}/exe").readlink()
    user = (made / "data").stat().st_uid
    data = str(made / "data")
    with subprocess.Popen(
        run_as(user, [program, "-D", data, "-k", data, "-h", ""]), stderr=subprocess.DEVNULL
    ) as by_hand:
        conninfo = make_conninfo(conninfo, host=data)
        wait_until(lambda: answers(conninfo))
        with pytest.raises(EmbeddedPostgresError, match=r"shared memory block .* still in use"):
            EmbeddedPostgres(made).start()
        assert answers(conninfo)
        by_hand.send_signal(signal.SIGINT)


@only_linux
def test_an_initdb_whose_owner_was_killed_is_waited_for_and_its_work_thrown_away(directory: Path):
    with python(OWN_UNTIL_TOLD, directory) as owner:
        wait_until((directory / "data.new" / "PG_VERSION").exists)
        (initdb,) = children_of(owner.pid)
        os.kill(initdb, signal.SIGSTOP)
        owner.kill()
    with ThreadPoolExecutor() as pool:
        server = EmbeddedPostgres(directory)
        starting = pool.submit(server.start)
        time.sleep(0.3)
        assert not starting.done()
        os.kill(initdb, signal.SIGCONT)
        assert execute(starting.result(), "SELECT 1") == (1,)
        server.stop()


def children_of(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def test_what_an_unfinished_initdb_left_lying_is_no_hindrance(directory: Path):
    (directory / "data.new").mkdir(parents=True)
    (directory / "data.new" / "rest").touch()
    directory.chmod(0o711)
    with EmbeddedPostgres(directory) as conninfo:
        assert execute(conninfo, "SELECT 1") == (1,)
    assert not (directory / "data.new").exists()
