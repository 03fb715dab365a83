import math
import uuid

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from footfall_processors import Attribute, Type, clean, hashable, keyed_hash, safe_text

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HUGE = 10**5000
"""More digits than Python writes as text; as a parameter it needs an id."""
INT64 = 2**63


def attribute(kind="string", **limits):
    return Attribute(type=Type(kind), **limits)


# What a sender, or an application through the SDK, may put into an attribute.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([INT64, -INT64 - 1, INT64 - 1])
    | st.integers(1, 5000).map(lambda digits: -(10**digits))
    | st.floats()
    | st.text(st.characters())
    | st.text("0123456789abcdef-{}", min_size=30, max_size=40)
    | st.binary()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3)
    ),
    max_leaves=5,
) | st.sampled_from([object(), Type.ENUM, {1}, (1,), 1j, type, Ellipsis])


def limits(numbers):
    pair = st.tuples(st.none() | numbers, st.none() | numbers)
    ordered = pair.filter(lambda p: None in p or p[0] <= p[1])
    return ordered.map(lambda p: {"min": p[0], "max": p[1]})


ATTRIBUTES = st.one_of(
    st.builds(lambda m: attribute("int", **m), limits(st.integers(-INT64, INT64 - 1))),
    st.builds(lambda m: attribute("float", **m), limits(st.floats(-1e100, 1e100))),
    st.builds(lambda m: attribute("float", **m), limits(st.integers(-INT64, INT64))),
    st.builds(lambda n: attribute("string", max_length=n), st.integers(1, 1024)),
    st.builds(lambda v: attribute("enum", values=tuple(v)), st.lists(st.text(min_size=1))),
    st.just(attribute("bool")),
    st.just(attribute("uuid")),
)


def assert_postgres_takes(declared, kept):
    """What a binary COPY into the attribute's column accepts, and the declared limits."""
    match declared.type:
        case Type.INT:
            assert type(kept) is int
            assert -INT64 <= kept < INT64
        case Type.FLOAT:
            assert type(kept) is float
            assert math.isfinite(kept)
        case Type.BOOL:
            assert type(kept) is bool
        case Type.UUID:
            assert type(kept) is bytes
            assert len(kept) == 16
        case Type.ENUM:
            assert kept in declared.values
        case Type.STRING:
            assert len(kept) <= declared.max_length
            assert b"\0" not in kept.encode("utf-8", "strict")
    if declared.min is not None:
        assert kept >= declared.min
    if declared.max is not None:
        assert kept <= declared.max


@settings(PATIENT, max_examples=300)
@given(ATTRIBUTES, VALUES)
@example(attribute("int"), HUGE)
@example(attribute("float"), -HUGE)
@example(attribute("float", min=0, max=INT64), HUGE)
@example(attribute("string"), "\ud800\x00" * 9000)
@example(attribute("uuid"), "\ud800" * 32)
@example(attribute("string"), "a\x00@\udfffb.de" * 1000)
def test_whatever_is_sent_becomes_something_postgres_takes_or_nothing(declared, sent):
    kept = clean(declared, sent)
    if kept is not None:
        assert_postgres_takes(declared, kept)


@settings(PATIENT, max_examples=100)
@given(ATTRIBUTES, VALUES)
def test_a_clean_value_stays_as_it_is(declared, sent):
    kept = clean(declared, sent)
    if kept is not None and declared.type not in (Type.UUID, Type.STRING):
        assert clean(declared, kept) == kept


