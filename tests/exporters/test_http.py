import asyncio
import datetime as dt
import email.utils
import gzip
import logging
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from footfall_exporters.contracts import Rejected, Unavailable
from footfall_exporters.http import (
    LARGEST_ANSWER,
    LONGEST_WAIT,
    OPERATOR_WAIT,
    ClientTls,
    HttpConfig,
    retry_after,
    sender,
)
from support.http_server import OK, serving, status

SECRET = "s3cr3t-key-0123456789"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


async def post(server, body=b"{}", **config):
    async with sender(HttpConfig(endpoint=server.url, **config)) as to:
        return await to.post(body, "application/json")


async def test_a_post_carries_body_type_and_headers_and_returns_the_answer():
    async with serving() as server:
        server.script(status(202, body=b'{"ok":1}'))
        answer = await post(
            server, b'{"a":1}', headers={"X-Tenant": "shop"}, compression="none", timeout=5
        )
    (request,) = server.requests
    assert answer == b'{"ok":1}'
    assert (request.method, request.target, request.sent) == ("POST", "/", b'{"a":1}')
    sent = {name: request.headers.get(name) for name in ("content-type", "x-tenant", "user-agent")}
    assert sent == {
        "content-type": "application/json",
        "x-tenant": "shop",
        "user-agent": "footfall",
    }
    assert "content-encoding" not in request.headers


async def test_a_compressed_body_is_the_same_bytes_every_time(monkeypatch):
    async with serving() as server:
        await post(server, b"x" * 5000)
        # gzip writes the time, unless told otherwise.
        monkeypatch.setattr("gzip.time", SimpleNamespace(time=lambda: 1_900_000_000))
        await post(server, b"x" * 5000)
    first, second = server.requests
    assert first.headers["content-encoding"] == "gzip"
    assert gzip.decompress(first.sent) == b"x" * 5000
    assert first.sent == second.sent


async def test_a_url_and_headers_of_one_request_come_on_top():
    async with serving() as server:
        config = HttpConfig(endpoint=server.url + "/v1/traces", headers={"X-A": "1"})
        async with sender(config) as to:
            await to.post(b"", "text/plain", server.url + "/v1/metrics", {"X-B": "2"})
            await to.post(b"", "text/plain")
    assert [request.target for request in server.requests] == ["/v1/metrics", "/v1/traces"]
    assert [request.headers.get("x-b") for request in server.requests] == ["2", None]
    assert [request.headers["x-a"] for request in server.requests] == ["1", "1"]
    assert server.connections == 1  # kept open between them


async def answers(codes):
    """What each status becomes: the exception, or None."""
    found = {}
    async with serving() as server, sender(HttpConfig(endpoint=server.url)) as to:
        for code in codes:
            server.script(status(code, body=SECRET.encode()))
            try:
                await to.post(b"{}", "application/json")
                found[code] = None
            except (Rejected, Unavailable) as error:
                found[code] = error
    return found


async def test_a_refusal_of_what_was_sent_is_final():
    found = await answers([400, 409, 410, 413, 415, 422, 431, 499])
    said = {code: (type(error), str(error)) for code, error in found.items()}
    assert said == {code: (Rejected, f"the backend answered HTTP {code}") for code in found}


async def test_trouble_on_the_other_side_is_to_be_tried_again():
    found = await answers([408, 425, 429, 500, 502, 503, 504, 599])
    said = {code: (type(e), str(e), e.retry_after) for code, e in found.items()}
    assert said == {code: (Unavailable, f"the backend answered HTTP {code}", 1) for code in found}


async def test_every_2xx_is_taken():
    assert await answers([200, 201, 202, 204]) == dict.fromkeys([200, 201, 202, 204])


@pytest.mark.parametrize("code", [401, 402, 403, 404, 405, 407])
async def test_a_wrong_key_or_address_loses_nothing_and_is_said_once(code, caplog):
    async with serving() as server:
        server.script(status(code), status(code), OK, status(code))
        config = HttpConfig(endpoint=f"{server.url}/{SECRET}", headers={"Authorization": SECRET})
        async with sender(config) as to:
            for _ in range(2):
                with pytest.raises(Unavailable, match="key or its address") as caught:
                    await to.post(b"", "text/plain")
                assert caught.value.retry_after == OPERATOR_WAIT
            said = [r for r in caplog.records if r.levelno == logging.ERROR]
            await to.post(b"", "text/plain")
            with pytest.raises(Unavailable):
                await to.post(b"", "text/plain")
    again = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert (len(said), len(again)) == (1, 2)
    assert str(code) in said[0].getMessage()
    assert SECRET not in caplog.text + str(caught.value)


