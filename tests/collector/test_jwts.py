"""JWTs, made by PyJWT and by hand: who is named, and what is refused for which reason."""

import base64
import json
import time

import jwt as pyjwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.signers import (
    SECRET,
    asked,
    bearer,
    coded,
    ec_key,
    key_of,
    public_pem,
    refused,
    rsa_key,
    signature,
    signed_token,
    token,
    who,
)
from footfall_collector.security.identity import jwts as module
from footfall_collector.security.identity.identity import Unidentified
from support.waiting import until

ALGORITHMS = ["HS256", "RS256", "ES256"]


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    """A file with the public key of each algorithm."""
    folder = tmp_path_factory.mktemp("pems")
    files = {name: folder / f"{name}.pem" for name in ("RS256", "ES256")}
    for name, file in files.items():
        file.write_bytes(public_pem(key_of(name)))
    return {name: str(file) for name, file in files.items()}


@pytest.fixture
def config(pems):
    """The settings for one algorithm."""

    def make(algorithm="RS256", **more):
        where = {"secret": SECRET} if algorithm == "HS256" else {}
        if algorithm in pems:
            where = {"public_key_file": pems[algorithm]}
        return {"algorithms": (algorithm,)} | where | more

    return make


@pytest.fixture
async def asking(config):
    async with asked(config()) as found:
        yield found


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_says_who_is_asking_and_in_which_session(config, algorithm):
    by_pyjwt = pyjwt.encode(
        {"sub": "anna", "sid": "s-1", "exp": time.time() + 60}, key_of(algorithm), algorithm
    )
    async with asked(config(algorithm)) as asking:
        for text in (by_pyjwt, token(algorithm), token(algorithm, kid="of no use to one key")):
            found = await who(asking, bearer(text))
            assert (found.viewer, found.owner, found.session) == ("anna", "anna", "s-1")
            assert (found.installation, found.key) == (None, None)


async def test_claims_are_mapped_as_configured(config):
    claims = {"viewer": "uid", "owner": None, "session": "https://example.org/session"}
    text = token(uid=17, **{"https://example.org/session": "s-2"})
    async with asked(config(claims=module.ClaimsConfig(**claims))) as asking:
        found = await who(asking, bearer(text))
    assert (found.viewer, found.owner, found.session) == ("17", None, "s-2")


async def test_a_token_without_a_session_has_none(asking):
    assert (await who(asking, bearer(token(without=["sid"])))).session is None


@pytest.mark.parametrize(
    ("claim", "named"),
    [
        ("a", "a"),
        ("ä€😀" * 85, "ä€😀" * 85),
        (0, "0"),
        (-7, "-7"),
        (2**70, "1180591620717411303424"),
        ("", None),
        ("x" * 257, None),
        (10**256, None),
        ("a\nb", None),
        ("a\x00", None),
        ("a\x85", None),
        ("\ud800", None),
        (True, None),
        (1.0, None),
        (None, None),
        (["anna"], None),
        ({"id": "anna"}, None),
    ],
)
async def test_who_is_named_is_text_or_a_whole_number_within_bounds(asking, claim, named):
    for name in ("sub", "sid"):
        headers = bearer(token(**{name: claim}))
        if named is None:
            assert await refused(asking, headers) == "token_invalid"
        else:
            found = await who(asking, headers)
            assert (found.viewer if name == "sub" else found.session) == named


async def test_a_token_that_names_nobody_is_nobodys(asking):
    assert await refused(asking, bearer(token(without=["sub"]))) == "no_viewer"


OURS = {"iss": "https://idp.example/", "aud": "footfall"}


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, None),
        ({"aud": ["other", "footfall"]}, None),
        (lambda now: {"exp": now - 600}, "token_expired"),
        ({"exp": 0}, "token_expired"),
        ({"exp": -1}, "token_expired"),
        (lambda now: {"nbf": now + 600}, "token_not_yet_valid"),
        (lambda now: {"iat": now + 600}, "token_not_yet_valid"),
        ({"iss": "https://idp.example"}, "token_foreign"),
        ({"iss": None}, "token_foreign"),
        ({"aud": "footfal"}, "token_foreign"),
        ({"aud": []}, "token_foreign"),
        ({"aud": ["other"]}, "token_foreign"),
        ({"aud": {"footfall": 1}}, "token_foreign"),
        ({"exp": "soon"}, "token_invalid"),
        ({"exp": None}, "token_invalid"),
        ({"exp": [1]}, "token_invalid"),
        ({"exp": float("inf")}, "token_invalid"),
        ({"exp": float("nan")}, "token_invalid"),
        ({"nbf": "now"}, "token_invalid"),
        ({"exp": 10**300}, None),
    ],
)
async def test_a_token_must_be_valid_now_from_the_issuer_and_for_us(config, claims, reason):
    async with asked(config(issuer=OURS["iss"], audience=OURS["aud"])) as asking:
        now = claims(time.time()) if callable(claims) else claims
        headers = bearer(token(**OURS | now))
        if reason:
            assert await refused(asking, headers) == reason
        else:
            assert (await who(asking, headers)).viewer == "anna"


