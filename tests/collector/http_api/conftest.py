"""A collector with the HTTP API, as operators run it: a process of its own, before a real Postgres."""

import asyncio
import json
import secrets
from pathlib import Path

import httpx
import psycopg
import pytest

from collector.keyed import ALL, NAMES, SLOW, write_keys
from conftest import new_database
from support.up import FOOTFALL, Up

SALT = secrets.token_hex(32)
CORS = {"allowed_origins": ["https://shop.example"]}
HERE = Path(__file__).parent


class Api:
    """What a client sends, and what an operator finds.

    Attributes:
        key: An API key.
        dsn: Of the collector's database.
        up: The process.
    """

    def __init__(self, up, address, dsn, key):
        self.up, self.dsn, self.key = up, dsn, key
        self.http = httpx.Client(base_url=f"http://{address}", timeout=30, verify=False)

    def post(self, path, body, viewer="walker-1", **headers):
        """Sends JSON (or bytes as they are) as a viewer whom the proxy names; None for nobody."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {} if viewer is None else {"x-viewer": viewer}
        said = (
            {"content-type": "application/json"}
            | named
            | {k.replace("_", "-"): v for k, v in headers.items()}
        )
        return self.http.post(path, content=content, headers=said)

    def query(self, statement, *arguments):
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(statement, arguments or None).fetchall()

    def counts(self):
        """Event → occurrences."""
        return dict(self.query("SELECT event, sum(count)::int FROM reporting.usage GROUP BY 1"))

    def losses(self):
        """Of requests that were taken: reason → number."""
        losses = "SELECT reason, sum(count)::int FROM reporting.losses"
        return dict(self.query(f"{losses} WHERE reason NOT LIKE 'refused%' GROUP BY 1"))


def collector(folder, dsn, catalog=HERE / "events.yaml", operator=None, command=FOOTFALL, **api):
    """Starts one, with an operator's listener there; `api` is added to its section."""
    may = {"site": (NAMES, {"names_viewers": True}), "slow": (SLOW, {"requests_per_minute": 2})}
    write_keys(folder / "keys.yaml", backend=(ALL, {}), **may)
    section = {
        "identity": {"header": {"name": "x-viewer", "from": ["127.0.0.1"]}},
        "prefixes": ["/telemetry", "/api/telemetry"],
        **api,
    }
    config = folder / "collector.yaml"
    config.write_text(
        json.dumps(
            {
                "receivers": {
                    "otlp": {
                        "protocols": {
                            "grpc": None,
                            "http": {"endpoint": "127.0.0.1:0", "cors": CORS},
                        },
                        "auth": {"keys_file": "keys.yaml"},
                    },
                    "http_api": section,
                },
                "processors": {"footfall": {"catalog": str(catalog), "hash_salt": SALT}},
                "exporters": {"postgres": {"dsn": dsn}},
                "service": {"operator": operator and {"endpoint": operator}},
            }
        )
    )
    up = Up(config, command=command)
    address = asyncio.run(up.address("OTLP/HTTP"))
    return Api(up, address, dsn, ALL)


@pytest.fixture(scope="module")
def shared(postgres_server, tmp_path_factory):
    with new_database(postgres_server) as dsn:
        api = collector(tmp_path_factory.mktemp("api"), dsn)
        yield api
        api.http.close()
        api.up.stop()


@pytest.fixture
def api(shared):
    """A collector with nothing in its database."""
    with psycopg.connect(shared.dsn, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE footfall.feature_events, footfall.feature_counts, footfall.ingest_batches"
        )
    return shared
