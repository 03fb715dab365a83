"""Who is asking: which proof counts, whom a proxy may name, and what development believes."""

import logging
import time
from contextlib import contextmanager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from collector.keyed import ALL, NAMES, OVER, write_keys
from collector.signers import PEER, SECRET, asked, bearer, refused, token, who
from footfall_collector.config.identity import IdentityConfig, JwtConfig, ProxyConfig
from footfall_collector.errors import StartError
from footfall_collector.security.identity import key_set, key_sources
from footfall_collector.security.identity.identities import Identities, identities
from footfall_collector.security.identity.identity import Identity, Reason, Unidentified
from footfall_collector.security.identity.jwts import Jwts
from footfall_collector.security.identity.proxy import TrustedProxy
from footfall_collector.security.identity.session_tokens import SessionTokens
from footfall_collector.security.keys import Keys, make_token

PROXY = ProxyConfig(name="X-Forwarded-User", from_=("192.0.2.0/24", "2001:db8::1"))
HMAC = {"algorithms": ("HS256",), "secret": SECRET}
JSON = {"content-type": "application/json; charset=utf-8"}


@pytest.fixture
def tokens():
    return SessionTokens(bytes(range(32)))


@pytest.fixture
async def everything(keys_file, tokens):
    """All ways to say who is asking at once."""
    keys = Keys.load(keys_file)
    async with asked(HMAC, header=PROXY, tokens=tokens, keys=keys, dev=True) as asking:
        yield asking


def headers(*pairs, **named):
    """Of a request; pairs where a name comes twice."""
    many = [*pairs, *((name.replace("_", "-"), value) for name, value in named.items())]
    return Headers(raw=[(name.lower().encode(), value.encode("latin-1")) for name, value in many])


# An Authorization header decides


async def test_each_kind_of_token_is_told_by_its_form(everything, tokens):
    by_key = await who(everything, bearer(ALL))
    assert (by_key.key.name, by_key.viewer, by_key.session) == ("all", None, None)
    by_session = await who(everything, bearer(tokens.issue("s-9", "i-9")))
    assert (by_session.session, by_session.installation) == ("s-9", "i-9")
    assert (by_session.viewer, by_session.owner, by_session.key) == (None, None, None)
    by_jwt = await who(everything, bearer(token("HS256")))
    assert (by_jwt.viewer, by_jwt.owner, by_jwt.session) == ("anna", "anna", "s-1")


async def test_it_decides_whatever_else_says_who_is_asking(everything):
    strong = bearer(token("HS256"), x_forwarded_user="berta", x_sd_viewer="carla")
    assert (await who(everything, strong)).viewer == "anna"
    without = headers(x_forwarded_user="berta", x_sd_viewer="carla")
    assert (await who(everything, without)).viewer == "berta"
    assert (await who(everything, headers(x_sd_viewer="carla"))).viewer == "carla"


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("", "token_invalid"),
        ("Bearer", "token_invalid"),
        ("Bearer ", "token_invalid"),
        ("Basic YTpi", "token_invalid"),
        ("Bearer nonsense", "token_invalid"),
        ("nonsense", "token_invalid"),
        ("Bearer " + "A" * 100_000, "token_invalid"),
        (f"Bearer {make_token()}", "key_invalid"),
        (f"Bearer {ALL[:-1]}", "key_invalid"),
        (f"Bearer {OVER}", "key_invalid"),
        (f"Bearer {SessionTokens(bytes(32)).issue('s', 'i')}", "token_invalid"),
        (f"Bearer {token('HS256', exp=time.time() - 600)}", "token_expired"),
        (f"Bearer {token('HS256', key=bytes(32))}", "token_invalid"),
    ],
    ids=lambda value: value[:11],
)
async def test_a_bad_one_is_never_ignored_for_a_weaker_identity(everything, authorization, reason):
    request = headers(
        authorization=authorization,
        x_forwarded_user="berta",
        x_sd_viewer="carla",
        cookie="sd_viewer=dora",
    )
    assert await refused(everything, request, method="GET") == reason


async def test_two_of_them_are_refused(everything):
    good = ("authorization", f"Bearer {ALL}")
    assert await refused(everything, headers(good, good)) == "token_invalid"
    assert await refused(everything, headers(good, ("authorization", ""))) == "token_invalid"


