"""Keys of JWTs from files and from a URL that is a real server: which is used, and how it is renewed."""

import asyncio
import json
import logging
import socket

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from collector.signers import (
    asked,
    bearer,
    coded,
    ec_key,
    jwk,
    jwks,
    public_pem,
    refused,
    rsa_key,
    token,
    who,
)
from footfall_collector.errors import StartError
from footfall_collector.security.identity import key_set, key_sources
from footfall_collector.security.identity.identity import Unidentified
from footfall_collector.security.identity.key_sources import AGES, PAUSE_S, remote
from support.http_server import serving, status
from support.waiting import until

FIRST, SECOND = rsa_key("first"), rsa_key("second")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def of_url(server, algorithms=("RS256",)):
    return {"algorithms": algorithms, "jwks_url": f"{server.url}/jwks"}


def keys_of(server, *entries, cache=""):
    """Has the server answer with these keys from now on."""
    headers = [f"Cache-Control: {cache}"] if cache else []
    reply = status(200, "Content-Type: application/json", *headers, body=jwks(*entries))
    server.answer = lambda _: reply


# A file


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys"


async def test_of_several_keys_the_one_is_used_that_the_token_names(file):
    file.write_bytes(jwks(jwk(FIRST, "a"), jwk(SECOND, "b"), jwk(ec_key(), "a")))
    async with asked({"algorithms": ("RS256", "ES256"), "jwks_file": str(file)}) as asking:
        for text in (
            token(key=FIRST, kid="a"),
            token(key=SECOND, kid="b"),
            token("ES256", kid="a"),
            token("ES256"),  # the only one of its kind
        ):
            assert (await who(asking, bearer(text))).viewer == "anna"
        for text in (
            token(key=SECOND, kid="a"),
            token(key=FIRST, kid="c"),
            token(key=FIRST, kid=""),
            token(key=FIRST),
            token("ES256", kid="b"),
        ):
            assert await refused(asking, bearer(text)) == "token_invalid"


async def test_the_only_key_serves_where_it_or_the_token_has_no_id(file):
    for kid, named in ((None, "a"), ("a", None), (None, None)):
        file.write_bytes(jwks(jwk(FIRST, kid)))
        async with asked({"algorithms": ("RS256",), "jwks_file": str(file)}) as asking:
            assert (await who(asking, bearer(token(kid=named)))).viewer == "anna"


@pytest.mark.parametrize("kind", ["jwks_file", "public_key_file"])
async def test_a_file_is_read_again_when_that_is_said(file, kind):
    def install(key):
        file.write_bytes(jwks(jwk(key)) if kind == "jwks_file" else public_pem(key))

    install(FIRST)
    former, newer = bearer(token(key=FIRST)), bearer(token(key=SECOND))
    async with asked({"algorithms": ("RS256",), kind: str(file)}) as asking:
        assert (await who(asking, former)).viewer == "anna"
        install(SECOND)
        assert await refused(asking, newer) == "token_invalid"
        asking.reload()
        assert (await who(asking, newer)).viewer == "anna"
        assert await refused(asking, former) == "token_invalid"  # remembered, and yet not taken
        file.write_bytes(b"")
        with pytest.raises(StartError, match=str(file)):
            asking.reload()
        assert (await who(asking, newer)).viewer == "anna"


def secret_entry(text, kid):
    return {"kty": "oct", "k": coded(text), "kid": kid, "alg": "HS256"}


async def test_what_cannot_verify_is_passed_over(file):
    secret = b"s" * 32
    useless = {
        "secret": secret_entry(secret, "secret"),
        "encrypts": jwk(FIRST, "encrypts", use="enc"),
        "signs": jwk(FIRST, "signs", key_ops=["sign"]),
        "short": jwk(rsa_key("short", 1024), "short"),
        "other": jwk(FIRST, "other", alg="RS512"),
        "curve": jwk(ec_key("curve", ec.SECP384R1), "curve"),
        "broken": jwk(FIRST, "broken", n="!"),
        "half": {"kty": "RSA", "n": coded(b"\xff" * 256), "kid": "half"},
        "kind": {"kty": "OKP", "crv": "Ed25519", "x": coded(b"\1" * 32), "kid": "kind"},
        "even": jwk(FIRST, "even", e=coded(b"\2")),
        "id": jwk(SECOND, 5),
        "nothing": {},
    }
    file.write_bytes(jwks(*useless.values(), jwk(FIRST, "good", use="sig", key_ops=["verify"])))
    async with asked({"algorithms": ("RS256", "ES256"), "jwks_file": str(file)}) as asking:
        assert (await who(asking, bearer(token(kid="good")))).viewer == "anna"
        for kid in ("encrypts", "signs", "other", "broken", "half", "even"):
            assert await refused(asking, bearer(token(kid=kid))) == "token_invalid"
        short = token(kid="short", key=rsa_key("short", 1024))
        assert await refused(asking, bearer(short)) == "token_invalid"
        by_secret = token("HS256", key=secret, kid="secret")
        assert await refused(asking, bearer(by_secret)) == "token_invalid"


