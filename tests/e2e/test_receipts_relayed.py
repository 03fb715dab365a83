"""R-number G7: what was passed on to another Footfall is found and erased there, by the same token."""

import asyncio
import hashlib
import json

import httpx
import pytest

from collector.http_api.conftest import HERE, Api
from collector.keyed import ALL, write_keys
from conftest import new_database
from support.up import Up
from support.waiting import wait_until

TOKEN = "k3-Q_m1xRr0aY7pTz5uWcg"
SALT = "3f9c1a7be2d05846c1e97ab304fd2865"


def started(folder, dsn, exporters):
    """A collector with the HTTP API that passes on as well."""
    folder.mkdir()
    write_keys(folder / "keys.yaml", headquarters=(ALL, {"relay": True}))
    every = {"exporters": ["postgres", *exporters]}
    config = {
        "receivers": {
            "otlp": {
                "protocols": {"grpc": None, "http": {"endpoint": "127.0.0.1:0"}},
                "auth": {"keys_file": "keys.yaml"},
            },
            "http_api": {"identity": {"header": {"name": "x-viewer", "from": ["127.0.0.1"]}}},
        },
        "processors": {"footfall": {"catalog": str(HERE / "events.yaml"), "hash_salt": SALT}},
        "exporters": {"postgres": {"dsn": dsn}, **exporters},
        "service": {
            "operator": None,
            "pipelines": dict.fromkeys(("traces", "metrics", "logs"), every),
        },
    }
    (folder / "collector.yaml").write_text(json.dumps(config))
    up = Up(folder / "collector.yaml")
    return Api(up, asyncio.run(up.address("OTLP/HTTP")), dsn, ALL)


@pytest.fixture
def two(postgres_server, tmp_path):
    """One that is followed, and the one that follows it."""
    with new_database(postgres_server) as near, new_database(postgres_server) as far:
        there = started(tmp_path / "there", far, {})
        to = {
            "endpoint": str(there.http.base_url),
            "headers": {"authorization": f"Bearer {ALL}"},
            "pseudonyms": True,
        }
        here = started(tmp_path / "here", near, {"otlphttp": to})
        yield here, there
        for each in (here, there):
            each.http.close()
            each.up.stop()


def held(api: Api, method: str = "GET") -> int:
    headers = {"footfall-receipt-token": TOKEN}
    answer: httpx.Response = api.http.request(method, "/telemetry/receipt", headers=headers)
    return answer.json()["events"]


@pytest.mark.requirement("G7")
def test_another_footfall_is_asked_with_the_same_token(two):
    here, there = two
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    for _ in range(2):
        here.post("/telemetry/ingest", {"event": "suggestion_shown"}, footfall_receipt=digest)
    wait_until(lambda: held(there) == 2)
    assert held(here, "DELETE") == 2
    assert (held(here), held(there)) == (0, 2)
    assert held(there, "DELETE") == 2
    assert there.counts() == {"suggestion_shown": 0}
