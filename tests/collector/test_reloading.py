"""Catalog and certificates replaced while requests come in; none of them is dropped."""

import asyncio
import contextlib
import dataclasses
import json
import shutil
import signal
import ssl

import grpc
import httpx
import psycopg
import pytest

from collector.keyed import write_keys
from footfall_collector.config.schema import (
    GrpcConfig,
    HttpConfig,
    OperatorConfig,
    ServiceConfig,
    TlsConfig,
)
from footfall_collector.process.app import running
from footfall_collector.security.keys import make_token
from footfall_exporters.http import ClientTls
from footfall_exporters.json_log import JsonLogConfig
from footfall_exporters.otlp import OtlpHttpConfig
from footfall_processors import load_catalog
from support.collectors import configured, connected, counts
from support.otlp import METHODS, PROTOBUF, traces
from support.up import Up
from support.waiting import until

CATALOG = """
product: reloaded
attributes:
  mood: {type: enum, values: [good, bad]}
  steps: {type: int, min: 0, max: 100}
events:
  shop.ping: {surface: web, feature: ping, actions: [invoke]}
  shop.walk: {surface: web, feature: walk, actions: [invoke], attributes: [mood, steps]}
"""


@pytest.fixture
def other_catalog(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(CATALOG)
    return load_catalog([path])


async def test_a_reloaded_catalog_is_in_force_with_its_columns_and_nothing_is_dropped(
    catalog, store_database, other_catalog, query
):
    config = configured(catalog, store_database)
    answered = 0
    async with connected(config) as client:
        stop = asyncio.Event()

        async def keep_sending(protocol):
            nonlocal answered
            while not stop.is_set():
                response = await client.send(protocol, "traces", traces("shop.ping"))
                assert not response.HasField("partial_success")
                answered += 1

        sending = [asyncio.create_task(keep_sending(p)) for p in ("grpc", "http") * 4]
        await until(lambda: answered > 8)
        assert await client.collector.reload(dataclasses.replace(config, catalog=other_catalog))
        before = answered
        await until(lambda: answered > before + 8)
        stop.set()
        await asyncio.gather(*sending)
        await client.send("grpc", "traces", traces("shop.walk"))
        await client.send("grpc", "traces", traces("shop.order"))  # no more declared
    assert counts(query) == {"shop.ping.invoke": answered, "shop.walk.invoke": 1}
    assert query("SELECT mood, steps FROM reporting.events WHERE event = 'shop.walk'") == [
        (None, None)
    ]


async def test_a_catalog_that_does_not_fit_the_tables_leaves_the_former_in_force(
    catalog, store_database, tmp_path, query, caplog
):
    path = tmp_path / "wrong.yaml"
    path.write_text(CATALOG.replace("steps: {type: int, min: 0, max: 100}", "steps: {type: bool}"))
    with psycopg.connect(store_database) as connection:
        connection.execute("ALTER TABLE footfall.feature_events ADD COLUMN steps text")
    config = configured(catalog, store_database)
    async with connected(config) as client:
        wrong = dataclasses.replace(config, catalog=load_catalog([path]))
        assert not await client.collector.reload(wrong)
        assert not await client.collector.reload(None)
        await client.send("http", "traces", traces("shop.order"))
    assert counts(query) == {"shop.order.success": 1}
    assert "the former catalog stays in force" in caplog.text


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the command openssl")


@contextlib.contextmanager
def trusting(made, name=None):
    """How a client that trusts the authority connects, with a certificate of its own or without."""
    context = ssl.create_default_context(cafile=str(made / "authority.pem"))
    if name:
        context.load_cert_chain(made / f"{name}.pem", made / f"{name}.key")
    yield context


async def test_who_reads_what_a_catalog_changes_keeps_nobody_from_stopping(
    catalog, store_database, tmp_path
):
    events, config = tmp_path / "events.yaml", tmp_path / "collector.yaml"
    events.write_text(
        CATALOG.replace("  mood: {type: enum, values: [good, bad]}\n", "").replace(
            "[mood, steps]", "[steps]"
        )
    )
    config.write_text(json.dumps({
        "receivers": {"otlp": {"protocols": {"grpc": None, "http": {"endpoint": "127.0.0.1:0"}}}},
        "processors": {"footfall": {"catalog": str(events)}},
        "exporters": {"postgres": {"dsn": store_database}},
        "service": {"operator": None},
    }))  # fmt: skip
    up = Up(config)
    try:
        await up.address("OTLP/HTTP")
        with psycopg.connect(store_database) as reading:
            reading.execute("SELECT count(*) FROM reporting.usage")
            events.write_text(CATALOG)
            up.process.send_signal(signal.SIGHUP)
            reader = f"process {reading.info.backend_pid} "
            await up.said(f"the catalog waits to be taken: .*{reader}")
            assert up.stop() == 0  # within half the time that a catalog waits
    finally:
        up.stop(signal.SIGKILL)


@needs_openssl
async def test_both_protocols_speak_tls_and_take_another_certificate_without_a_restart(
    catalog,
    store_database,
    tmp_path,
    made,
    query,
):
    def install(name):
        for ending in ("pem", "key"):
            (tmp_path / f"server.{ending}").write_bytes((made / f"{name}.{ending}").read_bytes())

    install("first")
    tls = TlsConfig(cert_file=str(tmp_path / "server.pem"), key_file=str(tmp_path / "server.key"))
    config = configured(
        catalog,
        store_database,
        grpc=GrpcConfig(endpoint="127.0.0.1:0", tls=tls),
        http=HttpConfig(endpoint="127.0.0.1:0", tls=tls),
    )
    authority = (made / "authority.pem").read_bytes()
    served = []
    async with running(config) as collector:
        for name in ("first", "second"):
            install(name)
            assert await collector.reload(config)
            credentials = grpc.ssl_channel_credentials(authority)
            async with grpc.aio.secure_channel(collector.grpc, credentials) as channel:
                await channel.unary_unary(METHODS["traces"])(traces("shop.ping"))
            with trusting(made) as context:
                async with httpx.AsyncClient(verify=context) as http:
                    response = await http.post(
                        f"https://{collector.http}/v1/traces",
                        content=traces("shop.ping"),
                        headers=PROTOBUF,
                    )
                    assert response.status_code == 200
                    stream = response.extensions["network_stream"]
                    served.append(stream.get_extra_info("ssl_object").getpeercert()["serialNumber"])
        with pytest.raises(httpx.RemoteProtocolError):
            await httpx.AsyncClient(verify=False).get(f"http://{collector.http}/v1/traces")
    assert len(set(served)) == 2
    assert counts(query) == {"shop.ping.invoke": 4}


async def test_keys_are_reloaded_whatever_becomes_of_the_catalog(
    catalog, store_database, tmp_path, caplog
):
    """A revoked key must not stay good because something else is wrong: here, a schema that is ahead."""
    keys_file, token = tmp_path / "keys.yaml", make_token()
    write_keys(keys_file, one=(token, {"operator": True}))
    config = configured(
        catalog,
        store_database,
        keys_file=str(keys_file),
        service=ServiceConfig(
            operator=OperatorConfig(endpoint="127.0.0.1:0", keys_file=str(keys_file))
        ),
    )
    authorization = {"authorization": f"Bearer {token}"}
    async with (
        running(config) as collector,
        httpx.AsyncClient(headers=authorization, verify=False) as http,
    ):

        async def allowed():
            metrics = await http.get(f"http://{collector.operator}/metrics")
            export = await http.post(
                f"http://{collector.http}/v1/traces", content=b"", headers=PROTOBUF
            )
            return metrics.status_code, export.status_code

        assert await allowed() == (200, 200)
        with psycopg.connect(store_database) as connection:
            connection.execute("UPDATE footfall.alembic_version SET version_num = '9999'")
        write_keys(keys_file)
        assert not await collector.reload(config)
        assert await allowed() == (401, 401)
    assert "the former catalog stays in force" in caplog.text


@needs_openssl
async def test_when_a_subscriber_cannot_be_opened_again_the_former_goes_on(
    catalog, store_database, tmp_path, made
):
    log, authority = tmp_path / "log.jsonl", tmp_path / "ca.pem"
    authority.write_text((made / "authority.pem").read_text())
    config = configured(
        catalog,
        store_database,
        subscribers={
            "logs": JsonLogConfig(path=str(log)),
            "otlphttp": OtlpHttpConfig(
                endpoint="https://127.0.0.1:1", tls=ClientTls(ca_file=str(authority))
            ),
        },
    )
    async with connected(config) as client:
        authority.unlink()
        assert not await client.collector.reload(config)
        await client.send("grpc", "traces", traces("shop.ping"))
        async with asyncio.timeout(20):
            while not log.exists() or b"shop.ping" not in log.read_bytes():  # noqa: ASYNC110  # a file
                await asyncio.sleep(0.05)