async def test_of_a_private_key_in_a_jwks_only_the_public_part_is_taken_in(file):
    numbers = FIRST.private_numbers()
    file.write_bytes(jwks(jwk(FIRST, "a", d=coded(numbers.d.to_bytes(256)))))
    async with asked({"algorithms": ("RS256",), "jwks_file": str(file)}) as asking:
        assert (await who(asking, bearer(token(kid="a")))).viewer == "anna"
        key = asking._jwts._sources["RS256"].current().find("RS256", "a")
    assert not hasattr(key.key, "private_numbers")


PRIVATE = FIRST.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


@pytest.mark.parametrize(
    ("where", "content", "message"),
    [
        ("jwks_file", None, "cannot be read: No such file"),
        ("jwks_file", b"", "is no JWKS; it must be a JWKS"),
        ("jwks_file", b"[]", "is no JWKS"),
        ("jwks_file", b'{"keys":' + b"[" * 100_000, "is no JWKS"),
        ("jwks_file", b'{"keys": ["\xff"]}', "is no JWKS"),
        ("jwks_file", jwks(), "has no key for RS256; it must be"),
        ("jwks_file", jwks(jwk(ec_key())), "has no key for RS256"),
        ("jwks_file", public_pem(FIRST), "is no JWKS"),
        ("public_key_file", None, "cannot be read: No such file"),
        ("public_key_file", b"", "holds no public key that can be used; it must be PEM"),
        ("public_key_file", jwks(jwk(FIRST)), "holds no public key that can be used"),
        ("public_key_file", PRIVATE, "holds a private key; give the public one: `openssl pkey"),
        ("public_key_file", public_pem(rsa_key("short", 1024)), "an RSA key of 2048 bits or more"),
        ("public_key_file", public_pem(ec_key("curve", ec.SECP384R1)), "one of the curve P-256"),
        ("public_key_file", public_pem(ec_key()), "holds a key for ES256; name ES256 in"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_file_that_cannot_be_used_is_said_at_the_start(file, where, content, message):
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StartError) as caught:
        async with asked({"algorithms": ("RS256",), where: str(file)}):
            pass
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert PRIVATE.decode().splitlines()[1] not in str(caught.value)


members = st.none() | st.booleans() | st.integers() | st.floats(0, 9) | st.text(max_size=9)
odd = members | st.lists(members, max_size=2) | st.dictionaries(st.text(max_size=3), members)
entries = st.fixed_dictionaries(
    {},
    optional={
        "kty": st.sampled_from(["RSA", "EC", "oct", "OKP"]) | odd,
        "crv": st.sampled_from(["P-256", "P-384", "secp256k1"]) | odd,
        **{name: st.binary(max_size=300).map(coded) | odd for name in ("n", "e", "x", "y", "k")},
        **{name: st.sampled_from(["sig", "RS256", "a"]) | odd for name in ("use", "alg", "kid")},
        "key_ops": st.just(["verify"]) | odd,
    },
)


@given(st.lists(entries, max_size=3), st.booleans())
def test_whatever_a_jwks_says_it_is_read_or_refused(entries, with_one):
    try:
        found = key_set.of_jwks(
            jwks(*entries, *([jwk(FIRST, "good")] if with_one else [])), ["RS256"]
        )
    except ValueError:
        found = None
    assert with_one == (found is not None and found.find("RS256", "good") is not None)


@given(st.binary(max_size=60) | st.text().map(str.encode))
def test_whatever_is_no_jwks_is_refused(content):
    with pytest.raises(ValueError, match=r"is no JWKS|has no key"):
        key_set.of_jwks(content, ["RS256"])


@pytest.mark.parametrize(
    "content", [public_pem(FIRST), json.dumps(jwk(FIRST)).encode()], ids=["PEM", "JWK"]
)
async def test_a_public_key_is_no_secret(content):
    with pytest.raises(StartError, match="holds a key that is public; name its file") as caught:
        async with asked({"algorithms": ("HS256",), "secret": content.decode()}):
            pass
    assert content.decode().splitlines()[-1] not in str(caught.value)


# A URL


async def test_keys_are_fetched_at_the_start_and_once():
    async with serving() as server:
        keys_of(server, jwk(FIRST, "a"))
        async with asked(of_url(server)) as asking:
            await until(lambda: server.requests)
            for number in range(20):
                text = token(key=FIRST, kid="a", sub=number)
                assert (await who(asking, bearer(text))).viewer == str(number)
    (request,) = server.requests
    assert (request.method, request.target) == ("GET", "/jwks")
    assert request.headers["accept-encoding"] == "identity"


async def test_a_key_that_is_not_known_is_looked_up_once_for_all_who_wait(monkeypatch):
    monkeypatch.setattr(key_sources, "PAUSE_S", 0.0)
    async with serving() as server:
        keys_of(server, jwk(FIRST, "a"))
        async with asked(of_url(server)) as asking:
            await who(asking, bearer(token(key=FIRST, kid="a")))
            before, arrived, answer = len(server.requests), asyncio.Event(), asyncio.Event()

            async def waits(writer):
                arrived.set()
                await answer.wait()
                writer.write(status(200, body=jwks(jwk(FIRST, "a"), jwk(SECOND, "b"))))
                await writer.drain()

            server.answer = lambda _: waits
            new = [bearer(token(key=SECOND, kid="b", sub=n)) for n in range(50)]
            waiting = [asyncio.ensure_future(who(asking, headers)) for headers in new]
            await arrived.wait()
            # The others go on meanwhile.
            assert (await who(asking, bearer(token(key=FIRST, kid="a", sub="x")))).viewer == "x"
            waiting.pop().cancel()  # nor does it hurt the rest when one leaves
            answer.set()
            found = await asyncio.gather(*waiting)
        assert [each.viewer for each in found] == [str(n) for n in range(49)]
        assert len(server.requests) == before + 1


async def test_keys_that_nobody_has_are_looked_up_every_few_seconds_at_most():
    clock = Clock()
    async with serving() as server:
        keys_of(server, jwk(FIRST, "a"))
        async with remote(f"{server.url}/jwks", ["RS256"], clock) as source:
            await source.newer()
            for _ in range(100):
                clock.now += PAUSE_S / 101
                assert (await source.newer()).find("RS256", "b") is None
            assert len(server.requests) == 1
            keys_of(server, jwk(FIRST, "a"), jwk(SECOND, "b"))
            clock.now += PAUSE_S / 50
            assert (await source.newer()).find("RS256", "b") is not None
            assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("cache", "seconds"),
    [
        ("", AGES[1]),
        ("max-age=0", AGES[0]),
        ("no-store", AGES[0]),
        ("public, max-age=1200, must-revalidate", 1200),
        ('Max-Age="1200"', 1200),
        ("s-maxage=5", AGES[1]),
        ("max-age=soon", AGES[1]),
        ("max-age=99999999999999999999", AGES[2]),
        ("private, max-age=99999999", AGES[2]),
    ],
)
async def test_a_set_that_is_old_is_fetched_again_while_the_known_keys_go_on(cache, seconds):
    clock = Clock()
    async with serving() as server:
        keys_of(server, jwk(FIRST, "a"), cache=cache)
        async with remote(server.url, ["RS256"], clock) as source:
            first = await source.newer()
            clock.now += seconds - 1
            assert source.current() is first
            assert source._fetching is None
            clock.now += 2
            assert source.current() is first  # at once
            await until(lambda: len(server.requests) == 2)
            await until(lambda: source._fetching is None)
            assert source.current() is first  # it has not changed
            keys_of(server, jwk(SECOND, "b"))
            clock.now += seconds + 1
            source.current()
            await until(lambda: source.current().find("RS256", "b"))
            assert source.current().find("RS256", "a") is None


async def test_a_token_of_a_key_that_was_withdrawn_is_not_remembered(monkeypatch):
    monkeypatch.setattr(key_sources, "PAUSE_S", 0.0)
    async with serving() as server:
        keys_of(server, jwk(FIRST, "a"))
        async with asked(of_url(server)) as asking:
            headers = bearer(token(key=FIRST, kid="a"))
            await who(asking, headers)
            keys_of(server, jwk(SECOND, "b"))
            await who(asking, bearer(token(key=SECOND, kid="b")))
            assert await refused(asking, headers) == "token_invalid"


async def test_without_keys_at_the_start_tokens_wait_for_later():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/jwks"
        async with asked({"algorithms": ("RS256",), "jwks_url": url}) as asking:
            with pytest.raises(Unidentified) as caught:
                await who(asking, bearer(token()))
    assert (caught.value.reason, caught.value.status) == ("keys_unavailable", 503)
    assert url not in caught.value.text


async def endless(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


async def trickling(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


TROUBLES = {
    "away": (b"", "cannot be reached"),
    "error": (status(500), "answers HTTP 500"),
    "not there": (status(404, body=jwks(jwk(SECOND, "b"))), "answers HTTP 404"),
    "no JWKS": (status(200, body=b"<html>"), "answers with what is no JWKS"),
    "no keys": (status(200, body=jwks()), "answers with what has no key for RS256"),
    "deep": (status(200, body=b'{"keys":' + b"[" * 100_000), "answers with what is no JWKS"),
    "huge": (endless, "sends more than 262144 bytes"),
    "compressed": (
        status(200, "Content-Encoding: gzip", body=jwks(jwk(SECOND, "b"))[:-1]),
        "answers with what is no JWKS",
    ),
    "slow": (trickling, "does not answer in time"),
    "silent": (lambda _: asyncio.sleep(60), "does not answer in time"),
}


@pytest.mark.parametrize("name", TROUBLES)
async def test_while_the_url_is_in_trouble_the_known_keys_go_on(name, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(key_sources, "PAUSE_S", 0.0)
    monkeypatch.setattr(key_sources, "TIMEOUT_S", 0.5 if name in ("slow", "silent") else 30.0)
    reply, said = TROUBLES[name]
    async with serving() as server:
        keys_of(server, jwk(FIRST, "a"))
        async with asked(of_url(server)) as asking:
            await who(asking, bearer(token(key=FIRST, kid="a")))
            server.answer = lambda _: reply
            unknown = [
                asking.of(bearer(token(key=SECOND, kid="b")), None, "POST") for _ in range(3)
            ]
            reasons = await asyncio.gather(*unknown, return_exceptions=True)
            assert {each.reason for each in reasons} == {"keys_unavailable"}
            assert (await who(asking, bearer(token(key=FIRST, kid="a", sub="x")))).viewer == "x"
            monkeypatch.setattr(key_sources, "TIMEOUT_S", 30.0)
            keys_of(server, jwk(SECOND, "b"))
            assert (await who(asking, bearer(token(key=SECOND, kid="b")))).viewer == "anna"
    ours = [r.message for r in caplog.records if r.name == "footfall.identity"]
    assert ours == [
        f"jwks_url: 127.0.0.1 {said}; it is tried again, the known keys go on",
        "jwks_url: 127.0.0.1 has keys again",
    ]
    assert "/jwks" not in caplog.text


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(code):
    async with serving() as elsewhere, serving() as server:
        keys_of(elsewhere, jwk(SECOND, "b"))
        server.answer = lambda _: status(code, f"Location: {elsewhere.url}/jwks")
        async with asked(of_url(server)) as asking:
            assert await refused(asking, bearer(token(key=SECOND, kid="b"))) == "keys_unavailable"
    assert elsewhere.requests == []


async def test_of_very_many_keys_the_first_are_read():
    entries = [jwk(SECOND, str(n)) for n in range(key_set.MOST_KEYS)]
    async with serving() as server:
        keys_of(server, *entries, jwk(FIRST, "last"))
        async with asked(of_url(server)) as asking:
            assert (await who(asking, bearer(token(key=SECOND, kid="63")))).viewer == "anna"
            assert await refused(asking, bearer(token(key=FIRST, kid="last"))) == "token_invalid"


async def test_a_request_that_is_under_way_ends_with_the_collector():
    async with serving() as server:
        server.answer = lambda _: lambda _: asyncio.sleep(60)
        async with asyncio.timeout(30), asked(of_url(server)):
            await until(lambda: server.requests)


async def test_what_is_sent_is_json_of_our_own_making():
    """The helper writes what RFC 7517 says."""
    (entry,) = json.loads(jwks(jwk(ec_key(), "a")))["keys"]
    assert (entry["kty"], entry["crv"], len(entry["x"]), len(entry["y"])) == ("EC", "P-256", 43, 43)
