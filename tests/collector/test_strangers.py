"""gRPC and TLS at the port of plain HTTP: the sender and the operator are told."""

import asyncio
import logging
import ssl
from itertools import pairwise

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.senders import Sender
from footfall_collector.receivers.strangers import PREFACE, Http2, is_tls
from support.collectors import configured, connected
from support.otlp import METHODS, PROTOBUF

HELLO = bytes.fromhex("160301020001000001fc0303")


@pytest.fixture
def config(catalog, store_database):
    return configured(catalog, store_database)


async def test_a_grpc_sender_at_the_port_of_http_is_told_at_once(config, query, caplog):
    caplog.set_level(logging.INFO, "footfall")
    async with connected(config, Sender) as sender:
        url = sender.http.base_url
        async with grpc.aio.insecure_channel(f"{url.host}:{url.port}") as channel:
            for signal in ("traces", "metrics", "traces"):
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await channel.unary_unary(METHODS[signal])(b"\x0a\x00" * 20_000, timeout=10)
                assert refusal.value.code() == grpc.StatusCode.UNIMPLEMENTED
                assert "4317" in refusal.value.details()
        assert (await sender.http.post("/v1/traces", headers=PROTOBUF)).status_code == 200
    ((reason, requests),) = query("SELECT reason, requests FROM reporting.refused")
    assert (reason, requests > 0) == ("protocol", True)
    (line,) = [r.getMessage() for r in caplog.records if r.name == "footfall.refused"]
    assert line.startswith("a request was refused: protocol; ")
    assert "4317" in line


async def test_a_sender_that_never_says_what_it_wants_is_closed(config, monkeypatch):
    monkeypatch.setattr("footfall_collector.receivers.http_server.HEAD_S", 0.3)
    async with connected(config, Sender) as sender:
        url = sender.http.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        answered = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answered == bytes.fromhex("000000040000000000000000040100000000")


class Transport:
    """Keeps what is written; a socket could not be cut at every byte."""

    def __init__(self):
        self.written, self.closed = b"", False

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(1, 600)), st.integers(0, 16_384), st.integers(1, 3))
def test_what_it_says_is_http_2_however_its_bytes_come(cuts, size, calls):
    """Held against an implementation of RFC 9113 that is not ours (h2)."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    head = {":method": "POST", ":path": "/x", ":scheme": "http", ":authority": "x"}
    for stream in range(1, 2 * calls, 2):
        client.send_headers(stream, [*head.items(), ("te", "trailers")])
        client.send_data(stream, bytes(size), end_stream=True)
    sent = client.data_to_send().removeprefix(PREFACE)
    transport = Transport()
    http2 = Http2(transport)
    for start, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(sent)), len(sent)]):
        http2.feed(sent[start:end])
    events = client.receive_data(transport.written)
    (answer,) = [event for event in events if isinstance(event, h2.events.ResponseReceived)]
    headers = dict(answer.headers)
    assert (answer.stream_id, headers[b":status"], headers[b"grpc-status"]) == (1, b"200", b"12")
    (end,) = [event for event in events if isinstance(event, h2.events.ConnectionTerminated)]
    assert (end.error_code, end.last_stream_id) == (0, 1)
    assert not transport.closed


def test_a_frame_that_nobody_may_send_ends_the_connection():
    transport = Transport()
    Http2(transport).feed(b"\x00\x40\x01\x00\x00\x00\x00\x00\x01")
    assert transport.closed


def test_tls_is_known_by_its_first_bytes():
    assert is_tls(HELLO)
    assert not any(map(is_tls, (b"", b"\x16\x03", PREFACE, b"POST /v1/traces HTTP/1.1", bytes(11))))


async def test_tls_at_a_plain_port_is_told_in_the_log(config, caplog):
    async with connected(config, Sender) as sender:
        url = sender.http.base_url
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection(url.host, url.port, ssl=ssl.create_default_context())
    (line,) = [r.getMessage() for r in caplog.records if r.name == "footfall.refused"]
    assert line.startswith("a request was refused: protocol; ")
    assert "TLS" in line
