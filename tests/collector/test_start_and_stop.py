import asyncio
import contextlib
import socket

import grpc
import httpx
import psycopg
import pytest

from footfall_collector.config.schema import GrpcConfig, HttpConfig
from footfall_collector.errors import StartError
from footfall_collector.process import housekeeping
from footfall_collector.process.app import running
from support.collectors import Client, both, configured, connected, counts
from support.otlp import PROTOBUF, traces
from support.ports import listens
from support.waiting import until

LISTENERS = {"grpc": GrpcConfig, "http": HttpConfig}


@both
@pytest.mark.parametrize("family", ["in use", "unknown host"])
async def test_a_port_that_cannot_be_had_is_named_with_what_to_do(
    catalog, store_database, protocol, family
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        endpoint = f"127.0.0.1:{port}" if family == "in use" else f"no-such-host.invalid:{port}"
        listener = LISTENERS[protocol](endpoint=endpoint)
        with pytest.raises(StartError) as error:
            async with running(configured(catalog, store_database, **{protocol: listener})):
                pass
    name = {"grpc": "OTLP/gRPC", "http": "OTLP/HTTP"}[protocol]
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)
    if family == "in use":
        assert f"port {port} on 127.0.0.1 is in use" in str(error.value)
    assert "set another endpoint" in str(error.value)


async def test_a_second_collector_does_not_share_the_ports_of_the_first(
    client, catalog, store_database
):
    for protocol in ("grpc", "http"):
        endpoint = getattr(client.collector, protocol)
        listener = LISTENERS[protocol](endpoint=endpoint)
        with pytest.raises(StartError, match="in use"):
            async with running(configured(catalog, store_database, **{protocol: listener})):
                pass


async def test_protocols_and_signals_can_be_switched_off(catalog, store_database):
    config = configured(catalog, store_database, grpc=None, signals=("metrics",))
    async with running(config) as collector, httpx.AsyncClient(verify=False) as http:
        assert collector.grpc is None
        url = f"http://{collector.http}/v1"
        assert (await http.post(f"{url}/metrics", content=b"", headers=PROTOBUF)).status_code == 200
        assert (await http.post(f"{url}/traces", content=b"", headers=PROTOBUF)).status_code == 404


@both
async def test_requests_under_way_are_finished_when_the_collector_stops(
    catalog, store_database, query, protocol
):
    stop = asyncio.Event()
    ready = asyncio.get_running_loop().create_future()

    async def collect():
        async with running(configured(catalog, store_database)) as collector:
            ready.set_result(collector)
            await stop.wait()

    collecting = asyncio.create_task(collect())
    collector = await ready
    async with (
        grpc.aio.insecure_channel(collector.grpc) as channel,
        httpx.AsyncClient(base_url=f"http://{collector.http}", verify=False) as http,
    ):
        client = Client(collector, channel, http)
        with psycopg.connect(store_database) as blocker:
            blocker.execute("LOCK TABLE footfall.feature_counts IN EXCLUSIVE MODE")
            sending = asyncio.create_task(client.send(protocol, "traces", traces("shop.ping")))
            await until(lambda: query(BLOCKED) == [(1,)])
            stop.set()
            await until(lambda: not listens(collector.http))  # it has begun to stop
            assert not sending.done()
            assert not collecting.done()
        assert not (await sending).HasField("partial_success")
    await collecting
    assert counts(query) == {"shop.ping.invoke": 1}


BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def test_housekeeping_goes_on_after_a_failure(
    catalog, own_server, own_database, monkeypatch, caplog
):
    monkeypatch.setattr(housekeeping, "FIRST_LOOK", 0.05)
    monkeypatch.setattr(housekeeping, "LOOK_EVERY", 0.05)

    def salts():
        with psycopg.connect(own_database) as connection:
            return connection.execute(
                "SELECT salt FROM footfall.salts ORDER BY kind, period"
            ).fetchall()

    def guilds():
        with psycopg.connect(own_database) as connection:
            statement = "SELECT count(DISTINCT guild_hash) FROM footfall.feature_events"
            return connection.execute(statement).fetchone()

    async with connected(configured(catalog, own_database)) as client:
        await client.send("grpc", "traces", traces("shop.order", guild_id="17"))
        own_server.stop()
        await until(lambda: "housekeeping does not reach Postgres" in caplog.text)
        own_server.start()
        before = salts()
        with psycopg.connect(own_database) as connection:
            connection.execute("DELETE FROM footfall.salts")  # as a crash of Postgres would
        await until(lambda: len(salts()) == len(before))
        assert not set(salts()) & set(before)
        async with asyncio.timeout(20):
            while guilds() != (2,):  # it uses the new ones after the round that made them
                with contextlib.suppress(grpc.aio.AioRpcError):  # its session ended with the server
                    await client.send("grpc", "traces", traces("shop.order", guild_id="17"))
