"""HTTP/2 by hand, as no client speaks it."""

import asyncio
import contextlib

from collector.listeners import EXPORT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How an HTTP/2 connection begins: the preface, and SETTINGS without any (RFC 9113, section 3.4)."""


@contextlib.asynccontextmanager
async def half_a_call(address, size, sent):
    """A gRPC call of which so many bytes have come: HTTP/2 by hand, as no client stops in the middle."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = hpack(
        (":method", "POST"), (":scheme", "http"), (":path", EXPORT), (":authority", "x"),
        ("content-type", "application/grpc"), ("te", "trailers"),
    )  # fmt: skip
    writer.write(PREFACE + frame(4) + frame(4, flags=1) + frame(1, flags=4, stream=1, content=head))
    content = b"\0" + size.to_bytes(4, "big") + bytes(sent)
    if sent:
        reading = asyncio.ensure_future(reader.read(2**20))
        await asyncio.wait_for(reading, 10)
        for at in range(0, len(content), 16_000):
            writer.write(frame(0, stream=1, content=content[at : at + 16_000]))
        await writer.drain()
    yield
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def frame(kind, flags=0, stream=0, content=b""):
    """RFC 9113, section 4.1."""
    return (
        len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content
    )


def hpack(*headers):
    """RFC 7541, section 6.2.2: literals that are not indexed, without Huffman coding."""
    return b"".join(
        b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in header)
        for header in headers
    )
