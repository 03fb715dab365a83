"""A counter's stream is what its attributes say, in whatever form they come, lists, maps and bytes as well.

Expected values come from plain Python values, which official messages and a writer of JSON of its own
(`json_writer.py`) are made of.
"""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.drawn import thorough
from collector.json_requests import groups
from collector.json_writer import written
from collector.sums import KEY, NOW_US, START, Request, point
from footfall_collector.decoding import metrics, otlp
from footfall_collector.decoding.otlp_json import values
from footfall_processors import Policy

KINDS = {
    str: "string_value",
    bool: "bool_value",
    int: "int_value",
    float: "double_value",
    bytes: "bytes_value",
}
TEXTS = st.text(max_size=3)
PLAIN = st.one_of(
    st.none(), TEXTS, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=4),
    st.floats(allow_nan=False).map(lambda number: number + 0.0),  # the writer may write -0.0 as 0
)  # fmt: skip
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(TEXTS, inner), max_size=3).map(tuple),
    max_leaves=8,
)  # fmt: skip
"""Lists are lists, maps are tuples of pairs."""
PLACES = st.sampled_from(["point", "scope", "resource"])


@pytest.fixture(scope="module")
def policy(catalog):
    return Policy(catalog)


def identity(value):
    """Equal for equal values only; maps have no order."""
    if isinstance(value, list):
        return f"list {[identity(each) for each in value]}"
    if isinstance(value, tuple):
        return f"map {sorted((key, identity(each)) for key, each in value)}"
    return repr(value)


def fill(message, value, draw):
    if isinstance(value, list):
        message.array_value.SetInParent()
        for each in value:
            fill(message.array_value.values.add(), each, draw)
    elif isinstance(value, tuple):
        message.kvlist_value.SetInParent()
        for key, each in draw.sample(value, len(value)):
            fill(message.kvlist_value.values.add(key=key).value, each, draw)
    elif value is not None:
        setattr(message, KINDS[type(value)], value)


def request(value, place, seed=0):
    """A request of a counter with an attribute of this value; entries of maps in an order that is drawn."""
    message = Request(service__name="shop").sum(point(3)).message
    [group] = message.resource_metrics
    [scope] = group.scope_metrics
    [one] = scope.metrics[0].sum.data_points
    owner = {"point": one, "scope": scope.scope, "resource": group.resource}[place]
    fill(owner.attributes.add(key="odd").value, value, random.Random(seed))
    return message.SerializeToString()


def stream(policy, body, said=None):
    batch = asyncio.run(metrics.decode(policy, body, NOW_US, groups=said, key=KEY))
    [found] = batch.points
    return found.stream, found.series


def in_json(policy, body, seed):
    sent = written("metrics", body, seed)
    return stream(policy, sent, groups("metrics", sent))


@thorough
@given(value=VALUES, place=PLACES, seeds=st.tuples(*2 * [st.integers(0, 2**32)]))
def test_equal_values_in_any_form_are_one_stream(policy, value, place, seeds):
    bodies = [request(value, place, seed) for seed in (0, *seeds)]
    found = {stream(policy, body) for body in bodies}
    assert len(found | {in_json(policy, bodies[0], seed) for seed in seeds}) == 1


@thorough
@given(two=st.tuples(VALUES, VALUES), place=PLACES, seed=st.integers(0, 2**32))
def test_different_values_are_different_streams(policy, two, place, seed):
    same = len(set(map(identity, two))) == 1
    first, second = (request(value, place) for value in two)
    assert (stream(policy, first) == stream(policy, second)) is same
    assert (in_json(policy, first, seed) == in_json(policy, second, seed)) is same
    assert (stream(policy, first) == in_json(policy, second, seed)) is same


def field(number, content, pad=0):
    """A field with a length, whose varint is padded: one byte takes 1 + `pad`."""
    assert len(content) < 128
    return bytes([number << 3 | 2]) + varint(len(content), pad) + content


def varint(number, pad=0):
    """Below 128."""
    return bytes([number | 128, *[128] * (pad - 1), 0]) if pad else bytes([number])


KEY_FIELD, TEXT = field(1, b"odd"), field(1, b"abc")
ENCODED = {
    "text": [
        *(field(1, b"odd", pad) + field(2, field(1, b"abc", pad), pad) for pad in range(4)),
        field(2, TEXT) + KEY_FIELD,
        KEY_FIELD + field(2, field(1, b"x")) + field(2, TEXT),
    ],
    "integer": [KEY_FIELD + field(2, b"\x18" + varint(7, pad), pad) for pad in range(4)],
    "truth": [KEY_FIELD + field(2, b"\x10" + varint(1, pad), pad) for pad in range(4)],
    "bytes": [KEY_FIELD + field(2, field(7, b"abc", pad), pad) for pad in range(4)],
}


@pytest.mark.parametrize("place", ["point", "scope", "resource"])
@pytest.mark.parametrize("forms", ENCODED.values(), ids=ENCODED)
def test_a_stream_is_the_same_however_an_attribute_is_encoded(policy, forms, place):
    number = {"point": 7, "scope": 3, "resource": 1}[place]
    bodies = []
    for form in forms:
        assert KeyValue.FromString(form) == KeyValue.FromString(forms[0])
        own = {"point": b"", "scope": b"", "resource": b"", place: field(number, form)}
        counter = point(3).SerializeToString() + own["point"]
        metric = field(1, b"shop.ping") + field(7, field(1, counter) + b"\x10\x02\x18\x01")
        scope = field(1, own["scope"]) + field(2, metric)
        bodies.append(field(1, field(1, own["resource"]) + field(2, scope)))
    assert len({stream(policy, body) for body in bodies}) == 1