async def test_what_is_not_configured_is_not_taken(tokens):
    async with asked() as asking:
        for text, reason in (
            (ALL, "key_invalid"),
            (tokens.issue("s", "i"), "token_invalid"),
            (token("HS256"), "token_invalid"),
        ):
            assert await refused(asking, bearer(text)) == reason
        request = headers(x_forwarded_user="berta", x_sd_viewer="carla", cookie="sd_viewer=dora")
        assert await refused(asking, request, method="GET") == "no_viewer"


async def test_keys_can_be_replaced_at_any_time(everything, tmp_path):
    other = make_token()
    write_keys(tmp_path / "other.yaml", other=(other, {}))
    everything.keys = Keys.load(tmp_path / "other.yaml")
    assert (await who(everything, bearer(other))).key.name == "other"
    assert await refused(everything, bearer(ALL)) == "key_invalid"


# A key of a backend that knows its users


@pytest.fixture
async def backend(tmp_path):
    write_keys(tmp_path / "names.yaml", names=(NAMES, {"names_viewers": True}), all=(ALL, {}))
    async with asked(HMAC, header=PROXY, keys=Keys.load(tmp_path / "names.yaml")) as asking:
        yield asking


@pytest.mark.requirement("B3")
async def test_a_key_that_may_names_the_viewer_of_each_request(backend):
    for name in ("17", "Zo\u00eb"):
        request = bearer(NAMES, footfall_viewer=name.encode().decode("latin-1"))
        found = await who(backend, request)
        assert (found.viewer, found.owner, found.key.name) == (name, name, "names")
    for request in (bearer(NAMES), bearer(NAMES, footfall_viewer="")):
        found = await who(backend, request)
        assert (found.viewer, found.key.name) == (None, "names")


async def test_no_other_sender_names_viewers(backend):
    assert await refused(backend, bearer(ALL, footfall_viewer="17")) == "viewer_not_allowed"
    assert await refused(backend, bearer(make_token(), footfall_viewer="17")) == "key_invalid"
    by_jwt = await who(backend, bearer(token("HS256"), footfall_viewer="17"))
    assert by_jwt.viewer == "anna"
    assert await refused(backend, headers(footfall_viewer="17")) == "no_viewer"


@pytest.mark.parametrize("values", [["x" * 257], ["a\x00"], ["\xff"], ["17", "18"], ["", "18"]])
async def test_a_key_names_one_viewer_at_a_time(backend, values):
    request = headers(
        ("authorization", f"Bearer {NAMES}"), *(("footfall-viewer", value) for value in values)
    )
    assert await refused(backend, request) == "viewer_invalid"


# A trusted proxy


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("192.0.2.1", True),
        ("192.0.2.255", True),
        ("::ffff:192.0.2.1", True),
        ("::ffff:c000:0201", True),
        ("2001:db8::1", True),
        ("2001:0db8:0::0001", True),
        ("192.0.3.1", False),
        ("::ffff:192.0.3.1", False),
        ("::192.0.2.1", False),
        ("2001:db8::2", False),
        ("127.0.0.1", False),
        ("", False),
        ("localhost", False),
        ("192.0.2.1, 10.0.0.1", False),
        (None, False),
    ],
)
async def test_only_a_trusted_proxy_names_anybody(peer, trusted):
    async with asked(header=PROXY) as asking:
        request = headers(x_forwarded_user="berta", x_forwarded_for="192.0.2.1")
        if trusted:
            found = await who(asking, request, peer)
            assert (found.viewer, found.owner, found.session) == ("berta", "berta", None)
        else:
            assert await refused(asking, request, peer) == "no_viewer"


