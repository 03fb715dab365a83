"""What is odd in a metrics request costs itself: an attribute its value, never the point its count."""

import asyncio
import json

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from collector.sums import KEY, NOW_US, START, Request, counts, point
from footfall_collector.decoding import metrics, otlp, otlp_json
from footfall_processors import Loss, Policy


@pytest.fixture(scope="module")
def policy(catalog):
    return Policy(catalog)


def decoded(policy, request, odd=b"", mark=b"XXXX"):
    body = request.message.SerializeToString()
    return asyncio.run(metrics.decode(policy, body.replace(mark, odd) if odd else body, NOW_US))


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


def in_json(policy, *attributes, where="point"):
    """What is counted of two series that differ in these attributes, over OTLP/JSON."""
    groups = []
    for number, attribute in enumerate(attributes):
        sent = {"startTimeUnixNano": str(START), "timeUnixNano": str(NOW_US * 1000), "asInt": "40"}
        metric = {
            "name": "shop.ping",
            "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [sent]},
        }
        scope, resource = {}, {}
        {"point": sent, "scope": scope, "resource": resource}[where]["attributes"] = [attribute]
        groups.append(
            {"resource": resource, "scopeMetrics": [{"scope": scope, "metrics": [metric]}]}
        )
        sent["asInt"] = 40 + number
    body = json.dumps({"resourceMetrics": groups}).encode()
    said = asyncio.run(otlp_json.groups("metrics", body))
    return asyncio.run(metrics.decode(policy, body, NOW_US, groups=said, key=KEY)).points


ODD = {
    "lists": [{"arrayValue": {"values": [{"stringValue": text}]}} for text in "ab"],
    "maps": [{"kvlistValue": {"values": [{"key": text}]}} for text in "ab"],
    "bytes": [{"bytesValue": text} for text in ("YQ==", "Yg==")],
    "lone surrogates": [{"stringValue": "a\ud800"}, {"stringValue": "b\ud800"}],
    "integers that are too large": [{"intValue": str(2**70 + n)} for n in range(2)],
}


@pytest.mark.parametrize("where", ["point", "scope", "resource"])
@pytest.mark.parametrize("values", ODD.values(), ids=ODD)
def test_series_in_json_are_told_apart_by_odd_values_too(policy, values, where):
    first, second = ({"key": "page", "value": value} for value in values)
    assert len({(p.stream, p.series) for p in in_json(policy, first, second, where=where)}) == 2
    assert len({(p.stream, p.series) for p in in_json(policy, first, first, where=where)}) == 1


def test_series_in_json_are_told_apart_by_odd_keys_too(policy):
    first, second = ({"key": f"{text}\ud800", "value": {"intValue": 1}} for text in "ab")
    assert len({(p.stream, p.series) for p in in_json(policy, first, second)}) == 2
