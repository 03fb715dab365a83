"""A request is stored once, also when the collector dies between the commit and its answer.

A proxy stands between the collector and Postgres. It lets the COMMIT of the first request through and
keeps Postgres' answer to itself: the collector is killed when the data is durable and nobody knows.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import grpc
import httpx
import psycopg
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import CATALOG

pytestmark = [pytest.mark.requirement("G1")]

PACKAGE = "opentelemetry.proto.collector"
METHODS = {
    "traces": f"/{PACKAGE}.trace.v1.TraceService/Export",
    "metrics": f"/{PACKAGE}.metrics.v1.MetricsService/Export",
}
COMMIT = b"Q\0\0\0\x0bCOMMIT\0"  # PostgreSQL, "Message Formats": Query
LAST_STATEMENT = b"INSERT INTO footfall.commits"


class Proxy:
    """Passes on what two ends say, until the commit of a batch: its answer is held back.

    Attributes:
        withheld: Set when Postgres' answer to the COMMIT has arrived here.
    """

    def __init__(self, dsn):
        self._parts = conninfo_to_dict(dsn)
        self.withheld = asyncio.Event()
        self._writers, self._serving = [], []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        plain = {"sslmode": "disable", "gssencmode": "disable"}  # so that it can be read here
        self.dsn = make_conninfo(**self._parts | {"host": "127.0.0.1", "port": port} | plain)
        return self

    async def __aexit__(self, *error):
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()

    async def _connect(self):
        host, port = self._parts.get("host", "localhost"), self._parts.get("port", 5432)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _serve(self, reader, writer):
        server_reader, server_writer = await self._connect()
        self._writers += [writer, server_writer]
        self._serving.append(asyncio.current_task())
        held = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forth(reader, server_writer, held))
            tasks.create_task(self._back(server_reader, writer, held))

    async def _forth(self, reader, writer, held):
        """From the collector to Postgres."""
        said = b""
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65536):
                said = said[-200_000:] + part
                if COMMIT in said[said.rfind(LAST_STATEMENT) :] and LAST_STATEMENT in said:
                    held.set()
                writer.write(part)
                await writer.drain()
        writer.close()

    async def _back(self, reader, writer, held):
        """From Postgres to the collector."""
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65536):
                if held.is_set():
                    self.withheld.set()
                else:
                    writer.write(part)
                    await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def collector(tmp_path, dsn):
    """`footfall up` as a process of its own; yields it and its addresses."""
    config = tmp_path / "collector.yaml"
    config.write_text(
        f"processors: {{footfall: {{catalog: {CATALOG}, hash_salt: 3f9c1a7be2d05846c1e97ab304fd2865}}}}\n"
        f"exporters: {{postgres: {{dsn: '{escaped(dsn)}'}}}}\n"
        "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}}\n"
        "service: {operator: null}\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from footfall_collector.cli import main; main()", "up", "--config", config,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        said = b"".join([await process.stdout.readline() for _ in range(4)]).decode()
        yield process, dict(re.findall(r"OTLP/(\S+)\s+http://(\S+)", said))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        process._transport.close()


def escaped(dsn):
    return dsn.replace("'", "''").replace("$", "$$")


async def send(protocol, addresses, signal_, body):
    """Whether a request was acknowledged."""
    if protocol == "grpc":
        async with grpc.aio.insecure_channel(addresses["gRPC"]) as channel:
            try:
                await channel.unary_unary(METHODS[signal_])(body, timeout=30)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # it came to nothing
                return False
            return True
    headers = {"content-type": "application/x-protobuf"}
    async with httpx.AsyncClient(
        base_url=f"http://{addresses['HTTP']}", timeout=30, verify=False
    ) as client:
        try:
            response = await client.post(f"/v1/{signal_}", content=body, headers=headers)
        except httpx.TransportError:
            return False
        assert response.status_code == 200
        return True


def traces():
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    now = time.time_ns()
    for n in range(700):
        name = ("shop.order", "shop.ping", "GET /")[n % 7 % 3]
        span = spans.add(name=name, start_time_unix_nano=now - 10**9, end_time_unix_nano=now)
        span.attributes.add(key="guild_id").value.string_value = str(n)
    return request.SerializeToString(), {"shop.order": 300, "shop.ping": 200}


def metrics():
    request = ExportMetricsServiceRequest()
    sent = request.resource_metrics.add().scope_metrics.add().metrics
    now = time.time_ns()
    for name, temporality, number in (("shop.order", 1, 40), ("shop.ping", 2, 7)):
        metric = sent.add(name=name)
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, temporality
        metric.sum.data_points.add(
            as_int=number, start_time_unix_nano=now - 10**9, time_unix_nano=now
        )
    return request.SerializeToString(), {"shop.order": 40, "shop.ping": 7}


REQUESTS = {"traces": traces, "metrics": metrics}


class Database:
    """Looks into the database directly, not through the collector."""

    def __init__(self, connection):
        self._connection = connection

    def rows(self, statement):
        return self._connection.execute(statement).fetchall()

    def holds(self):
        """Rows and occurrences by event, ledger rows, commits."""
        rows = "SELECT event, count(*) FROM reporting.events GROUP BY event"
        counts = "SELECT event, sum(count)::int FROM reporting.usage GROUP BY event"
        ledger = "SELECT count(*) FROM footfall.ingest_batches"
        commits = "SELECT count(*), max(position) FROM footfall.commits"
        return (
            dict(self.rows(rows)),
            dict(self.rows(counts)),
            self.rows(ledger)[0][0],
            self.rows(commits)[0],
        )


@pytest.fixture
def database(store_database):
    with psycopg.connect(store_database, autocommit=True) as connection:
        yield Database(connection)


def expected(signal_, counts, times=1):
    number = {event: n * times for event, n in counts.items()}
    return number if signal_ == "traces" else {}, number, times, (times, times)


async def commit_and_die(tmp_path, dsn, database, protocol, signal_, body):
    """A request is committed, and the collector killed before it can know."""
    async with Proxy(dsn) as proxy, collector(tmp_path, proxy.dsn) as (process, addresses):
        sending = asyncio.create_task(send(protocol, addresses, signal_, body))
        async with asyncio.timeout(60):
            await proxy.withheld.wait()
            while not database.rows("SELECT FROM footfall.ingest_batches"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not sending.done()
        os.kill(process.pid, signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        assert await sending is False


@pytest.mark.parametrize(
    ("protocol", "signal_"), [("grpc", "traces"), ("http", "traces"), ("grpc", "metrics")]
)
async def test_a_request_is_stored_once_though_the_collector_was_killed_between_commit_and_answer(
    tmp_path, store_database, database, protocol, signal_
):
    body, counts = REQUESTS[signal_]()
    await commit_and_die(tmp_path, store_database, database, protocol, signal_, body)
    assert database.holds() == expected(signal_, counts)
    async with collector(tmp_path, store_database) as (_, addresses):
        for again in ("grpc", "http", protocol):
            assert await send(again, addresses, signal_, body)
    assert database.holds() == expected(signal_, counts)


async def test_without_its_ledger_row_the_retry_would_be_stored_twice(
    tmp_path, store_database, database
):
    """The control: what the test above relies on is the ledger, and it would notice."""
    body, counts = traces()
    await commit_and_die(tmp_path, store_database, database, "grpc", "traces", body)
    database.rows("DELETE FROM footfall.ingest_batches RETURNING 1")
    async with collector(tmp_path, store_database) as (_, addresses):
        assert await send("grpc", addresses, "traces", body)
    rows, occurrences, ledger, commits = database.holds()
    assert rows == occurrences == {event: 2 * n for event, n in counts.items()}
    assert (ledger, commits) == (1, (2, 2))


async def test_a_collector_killed_before_the_commit_has_stored_nothing_and_the_retry_stores_it(
    tmp_path, store_database, database
):
    body, counts = traces()
    with psycopg.connect(store_database) as blocker:
        blocker.execute("LOCK TABLE footfall.commit_clock IN EXCLUSIVE MODE")  # the last step waits
        async with collector(tmp_path, store_database) as (process, addresses):
            sending = asyncio.create_task(send("grpc", addresses, "traces", body))
            waiting = (
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            async with asyncio.timeout(60):
                while not database.rows(waiting):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            assert await sending is False
    assert database.holds() == ({}, {}, 0, (0, None))
    async with collector(tmp_path, store_database) as (_, addresses):
        assert await send("grpc", addresses, "traces", body)
    assert database.holds() == expected("traces", counts)
