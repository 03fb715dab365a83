"""A client that sends a request in each of the three ways of OTLP, and reads the answers."""

import gzip
from typing import NamedTuple

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from support.collectors import trailer
from support.otlp import METHODS, PROTOBUF, RESPONSES, as_json

JSON = {"content-type": "application/json"}


class Answer(NamedTuple):
    """What came back: a decoded response, or a refusal's code, google.rpc.Status and retry hint (s)."""

    code: object
    response: object = None
    status: status_pb2.Status | None = None
    retry_after: float | None = None


class Sender:
    """A client of one collector that sends encoded protobuf requests in the way it is told."""

    def __init__(self, collector, channel, http):
        self.collector, self.channel, self.http = collector, channel, http

    async def send(self, way, signal, body, *, compressed=False):
        if way == "grpc":
            return await self._grpc(signal, body, compressed)
        sent = as_json(signal, body) if way == "json" else body
        return await self.post(way, signal, sent, compressed=compressed)

    async def _grpc(self, signal, body, compressed):
        call = self.channel.unary_unary(METHODS[signal])
        try:
            answer = await call(body, compression=grpc.Compression.Gzip if compressed else None)
        except grpc.aio.AioRpcError as error:
            known, status, seconds = dict(error.trailing_metadata()), status_pb2.Status(), None
            if "grpc-status-details-bin" in known:
                status.ParseFromString(trailer(error, "grpc-status-details-bin"))
            if "google.rpc.retryinfo-bin" in known:
                hint = trailer(error, "google.rpc.retryinfo-bin")
                delay = error_details_pb2.RetryInfo.FromString(hint).retry_delay
                seconds = delay.ToTimedelta().total_seconds()
            return Answer(error.code(), None, status, seconds)
        return Answer("ok", RESPONSES[signal].FromString(answer))

    async def post(self, way, signal, content, *, compressed=False, **headers):
        """An HTTP request with this very content; the answer must be in the same encoding."""
        headers = (JSON if way == "json" else PROTOBUF) | headers
        if compressed:
            headers, content = headers | {"content-encoding": "gzip"}, gzip.compress(content)
        response = await self.http.post(f"/v1/{signal}", content=content, headers=headers)
        return read(response, way, RESPONSES[signal])


def read(response, way, kind):
    """An HTTP answer in the encoding of its request."""
    assert response.headers["content-type"] == (JSON if way == "json" else PROTOBUF)["content-type"]
    message = kind() if response.status_code == 200 else status_pb2.Status()
    if way == "json":
        json_format.Parse(response.text, message)
    else:
        message.ParseFromString(response.content)
    if response.status_code == 200:
        return Answer("ok", message)
    hint = response.headers.get("retry-after")
    return Answer(response.status_code, None, message, hint and float(hint))


answers = pytest.mark.asyncio(loop_scope="module")

WAYS = ["grpc", "protobuf", "json"]
ways = pytest.mark.parametrize("way", WAYS)
http_ways = pytest.mark.parametrize("way", ["protobuf", "json"])
compression = pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
