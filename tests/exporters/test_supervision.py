"""A real server that is killed, whose data vanish, whose owner is killed: served again, or given up."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from conftest import copied, make_directory
from footfall_exporters.embedded import EmbeddedPostgres, EmbeddedPostgresError, Supervision
from footfall_exporters.embedded import supervision as module
from footfall_exporters.embedded.orphans import end_orphans
from support.waiting import wait_until


@pytest.fixture(scope="module")
def place(pristine):
    """The directory of a server, stopped between tests."""
    parent = make_directory()
    with (
        EmbeddedPostgres(copied(pristine, parent / "postgres")) as dsn,
        psycopg.connect(dsn) as connection,
    ):
        connection.execute("CREATE TABLE numbers (n bigint)")
    yield parent / "postgres"
    shutil.rmtree(parent)


@pytest.fixture
def supervised(place):
    server, supervision = EmbeddedPostgres(place), Supervision()
    with server as dsn:
        server.supervise(supervision)
        yield dsn, supervision, server


def first_process(place):
    return int((place / "data" / "postmaster.pid").read_text().split("\n")[0])


def kill(place):
    os.kill(first_process(place), signal.SIGKILL)


def answers(dsn):
    with suppress(psycopg.OperationalError), psycopg.connect(dsn, connect_timeout=2) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False


def test_a_killed_server_serves_again_at_the_same_place_with_all_that_was_committed(
    supervised, place, caplog
):
    dsn, supervision, _ = supervised
    committed = 0
    for round_ in range(1, 4):
        with psycopg.connect(dsn, autocommit=True) as connection:
            for _ in range(20):
                connection.execute("INSERT INTO numbers VALUES (1)")
                committed += 1
            kill(place)
        begun = time.monotonic()
        wait_until(lambda: supervision.restarts == round_)  # noqa: B023
        assert answers(dsn)
        assert time.monotonic() - begun < 15
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (committed,)
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "the embedded Postgres ended (signal 9); it is started again" in said
    assert not supervision.lost.done()


def test_a_server_that_someone_stops_in_order_is_started_again(supervised, place):
    dsn, supervision, _ = supervised
    os.kill(first_process(place), signal.SIGINT)
    wait_until(lambda: supervision.restarts == 1)
    assert answers(dsn)


def works_on(pid, place):
    with suppress(OSError):  # it has ended; what is left of it works nowhere
        return Path(f"/proc/{pid}/cwd").readlink() == place / "data"
    return False


def computes(dsn, pid):
    asked = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
    with psycopg.connect(dsn) as connection:
        return connection.execute(asked + " AND query LIKE '%%md5%%'", [pid]).fetchall()


def test_a_session_that_computes_on_after_its_server_was_killed_holds_nothing_up(supervised, place):
    dsn, supervision, _ = supervised
    connection = psycopg.connect(dsn)
    pid = connection.info.backend_pid
    connection.execute("SET max_parallel_workers_per_gather = 0")

    def compute():
        with suppress(psycopg.OperationalError):
            connection.execute("SELECT count(md5(n::text)) FROM generate_series(1, 1000000000) n")

    computing = threading.Thread(target=compute)
    computing.start()
    wait_until(lambda: computes(dsn, pid))
    assert works_on(pid, place)
    kill(place)
    wait_until(lambda: supervision.restarts == 1, 20)
    assert answers(dsn)
    computing.join(10)
    connection.close()
    assert not works_on(pid, place)


def test_the_sessions_of_a_living_server_are_no_orphans(supervised, place):
    dsn, supervision, _ = supervised
    with psycopg.connect(dsn) as connection:
        end_orphans(place / "data")
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert supervision.restarts == 0


OWN = """
import sys, time
from pathlib import Path
from footfall_exporters.embedded import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1])).start()
print("up", flush=True)
time.sleep(600)
"""


def test_whoever_had_joined_takes_over_when_the_owner_is_killed(place):
    owner = subprocess.Popen([sys.executable, "-c", OWN, place], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        server, supervision = EmbeddedPostgres(place), Supervision()
        with server as dsn:
            before = first_process(place)
            server.supervise(supervision)
            owner.kill()
            wait_until(lambda: supervision.restarts == 1)
            assert answers(dsn)
            assert first_process(place) != before
        assert not answers(dsn)  # it was ours in the end, and ended with us
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()


def test_a_server_that_does_not_come_back_is_given_up_in_one_line(place, monkeypatch):
    monkeypatch.setattr(module, "WAITS_S", (0.0, 0.1, 0.1))
    server, supervision = EmbeddedPostgres(place), Supervision()
    control = place / "data/global/pg_control"
    with server:
        server.supervise(supervision)
        control.rename(place / "aside")
        try:
            kill(place)
            error = supervision.lost.exception(60)
        finally:
            (place / "aside").rename(control)
    assert isinstance(error, EmbeddedPostgresError)
    assert "started 3 times in a row" in str(error)
    assert "pg_control" in str(error)
    assert "\n" not in str(error)


def test_data_that_vanish_are_not_replaced_by_an_empty_cluster(place, monkeypatch):
    monkeypatch.setattr(module, "WAITS_S", (0.0,))
    server, supervision = EmbeddedPostgres(place), Supervision()
    with server:
        server.supervise(supervision)
        (place / "data").rename(place / "moved")
        try:
            os.kill(int((place / "moved/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            error = supervision.lost.exception(60)
            assert not (place / "data").exists()
        finally:
            (place / "moved").rename(place / "data")
    assert "is gone" in str(error)


def test_stop_is_no_end_that_is_mended(place):
    server, supervision = EmbeddedPostgres(place), Supervision()
    dsn = server.start()
    server.supervise(supervision)
    kill(place)
    time.sleep(0.05)  # it is being started again
    server.stop()
    time.sleep(1)
    assert not answers(dsn)
    assert not supervision.lost.done()
