import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from exporters.embedded import (
    OWN_UNTIL_TOLD,
    START,
    WRITE_FOR_EVER,
    crash,
    execute,
    line_of,
    only_linux,
    processes_of,
    python,
)
from footfall_exporters import embedded
from footfall_exporters.embedded import EmbeddedPostgres
from support.waiting import wait_until


@only_linux
def test_after_kill_9_of_the_owner_no_process_is_left_and_no_acknowledged_row_is_lost(
    made: Path,
):
    acknowledged = 0
    for _ in range(4):  # each round starts while the server of the round before still shuts down
        with python(WRITE_FOR_EVER, made) as writer:
            for _ in range(50):
                acknowledged = int(line_of(writer))
            writer.kill()
            assert writer.stdout is not None
            remaining = (
                writer.stdout.read()
            )  # communicate() would miss what readline() has read ahead
            acknowledged = max([acknowledged, *map(int, whole_lines(remaining))])
    wait_until(lambda: not processes_of(made))
    with EmbeddedPostgres(made) as conninfo:
        count, last = execute(conninfo, "SELECT count(*), max(n) FROM numbers")
    assert count == last
    # One more may have been committed without its answer being read.
    assert last - acknowledged in (0, 1)


def whole_lines(text: str) -> list[str]:
    """The lines that were written to their end before the writer was killed."""
    return text.split("\n")[:-1]


@only_linux
def test_the_server_of_a_killed_owner_shuts_down_in_order(made: Path):
    with python(OWN_UNTIL_TOLD, made) as owner:
        assert line_of(owner) == "up"
        owner.kill()
    wait_until(lambda: not processes_of(made))
    assert "database system is shut down" in (made / "postgres.log").read_text()


@only_linux
@pytest.mark.parametrize(
    ("parent", "output"), [(os.getpid(), "begun\n"), (2**22 + 1, "")], ids=["its own", "another"]
)
def test_a_child_whose_parent_ended_before_it_was_bound_to_it_does_not_begin(
    parent: int, output: str
):
    launcher = Path(embedded.__file__).with_name("launch.py")
    arguments = [parent, os.geteuid(), os.getegid(), int(signal.SIGINT), "/bin/echo", "begun"]
    finished = subprocess.run(
        [sys.executable, launcher, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stdout == output
    assert (finished.returncode == 0) is bool(output)


def test_a_program_that_forgets_to_stop_leaves_no_server_behind(made: Path):
    with python(START, made) as owner:
        assert owner.wait() == 0
    assert not processes_of(made)
    assert "database system is shut down" in (made / "postgres.log").read_text()


def test_the_server_outlives_the_thread_that_started_it(made: Path):
    server = EmbeddedPostgres(made)
    with ThreadPoolExecutor() as pool:
        conninfo = pool.submit(server.start).result()
    time.sleep(0.2)
    assert execute(conninfo, "SELECT 1") == (1,)
    server.stop()


def test_the_exit_of_a_fork_does_not_stop_its_parents_server(made: Path):
    fork = """
if (child := os.fork()) == 0:
    server.stop()
    sys.exit()
os.waitpid(child, 0)
with psycopg.connect(conninfo) as connection:
    print(connection.execute("SELECT 'served'").fetchone()[0])
"""
    with python(START + fork, made) as owner:
        assert line_of(owner) == "served"


def test_ctrl_c_in_the_terminal_reaches_the_program_and_not_its_server(made: Path):
    count_interrupts = """
interrupts = []
signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
with psycopg.connect(conninfo) as connection:
    print("up", flush=True)
    sys.stdin.readline()
    print(len(interrupts), connection.execute("SELECT 'served'").fetchone()[0], flush=True)
"""
    with python(START + count_interrupts, made, start_new_session=True) as owner:
        assert line_of(owner) == "up"
        os.killpg(owner.pid, signal.SIGINT)
        time.sleep(0.2)
        assert owner.stdin is not None
        owner.stdin.write("\n")
        owner.stdin.flush()
        assert line_of(owner) == "1 served"


def test_stop_ends_open_sessions_and_may_be_repeated(made: Path):
    server = EmbeddedPostgres(made)
    with psycopg.connect(server.start()) as connection:
        server.stop()
        server.stop()
        assert not processes_of(made)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_server_that_died_is_started_again(made: Path):
    server = EmbeddedPostgres(made)
    server.start()
    crash(made)
    with server as conninfo:
        assert execute(conninfo, "SELECT answer FROM kept") == (42,)
