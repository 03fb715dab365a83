"""What is odd in a metrics request costs itself: an attribute its value, never the point its count."""

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from collector.test_metrics import NOW_US, START, Request, counts, point
from footfall_collector import metrics, otlp
from footfall_processors import Loss, Policy


@pytest.fixture(scope="module")
def policy(catalog):
    return Policy(catalog)


def decoded(policy, request, odd=b"", mark=b"XXXX"):
    body = request.message.SerializeToString()
    return metrics.decode(policy, body.replace(mark, odd) if odd else body, NOW_US)


def total(batch):
    return sum(counts(batch).values())


@pytest.mark.parametrize("odd", [b"a\xff\xfeb", b"\xed\xa0\xbdx", b"\x80\x80\x80\x80"])
@pytest.mark.parametrize("place", ["key", "value"])
def test_an_attribute_that_is_no_text_costs_itself(policy, odd, place):
    one = point(3)
    one.attributes.add(key="XXXX" if place == "key" else "page").value.string_value = "XXXX"
    batch = decoded(policy, Request().delta(one), odd)
    assert (total(batch), dict(batch.losses)) == (3, {Loss.UNDECLARED_ATTRIBUTE: 1})


def test_an_attribute_that_cannot_be_parsed_costs_itself(policy):
    one = point(3)
    one.attributes.add(key="page", value={"kvlist_value": {"values": [{"key": "XXXX"}]}})
    batch = decoded(policy, Request().delta(one), b"\x0f\x0f\x0f\x0f")
    assert (total(batch), dict(batch.losses)) == (3, {Loss.UNDECLARED_ATTRIBUTE: 1})


def test_an_attribute_of_any_length_costs_itself(policy):
    one = point(3, page="x" * 2 * otlp.MOST_BYTES)
    batch = decoded(policy, Request().delta(one))
    assert (total(batch), dict(batch.losses)) == (3, {Loss.UNDECLARED_ATTRIBUTE: 1})


def test_an_attribute_that_comes_twice_costs_itself(policy):
    one = point(3, provider="smz3")
    one.attributes.add(key="provider").value.string_value = "smz3"
    batch = decoded(policy, Request().delta(one, name="shop.order"))
    assert (total(batch), dict(batch.losses)) == (3, {Loss.DUPLICATE_ATTRIBUTE: 1})


def test_exemplars_that_are_no_text_cost_nothing(policy):
    one = point(3)
    exemplar = one.exemplars.add(as_int=1)
    exemplar.filtered_attributes.add(key="page").value.string_value = "XXXX"
    batch = decoded(policy, Request().delta(one), b"a\xff\xfeb")
    assert (total(batch), dict(batch.losses)) == (3, {})


def test_labels_of_early_senders_are_attributes_that_nobody_declared(policy):
    """Field 1, StringKeyValue, which newer ones have reserved."""
    label = b"\x0a\x08\x0a\x03key\x12\x01v"
    one = NumberDataPoint.FromString(point(3, start=START).SerializeToString() + 2 * label)
    batch = decoded(policy, Request().delta(one))
    assert (total(batch), dict(batch.losses)) == (3, {Loss.UNDECLARED_ATTRIBUTE: 2})


def test_a_declared_attribute_that_is_no_text_is_of_the_wrong_type(policy):
    one = point(3, provider="XXXX")
    batch = decoded(policy, Request().delta(one, name="shop.order"), b"a\xff\xfeb")
    assert (total(batch), dict(batch.losses)) == (3, {Loss.ENUM_VALUE: 1})
