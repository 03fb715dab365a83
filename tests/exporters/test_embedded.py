import math
import os
import signal
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from exporters.embedded import answers, execute
from footfall_exporters.embedded import EmbeddedPostgres, EmbeddedPostgresError
from footfall_exporters.postgres.connecting import READING, WRITING, connect_sync
from support.waiting import wait_until

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
    waited = [math.inf]
    while min(waited) >= 0.4 and len(waited) < 20:  # it may be the machine that sleeps
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
