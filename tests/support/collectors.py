"""A collector in this process before a real Postgres, and what speaks to it."""

import contextlib
import gzip

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2

from footfall_collector.config.config import Config
from footfall_collector.config.schema import GrpcConfig, HttpConfig, ServiceConfig
from footfall_collector.process.app import running
from footfall_exporters.postgres import PostgresConfig
from footfall_processors import Hash
from support.otlp import METHODS, PROTOBUF, RESPONSES

SALTS = {(Hash.STATIC, 0): b"static" * 6}


def configured(catalog, dsn, **options):
    defaults = {
        "grpc": GrpcConfig(endpoint="127.0.0.1:0"),
        "http": HttpConfig(endpoint="127.0.0.1:0"),
        "service": ServiceConfig(operator=None),
        "postgres": PostgresConfig(dsn=dsn),
    }
    return Config(catalog, static_salts=SALTS, **{**defaults, **options})


class Client:
    """Sends encoded requests over both protocols, each through one connection."""

    def __init__(self, collector, channel, http):
        self.collector, self.channel, self.http = collector, channel, http

    async def send(self, protocol, signal, body, *, compressed=False):
        """The decoded response; a refusal is raised as grpc.aio.AioRpcError or httpx.HTTPStatusError."""
        if protocol == "grpc":
            call = self.channel.unary_unary(METHODS[signal])
            encoding = grpc.Compression.Gzip if compressed else None
            return RESPONSES[signal].FromString(await call(body, compression=encoding))
        headers = PROTOBUF | ({"content-encoding": "gzip"} if compressed else {})
        sent = gzip.compress(body) if compressed else body
        response = await self.http.post(f"/v1/{signal}", content=sent, headers=headers)
        response.raise_for_status()
        assert response.headers["content-type"] == "application/x-protobuf"
        return RESPONSES[signal].FromString(response.content)


@contextlib.asynccontextmanager
async def connected(config, client=Client):
    """A collector, and what speaks to it: made of the collector, a gRPC channel and an HTTP client."""
    async with (
        running(config) as collector,
        grpc.aio.insecure_channel(collector.grpc) as channel,
        httpx.AsyncClient(base_url=f"http://{collector.http}", timeout=30, verify=False) as http,
    ):
        yield client(collector, channel, http)


both = pytest.mark.parametrize("protocol", ["grpc", "http"])
signals = pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])


def counts(query):
    return dict(
        query("SELECT event || '.' || action, sum(count)::int FROM reporting.usage GROUP BY 1")
    )


def details(status):
    """A google.rpc.Status's details by type."""
    found = {}
    for each in status.details:
        kind = getattr(error_details_pb2, each.TypeName().rpartition(".")[2])()
        assert each.Unpack(kind)
        found[type(kind).__name__] = kind
    return found


def status_of(response):
    """The google.rpc.Status that is the body of every refusal."""
    assert response.headers["content-type"] == "application/x-protobuf"
    return status_pb2.Status.FromString(response.content)


def trailer(error, key):
    return dict(error.trailing_metadata())[key]
