"""In which form the values of attributes arrive, and what is dropped."""

import uuid
from enum import StrEnum

import pytest

from instrumentation.orders import SUCCESS, observed


class Provider(StrEnum):
    SMZ3 = "smz3"


def test_values_arrive_in_the_form_that_the_catalog_declares(client, received):
    order = uuid.uuid4()
    client.event(
        "shop.order", provider=Provider.SMZ3, items=1000, order_id=order, weight=2, note="ok"
    )
    client.event("shop.order", order_id=str(order).upper(), user_id=2**64 - 1, guild_id=2**63)
    client.event("shop.order", note="x" * 90, guild_id="ünïcode\ud800", user_id=7)
    client.event("shop.order", note="word " * 1000, provider=None, unknown=None)
    client.event("shop.order", note="write to someone@example.org please")
    first, second, third, fourth, fifth = observed(client, received)
    assert first == SUCCESS | {
        "provider": "smz3", "items": 100, "order_id": str(order), "weight": 2.0, "note": "ok",
    }  # fmt: skip
    assert second == SUCCESS | {
        "order_id": str(order), "user_id": str(2**64 - 1), "guild_id": str(2**63),
    }  # fmt: skip
    assert third == SUCCESS | {"note": "x" * 40, "guild_id": "ünïcode\ufffd", "user_id": 7}
    assert fourth == SUCCESS | {"note": ("word " * 8)}
    assert fifth == SUCCESS | {"note": "write to [email] please"}
    assert received.dropped() == {}


def test_a_long_text_is_cut_where_no_pattern_is_split(client, received):
    for filler in (1000, 1010, 1015, 1020):
        client.event("shop.order", note=("~" * filler) + " someone@example.org +49 170 1234567")
    client.event("shop.order", note="y" * 100_000)
    client.event("shop.order", guild_id="z" * 100_000)
    found = observed(client, received)
    assert [o.get("note") for o in found] == ["~" * 40] * 4 + [None] * 2
    assert received.dropped() == {"wrong_type": 2}


@pytest.mark.parametrize(
    "attributes",
    [
        {"provider": "other"},
        {"provider": 3},
        {"provider": ["smz3"]},
        {"items": "3"},
        {"items": True},
        {"items": float("nan")},
        {"weight": float("inf")},
        {"gift": 1},
        {"order_id": "not one"},
        {"note": b"bytes"},
        {"note": {"a": "map"}},
        {"guild_id": 1.5},
        {"guild_id": ""},
        {"user_id": 2**80},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_dropped_and_counted_and_the_rest_is_sent(
    client, received, attributes
):
    client.event("shop.order", preset="open", **attributes)
    assert observed(client, received) == [SUCCESS | {"preset": "open"}]
    assert received.dropped() == {"wrong_type": 1}


def test_undeclared_events_and_attributes_are_counted_and_not_sent(client, received):
    with client.feature("shop.ordr", provider="smz3") as use:
        use.set(items=1)
        use.fail()
    client.count("shop.ordr")
    client.event("footfall.emitted")
    client.event("shop.visit", provider="smz3", items=3, colour="red")
    assert [o["event"] for o in observed(client, received)] == ["shop.visit"]
    assert received.dropped() == {"undeclared_event": 3, "undeclared_attribute": 2}
    assert b"colour" not in received.bytes
    assert b"ordr" not in received.bytes
