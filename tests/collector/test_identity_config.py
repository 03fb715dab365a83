"""What a configuration may say of identities, and what it is told where it is wrong."""

import msgspec
import pytest

from footfall_collector.config.identity import IdentityConfig
from footfall_collector.config.reader import located
from footfall_processors.document import Document, convert, parse

SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"


def read(text):
    """The configuration that a text says, and its mistakes."""
    document = Document("footfall.yaml")
    parse(text, document)
    found = convert(document, IdentityConfig, document.data, ())
    return found, [f"{m.path}: {m.message}" for m in document.mistakes]


def test_nothing_need_be_said():
    assert read("{}") == (IdentityConfig(), [])


def test_a_whole_one():
    found, mistakes = read(f"""
jwt:
  algorithms: [HS256, RS256]
  secret: {SECRET}
  jwks_url: https://idp.example/.well-known/jwks.json
  issuer: https://idp.example/
  audience: footfall
  leeway_s: 5
  claims: {{viewer: uid, owner: null, session: https://example.org/sid}}
header: {{name: X-Forwarded-User, from: [10.0.0.7, 10.1.0.0/16, "fd00::/8"], owner: X-Owner}}
development: false
""")
    assert mistakes == []
    assert (found.jwt.claims.viewer, found.jwt.claims.owner) == ("uid", None)
    assert list(map(str, found.header.networks())) == ["10.0.0.7/32", "10.1.0.0/16", "fd00::/8"]
    assert SECRET not in repr(found)
    assert SECRET not in str(found.jwt)


def test_files_are_seen_from_the_configurations_folder(tmp_path):
    found, _ = read("jwt: {algorithms: [RS256], public_key_file: idp.pem}")
    assert located(found, tmp_path).jwt.public_key_file == str(tmp_path / "idp.pem")
    found, _ = read("jwt: {algorithms: [RS256], jwks_file: jwks.json}")
    assert located(found, tmp_path).jwt.jwks_file == str(tmp_path / "jwks.json")


@pytest.mark.parametrize(
    "url",
    [
        "https://idp.example/keys?version=1",
        "http://localhost:8080/keys",
        "http://127.0.0.1/keys",
        "http://[::1]:1/",
    ],
)
def test_keys_come_over_https_or_from_this_machine(url):
    assert read(f"jwt: {{algorithms: [ES256], jwks_url: '{url}'}}")[1] == []


@pytest.mark.parametrize(
    ("jwt", "message"),
    [
        ("{}", "jwt.algorithms: is missing"),
        ("algorithms: []", "must name at least one of HS256, RS256 and ES256"),
        ("algorithms: [none]", "jwt.algorithms.0: must be HS256, RS256 or ES256"),
        ("algorithms: [HS256]", "HS256 needs `secret`"),
        ("algorithms: [HS256]\n  jwks_file: a", "no file or URL of public keys can stand for it"),
        ("algorithms: [HS256]\n  secret: short", "at least 32 bytes: make one with `openssl"),
        (f"algorithms: [HS256]\n  secret: {'a' * 40}", "`secret` is easy to guess: make one"),
        (f"algorithms: [RS256]\n  secret: {SECRET}\n  jwks_file: a", "`secret` is for HS256"),
        (f"algorithms: [HS256]\n  secret: {SECRET}\n  jwks_file: a", "add the one that signs"),
        (
            "algorithms: [RS256]",
            "for RS256, set one of public_key_file, jwks_file and jwks_url; th",
        ),
        ("algorithms: [RS256, ES256]", "for ES256 and RS256, set one of"),
        ("algorithms: [RS256]\n  jwks_file: a\n  jwks_url: 'https://b'", "; there are 2"),
        ("algorithms: [RS256]\n  jwks_url: http://idp.example/", "must be https: whoever is betw"),
        ("algorithms: [RS256]\n  jwks_url: http://127.0.0.1.example/", "must be https"),
        ("algorithms: [RS256]\n  jwks_url: file:///etc/passwd", "must be an https:// URL"),
        ("algorithms: [RS256]\n  jwks_url: keys.json", "must be an https:// URL"),
        ("algorithms: [RS256]\n  jwks_url: https://", "must be an https:// URL"),
        ("algorithms: [RS256]\n  jwks_url: 'https://idp:99999/'", "is not a URL"),
        ("algorithms: [RS256]\n  jwks_url: 'https://idp:0/'", "must be an https:// URL"),
        ("algorithms: [RS256]\n  jwks_url: 'https://['", "is not a URL"),
        ("algorithms: [RS256]\n  jwks_url: https://me:word@idp/", "no user name"),
        ("algorithms: [RS256]\n  jwks_url: https://idp/#keys", "no fragment"),
        ("algorithms: [RS256]\n  jwks_url: 'https://idp/a b'", "no spaces"),
        ("algorithms: [RS256]\n  jwks_file: a\n  leeway_s: -1", "jwt.leeway_s: "),
        ("algorithms: [RS256]\n  jwks_file: a\n  leeway_s: 301", "jwt.leeway_s: "),
        ("algorithms: [RS256]\n  jwks_file: a\n  issuer: ''", "jwt.issuer: "),
        ("algorithms: [RS256]\n  jwks_file: a\n  jwks: a", "jwt.jwks: is not known here"),
        ("algorithms: [RS256]\n  jwks_file: a\n  claims: {viewer: ''}", "jwt.claims.viewer: "),
        (
            "algorithms: [RS256]\n  jwks_file: a\n  claims: {viewer: null, owner: null}",
            "jwt.claims: a token would name nobody: set viewer, owner, or both",
        ),
    ],
)
def test_a_mistake_about_jwts_says_what_is_right(jwt, message):
    text = "jwt: {}" if jwt == "{}" else f"jwt:\n  {jwt}"
    (mistake,) = read(text)[1]
    assert message in mistake
    assert mistake.startswith("jwt")
    assert "word" not in mistake
    assert SECRET not in mistake


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{name: user}", "header.from: is missing"),
        ("{name: user, from: []}", "header.from: "),
        ("{name: 'a b', from: [10.0.0.7]}", "header.name: must be a header's name"),
        ("{name: '', from: [10.0.0.7]}", "header.name: must be a header's name"),
        ("{name: user, from: [proxy]}", "must be addresses and networks, as 10.0.0.7 or 10.0.0"),
        ("{name: user, from: [10.0.0.300]}", "must be addresses and networks"),
        (
            "{name: user, from: [10.0.0.7/24]}",
            "10.0.0.7/24 is an address in a network; write 10.0.0.0/24",
        ),
        ("{name: user, from: [0.0.0.0/0]}", "that is everybody; name the proxy's own addresses"),
        ("{name: user, from: ['::/0']}", "that is everybody"),
        ("{name: user, from: ['::ffff:0:0/96']}", "that is everybody"),
        ("{name: user, from_: [10.0.0.7]}", "header.from_: is not known here"),
    ],
)
def test_a_mistake_about_the_proxy_says_what_is_right(header, message):
    mistakes = read(f"header: {header}")[1]
    assert any(message in mistake for mistake in mistakes)
    assert all(mistake.startswith("header") for mistake in mistakes)


def test_it_is_refused_by_msgspec_as_well():
    with pytest.raises(msgspec.ValidationError, match="HS256 needs"):
        msgspec.convert({"jwt": {"algorithms": ["HS256"]}}, IdentityConfig)
