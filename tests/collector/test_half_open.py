"""Connections with TLS are counted from the moment at which they are accepted, on real sockets."""

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from collector.listeners import serving_tls
from footfall_collector.receivers import handshakes, sockets

IDLE_KB = 50
"""That an idle connection with TLS may take."""


def client(made):
    context = ssl.create_default_context(cafile=made / "authority.pem")
    context.check_hostname = False
    return context


async def sends(port, context):
    """Whether a sender is served."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
    writer.write(f"{head}connection: close\r\ncontent-length: 0\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return answer.startswith(b"HTTP/1.1 200 ")


def half_open(stack, port, greeting):
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    connection.sendall(greeting)


@pytest.mark.parametrize("greeting", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a begin"])
async def test_half_open_connections_are_never_too_many_and_keep_nobody_out(
    made, monkeypatch, greeting
):
    monkeypatch.setattr(sockets, "MOST_CONNECTIONS", 20)
    async with serving_tls(made) as port:
        files = len(os.listdir("/proc/self/fd"))
        with contextlib.ExitStack() as stack:
            for _ in range(15):
                for _ in range(10):
                    half_open(stack, port, greeting)
                await asyncio.sleep(0.01)
                assert await sends(port, client(made))
            theirs = 150
            assert len(os.listdir("/proc/self/fd")) <= files + theirs + 20 + 5


async def test_a_handshake_has_a_few_seconds(made, monkeypatch):
    assert handshakes.HANDSHAKE_S <= 5
    monkeypatch.setattr(handshakes, "HANDSHAKE_S", 0.3)
    async with serving_tls(made) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        await writer.wait_closed()


async def test_requests_of_many_records_are_taken(made):
    """More than the small buffer of a connection holds, in pieces that fit none."""
    async with serving_tls(made) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client(made))
        body = os.urandom(300_001)
        head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        assert await asyncio.wait_for(reader.readline(), 10) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


PROGRAM = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = {path!r}
from collector.listeners import serving_tls
async def main():
    async with serving_tls(Path({made!r})) as port:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel says how much is resident")
def test_an_idle_connection_takes_little_memory(made):
    code = PROGRAM.format(path=[p for p in sys.path if "tests" in p], made=str(made))
    command, pipe, number = [sys.executable, "-c", code], subprocess.PIPE, 150
    with (
        subprocess.Popen(command, stdin=pipe, stdout=pipe) as process,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(process.kill)
        port, context = int(process.stdout.readline()), client(made)

        def opened(many):
            for _ in range(many):
                plain = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                stack.enter_context(context.wrap_socket(plain))
            status = Path(f"/proc/{process.pid}/status").read_text()
            return int(status.partition("VmRSS:")[2].split()[0])

        before = opened(30)
        assert opened(number) - before < number * IDLE_KB