@pytest.mark.parametrize("place", ["scope", "resource"])
def test_a_scope_or_resource_in_pieces_is_what_they_say_together(policy, place):
    one, other = (
        KeyValue(key=key, value={"string_value": "a"}).SerializeToString() for key in ("one", "two")
    )
    number = {"scope": 3, "resource": 1}[place]
    forms = [
        field(1, field(number, one) + field(number, other)),
        field(1, field(number, one)) + field(1, field(number, other)),
    ]
    metric = field(1, b"shop.ping") + field(
        7, field(1, point(3).SerializeToString()) + b"\x10\x02\x18\x01"
    )
    bodies = []
    for form in forms:
        own = {"scope": b"", "resource": b"", place: form}
        bodies.append(field(1, own["resource"] + field(2, own["scope"] + field(2, metric))))
    assert len({stream(policy, body) for body in bodies}) == 1


# What no writer that is right writes, and how far it goes

DOCUMENT = """{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"shop.ping","sum":{
    "aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"startTimeUnixNano":"%d","timeUnixNano":"%d",
    "asInt":3,"attributes":[{"key":"odd","value":%s}]}]}}]}]}]}"""


def streams(policy, *forms):
    """The streams of a counter with an attribute that is written so in JSON."""
    bodies = [(DOCUMENT % (START, NOW_US * 1000, form)).encode() for form in forms]
    return {stream(policy, body, groups("metrics", body)) for body in bodies}


def a_list(*elements):
    return nested(",".join(elements), 1)


def nested(inner, deep, opening='{"arrayValue":{"values":[', closing="]}}"):
    return opening * deep + inner + closing * deep


MAP = '{"kvlistValue":{"values":[{"key":"a","value":', "}]}}"
SAME = {
    "integer": [a_list(f'{{"intValue":{form}}}') for form in ("1", '"1"', "1.0", '"10e-1"')],
    "null": [a_list('{"stringValue":"a"}'), a_list('{"stringValue":"a","intValue":null}')],
    "nothing": [a_list("{}"), a_list("null"), a_list('{"arrayValue":null}')],
    "blanks": [a_list('{"stringValue":"a"}'), a_list(' {"stringValue" :\n"\\u0061" } ')],
    "bytes": [f'{{"bytesValue":"{form}"}}' for form in ("+/8=", "-_8", "+\\/8", "-/8=")],
    "empty": [f'{{"arrayValue":{form}}}' for form in ("{}", '{"values":[]}', '{"values":null}')],
    "names": [a_list('{"intValue":1}'), '{"array_value":{"values":[{"int_value":1}]}}'],
    "as deep as is opened": [nested(f'{{"intValue":{form}}}', 32) for form in ("1", '"1"')],
    "maps as deep": [nested(f'{{"intValue":{form}}}', 32, *MAP) for form in ("1", '"1"')],
}


@pytest.mark.parametrize("forms", SAME.values(), ids=SAME)
def test_a_stream_is_the_same_however_a_value_is_written(policy, forms):
    assert len(streams(policy, *forms)) == 1


OTHERS = {
    "what is wrong in a list": [a_list(odd) for odd in ('{"intValue":"a"}', '{"intValue":"b"}', '"b"', "5")],
    "what looks like bytes": [
        *('{"bytesValue":"abcd"}', '"abcd"'), a_list('{"bytesValue":"abcd"}'), a_list('"abcd"')
    ],
    "no base64": [f'{{"bytesValue":"{text}"}}' for text in ("a", "a!", "ab=c", "ab", "abc", "\\ud800")],
    "deep": [nested(f'{{"intValue":{number}}}', deep) for number in (1, 2) for deep in (31, 32, 33, 99, 250)],
    "deep maps": [nested(f'{{"intValue":{number}}}', deep, *MAP) for number in (1, 2) for deep in (31, 99)],
    "long": [a_list(f'{{"stringValue":"{letter * 100_000}"}}') for letter in "ab"],
    "kinds": [a_list(), '{"kvlistValue":{}}', '{"bytesValue":""}', '{"stringValue":""}', "{}"],
}  # fmt: skip


@pytest.mark.parametrize("forms", OTHERS.values(), ids=OTHERS)
def test_what_differs_is_another_stream_even_where_it_is_wrong(policy, forms):
    assert len(streams(policy, *forms)) == len(forms)


def test_beyond_some_number_a_value_is_what_is_written(policy, monkeypatch):
    """It costs nobody a batch."""
    forms = SAME["integer"]
    monkeypatch.setattr(values, "MOST", 0)
    assert len(streams(policy, *forms)) == len(forms)
    monkeypatch.setattr(otlp, "MOST_SETTLED", 0)
    bodies = [request((("a", 1), ("b", 2)), "point", seed) for seed in range(9)]
    assert len({stream(policy, body) for body in bodies}) == 2
