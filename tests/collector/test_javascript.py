"""The official OpenTelemetry JavaScript SDK as a client: over three protocols, with and without gzip.

What it did is told by the program itself, javascript/client.mjs. A proxy between the two hears what is
sent, and can keep answers to itself.
"""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from footfall_collector.process.app import running
from support.alone import alone_in
from support.collectors import configured
from support.secrets import Secrets, dump
from support.waiting import until

HERE = Path(__file__).with_name("javascript")
PROTOCOLS = ["grpc", "http/protobuf", "http/json"]
protocols = pytest.mark.parametrize("protocol", PROTOCOLS)
SIGNALS = {"traces", "metrics", "logs"}
# gRPC over HTTP/2, "Length-Prefixed-Message", with what gzip begins with.
GZIPPED = re.compile(rb"\x01.{4}\x1f\x8b\x08", re.DOTALL)
HEADERS = 1  # RFC 9113, 6.2: an answer begins with a frame of this type


@pytest.fixture(scope="session")
def node():
    """The path of Node.js, with the program's packages installed beside it, in a folder that git ignores."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm (Node.js 20.6 or newer)")
    with alone_in(HERE):
        if not is_installed(HERE):
            command = ["npm", "install", "--loglevel=error", "--prefer-offline"]
            done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    return shutil.which("node")


def is_installed(folder):
    """Whether npm has been here since what it is to install has changed."""
    done, asked = folder / "node_modules/.package-lock.json", folder / "package.json"
    return done.exists() and done.stat().st_mtime > asked.stat().st_mtime


class Wire:
    """A proxy before a collector.

    Attributes:
        said: What clients have sent.
        losing: While true, no answer is passed on.
    """

    def __init__(self, protocol, endpoint):
        self.protocol, self._there = protocol, endpoint.split(":")
        self.said, self.losing = bytearray(), False
        self._writers, self._serving = [], []

    def requests(self, signal):
        """How many HTTP requests with this signal were made."""
        return self.said.count(f"POST /v1/{signal} ".encode())

    def cut(self):
        """Closes all connections; new ones lose nothing."""
        self.losing = False
        for writer in self._writers:
            writer.close()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.endpoint = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error):
        self._server.close()
        self.cut()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self._serving.append(asyncio.current_task())
        there_reader, there_writer = await asyncio.open_connection(*self._there)
        self._writers += [writer, there_writer]
        await asyncio.gather(self._forth(reader, there_writer), self._back(there_reader, writer))
        there_writer.close()

    async def _forth(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65536):
                self.said += part
                writer.write(part)
                await writer.drain()
        writer.close()

    async def _back(self, reader, writer):
        heard = b""
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65536):
                heard += part
                if not (self.losing and self._answers(heard)):
                    writer.write(part)
                    await writer.drain()
        writer.close()

    def _answers(self, heard):
        if self.protocol != "grpc":
            return True
        while len(heard) >= 9:
            if heard[3] == HEADERS:
                return True
            heard = heard[9 + int.from_bytes(heard[:3]) :]
        return False


class Program:
    """The running program, and what it has said."""

    def __init__(self, process):
        self._process = process

    async def says(self, key, values, seconds=20):
        """Waits until it has said this of each of the values."""
        missing = set(values)
        async with asyncio.timeout(seconds):
            while missing:
                missing.discard((await self._line()).get(key))

    async def report(self, seconds=30):
        """Lets it come to its end: what it says it did."""
        self._process.stdin.close()
        async with asyncio.timeout(seconds):
            while "report" not in (line := await self._line()):
                pass
            assert await self._process.wait() == 0
        return line["report"]

    async def _line(self):
        line = await self._process.stdout.readline()
        assert line, await self._process.stderr.read()
        return json.loads(line)


@contextlib.asynccontextmanager
async def program(node, wire, work, compression):
    task = {
        "protocol": wire.protocol,
        "compression": compression,
        "endpoint": wire.endpoint,
        "work": work,
        "mark": Secrets.MARK,
    }
    process = await asyncio.create_subprocess_exec(
        node, HERE / "client.mjs", json.dumps(task),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, limit=2**20,
    )  # fmt: skip
    try:
        yield Program(process)
        assert await process.stderr.read() == b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        process._transport.close()


@contextlib.asynccontextmanager
async def collecting(catalog, dsn, protocol):
    """A collector with a proxy before it."""
    async with running(configured(catalog, dsn)) as collector, proxy(collector, protocol) as wire:
        yield wire


def proxy(collector, protocol):
    return Wire(protocol, collector.grpc if protocol == "grpc" else collector.http)


def query(dsn, statement, *values):
    with psycopg.connect(dsn) as connection:
        return connection.execute(statement, values).fetchall()


def stored(dsn, protocol):
    """Observations, and what is counted, by event and action; the program's service is its protocol."""
    events = "SELECT event_name, count(*)::int FROM reporting.events WHERE service = %s GROUP BY 1"
    usage = (
        "SELECT event || '.' || action, sum(count)::int FROM reporting.usage WHERE service = %s"
        " GROUP BY 1"
    )
    service = protocol.replace("/", "-")
    return dict(query(dsn, events, service)), dict(query(dsn, usage, service))


def together(seen, counted):
    return {event: seen.get(event, 0) + counted.get(event, 0) for event in seen | counted}


