"""What is refused leaves nothing behind: bodies of many MB, for every reason, while no cycle is collected."""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.http2 import frame, hpack

LARGE = "FOOTFALL_LARGE" in os.environ
"""Whether bodies are as large as they may be, and many: some minutes."""
SIZE, MANY, MOST = (60_000_000, 50, 64) if LARGE else (8 * 2**20, 6, 16)
"""Of a body in bytes, how many there are for each reason, and MiB that one may have."""
LEFT = 4 * SIZE
"""What may be left of all of them: allocators keep some, and round."""
NOW = time.time_ns()
PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel says how much is resident"),
    pytest.mark.timeout(1800 if LARGE else 120),
]


@pytest.fixture(scope="module")
def server():
    """(process id, gRPC port, HTTP port)"""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("refusing.py"), str(MOST)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            yield process.pid, *map(int, process.stdout.readline().split())
            process.stdin.close()
            process.wait(20)
        finally:
            process.kill()


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def spans(service, tail=b""):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = service
    scope = group.scope_spans.add()
    while request.ByteSize() < SIZE:
        for _ in range(16):
            span = scope.spans.add(
                name="shop.order", start_time_unix_nano=1, end_time_unix_nano=NOW
            )
            span.start_time_unix_nano = NOW - 5
            span.attributes.add(key="url.query").value.string_value = "x" * 60_000
    return request.SerializeToString() + tail


