"""`from:` — attributes that come under another key than their name."""

import pytest

from footfall_processors import DocumentError, Loss, Policy, load_catalog
from footfall_processors.cautions import cautions
from processors.policies import judge

SHOP = """\
product: shop
attributes:
  feature_used: {type: enum, values: [search, export], from: feature}
  usage_count: {type: int, min: 0, max: 100, from: usageCount}
  pool: {type: float, min: 0, max: 1, from: metrics.connection_pool}
  visitor: {type: string, hash: daily, from: visitorId}
  health: {type: enum, values: [healthy, degraded], from: status}
events:
  usage: {surface: web, feature: usage, actions: [used], attributes: [feature_used, usage_count, visitor]}
  system: {surface: api, feature: system, actions: [seen], attributes: [pool, health]}
"""
TILL = """\
product: till
attributes:
  paid: {type: enum, values: [open, paid], from: status}
  kind: {type: enum, values: [search], from: health}
events:
  order: {surface: web, feature: order, actions: [made], attributes: [paid, kind]}
"""


@pytest.fixture
def policy(tmp_path):
    return Policy(load_catalog([written(tmp_path, SHOP), written(tmp_path, TILL, "till.yaml")]))


def written(folder, text, name="events.yaml"):
    (folder / name).write_text(text)
    return folder / name


def kept(policy, name, attributes):
    """The enums of what is stored, its columns with the places of what stands in them, and its losses."""
    verdict = judge(policy, name, attributes)
    columns = dict(zip(verdict.shape.columns, verdict.positions, strict=True))
    return dict(verdict.shape.dimension.enums), columns, dict(verdict.losses)


def test_an_attribute_comes_under_its_name_or_under_its_other_key(policy):
    enums, columns = {"feature_used": "search"}, {"usage_count": 1, "visitor": -1}
    for keys in [("feature", "usageCount"), ("feature_used", "usage_count")]:
        said = dict(zip(keys, ("search", 3), strict=True))
        assert kept(policy, "usage", said) == (enums, columns, {})


@pytest.mark.parametrize("order", [1, -1])
def test_what_has_the_name_wins_wherever_it_stands(policy, order):
    said = [
        ("usageCount", 1),
        ("usage_count", 2),
        ("feature", "export"),
        ("feature_used", "search"),
    ]
    enums, columns, losses = kept(policy, "usage", said[::order])
    assert enums == {"feature_used": "search"}
    assert said[::order][columns["usage_count"]] == ("usage_count", 2)
    assert losses == {Loss.DUPLICATE_ATTRIBUTE: 2}


def test_what_has_the_name_wins_though_it_cannot_be_used(policy):
    said = {"feature": "search", "feature_used": "walker"}
    assert kept(policy, "usage", said)[::2] == (
        {},
        {Loss.ENUM_VALUE: 1, Loss.DUPLICATE_ATTRIBUTE: 1},
    )


def test_one_key_is_another_attribute_in_another_event(policy):
    assert kept(policy, "system", {"status": "healthy"})[::2] == ({"health": "healthy"}, {})
    assert kept(policy, "order", {"status": "paid"})[::2] == ({"paid": "paid"}, {})
    assert kept(policy, "order", {"status": "healthy"})[::2] == ({}, {Loss.ENUM_VALUE: 1})
    assert kept(policy, "usage", {"status": "healthy"})[::2] == ({}, {Loss.UNDECLARED_ATTRIBUTE: 1})


def test_a_key_may_be_the_name_of_another_products_attribute(policy):
    assert kept(policy, "order", {"health": "search"})[::2] == ({"kind": "search"}, {})
    assert kept(policy, "system", {"health": "healthy"})[::2] == ({"health": "healthy"}, {})


def test_nothing_else_changes(policy):
    said = {"feature.status": "error", "usagecount": 1, "metrics": 1, "connection_pool": 1}
    assert kept(policy, "usage", said)[::2] == ({}, {Loss.UNDECLARED_ATTRIBUTE: 3})


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("a", "a", "is its name, under which it comes anyway; leave `from` out"),
        ("a", "b", '"b" is an attribute itself: list that one in `attributes`'),
        *(
            ("a", key, f'"{key}" says something to Footfall itself; it is no attribute')
            for key in (
                *("event", "ts", "timestamp", "session_token", "event.name", "feature.status"),
                *(
                    "feature.action",
                    "feature.quantity",
                    "error.type",
                    "http.route",
                    "emitted_event",
                ),
            )
        ),
        ("a", "body", "what has a key `body` is refused, whatever it holds"),
        ("a", "reply.body.length", "what has a key `body` is refused, whatever it holds"),
        *(
            (
                "a",
                key,
                "must be words of letters, digits, _ and - joined by dots, at most 128 characters",
            )
            for key in ("'a b'", "a..b", "'.a'", "a.", "'1a'", "'größe'", "'a\\n'", "x" * 129)
        ),
        ("a", "7", "expected str, got int; put it in quotes"),
    ],
)
def test_what_no_attribute_can_come_from_is_refused(tmp_path, monkeypatch, name, source, message):
    monkeypatch.chdir(tmp_path)
    source = source.replace("'a\\n'", '"a\\n"')
    text = (
        f"product: p\nattributes:\n  {name}: {{type: int, max: 9, from: {source}}}\n"
        "  b: {type: bool}\nevents: {}\n"
    )
    with pytest.raises(DocumentError) as caught:
        load_catalog(written(tmp_path, text).name)
    assert str(caught.value) == f"events.yaml:3: attributes.a.from: {message}"


def test_an_event_has_one_attribute_of_a_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = SHOP.replace("[pool, health]", "[pool, health, state]").replace(
        "events:", "  state: {type: bool, from: status}\nevents:"
    )
    with pytest.raises(DocumentError) as caught:
        load_catalog(written(tmp_path, text).name)
    assert str(caught.value) == (
        "events.yaml:11: events.system.attributes.2:"
        ' "state" and "health" both come from status; an event has one of them'
    )


def test_a_key_that_is_named_like_a_person_is_warned_of(tmp_path):
    text = SHOP.replace(
        "{type: float, min: 0, max: 1, from: metrics.connection_pool}",
        "{type: int, max: 9, from: userId}",
    )
    (caution,) = cautions([written(tmp_path, text)])
    assert (caution.line, caution.path) == (5, "attributes.pool")
    assert "is named like a person or an id" in caution.message
