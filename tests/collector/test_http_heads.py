"""What HTTP/1.1 asks of a server (RFC 9110, RFC 9112), byte by byte, of the real listener."""

import asyncio
import contextlib
import gc

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from collector.listeners import Store, serving
from collector.test_dawdlers import closes
from footfall_collector.receivers import http_in_turn, http_server

MEDIA = b"Content-Type: application/x-protobuf\r\n"
POST = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n"
EMPTY = b"Connection: close\r\nContent-Length: 0\r\n\r\n"
LAST = b"Connection: close\r\n"


@pytest.fixture
async def web():
    store = Store()
    store.open.set()
    async with serving(1, store) as (_, _, http):
        yield f"{http.base_url.host}:{http.base_url.port}"


@pytest.mark.parametrize(
    "target",
    [b"/v1/traces", b"http://collector.example/v1/traces", b"HTTP://[::1]:4318/v1/traces?x=1"],
)
async def test_a_request_in_absolute_form_is_taken(web, target):
    # RFC 9112, section 3.2.2: a server must accept it.
    _, answer = await closes(web, b"POST " + target + b" HTTP/1.1\r\nHost: x\r\n" + MEDIA + EMPTY)
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "target",
    [b"http://collector.example", b"http://collector.example?/v1/traces", b"*", b"/v1/%zz"],
)
async def test_a_target_that_names_nothing_here_is_not_found(web, target):
    _, answer = await closes(web, b"POST " + target + b" HTTP/1.1\r\nHost: x\r\n" + EMPTY)
    assert answer.startswith(b"HTTP/1.1 404 ")


CHUNKED = POST + MEDIA + b"Transfer-Encoding: chunked\r\n"
MALFORMED = {
    "a target that is none": b"POST walker HTTP/1.1\r\nHost: x\r\n" + EMPTY,
    "half of a scheme": b"POST http: HTTP/1.1\r\nHost: x\r\n" + EMPTY,
    "a letter beyond ASCII in the target": b"POST /v1/tr\xe4ces HTTP/1.1\r\nHost: x\r\n" + EMPTY,
    "no host": b"POST /v1/traces HTTP/1.1\r\n" + EMPTY,
    "two hosts": POST + b"Host: y\r\n" + EMPTY,
    "two lengths": POST + MEDIA + b"Content-Length: 5\r\n" + EMPTY,
    "a length that is none": POST + MEDIA + LAST + b"Content-Length: +1\r\n\r\nx",
    "a negative length": POST + MEDIA + LAST + b"Content-Length: -1\r\n\r\nx",
    "a length and chunks": CHUNKED + EMPTY,
    "a coding that is not chunked": POST + MEDIA + LAST + b"Transfer-Encoding: gzip\r\n\r\nx",
    "chunked, and then not": POST + MEDIA + LAST + b"Transfer-Encoding: chunked, gzip\r\n\r\nx",
    "a size of a chunk that is none": CHUNKED + LAST + b"\r\nwalker\r\n",
    "a chunk that is longer than it says": CHUNKED + LAST + b"\r\n1\r\nxy\r\n0\r\n\r\n",
    "a chunk of more than there can be": CHUNKED + LAST + b"\r\n1" + b"0" * 16 + b"\r\nx",
    "a space before the colon": POST + b"x : y\r\n" + EMPTY,
    "a field without a name": POST + b": y\r\n" + EMPTY,
    "a zero in a field": POST + b"x: \0\r\n" + EMPTY,
    "another version": b"POST /v1/traces HTTP/3.0\r\nHost: x\r\n" + EMPTY,
    "a method that is none": b"WALKER /v1/traces HTTP/1.1\r\nHost: x\r\n" + EMPTY,
    "a field over two lines": POST + b"x: y\r\n walker: z\r\n" + EMPTY,
    "a field that ends in a line feed": POST + b"x: y\n" + EMPTY,
    "a tunnel": b"CONNECT collector.example:4318 HTTP/1.1\r\nHost: x\r\n\r\nwalker",
    "no HTTP": b"walker-4711\r\n\r\n",
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_malformed_is_refused_and_not_echoed(web, request_, caplog):
    _, answer = await closes(web, request_)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))
    assert answer.count(b"HTTP/1.1") == 1  # what follows is no request of its own
    assert b"walker" not in answer.lower()
    assert "walker" not in caplog.text.lower()


ENDLESS = {
    "a target": (b"POST /", b"x"),
    "a name": (POST, b"x"),
    "a value": (POST + b"x: ", b"y"),
    "fields": (POST, b"x: y\r\n"),
    "trailers": (CHUNKED + b"\r\n0\r\n", b"x: y\r\n"),
    "a trailer": (CHUNKED + b"\r\n0\r\nx: ", b"y"),
    "an extension of a chunk": (CHUNKED + b"\r\n1;x=", b"y"),
}