@pytest.mark.parametrize(
    ("network", "peer"),
    [
        ("::ffff:10.0.0.0/104", "10.1.2.3"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ("fe80::/10", "fe80::1%eth0"),
    ],
)
async def test_addresses_are_compared_however_they_are_written(network, peer):
    async with asked(header=ProxyConfig(name="user", from_=(network,))) as asking:
        assert (await who(asking, headers(user="berta"), peer)).viewer == "berta"
        assert await refused(asking, headers(user="berta"), "11.1.2.3") == "no_viewer"


async def test_a_proxy_can_also_name_owner_and_session():
    config = ProxyConfig(name="x-user", from_=(PEER,), owner="x-owner", session="x-session")
    async with asked(header=config) as asking:
        found = await who(asking, headers(x_user="u", x_owner="o", x_session="s"))
        assert (found.viewer, found.owner, found.session) == ("u", "o", "s")
        found = await who(asking, headers(x_user="u", x_owner=""))
        assert (found.viewer, found.owner, found.session) == ("u", "u", None)
        assert await refused(asking, headers(x_owner="o", x_session="s")) == "no_viewer"
        assert await refused(asking, headers(x_user="u", x_owner="\n")) == "viewer_invalid"


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        (["Zoë".encode().decode("latin-1")], "Zoë"),
        (["x" * 256], "x" * 256),
        ([""], "no_viewer"),
        (["", ""], "no_viewer"),
        (["berta", "carla"], "viewer_invalid"),
        (["berta", "berta"], "viewer_invalid"),
        (["berta", ""], "viewer_invalid"),
        (["x" * 257], "viewer_invalid"),
        (["a\tb"], "viewer_invalid"),
        (["a\x00"], "viewer_invalid"),
        (["Zo\xeb"], "viewer_invalid"),
    ],
)
async def test_the_proxys_header_names_one_user_in_utf_8(values, outcome):
    async with asked(header=PROXY) as asking:
        request = headers(*(("x-forwarded-user", value) for value in values))
        if outcome in list(Reason):
            assert await refused(asking, request) == outcome
        else:
            assert (await who(asking, request)).viewer == outcome


# Development


async def test_developers_are_believed_in_development():
    async with asked(dev=True) as asking:
        found = await who(asking, headers(x_sd_viewer="me_1"))
        assert (found.viewer, found.owner) == ("me_1", "me_1")
        by_cookie = headers(cookie="theme=dark; sd_viewer=me_2")
        assert (await who(asking, by_cookie, method="GET")).viewer == "me_2"
        both = headers(cookie="sd_viewer=me_2", x_sd_viewer="me_1")
        assert (await who(asking, both)).viewer == "me_1"
        assert await refused(asking, headers()) == "no_viewer"


@pytest.mark.parametrize(("development", "dev"), [(None, False), (False, False), (False, True)])
async def test_and_nowhere_else(development, dev):
    async with asked(development=development, dev=dev) as asking:
        for request in (headers(x_sd_viewer="me"), headers(cookie="sd_viewer=me")):
            assert await refused(asking, request, "127.0.0.1", "GET") == "no_viewer"


async def test_who_asks_for_it_elsewhere_does_not_start():
    with pytest.raises(StartError, match=r"anybody be whom they like; leave it out; .* --dev"):
        async with identities(IdentityConfig(development=True)):
            pass
    async with asked(development=True, dev=True) as asking:
        assert (await who(asking, headers(x_sd_viewer="me"))).viewer == "me"


@pytest.mark.parametrize("name", ["", "x" * 65, "a\x00b", "a\tb", "a\x85"])
async def test_a_developers_name_is_within_bounds(name):
    async with asked(dev=True) as asking:
        assert await refused(asking, headers(x_sd_viewer=name)) == "viewer_invalid"
        twice = headers(("x-sd-viewer", "me"), ("x-sd-viewer", "me"))
        assert await refused(asking, twice) == "viewer_invalid"
        assert (await who(asking, headers(x_sd_viewer="x" * 64))).viewer == "x" * 64


