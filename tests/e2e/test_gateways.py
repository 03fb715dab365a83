import asyncio
import contextlib
import dataclasses
import time

import grpc
import pytest

from e2e.relaying import HOUR, configured, everything, reports, rows_of, send, traces
from footfall_collector.config.schema import GrpcConfig
from footfall_collector.errors import StartError
from footfall_collector.process.app import running
from footfall_exporters.otlp import OtlpConfig, OtlpHttpConfig
from support.collectors import both
from support.ports import free_port


def passing_on(protocol, address, catalog, headers):
    """A gateway's configuration."""
    kind = OtlpConfig if protocol == "grpc" else OtlpHttpConfig
    hop = kind(endpoint=f"http://{address}", headers=headers, pseudonyms=True)
    return dataclasses.replace(configured(catalog, None), postgres=None, subscribers={"otlp": hop})


@both
async def test_behind_a_gateway_the_reports_are_those_of_a_collector_without_one(
    static_catalog, store_database, second_database, relay, protocol
):
    keys_file, headers = relay
    bodies = everything(time.time_ns() - HOUR // 10)
    async with (
        running(configured(static_catalog, store_database)) as alone,
        running(configured(static_catalog, second_database, keys_file=keys_file)) as second,
        running(
            passing_on(protocol, getattr(second, protocol), static_catalog, headers)
        ) as gateway,
    ):
        await send(alone.grpc, *bodies)
        await send(gateway.grpc, *bodies)
        await send(gateway.grpc, *bodies)  # a sender that heard no answer
    assert reports(store_database) == reports(second_database)
    statement = "SELECT DISTINCT visitor_hash FROM footfall.feature_events ORDER BY 1"
    assert rows_of(store_database, statement) == rows_of(second_database, statement)


async def test_a_gateway_whose_next_hop_is_away_has_its_senders_come_again(
    static_catalog, second_database, relay
):
    keys_file, headers = relay
    port = free_port()
    body = traces(30)
    config = configured(
        static_catalog,
        second_database,
        keys_file=keys_file,
        grpc=GrpcConfig(endpoint=f"127.0.0.1:{port}"),
    )
    async with running(passing_on("grpc", f"127.0.0.1:{port}", static_catalog, headers)) as gateway:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await send(gateway.grpc, ("traces", body))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "google.rpc.retryinfo-bin" in dict(caught.value.trailing_metadata())
        async with running(config), asyncio.timeout(30):
            while True:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await send(gateway.grpc, ("traces", body))
                    break
                await asyncio.sleep(0.2)
    assert rows_of(second_database, "SELECT sum(count)::int FROM reporting.usage") == [(90,)]


async def test_a_gateway_whose_catalog_needs_rotating_salts_does_not_start(catalog):
    with pytest.raises(StartError, match="attribute guild_id: `hash: daily` needs the store"):
        async with running(passing_on("grpc", "127.0.0.1:1", catalog, {})):
            pass