async def test_retry_after_is_honoured_in_both_forms():
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90)
    date = email.utils.format_datetime(later, usegmt=True)
    async with serving() as server:
        server.script(status(429, "Retry-After: 17"), status(503, f"Retry-After: {date}"))
        with pytest.raises(Unavailable) as first:
            await post(server)
        with pytest.raises(Unavailable) as second:
            await post(server)
    assert first.value.retry_after == 17
    assert 80 < second.value.retry_after <= 90


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 1),
        ("0", 1),
        ("-5", 1),
        ("3600000", LONGEST_WAIT),
        ("9" * 5000, 1),
        ("soon", 1),
        ("", 1),
        ("1.5", 1),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
        ("Wed, 21 Oct 2215 07:28:00 GMT", LONGEST_WAIT),
        ("Wed, 21 Oct 2215 07:28:00", LONGEST_WAIT),
        ("Wed, 99 Oct 2215 07:28:00 GMT", 1),
        ("Wed, 21 Oct 99999 07:28:00 GMT", 1),
    ],
)
def test_a_senseless_retry_after_is_bounded(value, seconds):
    assert retry_after(value) == seconds


async def test_a_redirect_is_not_followed():
    async with serving() as elsewhere, serving() as server:
        config = HttpConfig(endpoint=server.url, headers={"Authorization": SECRET})
        async with sender(config) as to:
            for code in (301, 302, 303, 307, 308):
                server.script(status(code, f"Location: {elsewhere.url}/"))
                with pytest.raises(Unavailable) as caught:
                    await to.post(b"{}", "application/json")
                assert caught.value.retry_after == OPERATOR_WAIT
    assert elsewhere.requests == []
    assert len(server.requests) == 5


async def test_an_endless_answer_is_cut():
    async def endless(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with serving() as server:
        server.script(endless)
        answer = await post(server)
        assert await post(server) == b"{}"
    assert answer == b"x" * LARGEST_ANSWER


async def test_a_bomb_in_an_answer_is_not_unpacked():
    bomb = gzip.compress(b"\0" * 50_000_000, 1)
    async with serving() as server:
        server.script(status(200, "Content-Encoding: gzip", body=bomb))
        answer = await post(server)
    assert answer == bomb[:LARGEST_ANSWER]
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_an_answer_that_trickles_ends_at_the_timeout():
    async def trickle(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving() as server:
        server.script(trickle)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer in time"):
            await post(server, timeout=0.3)
    assert 0.2 < time.monotonic() - began < 15  # 1000 bytes would take 20 s


async def test_no_answer_at_all_ends_at_the_timeout():
    async with serving() as server:
        server.script(lambda _: asyncio.sleep(30))
        with pytest.raises(Unavailable, match="did not answer in time"):
            await post(server, timeout=0.2)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
        b"\x00" * 100,
    ],
    ids=["nothing", "head", "body", "chunk", "other protocol", "header", "no header", "zeros"],
)
async def test_a_broken_answer_is_tried_again(reply):
    async def broken(writer):
        writer.write(reply)
        await writer.drain()
        writer.close()

    async with serving() as server:
        server.script(broken)
        with pytest.raises(Unavailable, match="connection to the backend broke"):
            await post(server)
        assert await post(server) == b"{}"


async def test_a_backend_that_is_not_there_is_tried_again():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        config = HttpConfig(endpoint=f"http://127.0.0.1:{free.getsockname()[1]}")
        async with sender(config) as to:
            with pytest.raises(Unavailable, match="cannot be reached"):
                await to.post(b"", "text/plain")


async def test_cookies_are_not_kept():
    async with serving() as server:
        server.script(status(200, "Set-Cookie: id=1; Path=/"))
        async with sender(HttpConfig(endpoint=server.url)) as to:
            await to.post(b"", "text/plain")
            await to.post(b"", "text/plain")
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