def objects(service, tail=""):
    attribute = {"key": "url.query", "value": {"stringValue": "x" * 60_000}}
    span = {
        "name": "shop.order", "startTimeUnixNano": str(NOW - 5), "endTimeUnixNano": str(NOW),
        "attributes": [attribute],
    }  # fmt: skip
    name = {"key": "service.name", "value": {"stringValue": service}}
    group = {
        "resource": {"attributes": [name]},
        "scopeSpans": [{"spans": [span] * (SIZE // 60_000)}],
    }
    return (json.dumps({"resourceSpans": [group]}) + tail).encode()


def grow(server, send, many=MANY):
    """By how much many more of these let the server grow: what leaks does so each of three times.

    The server may have to notice yet that a sender has left, for which it gets some seconds.
    """
    pid, *_ = server
    for _ in range(2):
        send()
    for _ in range(3):
        before = resident(pid)
        for _ in range(many):
            send()
        end = time.monotonic() + 5
        while (grown := resident(pid) - before) >= LEFT and time.monotonic() < end:
            time.sleep(0.1)
        if grown < LEFT:
            break
    return grown


def posted(port, body, *headers, cut=0, kind="protobuf"):
    """The status of the answer; with `cut`, so many bytes of the body are never sent."""
    media_type = {"protobuf": "application/x-protobuf", "json": "application/json"}[kind]
    head = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {media_type}\r\nconnection: close\r\n"
    head += f"content-length: {len(body)}\r\n" + "".join(f"{each}\r\n" for each in headers) + "\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode() + body[: len(body) - cut])
        answer = connection.recv(2**16)
        with suppress(
            ConnectionResetError
        ):  # it closes on what it has not read, when that takes too long
            while connection.recv(2**16):
                pass
    return int(answer.split()[1])


GZIP = "content-encoding: gzip"
TAGS = b"\x12\x00" * (SIZE // 2)
HTTP = {
    "cut protobuf": (400, lambda: (spans("web", b"\x0a\xff\xff\x7f"),)),
    "no protobuf": (400, lambda: (b"\x0a\xff\xff\xff\x7f" + bytes(SIZE),)),
    "too many elements": (413, lambda: (b"\x0a" + varint(len(TAGS)) + TAGS,)),
    "too large": (413, lambda: (bytes((MOST + 1) * 2**20),)),
    "bomb": (413, lambda: (gzip.compress(bytes(2 * MOST * 2**20), 1), GZIP)),
    "cut gzip": (400, lambda: (gzip.compress(os.urandom(SIZE), 1)[:-9], GZIP)),
    "no gzip": (400, lambda: (gzip.compress(bytes(SIZE), 1)[:-8] + bytes(8), GZIP)),
    "unknown coding": (415, lambda: (bytes(SIZE), "content-encoding: br")),
    "rejected": (400, lambda: (spans("rejected"),)),
    "unavailable": (503, lambda: (spans("unavailable"),)),
    "fault": (503, lambda: (spans("fault"),)),
}


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.parametrize("reason", HTTP)
def test_refused_http_bodies_leave_nothing_behind(server, reason):
    status, made = HTTP[reason]
    sent = made()
    assert grow(server, lambda: _check(posted(server[2], *sent), status)) < LEFT


@pytest.mark.parametrize(
    ("status", "service", "tail"),
    [
        (400, "web", "}"),
        (400, "web", "\n{"),
        (400, "rejected", ""),
        (503, "unavailable", ""),
        (503, "fault", ""),
    ],
)
def test_refused_json_leaves_nothing_behind(server, status, service, tail):
    body = objects(service, tail)
    assert grow(server, lambda: _check(posted(server[2], body, kind="json"), status)) < LEFT


def test_json_of_nothing_leaves_nothing_behind(server):
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"null," * (SIZE // 5) + b"null]}]}]}"
    assert grow(server, lambda: posted(server[2], body, kind="json")) < LEFT


def test_bodies_that_stop_leave_nothing_behind(server):
    body = spans("web")

    def send():
        """All at once: each is waited for as long as a body may take."""
        with ThreadPoolExecutor(MANY) as pool:
            for status in pool.map(lambda _: posted(server[2], body, cut=100), range(MANY)):
                assert status == 503

    assert grow(server, send, many=1) < LEFT


def test_bodies_whose_senders_leave_leave_nothing_behind(server):
    head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"

    def send():
        with socket.create_connection(("127.0.0.1", server[2]), timeout=30) as connection:
            connection.sendall(head + b"content-length: %d\r\n\r\n" % (SIZE + 1000) + bytes(SIZE))

    assert grow(server, send) < LEFT


def _check(status, wanted):
    assert status == wanted


GRPC = {
    "cut protobuf": ("INVALID_ARGUMENT", lambda: spans("web", b"\x0a\xff\xff\x7f")),
    "no protobuf": ("INVALID_ARGUMENT", lambda: b"\x0a\xff\xff\xff\x7f" + bytes(SIZE)),
    "too many elements": ("RESOURCE_EXHAUSTED", lambda: b"\x0a" + varint(len(TAGS)) + TAGS),
    "too large": ("RESOURCE_EXHAUSTED", lambda: bytes((MOST + 1) * 2**20)),
    "rejected": ("INVALID_ARGUMENT", lambda: spans("rejected")),
    "unavailable": ("UNAVAILABLE", lambda: spans("unavailable")),
    "fault": ("UNAVAILABLE", lambda: spans("fault")),
}


@pytest.mark.parametrize("reason", GRPC)
def test_refused_grpc_requests_leave_nothing_behind(server, reason):
    code, made = GRPC[reason]
    body = made()
    with grpc.insecure_channel(f"127.0.0.1:{server[1]}") as channel:
        call = channel.unary_unary(PATH)

        def send():
            with pytest.raises(grpc.RpcError) as refused:
                call(body, timeout=30)
            assert refused.value.code().name == code

        assert grow(server, send) < max(LEFT, 4 * len(body))


def test_grpc_requests_that_stop_leave_nothing_behind(server):
    head = hpack(
        (":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "x"),
        ("content-type", "application/grpc"), ("te", "trailers"),
    )  # fmt: skip
    begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4) + frame(1, 4, 1, head)
    message = b"\0" + ((MOST - 1) * 2**20).to_bytes(4, "big") + bytes(60_000)

    def send():
        with socket.create_connection(("127.0.0.1", server[1]), timeout=30) as connection:
            connection.sendall(begin)
            for at in range(0, len(message), 16_000):
                connection.sendall(frame(0, 0, 1, message[at : at + 16_000]))
            while b"google.rpc" not in connection.recv(2**16):
                pass

    assert grow(server, send) < LEFT
