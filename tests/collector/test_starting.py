"""A collector that starts while Postgres is away: it serves, and stores when Postgres is there."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo

from conftest import CATALOG, new_database
from footfall_collector.config.schema import OperatorConfig, ServiceConfig
from footfall_collector.process.app import running
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import NewerSchema, PostgresConfig, prepare
from footfall_exporters.postgres.absence import is_away
from footfall_exporters.posthog import PostHogConfig
from footfall_exporters.spool import SpoolConfig
from support.collectors import configured
from support.http_server import serving
from support.otlp import PROTOBUF, traces
from support.up import FOOTFALL, Up
from support.waiting import until


@pytest.fixture
def away(own_server):
    """The DSN of an empty database whose server does not run now."""
    with new_database(own_server.start()) as dsn:
        own_server.stop()
        yield dsn
        own_server.start()


def config(catalog, dsn, spool=None, **options):
    postgres = PostgresConfig(dsn=dsn, spool=spool and SpoolConfig(directory=str(spool)))
    service = ServiceConfig(operator=OperatorConfig(endpoint="127.0.0.1:0"))
    return replace(configured(catalog, dsn, service=service, **options), postgres=postgres)


async def send(collector, body):
    async with httpx.AsyncClient(timeout=30, verify=False) as http:
        answer = await http.post(
            f"http://{collector.http}/v1/traces", content=body, headers=PROTOBUF
        )
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)
    return answer.status_code


async def ready(collector):
    async with httpx.AsyncClient(verify=False) as http:
        return (await http.get(f"http://{collector.operator}/readyz")).status_code


@asynccontextmanager
async def soon(seconds=60):
    async with asyncio.timeout(seconds):
        yield


def stored(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT (SELECT count(*) FROM footfall.feature_events),"
            " (SELECT count(*) FROM footfall.ingest_batches)"
        ).fetchone()


async def test_with_a_spool_it_takes_requests_and_stores_them_once_when_postgres_is_there(
    catalog, away, own_server, tmp_path, caplog
):
    bodies = [traces("shop.ping", number=3) for _ in range(5)]
    async with running(config(catalog, away, tmp_path / "spool")) as collector:
        assert "Postgres is away" in caplog.text
        assert [await send(collector, body) for body in bodies * 2] == [200] * 10
        assert await ready(collector) == 200
        own_server.start()

        async def all_there():
            try:
                return stored(away) == (15, 5)
            except psycopg.Error:
                return False

        await until(all_there)
        assert await send(collector, traces("shop.ping", number=3)) == 200
        assert await send(collector, bodies[0]) == 200
        assert stored(away) == (18, 6)
        assert not collector.lost.done()


async def test_without_a_spool_senders_come_again_until_postgres_is_there(
    catalog, away, own_server
):
    async with running(config(catalog, away)) as collector:
        body = traces("shop.ping", number=3)
        assert await send(collector, body) == 503
        assert await ready(collector) == 503
        own_server.start()

        async def taken():
            return await send(collector, body) == 200

        await until(taken)
        assert await ready(collector) == 200
        assert stored(away) == (3, 1)


async def test_hashes_need_salts_that_only_postgres_has_and_events_come_without_until_then(
    catalog, away, own_server, tmp_path
):
    def guilds():
        with psycopg.connect(away) as connection:
            return connection.execute(
                "SELECT count(*), count(guild_hash) FROM footfall.feature_events"
            ).fetchone()

    def missing():
        with psycopg.connect(away) as connection:
            return connection.execute(
                "SELECT sum((losses ->> 'salt_missing')::int) FROM footfall.ingest_batches"
            ).fetchone()

    async with running(config(catalog, away, tmp_path / "spool")) as collector:
        assert await send(collector, traces("shop.order", number=3, guild_id="guild-80351")) == 200
        assert b"80351" not in b"".join(p.read_bytes() for p in (tmp_path / "spool").iterdir())
        own_server.start()

        async def drained():
            try:
                return stored(away)[1] == 1
            except psycopg.Error:
                return False

        await until(drained)
        assert guilds() == (3, 0)
        lost = missing()
        assert lost[0] >= 3

        async def hashed():
            assert (
                await send(collector, traces("shop.order", number=3, guild_id="guild-80351")) == 200
            )
            return guilds()[1] > 0

        await until(hashed)


@pytest.mark.parametrize("spooled", [True, False])
async def test_what_waiting_cannot_mend_ends_it_when_postgres_is_there(
    catalog, away, own_server, tmp_path, spooled
):
    own_server.start()
    prepare(away, Settings(catalog))
    with psycopg.connect(away) as connection:
        connection.execute("UPDATE footfall.alembic_version SET version_num = '9999'")
    own_server.stop()
    spool = tmp_path / "spool" if spooled else None
    async with running(config(catalog, away, spool)) as collector:
        assert await send(collector, traces("shop.ping")) == (200 if spooled else 503)
        own_server.start()
        async with soon():
            with pytest.raises(NewerSchema):
                await asyncio.wrap_future(collector.lost)
        async with httpx.AsyncClient(verify=False) as http:
            assert (await http.get(f"http://{collector.operator}/healthz")).status_code == 503


async def test_a_new_subscriber_gets_what_was_spooled_before_postgres_was_there(
    catalog, away, own_server, tmp_path
):
    async with serving() as server:
        posthog = PostHogConfig(endpoint=f"{server.url}/batch/", api_key="phc_test")
        options = {"subscribers": {"posthog": posthog}}
        async with running(config(catalog, away, tmp_path / "spool", **options)) as collector:
            assert await send(collector, traces("shop.ping", number=3)) == 200
            own_server.start()

            async def sent():
                return bool(server.requests)

            await until(sent)


@pytest.fixture
def settings(tmp_path, away):
    protocols = {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}
    written = {
        "receivers": {"otlp": {"protocols": protocols}},
        "processors": {
            "footfall": {"catalog": str(CATALOG), "hash_salt": "3f9c1a7be2d05846c1e97ab304fd2865"}
        },
        "exporters": {"postgres": {"dsn": away, "spool": {"directory": str(tmp_path / "spool")}}},
        "service": {"operator": None},
    }
    path = tmp_path / "collector.yaml"
    path.write_text(yaml.safe_dump(written))
    return path


async def test_workers_start_take_requests_and_store_them_when_postgres_is_there(
    settings, away, own_server
):
    up = Up(settings, "--workers", "2")
    try:
        address = await up.address("OTLP/HTTP")
        async with httpx.AsyncClient(timeout=30, verify=False) as http:
            for _ in range(4):
                answer = await http.post(
                    f"http://{address}/v1/traces", content=traces("shop.ping"), headers=PROTOBUF
                )
                assert answer.status_code == 200
        own_server.start()

        async def drained():
            try:
                return stored(away) == (4, 4)
            except psycopg.Error:
                return False

        await until(drained)
        assert up.stop(signal.SIGTERM) == 0
    finally:
        up.stop(signal.SIGKILL)


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
async def test_the_command_ends_with_one_line_for_what_waiting_cannot_mend(
    settings, options, away, own_server, catalog
):
    own_server.start()
    prepare(away, Settings(catalog))
    with psycopg.connect(away) as connection:
        connection.execute("UPDATE footfall.alembic_version SET version_num = '9999'")
    own_server.stop()
    up = Up(settings, *options)
    try:
        await up.address("OTLP/HTTP")
        own_server.start()
        end = time.monotonic() + 60
        while up.process.poll() is None and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert up.process.poll() == 1
        assert "Error: the database has schema 9999" in up.log.read_text()
        assert "Traceback" not in up.log.read_text()
    finally:
        up.stop(signal.SIGKILL)


def refusal(dsn):
    with pytest.raises(psycopg.Error) as refused:
        psycopg.connect(dsn, connect_timeout=5)
    return refused.value


def test_what_waiting_may_mend_and_what_not(postgres_server):
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE ROLE footfall_crowd LOGIN PASSWORD 'p' CONNECTION LIMIT 0")
        connection.execute("CREATE ROLE footfall_barred NOLOGIN PASSWORD 'p'")
        try:
            crowd = make_conninfo(postgres_server, user="footfall_crowd", password="p")
            barred = make_conninfo(postgres_server, user="footfall_barred", password="p")
            assert is_away(refusal(crowd))
            assert not is_away(refusal(barred))
        finally:
            connection.execute("DROP ROLE footfall_crowd")
            connection.execute("DROP ROLE footfall_barred")
    assert is_away(refusal("postgresql://127.0.0.1:1/footfall"))
    assert is_away(refusal("postgresql://no-such-host.invalid/footfall"))
    assert not is_away(refusal(make_conninfo(postgres_server, password="wrong")))
    assert not is_away(refusal(make_conninfo(postgres_server, dbname="no_such_database")))
    assert not is_away(refusal(make_conninfo(postgres_server, user="no_such_role")))
    assert is_away(psycopg.OperationalError("FATAL:  the database system is starting up"))
    assert is_away(psycopg.OperationalError("FATAL:  sorry, too many clients already"))
    assert is_away(psycopg.errors.ReadOnlySqlTransaction())
    assert not is_away(psycopg.errors.InsufficientPrivilege())
    assert not is_away(psycopg.ProgrammingError("missing '=' after 'x'"))


@pytest.mark.parametrize("ends", ["as it ends", "at once"])
def test_a_connection_that_ends_while_tls_begins_may_be_mended_by_waiting(ends):
    """As a balancer does that has no server behind it, or a server that restarts."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def cut():
            connection, _ = server.accept()
            with connection:
                connection.recv(8)  # SSLRequest
                connection.sendall(b"S")
                if ends == "at once":  # with a reset
                    at_once = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                connection.recv(4096)  # where its handshake begins

        done = pool.submit(cut)
        host, port = server.getsockname()
        refused = refusal(f"host={host} port={port} user=x dbname=x sslmode=require")
        done.result()
    assert "SSL" in str(refused)
    assert is_away(refused)
    assert not is_away(psycopg.OperationalError("server does not support SSL, but it was required"))