async def test_neither_url_nor_headers_are_logged_even_at_debug(caplog):
    caplog.set_level(logging.DEBUG)
    async with serving() as server:
        server.script(OK, status(500, f"X-Echo: {SECRET}", body=SECRET.encode()))
        config = HttpConfig(endpoint=f"{server.url}/{SECRET}", headers={"Authorization": SECRET})
        async with sender(config) as to:
            await to.post(b"", "text/plain", f"{server.url}/?api_secret={SECRET}")
            with pytest.raises(Unavailable) as caught:
                await to.post(b"", "text/plain")
    assert SECRET not in caplog.text
    assert SECRET not in f"{caught.value} {caught.value.__cause__} {config!r} {config}"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"endpoint": "localhost:4318"}, "endpoint"),
        ({"endpoint": "ftp://host/"}, "endpoint"),
        ({"endpoint": "https://user:word@host/"}, "endpoint"),
        ({"endpoint": "https://host/\n"}, "endpoint"),
        ({"headers": {"a b": "c"}}, "headers"),
        ({"headers": {"a": "b\r\nc: d"}}, "headers"),
        ({"headers": {"a": "b\n"}}, "headers"),
        ({"timeout": 0}, "timeout"),
        ({"compression": "br"}, "compression"),
        ({"tls": {"verify": False}}, "tls"),
        ({"insecure": True}, "insecure"),
    ],
)
def test_a_wrong_configuration_is_refused(wrong, named):
    with pytest.raises(msgspec.ValidationError, match=named):
        msgspec.convert({"endpoint": "https://host/"} | wrong, HttpConfig)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("host:word", "endpoint: is not a URL"),
        ("[::1", "endpoint: is not a URL"),
        ("host:99999", "endpoint: the port must be 1 to 65535"),
    ],
)
async def test_a_url_that_cannot_be_used_is_said_without_quoting_it(host, message):
    with pytest.raises(ValueError, match=message) as caught:
        async with sender(HttpConfig(endpoint=f"https://{host}/{SECRET}")):
            pass
    assert SECRET not in str(caught.value)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """`server.pem` for 127.0.0.1, `client.pem` and another `other.pem`, each its own authority, with keys."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "client", "other"):
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{name}.key",
                "-out", folder / f"{name}.pem",
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
    return folder


def server_context(folder: Path, client: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / f"{client}.pem")
    return context


async def test_a_known_authority_is_trusted(certificates):
    async with serving(server_context(certificates)) as server:
        assert await post(server, tls=ClientTls(ca_file=f"{certificates}/server.pem")) == b"{}"


@pytest.mark.parametrize("ca", [None, "other"])
async def test_an_unknown_certificate_is_not_trusted_and_sees_nothing(certificates, ca):
    tls = ClientTls(ca_file=f"{certificates}/{ca}.pem") if ca else None
    async with serving(server_context(certificates)) as server:
        with pytest.raises(Unavailable, match="certificate is not trusted"):
            await post(server, tls=tls)
    assert server.requests == []


async def test_a_certificate_for_another_name_is_not_trusted(certificates):
    async with serving(server_context(certificates)) as server:
        server.url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(Unavailable, match="certificate is not trusted"):
            await post(server, tls=ClientTls(ca_file=f"{certificates}/server.pem"))


async def test_a_client_certificate_is_shown(certificates):
    ca = f"{certificates}/server.pem"
    client = {"cert_file": f"{certificates}/client.pem", "key_file": f"{certificates}/client.key"}
    async with serving(server_context(certificates, "client")) as server:
        assert await post(server, tls=ClientTls(ca_file=ca, **client)) == b"{}"
        with pytest.raises(Unavailable):
            await post(server, tls=ClientTls(ca_file=ca))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        ({"cert_file": "server.pem"}, "tls: cert_file and key_file go together"),
        ({"ca_file": "missing.pem"}, "tls: ca_file cannot be used: No such file"),
        ({"ca_file": "server.key"}, "tls: ca_file cannot be used: is not valid PEM"),
        (
            {"cert_file": "server.pem", "key_file": "client.key"},
            "tls: cert_file or key_file cannot be used",
        ),
    ],
)
async def test_a_file_that_cannot_be_used_is_named_at_the_start(certificates, tls, message):
    paths = {name: f"{certificates}/{file}" for name, file in tls.items()}
    config = HttpConfig(endpoint="https://127.0.0.1:9", tls=ClientTls(**paths))
    with pytest.raises(ValueError, match=message):
        async with sender(config):
            pass
