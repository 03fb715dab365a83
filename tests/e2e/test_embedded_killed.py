"""`footfall up` with a Postgres of its own that is killed: requests are stored again within seconds."""

import os
import re
import signal

import httpx
import psycopg
import pytest
import yaml

from conftest import CATALOG, copied
from footfall_exporters.embedded import EmbeddedPostgres
from support.otlp import PROTOBUF, traces
from support.ports import free_port
from support.up import Up
from support.waiting import wait_until


@pytest.fixture
def settings(tmp_path, pristine, postgres_directory):
    protocols = {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}
    place = copied(pristine, postgres_directory / "postgres")
    written = {
        "receivers": {"otlp": {"protocols": protocols}},
        "processors": {
            "footfall": {"catalog": str(CATALOG), "hash_salt": "3f9c1a7be2d05846c1e97ab304fd2865"}
        },
        "exporters": {"postgres": {"data_directory": str(place)}},
        "service": {"operator": {"endpoint": f"127.0.0.1:{free_port()}"}},
    }
    path = tmp_path / "collector.yaml"
    path.write_text(yaml.safe_dump(written))
    return path


def kill(directory):
    os.kill(int((directory / "data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def send(address, body):
    try:
        answer = httpx.post(
            f"http://{address}/v1/traces", content=body, headers=PROTOBUF, timeout=30, verify=False
        )
    except httpx.TransportError:
        return None
    return answer.status_code


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
async def test_requests_are_stored_again_after_it_was_killed(settings, options, postgres_directory):
    directory = postgres_directory / "postgres"
    up = Up(settings, *options)
    try:
        address = await up.address("OTLP/HTTP")
        bodies = [traces("shop.ping", number=2) for _ in range(6)]
        for body in bodies[:3]:
            assert send(address, body) == 200
        kill(directory)
        for body in bodies:
            wait_until(lambda: send(address, body) == 200)  # noqa: B023
        with psycopg.connect(EmbeddedPostgres(directory).start()) as connection:  # joins
            found = connection.execute("SELECT count(*) FROM footfall.feature_events").fetchone()
        assert found == (12,)
        log = up.log.read_text()
        assert "the embedded Postgres ended (signal 9); it is started again" in log
        assert "Fatal Python error" not in log
        assert "does not start" not in log
        again = r"the embedded Postgres serves again, \d+\.\d s after its end"
        wait_until(lambda: re.search(again, up.log.read_text()))
        operator = re.search(r"operator\s+(http://\S+)", log)[1]
        async with httpx.AsyncClient(base_url=operator, verify=False) as http:
            metrics = (await http.get("/metrics")).text
            assert "footfall_embedded_postgres_restarts 1.0" in metrics
            assert (await http.get("/healthz")).status_code == 200
        assert up.stop(signal.SIGTERM) == 0
    finally:
        up.stop(signal.SIGKILL)
    wait_until(lambda: not (directory / "data/postmaster.pid").exists())