@pytest.fixture
def hole():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def _alone() -> list[str]:
    return ["unshare", "--pid", "--fork", "--kill-child", "--"]


FREE = {"endpoint": "127.0.0.1:0"}


def _may_be_process_one() -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run([*_alone(), "true"], capture_output=True, check=False).returncode == 0
    return False


@pytest.mark.skipif(
    not _may_be_process_one(), reason="this user may make no namespace of processes"
)
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_one_of_a_container_ends_while_it_starts(tmp_path, hole, number, workers):
    """The kernel gives such a process no signal for which it has no handler."""
    host, port = hole.getsockname()
    path = tmp_path / "collector.yaml"
    path.write_text(
        yaml.safe_dump({
            "receivers": {"otlp": {"protocols": {"grpc": FREE, "http": FREE}}},
            "processors": {"footfall": {"catalog": str(CATALOG), "hash_salt": secrets.token_hex(32)}},
            "exporters": {"postgres": {"dsn": f"host={host} port={port} dbname=x user=x"}},
            "service": {"operator": None},
        })
    )  # fmt: skip
    command = [*_alone(), *FOOTFALL, "--config", str(path), "--workers", workers]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as outside:
        try:
            connection, _ = hole.accept()  # it is in the middle of its start
            with connection:
                children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text()
                os.kill(int(children), number)
                assert outside.wait(20) == 128 + number
        finally:
            outside.kill()
