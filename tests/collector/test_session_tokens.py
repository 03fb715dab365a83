"""Tokens of sessions: forged, expired, foreign, renewed; by hand of base64 and HMAC."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from footfall_collector.security.identity.identity import Unidentified
from footfall_collector.security.identity.session_tokens import AHEAD_S, SessionTokens

KEY = bytes(range(32))
SESSION, INSTALLATION = "5e5510" * 5, "1275a1" * 5
NOW = 1_800_000_000


class Clock:
    now = float(NOW)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(clock):
    return SessionTokens(KEY, clock=clock)


def coded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def by_hand(content, at=NOW, key=KEY, salt=b"footfall.session"):
    """A token as the document of itsdangerous has it: value, time, and HMAC under a derived key."""
    value = base64.urlsafe_b64encode(content) + b"." + coded(at.to_bytes(4))
    derived = hmac.digest(key, salt, hashlib.sha256)
    return "ffs_" + (value + b"." + coded(hmac.digest(derived, value, hashlib.sha256))).decode()


IDS = json.dumps([SESSION, INSTALLATION], separators=(",", ":")).encode()


def reason(read, *arguments, **options):
    with pytest.raises(Unidentified) as caught:
        read(*arguments, **options)
    assert caught.value.status == 401
    return str(caught.value.reason)


def test_a_token_says_its_session_and_installation(tokens):
    token = tokens.issue(SESSION, INSTALLATION)
    assert tokens.read(token) == (SESSION, INSTALLATION)
    assert tokens.read(token, session=SESSION, installation=INSTALLATION).session == SESSION
    assert token == by_hand(IDS)


def test_all_who_have_the_key_read_what_one_has_made(tokens, clock):
    assert SessionTokens(KEY, clock=clock).read(tokens.issue("a", "b")) == ("a", "b")
    assert tokens.read(by_hand(IDS)) == (SESSION, INSTALLATION)


def test_it_expires_an_hour_after_it_was_issued_or_renewed(tokens, clock):
    token = tokens.issue(SESSION, INSTALLATION)
    clock.now += 3599
    renewed = tokens.renew(token)
    assert tokens.read(token) == tokens.read(renewed) == (SESSION, INSTALLATION)
    clock.now += 1
    assert reason(tokens.read, token) == reason(tokens.renew, token) == "token_expired"
    clock.now += 3598
    assert tokens.read(renewed) == (SESSION, INSTALLATION)
    clock.now += 1
    assert reason(tokens.read, renewed) == "token_expired"


def test_its_lifetime_can_be_another(clock):
    tokens = SessionTokens(KEY, lifetime_s=10, clock=clock)
    token = tokens.issue(SESSION, INSTALLATION)
    clock.now += 9
    tokens.read(token)
    clock.now += 1
    assert reason(tokens.read, token) == "token_expired"


def test_the_clock_of_another_collector_may_be_a_little_ahead(tokens):
    assert tokens.read(by_hand(IDS, NOW + AHEAD_S)) == (SESSION, INSTALLATION)
    assert reason(tokens.read, by_hand(IDS, NOW + AHEAD_S + 1)) == "token_invalid"


@pytest.mark.parametrize(
    "other", [{"session": "x"}, {"installation": "x"}, {"session": SESSION, "installation": "x"}]
)
def test_a_token_for_another_session_or_installation_is_refused(tokens, other):
    assert reason(tokens.read, tokens.issue(SESSION, INSTALLATION), **other) == "token_foreign"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "ffs_",
        "ffs_.",
        "ffs_..",
        "ffs_a.b.c",
        "ffs_é",
        "ffs_\udcff",
        "ffs_" + "a" * 100_000,
        by_hand(IDS, key=bytes(32)),
        by_hand(IDS, key=b""),
        by_hand(IDS, salt=b"itsdangerous"),
        by_hand(IDS)[4:],
        by_hand(IDS)[:-1],
        by_hand(IDS) + "A",
        by_hand(IDS).upper(),
        by_hand(json.dumps(["a" * 4000, "b"]).encode()),
        by_hand(b"[]"),
        by_hand(b'["a"]'),
        by_hand(b'["a","b","c"]'),
        by_hand(b'["a",1]'),
        by_hand(b'{"session":"a","installation":"b"}'),
        by_hand(b"\xff"),
        by_hand(b""),
    ],
)
def test_a_forged_token_is_refused(tokens, token):
    assert reason(tokens.read, token) == "token_invalid"


@given(st.data())
def test_no_character_can_be_changed(data):
    tokens = SessionTokens(KEY)
    token = tokens.issue(SESSION, INSTALLATION)
    at = data.draw(st.integers(4, len(token) - 1))
    other = data.draw(st.characters(max_codepoint=127) | st.just(""))
    forged = token[:at] + other + token[at + 1 :]
    if forged == token or (at == len(token) - 1 and other):
        return  # the last character of a base64 text has bits that are not used
    assert reason(tokens.read, forged) == "token_invalid"


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=256)


@given(names, names)
@example("\U0001f600" * 256, "\U0001f600" * 256)
def test_whatever_the_ids_are_they_are_read_as_they_were(session, installation):
    token = SessionTokens(KEY).issue(session, installation)
    assert SessionTokens(KEY).read(token) == (session, installation)
    assert token.isascii()


@pytest.mark.parametrize("wrong", ["", "a" * 257, "a\n", "\ud800"])
def test_what_is_no_id_is_not_signed(tokens, wrong):
    for ids in ((wrong, "a"), ("a", wrong)):
        with pytest.raises(ValueError, match="an id has 1 to 256 characters"):
            tokens.issue(*ids)


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="at least 32 bytes"):
        SessionTokens(bytes(31))


def test_a_refusal_holds_nothing_of_the_token(tokens, clock):
    token = tokens.issue(SESSION, INSTALLATION)
    clock.now += 4000
    with pytest.raises(Unidentified) as caught:
        tokens.read(token)
    assert not {SESSION, INSTALLATION, token} & set(caught.value.text.split())
    assert "start a session" in caught.value.text
