"""A collector that follows another one by OTLP, and a gateway: what arrives is what was there."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from conftest import CATALOG
from e2e.relaying import (
    HOUR,
    LOST,
    REPORTS,
    SALT,
    caught_up,
    configured,
    everything,
    followed,
    guilds,
    reports,
    rows_of,
    send,
    traces,
)
from footfall_collector.config.schema import GrpcConfig, HttpConfig
from footfall_collector.process.app import running
from support.collectors import both
from support.ports import free_port

# The collectors


@both
async def test_a_second_collector_that_follows_by_otlp_has_equal_reports(
    catalog, store_database, second_database, relay, protocol
):
    keys_file, headers = relay
    bodies = everything(time.time_ns() - HOUR // 10)
    async with (
        running(configured(catalog, store_database)) as first,
        running(configured(catalog, second_database, keys_file=keys_file)) as second,
        followed(protocol, getattr(second, protocol), store_database, catalog, headers) as follower,
    ):
        await send(first.grpc, *bodies)
        await caught_up(store_database)
    found = reports(store_database)
    assert found == reports(second_database)
    assert {name: bool(rows) for name, rows in found.items()} == dict.fromkeys(REPORTS, True)
    groups = {day: n for day, n, *_ in found["active_groups"]}
    assert groups == guilds(body for kind, body in bodies if kind == "traces")
    # 3 services of 720 spans and 5 log records; counters 3 x 43 and, as a delta, 2 x 43.
    assert sum(row[-1] for row in found["usage"]) == 3 * 720 + 5 + 5 * 43
    assert (follower.delivery.parked, rows_of(second_database, LOST)) == (0, [])


@pytest.mark.parametrize("column", ["guild_hash", "team_hash", "visitor_hash"])
async def test_pseudonyms_arrive_as_they_are(
    catalog, store_database, second_database, relay, column
):
    keys_file, headers = relay
    async with (
        running(configured(catalog, store_database)) as first,
        running(configured(catalog, second_database, keys_file=keys_file)) as second,
        followed("grpc", second.grpc, store_database, catalog, headers),
    ):
        await send(first.grpc, ("traces", traces(30)))
        await caught_up(store_database)
    statement = f"SELECT DISTINCT {column} FROM footfall.feature_events ORDER BY 1"
    found = rows_of(store_database, statement)
    assert len(found) >= 4
    assert rows_of(second_database, statement) == found


async def test_from_a_sender_that_is_no_relay_no_pseudonym_is_taken(
    catalog, store_database, second_database
):
    async with (
        running(configured(catalog, store_database)) as first,
        running(configured(catalog, second_database)) as second,
        followed("grpc", second.grpc, store_database, catalog),
    ):
        await send(first.grpc, ("traces", traces(30)))
        await caught_up(store_database)
    [[rows, guilds, visitors]] = rows_of(
        second_database,
        "SELECT count(*), count(guild_hash), count(visitor_hash) FROM footfall.feature_events",
    )
    assert (rows, guilds, visitors) == (90, 0, 0)
    lost = {reason: number for _, reason, number in rows_of(second_database, LOST)}
    assert lost == {
        "wrong_type": 60 + 2 * 30
    }  # a guild on two events of three, and two more on one


@both
async def test_a_collector_that_was_away_has_everything_once_when_it_is_back(
    catalog, store_database, second_database, relay, protocol
):
    keys_file, headers = relay
    port = free_port()
    listener = {"grpc": GrpcConfig, "http": HttpConfig}[protocol](endpoint=f"127.0.0.1:{port}")
    config = configured(catalog, second_database, keys_file=keys_file, **{protocol: listener})
    start = time.time_ns() - HOUR // 10
    bodies = everything(start)
    async with (
        running(configured(catalog, store_database)) as first,
        followed(protocol, f"127.0.0.1:{port}", store_database, catalog, headers) as follower,
    ):
        await send(first.grpc, *bodies[:2])  # it is not there yet
        await retried(follower)
        async with running(config):
            await caught_up(store_database)
        await send(first.grpc, *bodies[2:])  # it is gone again
        await retried(follower)
        async with running(config):
            await caught_up(store_database)
    assert reports(store_database) == reports(second_database)


async def retried(follower):
    """Returns when it has tried once more in vain."""
    before = follower.delivery.retries
    async with asyncio.timeout(30):
        while follower.delivery.retries == before:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class Thief:
    """Passes on what two ends say over HTTP, but for some answers: it takes them and hangs up.

    Attributes:
        stolen: How many it took.
    """

    def __init__(self, address, every):
        self._target, self._every = address.rsplit(":", 1), every
        self.stolen, self._seen, self._tasks = 0, 0, []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self._tasks.append(asyncio.current_task())
        there, back = await asyncio.open_connection(*self._target)
        try:
            while request := await message(reader):
                back.write(request)
                answer = await message(there)
                self._seen += 1
                if self._seen % self._every == 0 and b" 200 " in answer[:16]:
                    self.stolen += 1
                    return
                writer.write(answer)
        finally:
            back.transport.abort()
            writer.transport.abort()


async def message(reader):
    """One HTTP/1.1 message with a Content-Length."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    size = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
    return head + await reader.readexactly(size)


