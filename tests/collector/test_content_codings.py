"""What HTTP permits of a request's body and head: codings, their lists and names, pieces, parameters.

Sources: RFC 9110 (sections 8.3, 8.4, 10.1.1), RFC 9112 (section 7.1), RFC 1950 to 1952, RFC 8878, RFC 9659.
"""

import asyncio
import gzip
import random
import struct
import zlib

import pytest

from collector.senders import JSON, Sender
from footfall_collector.config.schema import HttpConfig
from footfall_collector.receivers import decompression
from footfall_collector.receivers.decompression import PIECE, Decompressor, zstd
from footfall_collector.receivers.refusals import Refusal
from support.collectors import configured, connected, counts, status_of
from support.otlp import PROTOBUF, as_json, traces

KIB = 1024


@pytest.fixture
async def http(catalog, store_database):
    small = HttpConfig(endpoint="127.0.0.1:0", max_request_body_size=64 * KIB)
    async with connected(configured(catalog, store_database, http=small), Sender) as sender:
        yield sender.http


def in_halves(body, compress):
    return compress(body[: len(body) // 2]) + compress(body[len(body) // 2 :])


def with_everything(body):
    """A gzip member with an extra field, a name, a comment and a checksum of the header."""
    head = b"\x1f\x8b\x08" + bytes([2 | 4 | 8 | 16]) + bytes(4) + b"\x00\x03"
    head += struct.pack("<H", 6) + b"AB\x02\x00xy" + b"spans.bin\0" + b"a comment\0"
    head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    raw = zlib.compressobj(wbits=-15)
    return head + raw.compress(body) + raw.flush() + struct.pack("<II", zlib.crc32(body), len(body))


def raw_deflate(body):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


SKIPPED = b"\x50\x2a\x4d\x18" + struct.pack("<I", 5) + b"hello"
"""A zstd frame that says nothing (RFC 8878, section 3.1.2)."""
CODED = {
    "members": ("gzip", lambda body: in_halves(body, gzip.compress)),
    "an empty member": ("gzip", lambda body: gzip.compress(b"") + gzip.compress(body)),
    "every field": ("gzip", with_everything),
    "padding": ("gzip", lambda body: gzip.compress(body) + bytes(600)),
    "padding between": (
        "gzip",
        lambda body: in_halves(body, lambda p: gzip.compress(p) + bytes(9)),
    ),
    "another case": ("GZIP", gzip.compress),
    "its old name": ("x-gzip", gzip.compress),
    "a list": ("identity, gzip ,,", gzip.compress),
    "twice": ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    "two codings": ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
    "deflate": ("deflate", zlib.compress),
    "deflate without a header": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
    "zstd frames": ("zstd", lambda body: in_halves(body, zstd.compress) + SKIPPED),
    "zstd upon gzip": ("gzip, zstd", lambda body: zstd.compress(gzip.compress(body))),
    "identity": ("Identity", bytes),
    "nothing": ("", bytes),
}


async def test_a_body_may_be_coded_in_every_permitted_way(http, query):
    for spans, (what, (name, encode)) in enumerate(CODED.items(), 1):
        body = encode(traces("shop.ping", number=spans))
        headers = PROTOBUF | {"content-encoding": name}
        for content in (body, in_pieces(body)):  # the second is a retry
            answer = await http.post("/v1/traces", content=content, headers=headers)
            assert answer.status_code == 200, (what, answer.content)
    assert counts(query) == {"shop.ping.invoke": sum(range(1, len(CODED) + 1))}


async def in_pieces(body):
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


async def test_codings_may_be_said_in_several_lines(http, query):
    body = gzip.compress(zlib.compress(traces("shop.ping")))
    lines = [*PROTOBUF.items(), ("content-encoding", "deflate"), ("Content-Encoding", "gzip")]
    assert (await http.post("/v1/traces", content=body, headers=lines)).status_code == 200
    assert counts(query) == {"shop.ping.invoke": 1}


async def test_an_unknown_coding_is_answered_with_those_that_are_known(http):
    for name in ("br", "gzip, br", "gzip;q=1", "snappy", "gzip,gzip,gzip,gzip", "*"):
        headers = PROTOBUF | {"content-encoding": name}
        answer = await http.post("/v1/traces", content=b"x", headers=headers)
        assert answer.status_code == 415
        assert answer.headers["accept-encoding"] == "gzip, deflate, zstd"
        assert "gzip, deflate, zstd" in status_of(answer).message


DAMAGED = {
    "gzip cut short": ("gzip", lambda body: gzip.compress(body)[:-6], "the gzip body is cut short"),
    "gzip and noise": ("gzip", lambda body: gzip.compress(body) + b"x", "the gzip body is cut short"),
    "gzip and words": ("gzip", lambda b: gzip.compress(b) + b"words", "the body is not valid gzip"),
    "a second member cut": ("gzip", lambda b: in_halves(b, gzip.compress)[:-9], "the gzip body is cut short"),
    "a wrong sum": ("gzip", lambda b: gzip.compress(b)[:-8] + bytes(8), "the body is not valid gzip"),
    "nothing": ("gzip", lambda body: b"", "the gzip body is cut short"),
    "deflate and noise": ("deflate", lambda b: zlib.compress(b) + b"x", "something follows the deflate body"),
    "deflate cut short": ("deflate", lambda b: zlib.compress(b)[:-2], "the deflate body is cut short"),
    "no deflate": ("deflate", lambda body: b"\xff" * 9, "the body is not valid deflate"),
    "zstd cut short": ("zstd", lambda body: zstd.compress(body)[:-2], "the zstd body is cut short"),
    "zstd and noise": ("zstd", lambda b: zstd.compress(b) + b"noise", "the body is not valid zstd"),
}  # fmt: skip


async def test_a_damaged_body_is_refused(http, query):
    for what, (name, encode, message) in DAMAGED.items():
        headers = PROTOBUF | {"content-encoding": name}
        sent = encode(traces("shop.ping"))
        answer = await http.post("/v1/traces", content=sent, headers=headers)
        assert (answer.status_code, status_of(answer).message) == (400, message), what
    assert counts(query) == {}


def bombs():
    """What is small until it is read; made by the one test that sends them."""
    return {
        "gzip": ("gzip", gzip.compress(bytes(64 * KIB + 1))),
        "members": ("gzip", gzip.compress(bytes(33 * KIB)) * 2),
        "zstd": ("zstd", zstd.compress(bytes(64 * KIB + 1))),
        "frames": ("zstd", zstd.compress(bytes(33 * KIB)) * 2),
        "deflate": ("deflate", zlib.compress(bytes(10**7))),
        "a bomb in a bomb": ("gzip, gzip", gzip.compress(gzip.compress(bytes(10**8), 1))),
        "coded without end": ("gzip", gzip.compress(b"") * 10_000),
    }


async def test_a_bomb_is_too_large(http):
    for what, (name, body) in bombs().items():
        headers = PROTOBUF | {"content-encoding": name}
        answer = await http.post("/v1/traces", content=body, headers=headers)
        assert answer.status_code == 413, what


def test_the_number_of_members_is_bounded(monkeypatch):
    monkeypatch.setattr(decompression, "MOST_MEMBERS", 3)
    assert b"".join(Decompressor("gzip", KIB).feed(gzip.compress(b"x") * 3)) == b"xxx"
    with pytest.raises(Refusal, match="something follows the gzip body"):
        list(Decompressor("gzip", KIB).feed(gzip.compress(b"x") * 4))


def test_a_zstd_window_is_bounded():
    """RFC 9659: 8 MiB; a larger one would be memory for nothing."""
    options = {
        zstd.CompressionParameter.window_log: 24,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    packer = zstd.ZstdCompressor(options=options)
    body = packer.compress(bytes(2**24)) + packer.flush()
    with pytest.raises(Refusal, match="not valid zstd"):
        list(Decompressor("zstd", 2**26).feed(body))


@pytest.mark.parametrize(
    "packed", [gzip.compress, zlib.compress, zstd.compress], ids=["gzip", "deflate", "zstd"]
)
@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE])
@pytest.mark.parametrize("chunk", [1 << 10, 1 << 30])
def test_what_64_kb_stand_for_is_decoded_in_pieces(packed, size, chunk):
    text = random.Random(size).randbytes(1000) * (size // 1000 + 1)
    text, coding = (
        text[:size],
        {gzip.compress: "gzip", zlib.compress: "deflate"}.get(packed, "zstd"),
    )
    decoder, body = Decompressor(coding, 2**26), packed(text)
    parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    pieces = [piece for part in parts for piece in decoder.feed(part)]
    decoder.finish()
    assert b"".join(pieces) == text
    assert max(map(len, pieces)) <= PIECE


# Content-Type


KINDS = [
    "application/json", "APPLICATION/JSON", "application/json;charset=utf-8", "application/json;",
    "application/json ; charset=UTF-8", 'application/json; charset="utf-8"', "application/json; a=1; q=0.5",
]  # fmt: skip


async def test_json_may_have_parameters_in_any_case(http, query):
    body = as_json("traces", traces("shop.ping"))
    for kind in KINDS:
        answer = await http.post("/v1/traces", content=body, headers={"Content-TYPE": kind})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert counts(query) == {"shop.ping.invoke": 1}


async def test_protobuf_has_a_registered_name_as_well(http, query):
    headers = {"content-type": "application/protobuf"}
    answer = await http.post("/v1/traces", content=traces("shop.ping"), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/protobuf")
    assert counts(query) == {"shop.ping.invoke": 1}


# What only a socket can say


async def exchanged(http, head, *pieces):
    """The answer to raw bytes, up to the connection's end."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(head)
    said = b""
    for piece in pieces:
        if b"100-continue" in head.lower():
            said += await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    said += await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return said


HEAD = b"POST /v1/traces HTTP/1.1\r\nHOST: x\r\nCONTENT-TYPE: application/json\r\nconnection: close\r\n"


async def test_what_http_permits_of_a_body(http):
    asking = HEAD + b"Content-Length: 2\r\nExpect: 100-Continue\r\n\r\n"
    said = await exchanged(http, asking, b"{}")
    assert said.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 200 " in said
    chunks = (b"1;name=value\r\n{\r\n", b'01;a="b"\r\n}\r\n', b"0\r\nX-Sum: 1\r\n\r\n")
    chunked = await exchanged(http, HEAD + b"Transfer-Encoding: Chunked\r\n\r\n", *chunks)
    without_length = await exchanged(http, HEAD + b"\r\n")
    for said in (chunked, without_length):
        assert said.startswith(b"HTTP/1.1 200 ")


async def test_json_headers_of_the_client_do_not_matter(http):
    headers = JSON | {
        "accept": "text/html;q=0.1, */*;q=0",
        "accept-encoding": "br;q=1.0, identity;q=0",
    }
    answer = await http.post("/v1/traces", content=b"{}", headers=headers)
    assert (answer.status_code, answer.content) == (200, b"{}")
