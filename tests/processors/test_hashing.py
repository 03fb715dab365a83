import base64
import datetime as dt
import hashlib
import hmac
import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from footfall_processors import Hash, SaltError, keyed_hash, period, static_salts

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SALT = b"0123456789abcdef0123456789abcdef"
GOOD = "3f9c1a7be2d05846c1e97ab304fd2865"
OTHER = b"fedcba9876543210fedcba9876543210"


EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def us(text: str) -> int:
    return (dt.datetime.fromisoformat(text) - EPOCH) // dt.timedelta(microseconds=1)


def sha256_hmac(key: bytes, message: bytes) -> bytes:
    """RFC 2104, written out for keys of at most 64 bytes."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).digest()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("123456789012345678", b"guild_id\x00123456789012345678"),
        (123456789012345678, b"guild_id\x00123456789012345678"),
        (-1, b"guild_id\x00-1"),
        ("Zelda", b"guild_id\x00Zelda"),
        ("caf\u00e9", b"guild_id\x00caf\xc3\xa9"),
        ("cafe\u0301", b"guild_id\x00caf\xc3\xa9"),  # the same word, written decomposed
        ("\ud800", b"guild_id\x00?"),
        ("", b"guild_id\x00"),
    ],
)
def test_the_hash_is_the_first_half_of_hmac_sha256(value, message):
    expected = hmac.new(SALT, message, hashlib.sha256).digest()[:16]
    assert expected == sha256_hmac(SALT, message)[:16]
    assert keyed_hash(SALT, "guild_id", value) == expected


@settings(PATIENT)
@given(st.text() | st.integers(-(2**63), 2**64 - 1))
def test_any_value_hashes_as_its_normalised_text(value):
    message = b"user_id\x00" + unicodedata.normalize("NFC", str(value)).encode()
    expected = hmac.new(SALT, message, "sha256").digest()[:16]
    assert keyed_hash(SALT, "user_id", value) == expected


@settings(PATIENT)
@given(st.text(st.characters()))
def test_hashing_takes_any_text_and_repeats_itself(value):
    assert keyed_hash(SALT, "a", value) == keyed_hash(SALT, "a", value)
    assert len(keyed_hash(SALT, "a", value)) == 16


def test_equal_values_under_two_names_or_salts_cannot_be_joined():
    hashes = {
        keyed_hash(salt, name, "42") for salt in (SALT, OTHER) for name in ("guild_id", "user_id")
    }
    assert len(hashes) == 4


def test_equal_values_in_two_products_cannot_be_joined_unless_they_share_them():
    hashes = [keyed_hash(SALT, "guild_id", "42", product) for product in ("bot", "shop", "", "")]
    assert len(set(hashes)) == 3
    assert hashes[2] == hashes[3] == keyed_hash(SALT, "guild_id", "42")
    told = hmac.new(SALT, b"\0bot\0guild_id\x0042", "sha256").digest()[:16]
    assert hashes[0] == told
    assert keyed_hash(SALT, "bot", "guild_id\x0042") != hashes[0]
    assert keyed_hash(SALT, "id", "42", "a") != keyed_hash(SALT, "d", "42", "a\0i")


def test_a_value_cannot_pretend_to_belong_to_another_name():
    assert keyed_hash(SALT, "a", "b\x00c") != keyed_hash(SALT, "ab", "\x00c")
    assert keyed_hash(SALT, "a", "bc") != keyed_hash(SALT, "ab", "c")


@pytest.mark.parametrize("salt", [None, ""])
def test_no_static_salt_is_no_salt(salt):
    assert static_salts(salt) == {}


@pytest.mark.parametrize("salt", ["x", "x" * 31, "é" * 15])
def test_a_short_static_salt_is_refused(salt):
    with pytest.raises(SaltError, match="at least 32 bytes") as caught:
        static_salts(salt)
    assert salt not in str(caught.value).split()


@pytest.mark.parametrize(
    "salt",
    [
        "a" * 32, "password" * 4, "x" * 31 + "\udcff", "5a17" * 16, "0123456789" * 4, "é" * 16,
        "0123456789abcdef0123456789abcdef", "abcdefghijklmnopqrstuvwxyz0123456789",
        "A" * 16 + "B" * 16,
        "please-change-me-before-production", "qwertyuiopasdfghjklzxcvbnm123456",
        "changeme changeme changeme abc",
        "zyxwvutsrqponmlkjihgfedcba987654", "ab" * 20 + "c", "1" * 64,
        "your-secret-telemetry-hash-salt-here",
        "Summer2024Summer2024Summer2024!!", "example-org-1-example-org-2-example-org-3",
        "qazwsxedcrfvtgbyhnujmikolp1234567", "1q2w3e4r5t6y7u8i9o0p1q2w3e4r5t6y",
        "correct horse battery staple correct",
    ],
)  # fmt: skip
def test_a_long_salt_that_is_easy_to_guess_is_refused_with_the_way_to_a_good_one(salt):
    with pytest.raises(SaltError, match="openssl rand -hex 32") as caught:
        static_salts(salt)
    assert salt not in str(caught.value)


@given(st.binary(min_size=16, max_size=64), st.sampled_from([bytes.hex, b64]))
@example(bytes(range(0, 256, 16)), bytes.hex)
def test_random_salts_are_taken_in_any_encoding(random, encode):
    drawn = hashlib.sha256(random).digest()  # as even as `openssl rand`, and reproducible
    assert static_salts(encode(drawn))
    assert static_salts(encode(drawn[:24]))


def test_enough_words_drawn_by_dice_are_a_salt():
    assert static_salts("zebra-unicorn-garden-solstice-pewter-mango-quartz")


@pytest.mark.parametrize("salt", [GOOD, "é1ñ2ü3ö4ß5ø6å7ì8ò9ù0ÿ!", GOOD[:31] + "\udcff"])
def test_length_is_counted_in_bytes(salt):
    (key,) = static_salts(salt).values()
    assert key == salt.encode("utf-8", "surrogateescape")
    assert len(key) >= 32


def test_the_static_salt_serves_every_time():
    salts = static_salts(GOOD)
    for moment in ("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2261-01-01T00:00:00Z"):
        assert salts[period(Hash.STATIC, us(moment))] == GOOD.encode()


@pytest.mark.parametrize(
    ("kind", "last", "first"),
    [
        (Hash.DAILY, "2026-11-22T23:59:59.999999Z", "2026-11-23T00:00:00Z"),
        (Hash.DAILY, "2028-02-29T23:59:59.999999Z", "2028-03-01T00:00:00Z"),
        (Hash.DAILY, "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z"),
        (Hash.DAILY, "1969-12-30T23:59:59.999999Z", "1969-12-31T00:00:00Z"),
        (Hash.WEEKLY, "2026-11-22T23:59:59.999999Z", "2026-11-23T00:00:00Z"),  # a Monday
        (Hash.WEEKLY, "2027-01-03T23:59:59.999999Z", "2027-01-04T00:00:00Z"),
        (Hash.WEEKLY, "1969-12-28T23:59:59.999999Z", "1969-12-29T00:00:00Z"),
        (Hash.WEEKLY, "1970-01-04T23:59:59.999999Z", "1970-01-05T00:00:00Z"),
        (Hash.MONTHLY, "2026-11-30T23:59:59.999999Z", "2026-12-01T00:00:00Z"),
        (Hash.MONTHLY, "2026-12-31T23:59:59.999999Z", "2027-01-01T00:00:00Z"),
        (Hash.MONTHLY, "2028-02-29T23:59:59.999999Z", "2028-03-01T00:00:00Z"),
        (Hash.MONTHLY, "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z"),
        (Hash.MONTHLY, "1969-11-30T23:59:59.999999Z", "1969-12-01T00:00:00Z"),
    ],
)
def test_periods_end_in_utc_with_the_microsecond(kind, last, first):
    assert us(first) - us(last) == 1
    assert period(kind, us(first)) == (kind, period(kind, us(last))[1] + 1)


@pytest.mark.parametrize(
    ("kind", "moment", "number"),
    [
        (Hash.DAILY, "1970-01-01T12:00:00Z", 0),
        (Hash.DAILY, "1969-12-31T12:00:00Z", -1),
        (Hash.DAILY, "2026-11-22T12:00:00Z", 20779),
        (Hash.WEEKLY, "1970-01-01T12:00:00Z", 0),
        (Hash.WEEKLY, "1969-12-28T12:00:00Z", -1),
        (Hash.MONTHLY, "1970-01-01T12:00:00Z", 1970 * 12),
        (Hash.MONTHLY, "2026-11-22T12:00:00Z", 2026 * 12 + 10),
    ],
)
def test_periods_have_the_documented_numbers(kind, moment, number):
    assert period(kind, us(moment)) == (kind, number)


INSTANTS = st.integers(us("1900-01-01T00:00:00Z"), us("2500-01-01T00:00:00Z"))


@settings(PATIENT)
@given(INSTANTS, INSTANTS)
def test_two_times_share_a_period_exactly_when_the_calendar_says_so(one, two):
    calendar = {
        Hash.DAILY: lambda t: t.date(),
        Hash.WEEKLY: lambda t: t.isocalendar()[:2],
        Hash.MONTHLY: lambda t: (t.year, t.month),
        Hash.STATIC: lambda t: None,
    }
    first, second = (EPOCH + dt.timedelta(microseconds=n) for n in (one, two))
    for kind, same in calendar.items():
        assert (period(kind, one) == period(kind, two)) == (same(first) == same(second)), kind


def test_the_kinds_of_periods_never_share_a_salt():
    assert len({period(kind, 0) for kind in Hash}) == len(Hash)