@pytest.mark.parametrize(
    ("without", "reason"),
    [("exp", "token_invalid"), ("iss", "token_foreign"), ("aud", "token_foreign")],
)
async def test_a_claim_that_is_checked_must_be_there(config, without, reason):
    async with asked(config(issuer=OURS["iss"], audience=OURS["aud"])) as asking:
        assert await refused(asking, bearer(token(without=[without], **OURS))) == reason


async def test_a_token_for_somebody_is_not_for_whoever_has_no_name(asking):
    assert await refused(asking, bearer(token(aud="billing"))) == "token_foreign"


async def test_clocks_may_differ_by_the_leeway_and_no_more(config):
    now = time.time()
    async with asked(config(leeway_s=120)) as asking:
        for claims in ({"exp": now - 60}, {"nbf": now + 60}):
            assert (await who(asking, bearer(token(**claims)))).viewer == "anna"
        assert await refused(asking, bearer(token(exp=now - 180))) == "token_expired"
        assert await refused(asking, bearer(token(nbf=now + 180))) == "token_not_yet_valid"


# Forgeries


def changed_payload():
    head, _, sign = token().split(".")
    forged = coded(json.dumps({"sub": "boss", "exp": time.time() + 60}).encode())
    return f"{head}.{forged}.{sign}"


def unsigned(alg):
    head, payload = {"alg": alg}, {"sub": "boss", "exp": time.time() + 60}
    return f"{coded(json.dumps(head).encode())}.{coded(json.dumps(payload).encode())}."


def confused(key):
    """Signed as HS256, with what everybody has for a secret."""
    return signed_token(
        '{"alg":"HS256"}', json.dumps({"sub": "boss", "exp": time.time() + 60}), "HS256", key
    )


