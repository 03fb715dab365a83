"""What `footfall doctor` hears from a collector that runs: by which files it works, and what it refused."""

import asyncio
import dataclasses
import json
import os
import time

import pytest
from click.testing import CliRunner

from collector.keyed import ALL, OVER, write_keys
from footfall_collector.cli.doctor import doctor
from footfall_collector.config.schema import OperatorConfig, ServiceConfig, TlsConfig
from footfall_collector.doctor.running import KEY, Unasked, ask, running_checks
from footfall_collector.process.app import running
from footfall_processors import load_catalog
from support.collectors import Client, configured, connected
from support.http_server import serving, status
from support.otlp import traces

CATALOG = """
product: shop
events:
  shop.ping: {surface: web, feature: ping, actions: [invoke]}
"""
MORE = CATALOG + "  shop.share: {surface: web, feature: share}\n"
OPERATOR = OperatorConfig(endpoint="127.0.0.1:0")


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.yaml"
    path.write_text(CATALOG)
    return path


def configuration(events, dsn, operator=OPERATOR, **options):
    service = ServiceConfig(operator=operator)
    config = configured(load_catalog(events), dsn, service=service, **options)
    return dataclasses.replace(config, catalog_files=[str(events)])


def write(path, text):
    """As if it was written a while after what was read before."""
    path.write_text(text)
    later = time.time() + 5
    os.utime(path, (later, later))


async def asked(config, collector):
    """The checks of area, level, found and advice, as the doctor comes to them."""
    operator = config.service.operator
    there = OperatorConfig(
        endpoint=collector.operator, keys_file=operator.keys_file, tls=operator.tls
    )
    found = await asyncio.to_thread(ask, there)
    return [(c.area, c.level, c.found, c.advice) for c in running_checks(config, found)]


def bad(checks):
    return [(area, level) for area, level, *_ in checks if level != "ok"]


async def test_a_collector_with_an_older_catalog_is_told_of_until_it_reads_the_file_again(
    events, store_database, tmp_path, monkeypatch
):
    monkeypatch.delenv("FOOTFALL_DSN", raising=False)
    config = configuration(events, store_database)
    async with connected(config, lambda collector, *_: collector) as collector:
        file = tmp_path / "collector.yaml"
        file.write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {
                "grpc": {"endpoint": collector.grpc}, "http": {"endpoint": collector.http}}}},
            "processors": {"footfall": {"catalog": "events.yaml"}},
            "exporters": {"postgres": {"dsn": store_database}},
            "service": {"operator": {"endpoint": collector.operator}},
        }))  # fmt: skip

        async def examined():
            arguments = ["--config", str(file), "--json"]
            done = await asyncio.to_thread(CliRunner().invoke, doctor, arguments)
            checks = json.loads(done.output)["checks"]
            return [c for c in checks if c["area"] in ("catalog", "collector", "housekeeping")]

        before = await examined()
        assert [c["level"] for c in before if c["area"] != "housekeeping"] == ["ok", "ok"]
        assert not [c for c in before if "never ran" in c["found"]], "it has just started"
        write(events, MORE)
        [told] = [c for c in await examined() if c["level"] != "ok"]
        assert told["level"] == "warning"
        assert told["found"].startswith(
            "the running collector works by an older catalog: events.yaml"
        )
        assert "SIGHUP" in told["advice"]
        os.utime(events)
        assert await collector.reload(dataclasses.replace(config, catalog=load_catalog(events)))
        assert [c for c in await examined() if c["level"] != "ok"] == []


async def test_another_catalog_than_the_collector_s_is_told_from_an_older_one(
    events, store_database, tmp_path
):
    other = tmp_path / "other.yaml"
    other.write_text(MORE)
    os.utime(other, (0, 0))
    config = configuration(events, store_database)
    async with running(config) as collector:
        theirs = dataclasses.replace(
            config, catalog=load_catalog(other), catalog_files=[str(other)]
        )
        [(area, level, found, _), _] = await asked(theirs, collector)
    assert (area, level) == ("catalog", "warning")
    assert found == "the running collector works by another catalog than this"


async def test_keys_that_have_changed_and_what_could_not_be_read_again_are_told_of(
    events, store_database, tmp_path
):
    keys = tmp_path / "keys.yaml"
    write_keys(keys, all=(ALL, {}))
    config = configuration(events, store_database, keys_file=str(keys))
    async with running(config) as collector:
        assert bad(await asked(config, collector)) == []
        write(keys, keys.read_text())
        [(area, _, found, advice)] = [
            check for check in await asked(config, collector) if check[1] == "warning"
        ]
        assert area == "keys"
        assert found.startswith("keys.yaml has changed since the collector read it (")
        assert "SIGHUP" in advice
        write(keys, "keys: {all: 7}\n")
        assert not await collector.reload(None)
        checks = await asked(config, collector)
    assert ("keys", "problem") in bad(checks)
    assert ("catalog", "problem") in bad(checks)


async def test_what_it_took_and_refused_is_counted_and_a_gateway_s_refusals_are_listed(
    events, store_database, tmp_path
):
    keys = tmp_path / "keys.yaml"
    write_keys(keys, all=(ALL, {}))
    config = configuration(events, store_database, keys_file=str(keys))
    async with connected(config, Client) as client:
        for token in (ALL, OVER, OVER):
            headers = {"authorization": f"Bearer {token}", "content-type": "application/x-protobuf"}
            await client.http.post("/v1/traces", content=traces("shop.ping"), headers=headers)
        [(area, level, found, _)] = await asked(config, client.collector)
        gateway = await asked(dataclasses.replace(config, postgres=None), client.collector)
    assert (area, level) == ("collector", "ok")
    assert found.endswith("and taken 1 request; 2 requests refused")
    assert [check[:3] for check in gateway[1:]] == [
        ("refused", "warning", "2 requests refused (key)")
    ]


async def test_a_listener_with_keys_and_tls_is_asked_with_an_operator_s_key(
    events, store_database, tmp_path, made, monkeypatch
):
    keys = tmp_path / "operators.yaml"
    write_keys(keys, operator=(ALL, {"operator": True}))
    tls = TlsConfig(cert_file=str(made / "first.pem"), key_file=str(made / "first.key"))
    operator = OperatorConfig(endpoint="127.0.0.1:0", keys_file=str(keys), tls=tls)
    config = configuration(events, store_database, operator)
    monkeypatch.delenv(KEY, raising=False)
    async with running(config) as collector:
        with pytest.raises(Unasked, match=f"wants a key.*{KEY}"):
            await asked(config, collector)
        monkeypatch.setenv(KEY, ALL)
        assert bad(await asked(config, collector)) == []
        tls = TlsConfig(cert_file=str(made / "second.pem"), key_file=str(made / "second.key"))
        strange = OperatorConfig(endpoint=collector.operator, keys_file=str(keys), tls=tls)
        with pytest.raises(Unasked, match="another certificate"):
            await asyncio.to_thread(ask, strange)  # the key is given to nobody else


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (status(200, body=b"{not metrics"), "something else than metrics"),
        (status(404), "shows no metrics"),
        (b"", "does not answer"),
    ],
)
async def test_another_program_at_its_place_is_not_taken_for_a_collector(answer, why):
    async with serving() as server:
        server.script(answer)
        with pytest.raises(Unasked, match=why):
            await asyncio.to_thread(ask, OperatorConfig(endpoint=server.url.partition("//")[2]))
