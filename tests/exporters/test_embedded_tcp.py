"""The embedded server on TCP: off unless it is asked for, and for one reader alone."""

import socket
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from exporters.embedded import OWN_UNTIL_TOLD, execute, line_of, python
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres, EmbeddedPostgresError
from footfall_exporters.postgres import PostgresConfig, connect_sync, prepare
from footfall_exporters.postgres.connecting import SCHEMA
from footfall_exporters.postgres.readers import ReadersConfig, admit
from support.ports import free_port
from support.waiting import until

PASSWORD = "a password of Grafana's own"
pytestmark = pytest.mark.thorough


def readers_at(port):
    return ReadersConfig(endpoint=f"127.0.0.1:{port}", password=PASSWORD)


@contextmanager
def listening(directory, catalog, port):
    """A server that listens, ready to be read; how the owner reaches it, and its port."""
    config = readers_at(port)
    with EmbeddedPostgres(directory, {"fsync": "off"}, listening=config.listening) as dsn:
        prepare(dsn, Settings(catalog))
        with connect_sync(dsn, SCHEMA) as connection:
            admit(connection, config)
            admit(connection, config)  # as at every start
        yield dsn


def over_tcp(port, user="grafana", password=PASSWORD, dbname="footfall"):
    return psycopg.connect(
        host="127.0.0.1", port=port, user=user, password=password, dbname=dbname, autocommit=True
    )


def test_one_login_reads_the_reports_over_tcp_and_nobody_else_comes_in(copy, catalog):
    port = free_port()
    with listening(copy, catalog, port) as dsn:
        with over_tcp(port) as grafana:
            assert grafana.execute("SELECT count(*) FROM reporting.usage").fetchone() == (0,)
            assert grafana.execute("SHOW statement_timeout").fetchone() == ("1min",)
            assert grafana.pgconn.used_password
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                grafana.execute("SELECT * FROM footfall.feature_events")
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                grafana.execute("CREATE TABLE reporting.mine ()")
        owner = conninfo_to_dict(dsn)
        execute(dsn, "CREATE ROLE another LOGIN PASSWORD 'x'")
        execute(dsn, "GRANT footfall_reader TO another")
        for user, password, database, said in (
            ("footfall", owner["password"], "footfall", "no pg_hba.conf entry"),
            ("another", "x", "footfall", "no pg_hba.conf entry"),
            ("grafana", PASSWORD, "postgres", "no pg_hba.conf entry"),
            ("grafana", "wrong", "footfall", "password authentication failed"),
            ("grafana", "", "footfall", "no password supplied"),
        ):
            with pytest.raises(psycopg.OperationalError, match=said):
                over_tcp(port, user, password, database)
        stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'grafana'"
        assert execute(dsn, stored)[0].startswith("SCRAM-SHA-256$4096:")


def test_it_is_off_unless_it_is_asked_for_and_again_when_it_is_no_longer(directory, catalog):
    port = free_port()
    with EmbeddedPostgres(directory) as dsn:
        assert execute(dsn, "SHOW listen_addresses") == ("",)
    with listening(directory, catalog, port) as dsn:
        over_tcp(port).close()
    with EmbeddedPostgres(directory) as after:
        assert after == dsn  # whoever holds the connection string reaches it either way
        assert execute(after, "SHOW listen_addresses") == ("",)
        with pytest.raises(psycopg.OperationalError, match="refused"):
            over_tcp(port)


def test_others_join_it_by_the_socket_whatever_the_port(copy, catalog):
    with listening(copy, catalog, free_port()), python(OWN_UNTIL_TOLD, copy) as joiner:
        assert line_of(joiner) == "up"
        joiner.communicate()
        assert joiner.returncode == 0


def test_a_port_that_is_taken_is_said(directory):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = readers_at(taken.getsockname()[1])
        with pytest.raises(EmbeddedPostgresError, match="name another endpoint") as caught:
            EmbeddedPostgres(directory, listening=config.listening).start()
    assert config.endpoint in str(caught.value)
    with EmbeddedPostgres(directory) as dsn:
        assert execute(dsn, "SELECT 1") == (1,)


async def test_a_server_that_another_started_listens_once_that_has_ended(copy, catalog, caplog):
    port = free_port()
    config = PostgresConfig(data_directory=str(copy), readers=readers_at(port))
    with python(OWN_UNTIL_TOLD, copy) as owner:
        assert line_of(owner) == "up"
        async with config.open(Settings(catalog)) as store:
            assert "readers do not reach" in caplog.text
            owner.communicate()
            await until(lambda: store.restarts == 1)
            with over_tcp(port) as grafana:
                assert grafana.execute("SELECT count(*) FROM reporting.usage").fetchone() == (0,)
            assert execute(store.dsn, "SELECT 1") == (1,)