FORGED = {
    "another's": token(key=rsa_key("stranger")),
    "another's with their key in the header": token(
        key=rsa_key("stranger"), head={"jwk": {"kty": "RSA"}, "jku": "https://evil.example/"}
    ),
    "changed": changed_payload(),
    "not signed": token().rpartition(".")[0] + ".",
    "none": unsigned("none"),
    "None": unsigned("None"),
    "no algorithm": unsigned(None),
    "RSA key as a secret": confused(public_pem(rsa_key())),
    "RSA key as a secret, stripped": confused(public_pem(rsa_key()).strip()),
    "RSA numbers as a secret": confused(rsa_key().public_key().public_numbers().n.to_bytes(256)),
    "empty secret": confused(b""),
    "ES256": token("ES256"),
    "RS384": token(head={"alg": "RS384"}),
    "rs256": token(head={"alg": "rs256"}),
    "algorithms": token(head={"alg": ["RS256"]}),
    "critical": token(head={"crit": ["exp"], "exp": 1}),
    "empty critical": token(head={"crit": None}),
    "detached": token(head={"b64": False, "crit": ["b64"]}),
    "not base64": token(head={"b64": False}),
    "kid": token(head={"kid": 7}),
    "kid of two": token(head={"kid": ["a", "b"]}),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused(asking, name):
    assert await refused(asking, bearer(FORGED[name])) == "token_invalid"


async def test_neither_key_of_two_kinds_stands_for_the_other(config, pems):
    both = config("RS256", secret=SECRET) | {"algorithms": ("HS256", "RS256")}
    async with asked(both) as asking:
        for algorithm in ("HS256", "RS256"):
            assert (await who(asking, bearer(token(algorithm)))).viewer == "anna"
        for name in FORGED:
            assert await refused(asking, bearer(FORGED[name])) == "token_invalid"


async def test_a_signature_of_the_wrong_length_is_no_fault(config):
    async with asked(config("ES256")) as asking:
        head, payload, sign = token("ES256").split(".")
        for text in ("", sign[:-8], sign + "AAAA", coded(bytes(64)), coded(b"\xff" * 64)):
            assert await refused(asking, bearer(f"{head}.{payload}.{text}")) == "token_invalid"


def with_head(head):
    return signed_token(head, '{"sub":"anna","exp":9999999999}', "RS256", rsa_key())


@pytest.mark.parametrize(
    "text",
    [
        ".",
        "..",
        "a.b",
        "a.b.c",
        "e30.e30.e30",
        "Zm9v.e30.",
        "é.é.é",
        "€.€.€".encode().decode("latin-1"),
        with_head("{"),
        with_head("[]"),
        with_head("null"),
        with_head('{"alg":'),
        with_head('{"alg":"RS256","x":' + "[" * 3000),
        with_head('{"alg":"RS256","x":' + "[" * 2000 + "]" * 2000 + "}"),
        with_head('{"alg":"RS256","kid":"\\ud800"}') + "\xff",
        with_head('{"alg":"RS256"}') + ".e30",
        with_head('{"alg":"RS256"}').replace(".", "=.", 1) + "=",
    ],
    ids=lambda text: text[:12].encode().hex(),
)
async def test_what_is_no_token_is_no_fault(asking, text):
    assert await refused(asking, bearer(text)) == "token_invalid"


@pytest.mark.parametrize(
    "payload", ["[]", "1", "nul", "", "{", '{"exp":9999999999,"sub":' + "[" * 3000, '{"exp":1e999}']
)
async def test_what_is_signed_and_still_no_token_is_no_fault(asking, payload):
    text = signed_token('{"alg":"RS256"}', payload, "RS256", rsa_key())
    assert await refused(asking, bearer(text)) == "token_invalid"


async def test_a_token_may_have_8_kib(asking):
    def of_size(size):
        bare = len(token(pad=""))
        text = token(pad="x" * ((size - bare) * 3 // 4 - 2))
        assert size - 6 < len(text) <= size
        return text

    assert (await who(asking, bearer(of_size(8192)))).viewer == "anna"
    assert await refused(asking, bearer(of_size(8200))) == "token_invalid"


@given(st.data())
async def test_one_character_more_or_less_makes_a_token_no_token(asking_all, data):
    text = token("HS256", exp=2**40)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("Aa0_-.=") | st.just(""))
    forged = text[:at] + other + text[at + 1 :]
    if forged == text:
        return
    with pytest.raises(Unidentified) as caught:
        await asking_all.of(bearer(forged), None, "POST")
    assert caught.value.reason in ("token_invalid", "token_expired")


@pytest.fixture(scope="module")
def asking_all():
    """By a secret alone, which needs no loop."""
    from footfall_collector.config.identity import JwtConfig
    from footfall_collector.security.identity import key_set, key_sources
    from footfall_collector.security.identity.identities import Identities

    source = key_sources.Kept(lambda: key_set.of_secret(SECRET))
    return Identities(
        module.Jwts(JwtConfig(algorithms=("HS256",), secret=SECRET), {"HS256": source})
    )


# What is remembered


async def test_a_token_that_was_verified_still_expires(config):
    async with asked(config(leeway_s=0)) as asking:
        headers = bearer(token(exp=int(time.time()) + 2))

        async def over():
            try:
                await who(asking, headers)
            except Unidentified as error:
                return error.reason == "token_expired"
            return False

        await until(over)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("lifetime", "seconds"), [(3600, 60), (20, 50)])
async def test_a_token_is_looked_at_again_after_a_minute_or_when_it_expires(
    asking_all, lifetime, seconds
):
    clock = Clock()
    jwts = module.Jwts(asking_all._jwts._config, asking_all._jwts._sources, clock)
    text = token("HS256", exp=int(time.time()) + lifetime)
    first = await jwts.identity(text)
    clock.now += seconds - 25
    assert await jwts.identity(text) is first
    clock.now += 26
    assert await jwts.identity(text) is not first


async def test_no_more_than_a_number_of_tokens_is_remembered(config, monkeypatch):
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    async with asked(config("HS256")) as asking:
        texts = [bearer(token("HS256", sub=number)) for number in range(5)]
        first = [await who(asking, text) for text in texts]
        assert len(asking._jwts._known) == 3
        again = [await who(asking, text) for text in reversed(texts)]
    assert [a is b for a, b in zip(first, reversed(again), strict=True)] == [False] * 2 + [True] * 3


async def test_tokens_that_are_over_are_forgotten(asking_all):
    clock = Clock()
    jwts = module.Jwts(asking_all._jwts._config, asking_all._jwts._sources, clock)
    for number in range(5):
        await jwts.identity(token("HS256", sub=number))
        clock.now += 25
    assert len(jwts._known) == 3


async def test_what_is_remembered_holds_no_token(asking):
    text = token()
    await who(asking, bearer(text))
    (mark,) = asking._jwts._known
    assert len(mark) == 16
    assert text not in repr(asking._jwts._known)
    assert "anna" not in repr(asking._jwts._known)


def test_signatures_here_are_those_of_the_standard():
    """RFC 7515, appendix A.1: the helpers of these tests sign as it does."""
    key = base64.urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    signed = (
        b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0"
        b"dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    )
    assert coded(signature(signed, "HS256", key)) == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert ec_key().curve.name == "secp256r1"
