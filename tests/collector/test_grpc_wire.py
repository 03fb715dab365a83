"""OTLP/gRPC as frames say it: compressions, and calls of what is not there (gRPC, "Compression")."""

import asyncio
import gzip
import struct
import zlib

import grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived, StreamEnded, StreamReset, TrailersReceived

from support.collectors import configured, connected, counts
from support.otlp import METHODS, traces

OK, UNIMPLEMENTED, INTERNAL = (
    str(code.value[0])
    for code in (
        grpc.StatusCode.OK,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
    )
)


async def call(address, payload, encoding=None, *, method=METHODS["traces"]):
    """Headers and trailers of the answer to one message, compressed if an encoding is named."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    connection = H2Connection(H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "x")]
    headers += [("content-type", "application/grpc"), ("te", "trailers")]
    headers += [("grpc-encoding", encoding)] if encoding else []
    connection.send_headers(1, headers)
    frame = struct.pack(">BI", encoding is not None, len(payload)) + payload
    connection.send_data(1, frame, end_stream=True)
    writer.write(connection.data_to_send())
    found, ended = {}, False
    while not ended and (data := await asyncio.wait_for(reader.read(65_536), 10)):
        for event in connection.receive_data(data):
            if isinstance(event, ResponseReceived | TrailersReceived):
                found |= dict(event.headers)
            ended = ended or isinstance(event, StreamEnded | StreamReset)
        writer.write(connection.data_to_send())
    writer.close()
    return found


async def test_compressions_that_grpc_knows_are_taken_and_named(catalog, store_database, query):
    async with connected(configured(catalog, store_database)) as client:
        for spans, (encoding, pack) in enumerate(
            {
                None: bytes,
                "identity": bytes,
                "gzip": gzip.compress,
                "deflate": zlib.compress,
            }.items(),
            1,
        ):
            body = pack(traces("shop.ping", number=spans))
            answer = await call(client.collector.grpc, body, encoding)
            if encoding == "identity":  # a compressed message of no compression is wrong
                assert answer["grpc-status"] == INTERNAL
                continue
            assert answer["grpc-status"] == OK
            assert answer["grpc-accept-encoding"] == "identity, deflate, gzip"
    assert counts(query) == {"shop.ping.invoke": 1 + 3 + 4}


async def test_an_unknown_compression_is_refused_for_good(catalog, store_database, query):
    """gRPC says UNIMPLEMENTED; grpcio's core answers INTERNAL itself (grpc/grpc#36770), as final."""
    async with connected(configured(catalog, store_database)) as client:
        for encoding in ("snappy", "zstd", "GZIP"):
            answer = await call(client.collector.grpc, traces("shop.ping"), encoding)
            assert answer["grpc-status"] in (UNIMPLEMENTED, INTERNAL)
            assert "grpc-encoding" in answer["grpc-message"]
        assert (await call(client.collector.grpc, traces("shop.ping")))["grpc-status"] == OK
    assert counts(query) == {"shop.ping.invoke": 1}
    assert query("SELECT sum(requests)::int FROM reporting.refused") == [(3,)]


async def test_a_message_that_cannot_be_decompressed_is_refused(catalog, store_database, query):
    async with connected(configured(catalog, store_database)) as client:
        answer = await call(client.collector.grpc, b"no gzip", "gzip")
        assert answer["grpc-status"] == INTERNAL
    assert query("SELECT sum(requests)::int FROM reporting.refused") == [(1,)]


async def test_a_call_of_what_is_not_there_is_not_implemented(catalog, store_database):
    async with connected(configured(catalog, store_database)) as client:
        for method in ("/some.Service/Export", METHODS["traces"] + "s", "/x"):
            answer = await call(client.collector.grpc, b"", method=method)
            assert answer["grpc-status"] == UNIMPLEMENTED