OWN = {"host": "localhost:3000", "origin": "http://localhost:3000"}


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        ({"sec-fetch-site": "same-origin"} | JSON, True),
        ({"sec-fetch-site": "none"} | JSON, True),
        ({"content-type": "APPLICATION/JSON", "sec-fetch-site": "same-origin"}, True),
        (OWN | JSON, True),
        ({"host": "LOCALHOST:3000", "origin": "http://localhost:3000"} | JSON, True),
        (JSON, False),
        ({"host": "localhost:3000"} | JSON, False),
        ({"sec-fetch-site": "cross-site"} | JSON, False),
        ({"sec-fetch-site": "same-site"} | JSON, False),
        ({"sec-fetch-site": ""} | JSON, False),
        (OWN | {"sec-fetch-site": "cross-site"} | JSON, False),
        (OWN | {"sec-fetch-site": ""} | JSON, False),
        (OWN | {"origin": "http://localhost:3001"} | JSON, False),
        (OWN | {"origin": "https://evil.example"} | JSON, False),
        (OWN | {"origin": "https://evil.example/localhost:3000"} | JSON, False),
        (OWN | {"origin": "http://evil@localhost:3000"} | JSON, False),
        (OWN | {"origin": "null"} | JSON, False),
        (OWN | {"origin": "http://["} | JSON, False),
        ({"host": "", "origin": ""} | JSON, False),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "same-origin", "content-type": "text/plain"}, False),
        (
            {"sec-fetch-site": "none", "content-type": "application/x-www-form-urlencoded"},
            False,
        ),
        (OWN | {"content-type": "multipart/form-data; boundary=application/json"}, False),
    ],
)
async def test_a_cookie_counts_only_when_no_other_site_can_have_sent_it(sent, taken):
    request = headers(*sent.items(), cookie="sd_viewer=me")
    async with asked(dev=True) as asking:
        for method in ("POST", "PUT", "PATCH", "DELETE", "get", "LINK"):
            if taken:
                assert (await who(asking, request, method=method)).viewer == "me"
            else:
                assert await refused(asking, request, method=method) == "cross_site"
        assert (await who(asking, request, method="GET")).viewer == "me"


# Whatever comes


class Loud(logging.Handler):
    """Fails the test when anything is logged."""

    def emit(self, record):
        raise AssertionError(record.getMessage())


@contextmanager
def silently():
    loud = Loud()
    logging.getLogger().addHandler(loud)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(loud)


async def outcome(asking, request, peer, method):
    """All that can be read of an identity or of its refusal."""
    try:
        found = await asking.of(request, peer, method)
    except Unidentified as error:
        return f"{error} {error!r} {error.text} {error.__cause__}"
    assert found.viewer is None or 0 < len(found.viewer) <= 256
    return f"{found} {found!r}"


@pytest.fixture(scope="module")
def ours():
    """All ways at once, which need no loop to be made."""
    config = JwtConfig(**HMAC)
    jwts = Jwts(config, {"HS256": key_sources.Kept(lambda: key_set.of_secret(SECRET))})
    tokens = SessionTokens(bytes(range(32)))
    return Identities(jwts, TrustedProxy(PROXY), tokens, Keys({}), dev=True)


GOOD = token("HS256", exp=2**40)
texts = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.text("ey.-_=fks ABCdef0123\x00\xff", max_size=60),
    st.binary(max_size=40).map(lambda data: "eyJhbGciOiJIUzI1NiJ9." + data.hex() + ".AA"),
    st.integers(0, len(GOOD)).map(lambda at: GOOD[:at]),
)
authorizations = st.builds(
    "{}{}".format, st.sampled_from(["Bearer ", "bearer ", "Bearer ffs_", "Bearer ffk_", ""]), texts
)


@given(
    st.lists(
        st.tuples(st.just("authorization"), authorizations)
        | st.tuples(
            st.sampled_from(["x-forwarded-user", "x-sd-viewer", "cookie", "origin", "host"]), texts
        ),
        max_size=4,
    ),
    st.sampled_from([PEER, "203.0.113.9", "::1", None, "no address"]),
    st.sampled_from(["GET", "POST"]),
)
@example([("authorization", f"Bearer {GOOD}")], PEER, "POST")
async def test_whatever_comes_is_somebody_or_refused_without_an_echo(ours, pairs, peer, method):
    with silently():
        said = await outcome(ours, headers(*pairs), peer, method)
    for _, value in pairs:
        for part in value.replace("=", " ").replace(";", " ").split():
            assert len(part) < 10 or part not in said
    assert peer is None or peer not in said


def test_an_identity_is_not_shown():
    found = Identity("anna", "berta", "s-1", "i-1")
    assert repr([found]) == "[Identity(...)]"
    with pytest.raises(AttributeError):
        found.viewer = "boss"


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_a_status(reason):
    expected = {"viewer_not_allowed": 403, "cross_site": 403, "keys_unavailable": 503}
    assert Unidentified(reason, "").status == expected.get(str(reason), 401)