@pytest.mark.parametrize(("head", "more"), ENDLESS.values(), ids=ENDLESS)
async def test_what_never_ends_is_cut_off(web, head, more):
    sent = more * (2**20 // len(more))
    _, answer = await closes(
        web, head, *[sent[at : at + 2**12] for at in range(0, len(sent), 2**12)]
    )
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")  # or it was reset before that was read


async def test_a_trailer_says_nothing_that_a_head_says(web):
    untyped = POST + b"Transfer-Encoding: chunked\r\n" + LAST
    _, answer = await closes(web, untyped + b"\r\n0\r\n" + MEDIA + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 415 ")


async def test_space_after_a_value_is_not_of_it(web):
    _, answer = await closes(web, POST + MEDIA.replace(b"\r", b" \t \r") + EMPTY)
    assert answer.startswith(b"HTTP/1.1 200 ")


UPGRADE = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
)


@pytest.mark.parametrize("size", [1, 7, 2**16])
@pytest.mark.parametrize("body", [b"\x0a\x00", b""])
async def test_who_offers_http2_is_answered_in_http1(web, size, body, caplog):
    """As Java's HttpClient does with a connection's first request, in pieces that come as they will."""
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    sent = POST + MEDIA + UPGRADE + length + body + POST + MEDIA + EMPTY
    _, answer = await closes(web, *[sent[at : at + size] for at in range(0, len(sent), size)])
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert "pgrade" not in caplog.text


async def test_requests_that_follow_at_once_are_answered_in_turn(web):
    other = POST.replace(b"/v1/traces", b"/v1/walkers") + b"Content-Length: 0\r\n\r\n"
    _, answer = await closes(
        web, POST + MEDIA + b"Content-Length: 0\r\n\r\n" + other + POST + MEDIA + EMPTY
    )
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


FOLLOWED = POST + MEDIA + b"Content-Length: 2\r\n\r\n\x0a\x00"


@pytest.mark.parametrize("before", [1, 3, 200])
@pytest.mark.parametrize(
    "after",
    [
        b"walker\r\n\r\n",
        CHUNKED + b"\r\nwalker\r\n",
        POST + b"Host: y\r\n" + EMPTY,
        b"GET /" + b"x" * 2**15,
    ],
    ids=["no HTTP", "a body that is none", "a request that is none", "a head that never ends"],
)
async def test_what_is_wrong_is_answered_in_its_turn(web, before, after):
    """An answer belongs to the request that is first in line: the others were stored."""
    _, answer = await closes(web, FOLLOWED * before + after)
    codes = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert codes == [b"200"] * before + [b"400"]


async def test_half_a_head_after_a_request_is_not_waited_for_without_end(web, monkeypatch):
    monkeypatch.setattr(http_server, "HEAD_S", 0.5)
    long = FOLLOWED.replace(b"Host", b"x: y\r\nHost")
    long = long.replace(b"y", b"y" * (http_in_turn.PIECE - len(long) + 1), 1)
    seconds, answer = await closes(web, long + b"POST /v1/tra")
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert seconds < 4  # 5 are for a next request


async def test_requests_wait_for_their_turn_unread(web):
    """Each takes a hundred times the memory of its bytes."""
    request = b"GET /w HTTP/1.1\r\nHost: x\r\n\r\n"
    host, _, port = web.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    counted = asyncio.create_task(reader.read())
    for _ in range(200):
        writer.write(request * 1000)
        await asyncio.sleep(0.001)
    waiting = [each for each in gc.get_objects() if isinstance(each, RequestResponseCycle)]
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await counted
    assert len(waiting) < 2 * http_in_turn.PIECE / len(request)


async def test_two_thousand_requests_that_follow_at_once_are_answered(web):
    last = FOLLOWED.replace(b"Host: x", b"Host: x\r\nConnection: close")
    _, answer = await closes(web, FOLLOWED * 2000 + last)
    assert answer.count(b"HTTP/1.1 200 ") == 2001


async def test_who_waits_to_be_told_to_go_on_is(web):
    head = POST + MEDIA + LAST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    _, answer = await closes(web, head, b"\x0a\x00", every=0.1)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


async def test_a_chunked_body_in_single_bytes_is_read(web):
    pieces = CHUNKED + LAST + b"\r\n1;walker\r\n\x0a\r\n1\r\n\x00\r\n0\r\nX-Trailer: y\r\n\r\n"
    _, answer = await closes(web, *[pieces[at : at + 1] for at in range(len(pieces))])
    assert answer.startswith(b"HTTP/1.1 200 ")