@protocols
@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_what_a_program_did_is_stored_exactly_and_nothing_undeclared_is(
    node, catalog, store_database, protocol, compression
):
    dsn = store_database
    async with (
        collecting(catalog, dsn, protocol) as wire,
        program(node, wire, "everything", compression) as running_program,
    ):
        report = await running_program.report()

    seen, counted = report["seen"], report["counted"]
    assert stored(dsn, protocol) == (seen, together(seen, counted))
    assert counted == {"shop.ping.invoke": 2 * (6 * 7 + 21), "shop.order.success": 24}
    assert report["exports"]["metrics"] > 6  # each has told the sum of all before it
    assert query(
        dsn,
        "SELECT provider, sum(count)::int FROM reporting.usage"
        " WHERE event = 'shop.order' GROUP BY 1 ORDER BY 1",
    ) == [("smr", 24), ("smz3", 60), (None, 5)]
    assert query(dsn, "SELECT DISTINCT service FROM reporting.usage") == [
        (protocol.replace("/", "-"),)
    ]
    check_columns(dsn)
    check_answers(report["complaints"])
    check_bytes(wire, compression, report["hidden"])
    check_secrets(dsn, report["hidden"])


def check_columns(dsn):
    assert query(
        dsn,
        "SELECT status, provider, mode, attempts, ratio, ranked, note, duration_ms,"
        " error_type FROM reporting.events WHERE event = 'shop.survey' ORDER BY duration_ms",
    ) == [
        ("ok", "smr", "zurück", 7, 1.0, True, "kept on purpose", 83, None),
        ("error", None, None, None, 0.5, None, None, 1500, "unexpected_error"),
    ]  # fmt: skip
    assert query(dsn, "SELECT seed::text FROM footfall.feature_events WHERE seed IS NOT NULL") == [
        ("6c1d3dd2-19f0-4f2b-a2f9-0a3b5f0a5d11",)
    ]  # which readers are not shown
    assert query(
        dsn,
        "SELECT sum(attempts)::int, min(note), max(note) FROM reporting.events"
        " WHERE event = 'shop.visit'",
    ) == [(sum(range(20)), "kept on purpose", "kept on purpose")]


def check_answers(complaints):
    """The SDK understood each answer: one span was refused, and nothing else was wrong."""
    said = [line for line in complaints if "timed out" not in line]  # a busy machine's exports
    assert len(said) == 1
    assert "Received Partial Success response" in said[0]
    assert json.loads(said[0][said[0].index("{") :])["errorMessage"].startswith("expired_event: 1")


def check_bytes(wire, compression, hidden):
    """What is looked for was sent: in the clear, unless it was compressed; and each HTTP body in chunks."""
    visible = [text for text in hidden if text.encode() in wire.said]
    assert len(hidden) > 40
    if compression == "none":
        assert visible == hidden
    elif wire.protocol == "grpc":
        # grpc-js 1.14 compresses an exporter's first request only: it cannot read "identity, deflate, gzip".
        assert GZIPPED.search(wire.said)
    else:
        assert visible == []
    if wire.protocol != "grpc":
        headers = wire.said.lower()
        assert (
            headers.count(b"\r\ntransfer-encoding: chunked\r\n") == headers.count(b"post /v1/") > 8
        )
        assert b"\r\ncontent-length:" not in headers
        assert (b"\r\ncontent-encoding: gzip\r\n" in headers) == (compression == "gzip")


def check_secrets(dsn, hidden):
    secrets = Secrets()
    secrets.texts = dict(zip(hidden, hidden, strict=True))
    tables = dump(dsn)
    assert b"kept on purpose" in tables
    assert secrets.found_in(tables) == []


SEEN = {"shop.order.success": 30, "shop.order.failure": 3, "shop.visit.close": 20}


@protocols
async def test_what_was_stored_and_lost_its_answer_is_stored_once(
    node, catalog, store_database, protocol
):
    dsn = store_database
    async with collecting(catalog, dsn, protocol) as wire:
        wire.losing = True
        async with program(node, wire, "little", "gzip") as running_program:
            await until(lambda: stored(dsn, protocol)[0] == SEEN)
            wire.cut()
            await failed(running_program, wire)
            await recovery(running_program, protocol)
            report = await running_program.report()
    assert report["seen"] == SEEN
    assert stored(dsn, protocol) == (SEEN, together(SEEN, report["counted"]))


async def test_what_was_refused_while_postgres_was_stopped_is_stored_once(
    node, catalog, own_server, own_database
):
    dsn, all_were_refused = own_database, asyncio.Barrier(len(PROTOCOLS))

    async def work(collector, protocol):
        async with (
            proxy(collector, protocol) as wire,
            program(node, wire, "little", "gzip") as running_program,
        ):
            await failed(running_program, wire)
            await all_were_refused.wait()
            own_server.start()
            await recovery(running_program, protocol)
            return await running_program.report()

    async with running(configured(catalog, dsn)) as collector:
        own_server.stop()
        reports = await asyncio.gather(*(work(collector, p) for p in PROTOCOLS))
    for protocol, report in zip(PROTOCOLS, reports, strict=True):
        assert report["seen"] == SEEN
        # Over gRPC this SDK sends no request again; a counter's next export makes good the ones before it.
        seen = {} if protocol == "grpc" else SEEN
        assert stored(dsn, protocol) == (seen, together(seen, report["counted"]))


async def failed(running_program, wire):
    """Until an export of each signal has failed: over HTTP the SDK says it by sending again."""
    if wire.protocol == "grpc":
        await running_program.says("failed", SIGNALS)
    else:
        await until(lambda: all(wire.requests(signal) > 1 for signal in SIGNALS))


async def recovery(running_program, protocol):
    """Until all that is sent again was taken."""
    await running_program.says("ok", {"metrics"} if protocol == "grpc" else SIGNALS)