async def test_an_answer_that_is_lost_after_storing_stores_nothing_twice(
    catalog, store_database, second_database, relay
):
    keys_file, headers = relay
    start = time.time_ns() - HOUR // 10
    async with (
        running(configured(catalog, store_database)) as first,
        running(configured(catalog, second_database, keys_file=keys_file)) as second,
        Thief(second.http, every=5) as thief,
        followed("http", thief.address, store_database, catalog, headers),
    ):
        await send(first.grpc, *everything(start))
        await caught_up(store_database)
    assert thief.stolen >= 2
    assert reports(store_database) == reports(second_database)


@contextlib.asynccontextmanager
async def process(tmp_path, dsn, keys_file, port):
    """`footfall up` as a process of its own, taking OTLP/gRPC at a port; killed at the end."""
    config = tmp_path / "second.yaml"
    config.write_text(
        f"processors: {{footfall: {{catalog: {CATALOG}, hash_salt: {SALT}}}}}\n"
        f"exporters: {{postgres: {{dsn: '{dsn.replace(chr(39), chr(39) * 2).replace('$', '$$')}'}}}}\n"
        f"receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{port}'}}, http: null}},"
        f" auth: {{keys_file: {keys_file}}}}}}}\n"
        "service: {operator: null}\n"
    )
    program = "from footfall_collector.cli import main; main()"
    running_ = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, "up", "--config", config, stdout=subprocess.PIPE
    )
    try:
        for _ in range(2):
            await running_.stdout.readline()
        yield running_
    finally:
        with contextlib.suppress(ProcessLookupError):
            running_.kill()
        await running_.wait()
        running_._transport.close()


async def test_a_collector_that_is_killed_while_it_is_sent_to_has_everything_once(
    tmp_path, catalog, store_database, second_database, relay
):
    keys_file, headers = relay
    port = free_port()
    stored = "SELECT count(*) FROM footfall.ingest_batches"
    async with (
        running(configured(catalog, store_database)) as first,
        followed("grpc", f"127.0.0.1:{port}", store_database, catalog, headers),
    ):
        await send(first.grpc, *[("traces", traces(100 + n)) for n in range(12)])
        for least in (3, 9):
            async with process(tmp_path, second_database, keys_file, port) as second:
                async with asyncio.timeout(60):
                    while rows_of(second_database, stored)[0][0] < least:  # noqa: ASYNC110
                        await asyncio.sleep(0.005)
                os.kill(second.pid, signal.SIGKILL)
                await second.wait()
        async with process(tmp_path, second_database, keys_file, port):
            await caught_up(store_database)
    assert reports(store_database) == reports(second_database)