@pytest.mark.parametrize(
    ("declared", "sent", "kept"),
    [
        (attribute("int"), 0, 0),
        (attribute("int"), 2**63 - 1, 2**63 - 1),
        (attribute("int"), 2**63, 2**63 - 1),
        (attribute("int"), -(2**63) - 1, -(2**63)),
        pytest.param(attribute("int"), HUGE, 2**63 - 1, id="int-huge"),
        (attribute("int"), 2.4, 2),
        (attribute("int"), 1e300, 2**63 - 1),
        (attribute("int"), math.nan, None),
        (attribute("int"), math.inf, None),
        (attribute("int"), True, None),
        (attribute("int"), "1", None),
        (attribute("int"), b"1", None),
        (attribute("int"), None, None),
        (attribute("int", min=0, max=600_000), -5, 0),
        (attribute("int", min=0, max=600_000), 600_001, 600_000),
        (attribute("float"), 1.5, 1.5),
        (attribute("float"), 2, 2.0),
        pytest.param(attribute("float"), HUGE, float(2**63), id="float-huge"),
        (attribute("float"), 1.7e308, 1e100),
        (attribute("float"), -1.7e308, -1e100),
        (attribute("float"), 5e-324, 0.0),
        (attribute("float"), math.nan, None),
        (attribute("float"), -math.inf, None),
        (attribute("float"), False, None),
        (attribute("float"), "1.5", None),
        (attribute("float", min=0, max=1), 1.5, 1.0),
        (attribute("float", min=0.5), 0.0, 0.5),
        (attribute("bool"), True, True),
        (attribute("bool"), False, False),
        (attribute("bool"), 1, None),
        (attribute("bool"), "true", None),
        (attribute("enum", values=("alttpr", "smz3")), "smz3", "smz3"),
        (attribute("enum", values=("alttpr", "smz3")), "SMZ3", None),
        (attribute("enum", values=("alttpr", "smz3")), "alice@example.com", None),
        (attribute("enum", values=("alttpr", "smz3")), 1, None),
        (attribute("string"), "hard mode", "hard mode"),
        (attribute("string"), "", ""),
        (attribute("string"), "a\x00b\ud800c", "a\ufffdb\ufffdc"),
        (attribute("string"), 5, None),
        (attribute("string"), b"hard mode", None),
        (attribute("string"), ["hard mode"], None),
        (attribute("string"), {"mode": "hard"}, None),
        (attribute("string", max_length=4), "hard mode", "hard"),
        (attribute("string"), "write to alice@example.com", "write to [email]"),
        (attribute("uuid"), "3F2504E0-4F89-11D3-9A0C-0305E82C3301", b"?\x25\x04\xe0O\x89\x11\xd3"
         b"\x9a\x0c\x03\x05\xe8,3\x01"),
        (attribute("uuid"), "alice", None),
        (attribute("uuid"), 42, None),
        (attribute("uuid"), uuid.UUID(int=0).bytes, None),
    ],
)  # fmt: skip
def test_each_type_takes_its_own_and_refuses_the_rest(declared, sent, kept):
    assert clean(declared, sent) == kept
    assert type(clean(declared, sent)) is type(kept)


def test_text_is_redacted_before_it_is_cut():
    """A cut could leave half an address, which no pattern knows any more."""
    declared = attribute("string", max_length=20)
    assert clean(declared, "please ask alice.liddell@example.com") == "please ask [email]"
    assert clean(declared, "a" * 15 + " alice@example.com") == "a" * 15 + " [ema"


def test_text_too_long_to_be_searched_is_dropped_not_cut():
    declared = attribute("string", max_length=5)
    assert clean(declared, "a " * 8192) == "a a a"
    assert clean(declared, "a " * 8192 + "a") is None


@settings(PATIENT)
@given(st.text(st.characters()))
def test_safe_text_changes_what_postgres_refuses_and_nothing_else(text):
    kept = safe_text(text)
    assert len(kept) == len(text)
    for before, after in zip(text, kept, strict=True):
        refused = before == "\0" or "\ud800" <= before <= "\udfff"
        assert after == ("\ufffd" if refused else before)


@pytest.mark.parametrize(
    "value",
    ["a", "\ud800", "x" * 16_384, 0, -1, 2**63, 2**64 - 1, -(2**63)],
)
def test_text_and_64_bit_numbers_can_be_hashed(value):
    assert hashable(value)


@pytest.mark.parametrize(
    "value",
    [
        *("", "x" * 16_385, 2**64, -(2**63) - 1, True, False, 1.0, b"1", None, ["a"], {"a": 1}),
        pytest.param(HUGE, id="huge"),
    ],
)
def test_other_values_cannot_be_hashed(value):
    assert not hashable(value)


@settings(PATIENT)
@given(VALUES)
@example(HUGE)
def test_whatever_may_be_hashed_can_be_hashed(value):
    if hashable(value):
        assert len(keyed_hash(b"s" * 32, "guild_id", value)) == 16


# Texts too long to be searched as a whole

PERSONAL = {
    "walker@example.org": "walker",
    "+1 (555) 123-45 67": "123",
    "4111 1111 1111 1111": "1111",
    "192.168.17.23": "168",
    "bearer abcdefgh12345678": "abcdefgh",
    "https://example.org/?who=walker": "walker",
    "<@123456789012345678>": "123456",
}


@PATIENT
@given(
    st.lists(
        st.sampled_from([*PERSONAL, "a", "words of a note ", "-", "\u200b" * 30]), max_size=400
    ),
    st.integers(0, 40),
    st.integers(1, 60),
)
@example(["+1 (555) 123-45 67", "4111 1111 1111 1111", "4111 1111 1111 1111"], 0, 40)
def test_however_a_long_text_is_cut_nothing_personal_is_left_of_it(pieces, pad, length):
    """The first cut may go through anything."""
    text = "x" * pad + " " + " ".join(pieces)
    kept = clean(attribute(max_length=length), text) or ""
    assert len(kept) <= length
    for part in PERSONAL.values():
        assert part not in kept


def test_of_a_long_text_its_begin_is_kept_as_of_a_short_one():
    text = "plain words of a note " * 200
    assert clean(attribute(max_length=280), text) == text[:280]
    assert clean(attribute(max_length=280), text[:300]) == text[:280]
