"""Listeners before a store that does what the test wants, without a collector around them."""

import asyncio
import contextlib

import grpc
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from footfall_collector.config.schema import AdmissionConfig, GrpcConfig, HttpConfig, TlsConfig
from footfall_collector.decoding.decoder import Decoder
from footfall_collector.receivers import grpc as otlp_grpc
from footfall_collector.receivers import http as otlp_http
from footfall_collector.receivers.admission import Gate
from footfall_collector.receivers.intake import Intake
from footfall_collector.security.tls import Tls
from footfall_collector.signals import TRACES
from footfall_processors import Batch
from support.waiting import until

EXPORT = f"/{TRACES.service}/Export"


@contextlib.asynccontextmanager
async def http_before(consume, **options):
    """OTLP/HTTP before a store that behaves as the test wants."""

    async def decode(body, key, groups, take):
        return Batch(digest=body[:16].ljust(16), signal="traces")

    decoder = Decoder(TRACES, decode)
    async with otlp_http.serve(
        HttpConfig(endpoint="127.0.0.1:0", **options), Intake(consume), [decoder]
    ) as address:
        yield address


class Store:
    """Holds what it is given until it is let go."""

    def __init__(self):
        self.open = asyncio.Event()
        self.waiting = 0

    async def consume(self, batch):
        self.waiting += 1
        await self.open.wait()
        self.waiting -= 1

    async def until_waiting(self, number):
        await until(lambda: self.waiting == number)


@contextlib.asynccontextmanager
async def serving(limit_mib, store):
    """Both protocols before `store`; yields the gate, a gRPC call and an HTTP client."""

    async def decode(body, key, groups, take):
        return Batch(digest=body[:16].ljust(16), signal="traces")

    gate = Gate(AdmissionConfig(request_limit_mib=limit_mib))
    intake = Intake(store.consume, gate)
    decoders = [Decoder(TRACES, decode)]
    async with (
        otlp_grpc.serve(GrpcConfig(endpoint="127.0.0.1:0"), intake, decoders) as rpc,
        otlp_http.serve(HttpConfig(endpoint="127.0.0.1:0"), intake, decoders) as web,
        grpc.aio.insecure_channel(rpc) as channel,
        httpx.AsyncClient(base_url=f"http://{web}", timeout=30, verify=False) as http,
    ):
        yield gate, channel.unary_unary(EXPORT), http


@contextlib.asynccontextmanager
async def receiving(store, gate, serve, config):
    """One listener before `store`; yields its address."""

    async def decode(body, key, groups, take):
        return Batch(digest=body[:16].ljust(16), signal="traces")

    decoders = [Decoder(TRACES, decode)]
    async with serve(config, Intake(store.consume, gate), decoders) as address:
        yield address


@contextlib.asynccontextmanager
async def serving_tls(made):
    """OTLP/HTTP with TLS; yields its port."""
    files = TlsConfig(cert_file=str(made / "first.pem"), key_file=str(made / "first.key"))
    tls = Tls(files, "OTLP/HTTP")

    def serve(config, intake, decoders):
        return otlp_http.serve(config, intake, decoders, tls)

    store = Store()
    store.open.set()
    async with receiving(store, Gate(), serve, HttpConfig(endpoint="127.0.0.1:0")) as address:
        yield int(address.rpartition(":")[2])


KIB, MIB = 2**10, 2**20
ANNOUNCED = (
    b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
    b"content-length: 1000000\r\n\r\nbegun"
)
"""The begin of a request, whose end never comes."""


async def refused_over_grpc(export, body):
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await export(body)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    hint = dict(refusal.value.trailing_metadata())["google.rpc.retryinfo-bin"]
    delay: Duration = error_details_pb2.RetryInfo.FromString(hint).retry_delay
    assert delay.ToMilliseconds() > 0
