"""Posted events are encoded and read as the log records that say the same are, by the official classes."""

import asyncio
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from collector.decoded import as_result
from collector.drawn import INTS, KEYS, LONG_KEYS, NAMES, TEXTS, thorough
from collector.spans import NOW_US, SALTS
from footfall_collector.decoding.posts import Post, attribute
from footfall_collector.decoding.spans import Pipeline
from support import reference

LENGTHS = [0, 1, 125, 126, 127, 128, 2**14 - 1, 2**14]  # where a length takes a byte more
SCALARS = st.one_of(
    st.sampled_from([*TEXTS, *INTS, 2**63, -(2**63) - 1, 10**400, -(10**400), True, False]),
    st.sampled_from(LENGTHS).map("é".__mul__),
    st.floats(allow_nan=False),
    st.text(),
    st.integers(),
)
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(), SCALARS, max_size=2)
)


def any_value(value):
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return AnyValue(int_value=value)
    if isinstance(value, int):
        try:
            return AnyValue(double_value=float(value))
        except OverflowError:
            return AnyValue(double_value=float("inf") if value > 0 else float("-inf"))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue())
    return AnyValue(kvlist_value=KeyValueList())


@given(key=st.one_of(st.text(), st.sampled_from([*KEYS, *LONG_KEYS])), value=VALUES)
@example(key="k", value=-1)
@example(key="k", value=-0.0)
def test_an_attribute_is_encoded_as_the_official_class_encodes_it(key, value):
    expected = KeyValue(key=key, value=any_value(value))
    assert attribute(key, value) == expected.SerializeToString()


def test_no_number_is_a_number():
    pair = KeyValue.FromString(attribute("k", float("nan")))
    assert struct.pack("<d", pair.value.double_value) == struct.pack("<d", float("nan"))


EVENT = st.tuples(
    st.sampled_from([name for name in NAMES if name]),
    st.sampled_from([0, 10**9, 3600 * 10**9, 86400 * 10**9, 8 * 86400 * 10**9, -(3600 * 10**9)]),
    st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=4),
)


@pytest.fixture(scope="module")
def pipe(ruled):
    return Pipeline(ruled, SALTS, lambda: NOW_US * 1000 + 999)


@thorough
@given(events=st.lists(EVENT, max_size=6))
def test_posts_mean_what_a_plain_walk_says(pipe, events):
    posts, spans = [], []
    for name, age, pairs in events:
        time = NOW_US * 1000 - age
        posts.append(Post(name.encode(), time, [attribute(*pair) for pair in pairs]))
        said = [reference.pair(KeyValue(key=key, value=any_value(value))) for key, value in pairs]
        spans.append(reference.Span(name, time, time, None, None, said))
    batch = asyncio.run(pipe.posts(b"", posts))
    assert as_result(batch) == reference.evaluate(pipe.policy, SALTS, [({}, spans)], NOW_US)
    assert batch.identified
